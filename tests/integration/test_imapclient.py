"""IMAPClient at work on a mailbox, with what lies in the mbox file afterwards."""

from __future__ import annotations

from datetime import UTC, datetime

import imapclient
import pytest
from imapclient import IMAPClient

from tests.integration.post_office import CORPUS, HOST, PASSWORD, USER, PostOffice, crlf, mail

WHEN = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)


def logged_in(office: PostOffice) -> IMAPClient:
    client = IMAPClient(HOST, office.imaps, ssl_context=office.believing(), timeout=30)
    client.login(USER, PASSWORD)
    return client


@pytest.fixture
def client(office):
    office.fill()
    client = logged_in(office)
    yield client
    client.logout()


def test_starttls(office):
    client = IMAPClient(HOST, office.imap, ssl=False, timeout=30)
    client.starttls(office.believing())
    assert b"STARTTLS" not in client.capabilities()
    client.login(USER, PASSWORD)
    client.logout()


def test_what_it_reads(client, office):
    assert client.select_folder("INBOX")[b"EXISTS"] == len(CORPUS)
    items = ["BODY.PEEK[]", "RFC822.SIZE", "FLAGS", "INTERNALDATE", "ENVELOPE", "BODYSTRUCTURE"]
    got = client.fetch(range(1, len(CORPUS) + 1), items)
    for text, (_uid, data) in zip(CORPUS, sorted(got.items()), strict=True):
        assert data[b"BODY[]"] == crlf(text)
        assert data[b"RFC822.SIZE"] == len(crlf(text))
        assert b"\\Seen" not in data[b"FLAGS"]
    assert [data[b"ENVELOPE"].subject for data in got.values()][0] == b"plain"
    assert got[5][b"BODYSTRUCTURE"].is_multipart
    client.normalise_times = False
    assert client.fetch(1, "INTERNALDATE")[1][b"INTERNALDATE"].replace(tzinfo=None) == datetime(2026, 11, 21, 12)
    assert office.mails() == CORPUS


def test_what_it_finds(client):
    client.select_folder("INBOX")
    assert client.search(["SUBJECT", "eight"]) == [4]
    assert client.search(["BODY", "KÖLN"], "UTF-8") == [4]
    assert client.search(["OR", "LARGER", 100000, "SUBJECT", "dots"]) == [2, 8]
    assert client.sort("REVERSE SIZE")[0] == 8
    assert sorted(number for thread in client.thread() for number in thread) == list(range(1, 9))
    assert client.search(["BEFORE", datetime(2026, 11, 21).date()]) == []


def test_flags(client, office):
    client.select_folder("INBOX")
    told = client.add_flags([1, 3], [imapclient.SEEN, imapclient.ANSWERED, b"$Forwarded", b"Arbeit"])
    assert set(told) == {1, 3} and set(told[1]) >= {b"\\Answered", b"\\Seen", b"$Forwarded", b"Arbeit"}
    assert set(client.get_flags([1])[1]) >= {b"\\Seen", b"\\Answered", b"$Forwarded", b"Arbeit"}
    client.set_flags([2], [imapclient.FLAGGED])
    client.remove_flags([3], [imapclient.ANSWERED, b"Arbeit"])
    flags = office.flags()
    assert flags["plain"] >= {"R", "A", "$Forwarded", "Arbeit"}
    assert flags["dots"] >= {"F"} and "R" not in flags["dots"]
    assert "A" not in flags["quoted"] and flags["quoted"] >= {"R", "$Forwarded"}
    assert "Arbeit" not in flags["quoted"]
    assert office.mails() == CORPUS


def test_mailboxes(client, office):
    name = "Entwürfe/Müll & Co"
    assert client.create_folder("Entwürfe/") and client.create_folder(name)
    assert (b"\\HasNoChildren" in client.list_folders("", name)[0][0]) and client.list_folders("", name)[0][2] == name
    client.subscribe_folder(name)
    assert [found[2] for found in client.list_sub_folders()] == [name]
    assert client.folder_exists(name) and not client.folder_exists("Entwürfe/nichts")
    client.rename_folder(name, "Müll")
    assert client.folder_status("Müll", ["MESSAGES", "UIDNEXT"]) == {b"MESSAGES": 0, b"UIDNEXT": 1}
    client.unsubscribe_folder(name)
    client.delete_folder("Müll")
    client.delete_folder("Entwürfe")
    assert [found[2] for found in client.list_folders()] == ["INBOX"]
    assert client.namespace().personal == (("", "/"),)
    assert client.find_special_folder(b"\\Sent") is None
    client.create_folder("Sent")
    assert client.find_special_folder(b"\\Sent") == "Sent"


def test_messages_in(client, office):
    client.create_folder("Sent")
    client.select_folder("Sent")
    told = client.append("Sent", crlf(CORPUS[3]), [imapclient.SEEN, b"$Forwarded"], WHEN)
    assert told.startswith(b"[APPENDUID ")
    client.multiappend("Sent", [crlf(CORPUS[1]), {"msg": crlf(CORPUS[4]), "flags": [imapclient.DRAFT]}])
    assert office.mails("Sent") == [CORPUS[3], CORPUS[1], CORPUS[4]]
    assert b"23:59:58" in office.ground.file("Sent").read_bytes().split(b"\n")[0]
    assert office.flags("Sent")["eight-bit"] >= {"R", "$Forwarded"} and "T" in office.flags("Sent")["parts"]
    client.normalise_times = False
    data = client.fetch(1, ["INTERNALDATE", "BODY.PEEK[]", "FLAGS"])[1]
    assert data[b"INTERNALDATE"] == WHEN and data[b"BODY[]"] == crlf(CORPUS[3])


def test_messages_about(client, office):
    """COPY, MOVE, UID EXPUNGE, EXPUNGE."""
    client.create_folder("there")
    client.select_folder("INBOX")
    client.add_flags([2], [imapclient.FLAGGED, b"Arbeit"])
    client.copy([1, 2], "there")
    client.move([3, 8], "there")
    assert office.mails("there") == [CORPUS[0], CORPUS[1], CORPUS[2], CORPUS[7]]
    assert office.flags("there")["dots"] >= {"F", "Arbeit"}
    client.delete_messages([1, 2])
    client.uid_expunge([1])
    assert office.mails() == [CORPUS[1], *CORPUS[3:7]]
    text, responses = client.expunge()
    assert len(responses) >= 1 and text
    assert office.mails() == CORPUS[3:7]
    assert client.search() == [4, 5, 6, 7]


def test_idle_hears_of_a_delivery_and_of_another_session(client, office):
    client.select_folder("INBOX")
    client.idle()
    office.deliver(mail("new"))
    heard = client.idle_check(timeout=20)
    while (len(CORPUS) + 1, b"EXISTS") not in heard:
        more = client.idle_check(timeout=20)
        assert more, heard
        heard += more
    other = logged_in(office)
    other.select_folder("INBOX")
    other.delete_messages([1])
    other.expunge()
    heard = []
    while (1, b"EXPUNGE") not in heard:
        more = client.idle_check(timeout=20)
        assert more, heard
        heard += more
    client.idle_done()
    other.logout()
    assert client.fetch(len(CORPUS) + 1, "BODY.PEEK[]")[len(CORPUS) + 1][b"BODY[]"] == crlf(mail("new"))
    assert office.mails() == [*CORPUS[1:], mail("new")]


def test_the_rest(client):
    """ID, ENABLE, quota, ACL, UNSELECT, NOOP."""
    told = client.id_({"name": "IMAPClient", "version": "4"})[0]
    assert dict(zip(told[::2], told[1::2], strict=True))[b"name"] == b"mailcore"
    assert client.has_capability("MOVE") and client.has_capability("UIDPLUS")
    assert client.enable("CONDSTORE") == [b"CONDSTORE"]
    assert client.get_quota_root("INBOX")[0].mailbox == "INBOX"
    client.select_folder("INBOX", readonly=True)
    with pytest.raises(imapclient.exceptions.IMAPClientError, match="(?i)read-only"):
        client.add_flags([1], [imapclient.SEEN])
    client.unselect_folder()
    assert client.noop()[0]
    with pytest.raises(imapclient.exceptions.IMAPClientError, match="(?i)no such mailbox"):
        client.select_folder("nowhere")
