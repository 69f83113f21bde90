"""IMAP4rev2: RFC 9051 appendix E, item by item."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imapd import extensions
from mailcore.store.mailbox import RECENT
from tests.imapd.conversation import Client, Watched, stranger, user
from tests.imapd.fakebox import FakeBox

TEXT = (
    b"Subject: caf\xc3\xa9\nContent-Type: text/plain; charset=utf-8;\n name*0=a; name*1=b\n"
    b"Content-Transfer-Encoding: base64\n\nYgA=\n"
)


def two() -> tuple[Client, Watched]:
    box = Watched()
    box.deliver(TEXT, RECENT)
    box.deliver(TEXT, RECENT, "\\Deleted", "$Forwarded")
    box.news()
    other = Watched(name="Caf&AOk-")
    client, _ = user(box, other)
    assert client.say(b"e ENABLE IMAP4rev2\r\n").startswith(b"* ENABLED IMAP4REV2\r\n")
    return client, box


SELECT = b"s SELECT INBOX\r\n"
CONTENT = b"f FETCH 1 BODY.PEEK[1]<0.4294967297>\r\n"


# what is said after ENABLE, what the answer has, what it has not; the number is the item's in appendix E
TABLE: list[tuple[int, list[bytes], list[bytes], list[bytes]]] = [
    (1, [SELECT, CONTENT], [b"BODY[1]<0> "], []),  # 64-bit sizes
    (1, [SELECT, b"f FETCH 1 BODY.PEEK[1]<0.9223372036854775808>\r\n"], [b"f BAD Number too large"], []),
    (2, [SELECT, b"f FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])\r\n"], [b"BINARY[1] ~{2}\r\nb\0", b"SIZE[1] 2"], []),
    (3, [b'l LIST "" *\r\n'], [b'"Caf\xc3\xa9"'], [b"&AOk-"]),  # names
    (3, [b'x CREATE "\xc3\xbc"\r\n', b"x STATUS {2+}\r\n\xc3\xbc (MESSAGES)\r\n"], [b"x OK STATUS"], [b"NO", b"BAD"]),
    (4, [b"x STATUS INBOX (SIZE DELETED)\r\n"], [b"* STATUS INBOX (SIZE 244 DELETED 1)"], []),
    (5, [SELECT, b"x SEARCH DELETED\r\n"], [b'* ESEARCH (TAG "x") ALL 2\r\n'], [b"* SEARCH"]),
    (5, [SELECT, b"x SEARCH ANSWERED\r\n"], [b'* ESEARCH (TAG "x")\r\n'], [b"* SEARCH"]),
    (5, [SELECT, b"x SEARCH RETURN (SAVE) ALL\r\n", b"x FETCH $ UID\r\n"], [b"* 2 FETCH (UID 2)"], []),
    (6, [SELECT, b'x SEARCH SUBJECT "\xc3\xa9"\r\n'], [b"ALL 1:2"], []),  # substrings, in UTF-8 without CHARSET
    (8, [SELECT, b'x MOVE 1 "Caf\xc3\xa9"\r\n'], [b"* OK [COPYUID 1234 1 1]", b"* 1 EXPUNGE"], []),
    (8, [SELECT, b'x UID MOVE 1 "Caf\xc3\xa9"\r\n'], [b"* OK [COPYUID 1234 1 1]", b"* 1 EXPUNGE"], []),
    (9, [SELECT, b"x COPY 1 nowhere\r\n"], [b"x NO [TRYCREATE]"], []),
    (9, [SELECT, b"x MOVE 1 nowhere\r\n"], [b"x NO [TRYCREATE]"], [b"EXPUNGE"]),
    (10, [SELECT, SELECT], [b"* OK [CLOSED]"], []),
    (10, [SELECT, b"x EXAMINE nowhere\r\n"], [b"* OK [CLOSED]"], []),
    (11, [SELECT], [b'* LIST () "/" INBOX\r\n'], []),
    (11, [b'x EXAMINE "Caf\xc3\xa9"\r\n'], [b'* LIST () "/" "Caf\xc3\xa9"\r\n'], []),
    (12, [SELECT], [b"* 2 EXISTS"], [b"[UNSEEN", b"CLOSED"]),
    (13, [SELECT], [], [b"RECENT"]),
    (13, [SELECT, b"x FETCH 1:2 FLAGS\r\n"], [b"FLAGS ()", b"FLAGS (\\Deleted $Forwarded)"], [b"Recent"]),
    (13, [SELECT, b"x SEARCH RECENT\r\n", b"x SEARCH NEW\r\n", b"x SEARCH OLD\r\n"], [b"x OK"], [b"BAD"]),
    (16, [SELECT, b"x STORE 1 +FLAGS ($MDNSent $Forwarded $Junk $NonJunk $Phishing)\r\n"], [b"$Phishing)"], []),
    (18, [SELECT, b"x CHECK\r\n"], [b"x OK CHECK"], []),  # deprecated, for old clients there
    (19, [SELECT, b"x FETCH 1 (RFC822.SIZE RFC822.HEADER)\r\n"], [b"RFC822.HEADER {"], []),
    (20, [b'x LSUB "" *\r\n'], [b"x OK LSUB"], []),
    (22, [SELECT, b"x UID STORE 2 -FLAGS.SILENT (\\Deleted)\r\n"], [b"x OK"], []),
    (24, [SELECT], [b"s OK [READ-WRITE] "], []),  # a text is never empty, which any client can read
    (30, [b'x RENAME "Caf\xc3\xa9" new\r\n'], [b'* LIST () "/" new (OLDNAME ("Caf\xc3\xa9"))\r\n'], []),
]


@pytest.mark.parametrize(("item", "said", "there", "missing"), TABLE)
def test_appendix_e(item: int, said: list[bytes], there: list[bytes], missing: list[bytes]) -> None:
    client, _ = two()
    heard = b"".join(client.say(line) for line in said)
    for piece in there:
        assert piece in heard, f"item {item}: {heard!r}"
    for piece in missing:
        assert piece not in heard, f"item {item}: {heard!r}"


def _news(change: Callable[[FakeBox], object]) -> bytes:
    client, box = two()
    client.say(SELECT)
    change(box)
    return client.say(b"n NOOP\r\n")


def test_flags_that_others_set_come_with_their_uid() -> None:
    """Item 22; and item 13, no RECENT beside EXISTS."""
    said = _news(lambda box: box.flag_elsewhere(2, "\\Seen", RECENT))
    assert said.startswith(b"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n")
    assert _news(lambda box: box.deliver(TEXT, RECENT)).startswith(b"* 3 EXISTS\r\nn OK")


def test_seen_by_a_fetch_has_no_recent() -> None:
    client, _ = two()
    client.say(SELECT)
    assert b"FLAGS (\\Seen))\r\n" in client.say(b"x FETCH 1 BODY[HEADER]\r\n")


def test_without_enable_nothing_changes() -> None:
    """A client of RFC 3501 hears what it always heard."""
    box = Watched()
    box.deliver(TEXT, RECENT)
    box.news()
    client, _ = user(box, Watched(name="Caf&AOk-"))
    said = client.say(SELECT) + client.say(SELECT) + client.say(b"x SEARCH ALL\r\n") + client.say(b'y LIST "" *\r\n')
    for piece in (b"* 1 RECENT", b"[UNSEEN 1]", b"* SEARCH 1\r\n", b"Caf&AOk-"):
        assert piece in said
    assert b"CLOSED" not in said and said.count(b"* LIST") == 2


def test_it_is_announced_beside_imap4rev1() -> None:
    """RFC 9051 §6.1.1; and everything that it takes for granted is there (items 2 and 28)."""
    assert b"IMAP4rev1 IMAP4rev2 " in stranger().greeting
    for name in ("NAMESPACE", "UNSELECT", "UIDPLUS", "ESEARCH", "SEARCHRES", "ENABLE", "IDLE", "SASL-IR", "MOVE"):
        assert name in extensions.NAMES
