"""Python's own imaplib, command by command."""

from __future__ import annotations

import imaplib
import re
import time

import pytest

from tests.integration.post_office import CORPUS, HOST, PASSWORD, USER, crlf


@pytest.fixture
def client(office):
    office.fill()
    with imaplib.IMAP4_SSL(HOST, office.imaps, ssl_context=office.believing(), timeout=30) as client:
        client.login(USER, PASSWORD)
        yield client


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


# command, arguments, what the answer holds; said in this order to one mailbox
TALK = [
    ("capability", (), b"IMAP4rev1"),
    ("enable", ("CONDSTORE",), b"enable completed"),
    ("namespace", (), b'(("" "/"))'),
    ("myrights", ("INBOX",), b"INBOX lr"),
    ("getacl", ("INBOX",), b"INBOX "),
    ("getquotaroot", ("INBOX",), b""),
    ("create", ("one",), b"completed"),
    ("subscribe", ("one",), b"completed"),
    ("list", (), b'"/" one'),
    ("list", ('""', "%"), b'"/" one'),
    ("lsub", (), b'"/" one'),
    ("rename", ("one", "two"), b"completed"),
    ("status", ("INBOX", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)"), b"MESSAGES 8"),
    ("select", (), b"8"),
    ("check", (), b""),
    ("noop", (), b""),
    ("recent", (), b"8"),
    ("search", (None, "ALL"), b"1 2 3 4 5 6 7 8"),
    ("search", ("UTF-8", "SUBJECT", "dots"), b"2"),
    ("sort", ("(REVERSE SIZE)", "UTF-8", "ALL"), b"8 "),
    ("thread", ("ORDEREDSUBJECT", "UTF-8", "ALL"), b"(1)"),
    ("fetch", ("1", "(FLAGS UID)"), b"UID 1"),
    ("partial", ("1", "RFC822", "1", "4"), None),
    ("store", ("1:2", "+FLAGS", r"(\Flagged Arbeit)"), rb"FLAGS ("),
    ("copy", ("1:2", "two"), b"COPYUID"),
    ("uid", ("FETCH", "2", "(FLAGS)"), b"Arbeit"),
    ("uid", ("MOVE", "3", "two"), b""),
    ("uid", ("STORE", "4", "+FLAGS.SILENT", r"(\Deleted)"), b""),
    ("expunge", (), b"3"),
    ("unselect", (), b""),
    ("select", ("two", True), b"3"),
    ("close", (), b"completed"),
    ("setannotation", ("INBOX", "/comment", '("value.priv" "x")'), None),
    ("unsubscribe", ("one",), b"completed"),
    ("xatom", ("ID", "NIL"), b""),
    ("setquota", ("", "(STORAGE 1)"), None),
    ("proxyauth", ("wilma",), None),
    ("delete", ("two",), b"completed"),
]


def test_every_command(client, office):
    for name, arguments, wanted in TALK:
        if wanted is None:  # not ours, or not for users; and the connection goes on
            with pytest.raises(imaplib.IMAP4.error):
                kind, data = getattr(client, name)(*arguments)
                raise client.error(kind)
            continue
        data = ok(getattr(client, name)(*arguments))
        said = b" ".join(part if isinstance(part, bytes) else b" ".join(filter(None, part or ())) for part in data)
        assert wanted.lower() in said.lower(), f"{name} {arguments}: {data}"
    assert office.mails() == [*CORPUS[:2], *CORPUS[4:]]
    assert office.flags()["dots"] >= {"F", "Arbeit"}


def test_octets_both_ways(client, office):
    ok(client.create("copy"))
    ok(client.select())
    for number, text in enumerate(CORPUS, 1):
        got = ok(client.fetch(str(number), "(RFC822)"))[0][1]
        assert got == crlf(text)
        said = ok(client.append("copy", r"(\Seen)", imaplib.Time2Internaldate(time.time()), got))
        assert re.search(rb"\[APPENDUID \d+ %d\]" % number, said[0])
    assert office.mails() == CORPUS and office.mails("copy") == CORPUS
    assert all("R" in flags for flags in office.flags("copy").values())


def test_it_enables_utf8(client, office):
    """Its APPEND is not tried then: the `UTF8 (` that should stand before the literal, it sends as part of the mail."""
    ok(client.enable("UTF8=ACCEPT"))
    ok(client.create('"Entwürfe"'))
    assert '"/" "Entwürfe"'.encode() in b"".join(ok(client.list()))
    ok(client.select())
    ok(client.copy("4", '"Entwürfe"'))
    assert office.mails("Entw&APw-rfe") == [CORPUS[3]]
