"""getmail, fetchmail and curl: programs that take mail away, over IMAP and POP3, in clear, by TLS and by STARTTLS."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import need
from tests.integration.post_office import CORPUS, HOST, PASSWORD, USER, PostOffice, crlf, mail

GETMAIL = """
[retriever]
type = {retriever}
server = localhost
port = {port}
username = {user}
password = {password}
{extra}
[destination]
type = MDA_external
path = {agent}
[options]
delete = {delete}
read_all = {read_all}
delivered_to = false
received = false
verbose = 2
message_log = {home}/log
"""
WAYS = {
    "imap": ("SimpleIMAPRetriever", "imap", ""),
    "imaps": ("SimpleIMAPSSLRetriever", "imaps", "ca_certs = {certificate}"),
    "pop3": ("SimplePOP3Retriever", "pop3", ""),
    "pop3s": ("SimplePOP3SSLRetriever", "pop3s", "ca_certs = {certificate}"),
}


class Agent:
    """A delivery agent that keeps what it is given."""

    def __init__(self, home: Path, last: str = "") -> None:
        self.taken = home / "taken"
        self.taken.touch()
        self.path = home / "agent"
        self.path.write_text(f"#!/bin/sh\n(cat; printf '\\0') >>{self.taken}\n{last}\n")
        self.path.chmod(0o755)

    def mails(self) -> list[bytes]:
        """What has come, without the fields that clients add."""
        texts = self.taken.read_bytes().split(b"\0")[:-1]
        return [re.sub(rb"(?m)^(Return-Path|X-getmail-retrieved-from-mailbox): .*\n", b"", text) for text in texts]


class Getmail:
    def __init__(self, office: PostOffice, home: Path, way: str) -> None:
        self.office, self.home, self.way = office, home, way
        # getmail listens for its child's end only after the fork: one that ends sooner is waited for for ever
        self.agent = Agent(home, "sleep 0.2")

    def fetch(self, delete: bool, read_all: bool = False, folders: str = "") -> int:
        """How many messages it says that it retrieved."""
        retriever, port, extra = WAYS[self.way]
        values = {
            "retriever": retriever, "port": getattr(self.office, port), "user": USER, "password": PASSWORD,
            "agent": self.agent.path, "delete": delete, "read_all": read_all, "home": self.home,
            "extra": extra.format(certificate=self.office.certificate) + folders,
        }  # fmt: skip
        (self.home / "getmailrc").write_text(GETMAIL.format_map(values))
        said = self.office.run(need("getmail"), "--getmaildir", str(self.home), home=self.home)
        found = re.search(r"(\d+) messages \(\d+ bytes\) retrieved", said)
        assert found and "Warning" not in said and "rror" not in said, said
        return int(found[1])


SOME = [*CORPUS[1:5], CORPUS[7]]


@pytest.fixture(params=WAYS)
def getmail(office, request):
    office.fill(mails=SOME)
    return Getmail(office, office.home(), request.param)


def test_getmail_leaves_mail_and_knows_it_again(getmail, office):
    assert getmail.fetch(delete=False) == len(SOME)
    assert sorted(getmail.agent.mails()) == sorted(SOME)
    assert getmail.fetch(delete=False) == 0
    office.deliver(mail("new"))
    assert getmail.fetch(delete=False) == 1
    assert getmail.fetch(delete=False) == 0
    assert sorted(getmail.agent.mails()) == sorted([*SOME, mail("new")])
    assert office.mails() == [*SOME, mail("new")]


def test_getmail_takes_mail_away(getmail, office):
    assert getmail.fetch(delete=False) == len(SOME)
    office.deliver(mail("new"))
    assert getmail.fetch(delete=True) == 1  # and deletes what it had before
    assert office.mails() == []
    assert sorted(getmail.agent.mails()) == sorted([*SOME, mail("new")])
    office.deliver(mail("newer"))
    assert getmail.fetch(delete=True) == 1 and getmail.fetch(delete=True) == 0
    assert office.mails() == [] and mail("newer") in getmail.agent.mails()


def test_getmail_reads_other_mailboxes(office):
    office.fill(mails=SOME)
    office.fill("work/Entw&APw-rfe", CORPUS[:2])
    client = Getmail(office, office.home(), "imaps")
    assert client.fetch(False, folders='\nmailboxes = ("INBOX", "work/Entwürfe")') == len(SOME) + 2
    assert client.fetch(False, folders="\nmailboxes = ALL") == 0


# --- fetchmail ----------------------------------------------------------------------------

FETCHMAIL = """
poll localhost protocol {protocol} port {port} user "{user}" password "{password}" is here {more}
    mda "{mda}"
"""
SEALED = 'ssl sslcertck sslcertfile "{certificate}"'
STARTED = 'sslproto "TLS1.2+" sslcertck sslcertfile "{certificate}"'
FETCHES = {
    "imap": ("IMAP", "imap", 'sslproto ""'),
    "imap-starttls": ("IMAP", "imap", STARTED),
    "imaps": ("IMAP", "imaps", SEALED),
    "pop3": ("POP3", "pop3", 'sslproto ""'),
    "pop3-stls": ("POP3", "pop3", STARTED),
    "pop3s": ("POP3", "pop3s", SEALED),
}


class Fetchmail:
    def __init__(self, office: PostOffice, home: Path, way: str) -> None:
        self.office, self.home = office, home
        self.protocol, self.port, self.way = FETCHES[way]
        self.agent = Agent(home)

    def fetch(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        values = {
            "protocol": self.protocol, "port": getattr(self.office, self.port), "user": USER, "password": PASSWORD,
            "mda": self.agent.path, "more": self.way.format(certificate=self.office.certificate),
        }  # fmt: skip
        conf = self.home / "fetchmailrc"
        conf.write_text(FETCHMAIL.format_map(values))
        conf.chmod(0o600)
        command = [need("fetchmail"), "-f", str(conf), "-v", "--invisible", "--norewrite", "-i", str(self.home / "ids")]
        said = self.office.run(*command, *words, home=self.home, ok=ok, FETCHMAILHOME=str(self.home))
        for complaint in ("error", "mismatch", "unexpected"):
            assert complaint not in said.lower(), said
        return said


@pytest.fixture(params=FETCHES)
def fetchmail(office, request):
    office.fill()
    return Fetchmail(office, office.home(), request.param)


NOTHING = 1  # fetchmail's status when there was no new mail


def test_fetchmail_keeps_and_takes(fetchmail, office):
    words = ("--uidl",) if fetchmail.protocol == "POP3" else ()
    fetchmail.fetch("--keep", *words)
    assert fetchmail.agent.mails() == CORPUS and office.mails() == CORPUS
    fetchmail.fetch("--keep", *words, ok=(NOTHING,))
    office.deliver(mail("new"))
    fetchmail.fetch("--keep", *words)
    assert fetchmail.agent.mails() == [*CORPUS, mail("new")]
    fetchmail.fetch("--all", "--nokeep", *words)
    assert fetchmail.agent.mails() == [*CORPUS, mail("new")] * 2
    assert office.mails() == []
    fetchmail.fetch(*words, ok=(NOTHING,))


def test_fetchmail_leaves_what_is_large(fetchmail, office):
    fetchmail.fetch("--limit", "100000")
    assert fetchmail.agent.mails() == CORPUS[:-1] and office.mails() == CORPUS[-1:]


# --- curl ------------------------------------------------------------------------------


def curl(office: PostOffice, url: str, *words: str, ok: tuple[int, ...] = (0,)) -> bytes:
    command = [need("curl"), "-s", "-S", "-m", "30", "--cacert", str(office.certificate), "-u", f"{USER}:{PASSWORD}"]
    done = subprocess.run([*command, *words, url], capture_output=True, timeout=60, check=False)
    assert done.returncode in ok, done.stderr
    return done.stdout


@pytest.mark.parametrize("scheme, words", [("imap", ()), ("imap", ("--ssl-reqd",)), ("imaps", ())])
def test_curl_by_imap(office, tmp_path, scheme, words):
    office.fill()
    office.fill("Büro und mehr".encode("utf-7").decode().replace("+", "&"), CORPUS[:2])
    base = f"{scheme}://{HOST}:{getattr(office, scheme)}"
    assert b'"/" INBOX' in curl(office, f"{base}/", *words)
    for number, text in enumerate(CORPUS, 1):
        assert curl(office, f"{base}/INBOX;MAILINDEX={number}", *words) == crlf(text)
        assert curl(office, f"{base}/INBOX;UID={number};SECTION=TEXT", *words) == crlf(text.partition(b"\n\n")[2])
    assert curl(office, f"{base}/{quote('B&APw-ro und mehr')};UID=2", *words) == crlf(CORPUS[1])
    assert curl(office, f"{base}/INBOX?SUBJECT%20dots", *words).strip() == b"* SEARCH 2"
    new = tmp_path / "new.eml"
    new.write_bytes(crlf(mail("uploaded")))
    curl(office, f"{base}/INBOX", "-T", str(new), *words)
    curl(office, f"{base}/INBOX", "-X", r"STORE 1 +FLAGS (\Flagged \Deleted)", *words)
    curl(office, f"{base}/INBOX", "-X", "EXPUNGE", *words)
    curl(office, f"{base}/INBOX", "-X", "UID MOVE 3 B&APw-ro_none", *words, ok=(21, 78, 8))
    assert office.mails() == [*CORPUS[1:], mail("uploaded")]
    assert curl(office, f"{base}/nowhere;UID=1", *words, ok=(9, 67, 78)) == b""


@pytest.mark.parametrize("scheme, words", [("pop3", ()), ("pop3", ("--ssl-reqd",)), ("pop3s", ())])
def test_curl_by_pop3(office, scheme, words):
    office.fill()
    base = f"{scheme}://{HOST}:{getattr(office, scheme)}"
    sizes = [line.split() for line in curl(office, f"{base}/", *words).splitlines()]
    assert [int(size) for _, size in sizes] == [len(crlf(text)) for text in CORPUS]
    for number, text in enumerate(CORPUS, 1):
        assert curl(office, f"{base}/{number}", *words) == crlf(text)
    uids = curl(office, f"{base}/", "-X", "UIDL", *words).split()
    assert len(set(uids[1::2])) == len(CORPUS)
    assert curl(office, f"{base}/", "-X", "TOP 2 1", *words).endswith(b"\r\n\r\n.\r\n")
    curl(office, f"{base}/1", "-X", "DELE", "-l", *words)
    assert office.mails() == CORPUS[1:]
    curl(office, f"{base}/99", *words, ok=(8, 56))
