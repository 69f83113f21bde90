"""CATENATE: which URLs are ours, and pieces of any size."""

from __future__ import annotations

import pytest

from imapd.extensions.catenate import BadUrl, Url
from tests.imapd.conversation import Watched, inbox, user


@pytest.mark.parametrize(
    ("url", "mailbox", "validity", "uid", "label", "partial"),
    [
        (b"/INBOX/;UID=20", "INBOX", 0, 20, b"", None),
        (b"/inbox;uidvalidity=385759045/;uid=20/;section=1.2", "INBOX", 385759045, 20, b"1.2", None),
        (b"/a%20b/c/;UID=1/;SECTION=HEADER", "a b/c", 0, 1, b"HEADER", None),
        (b"/Caf%C3%A9/;UID=1", "Caf&AOk-", 0, 1, b"", None),
        (b"/Caf%26AOk-/;UID=1", "Caf&AOk-", 0, 1, b"", None),
        (b"/R%26D/;UID=1", "R&-D", 0, 1, b"", None),
        (b";UID=7/;SECTION=1.MIME", "", 0, 7, b"1.MIME", None),
        (b"/;UID=7/;PARTIAL=5.10", "", 0, 7, b"", (5, 10)),
        (b"/x/;UID=7/;SECTION=TEXT/;PARTIAL=5", "x", 0, 7, b"TEXT", (5, 1 << 62)),
    ],
)
def test_urls(url, mailbox, validity, uid, label, partial):
    read = Url(url)
    assert (read.mailbox, read.uid_validity, read.uid, read.section.label()) == (mailbox, validity, uid, label)
    assert (read.partial and (read.partial.offset, read.partial.octets)) == partial


@pytest.mark.parametrize(
    "url",
    [b"", b"/", b"/INBOX", b"/INBOX/", b"/INBOX/;UID=", b"/INBOX/;UID=x", b"/INBOX/;UID=-1",
     b"imap://h/INBOX/;UID=1", b"//h/INBOX/;UID=1", b"/INBOX/;UID=1/;SECTION=1]", b"/INBOX/;UID=1/;X=2", b"/%zz/;UID=1",
     b"/INBOX/;UID=1/;EXPIRE=2099-01-01T00:00:00Z;URLAUTH=anonymous", b"/%ff/;UID=1", b"/INBOX;UIDVALIDITY=x/;UID=1",
     b"/INBOX;X=1/;UID=1", b"/INBOX/;UID=99999999999999999999", b"/a/;UID=1/;PARTIAL=1.2.3", b"/%F0%9F/;UID=1"],
)  # fmt: skip
def test_no_urls(url):
    with pytest.raises(BadUrl):
        Url(url)


def test_large_pieces_wait_in_a_file(tmp_path):
    source, target = inbox(b"Subject: large\n\n" + b"line\n" * 100_000), Watched(name="drafts")
    client, _ = user(source, target, spool_directory=str(tmp_path))
    said = client.say(b'a APPEND drafts CATENATE (TEXT {2+}\r\nX: URL "/INBOX/;UID=1" TEXT {1+}\r\n.)\r\n')
    assert said == b"a OK [APPENDUID 1234 1] APPEND completed\r\n"
    assert target.messages[1] == b"X:Subject: large\r\n\r\n" + b"line\r\n" * 100_000 + b"."


def test_the_whole_has_a_limit():
    source, target = inbox(b"Subject: x\n\n" + b"line\n" * 100), Watched(name="drafts")
    client, _ = user(source, target, append_octets=1000)
    client.say(b"a SELECT INBOX\r\n")
    said = client.say(b'b APPEND drafts CATENATE (URL "/;UID=1" URL "/;UID=1")\r\n')
    assert said == b"b NO [TOOBIG] Message is too large\r\n"
    assert not target.messages
