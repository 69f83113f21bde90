"""IMAP4rev2: RFC 9051 appendix E, item by item."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imapd import extensions
from mailcore.login import sasl
from mailcore.store.mailbox import RECENT
from tests.imapd.conversation import Client, Watched, stranger, user
from tests.imapd.fakebox import FakeBox
from tests.playground import ROOT

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
    # extensions that are part of it now
    (2, [b"x NAMESPACE\r\n"], [b"* NAMESPACE ", b"x OK"], []),
    (2, [SELECT, b"x UNSELECT\r\n", b"y CLOSE\r\n"], [b"x OK", b"y BAD"], []),
    (2, [b"x APPEND INBOX {4+}\r\na: b\r\n"], [b"x OK [APPENDUID 1234 3]"], []),
    (2, [SELECT, b"x UID EXPUNGE 2\r\n"], [b"* 2 EXPUNGE", b"x OK"], []),
    (2, [SELECT, b"x COPY 1 INBOX\r\n"], [b"x OK [COPYUID 1234 1 3]"], []),
    (2, [SELECT, b"x SEARCH RETURN (MIN MAX COUNT) ALL\r\n"], [b'* ESEARCH (TAG "x") MIN 1 MAX 2 COUNT 2'], []),
    (2, [SELECT, b"x SEARCH RETURN (SAVE) ALL\r\n", b"x FETCH $ UID\r\n"], [b"* 2 FETCH (UID 2)"], []),
    (2, [SELECT, b"x IDLE\r\n", b"DONE\r\n"], [b"+ ", b"x OK IDLE"], []),
    (2, [b'x LIST "" INBOX RETURN (STATUS (MESSAGES))\r\n'], [b"* STATUS INBOX (MESSAGES 2)"], []),
    (2, [b'x LIST "" INBOX RETURN (SPECIAL-USE)\r\n'], [b"x OK LIST"], []),
    (2, [b"x SELECT INBOX (CONDSTORE)\r\n"], [b"x OK"], []),  # RFC 4466
    (2, [b"x SELECT INBOX (BOGUS)\r\n"], [b"x BAD"], []),
    (2, [b"x SELECT nowhere\r\n"], [b"x NO [NONEXISTENT]"], []),  # RFC 5530
    (2, [SELECT, b"f FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])\r\n"], [b"BINARY[1] ~{2}\r\nb\0", b"SIZE[1] 2"], []),
    (3, [b"x STATUS INBOX (SIZE DELETED)\r\n"], [b"* STATUS INBOX (SIZE 244 DELETED 1)"], []),
    (4, [SELECT, b"x SEARCH DELETED\r\n"], [b'* ESEARCH (TAG "x") ALL 2\r\n'], [b"* SEARCH"]),
    (4, [SELECT, b"x UID SEARCH DELETED\r\n"], [b'* ESEARCH (TAG "x") UID ALL 2\r\n'], [b"* SEARCH"]),
    (4, [SELECT, b"x SEARCH ANSWERED\r\n"], [b'* ESEARCH (TAG "x")\r\n'], [b"* SEARCH"]),
    # substrings, in UTF-8 without CHARSET; a keyword is compared whole
    (5, [SELECT, b'x SEARCH SUBJECT "\xc3\xa9"\r\n'], [b"ALL 1:2"], []),
    (5, [SELECT, b"x SEARCH KEYWORD $Forw\r\n"], [b'* ESEARCH (TAG "x")\r\n'], []),
    (6, [SELECT, b"x FETCH 1 BODYSTRUCTURE\r\n"], [b'"NAME" "ab"'], [b"*0"]),  # RFC 2231 continuations
    (7, [SELECT, b'x MOVE 1 "Caf\xc3\xa9"\r\n'], [b"* OK [COPYUID 1234 1 1]", b"* 1 EXPUNGE"], []),
    (7, [SELECT, b'x UID MOVE 1 "Caf\xc3\xa9"\r\n'], [b"* OK [COPYUID 1234 1 1]", b"* 1 EXPUNGE"], []),
    (8, [SELECT, b"x COPY 1 nowhere\r\n", b"y STATUS nowhere (UIDNEXT)\r\n"], [b"x NO [TRYCREATE]", b"y NO"], []),
    (8, [SELECT, b"x MOVE 1 nowhere\r\n"], [b"x NO [TRYCREATE]"], [b"EXPUNGE"]),
    (9, [SELECT, SELECT], [b"* OK [CLOSED]"], []),
    (9, [SELECT, b"x EXAMINE nowhere\r\n"], [b"* OK [CLOSED]"], []),
    (10, [SELECT], [b'* LIST () "/" INBOX\r\n'], []),
    (10, [b'x EXAMINE "Caf\xc3\xa9"\r\n'], [b'* LIST () "/" "Caf\xc3\xa9"\r\n'], []),
    (11, [SELECT], [b"* 2 EXISTS"], [b"[UNSEEN", b"CLOSED"]),
    (12, [SELECT], [], [b"RECENT"]),
    (12, [SELECT, b"x FETCH 1:2 FLAGS\r\n"], [b"FLAGS ()", b"FLAGS (\\Deleted $Forwarded)"], [b"Recent"]),
    (12, [SELECT, b"x SEARCH RECENT\r\n", b"x SEARCH NEW\r\n", b"x SEARCH OLD\r\n"], [b"x OK"], [b"BAD"]),
    (12, [b"x STATUS INBOX (RECENT)\r\n"], [b"(RECENT "], []),
    (13, [SELECT, b"x STORE 1 +FLAGS (Neu)\r\n"], [b"\\*", b"* FLAGS ($Forwarded Neu ", b"FLAGS (Neu)"], []),
    # numbers of 63 bits wherever an extension has one
    (14, [SELECT, b"x STORE 1 (UNCHANGEDSINCE 9223372036854775807) +FLAGS (\\Seen)\r\n"], [b"x OK STORE"], []),
    (14, [SELECT, b"x SEARCH MODSEQ 9223372036854775808\r\n"], [b"x BAD"], []),
    (15, [SELECT, b"x STORE 1 +FLAGS ($MDNSent $Forwarded $Junk $NonJunk $Phishing)\r\n"], [b"$Phishing)"], []),
    (16, [b'l LIST "" *\r\n'], [b'"Caf\xc3\xa9"'], [b"&AOk-"]),  # names
    (16, [b'x CREATE "\xc3\xbc"\r\n', b"x STATUS {2+}\r\n\xc3\xbc (MESSAGES)\r\n"], [b"x OK STATUS"], [b"NO", b"BAD"]),
    (16, [b'x RENAME "Caf\xc3\xa9" new\r\n'], [b'* LIST () "/" new (OLDNAME ("Caf\xc3\xa9"))\r\n'], []),
    (16, [SELECT, b"x FETCH 1 ENVELOPE\r\n"], [b"caf\xc3\xa9"], []),
    (17, [SELECT, b"x CHECK\r\n", b"y NOOP\r\n"], [b"x OK CHECK", b"y OK"], []),  # deprecated, for old clients there
    (18, [SELECT, b"x FETCH 1 (RFC822.SIZE RFC822.HEADER)\r\n"], [b"RFC822.HEADER {"], []),
    (18, [SELECT, b"x FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])\r\n"], [b"BODY[HEADER] {", b"BODY[TEXT] "], []),
    (19, [b'x LSUB "" *\r\n'], [b"x OK LSUB"], []),
    (20, [b"x IDLE\r\n", b"DONE\r\n"], [b"+ ", b"x OK IDLE"], []),  # also with no mailbox selected
    (21, [SELECT, b"x UID STORE 2 -FLAGS.SILENT (\\Deleted)\r\n"], [b"x OK"], []),
    # codes that a client may not know have a text behind them
    (22, [SELECT], [b"[MAILBOXID (F1234)] Mailbox id", b"] Highest mod-sequence"], []),
    (23, [SELECT], [b"s OK [READ-WRITE] SELECT completed"], [b"] \r\n", b"]\r\n"]),  # no text is empty here
    (28, [SELECT, b"x NOOP\r\n", b"x BOGUS\r\n"], [b"x BAD"], []),
    (29, [b"x CAPABILITY\r\n", b"x XFOO\r\n"], [b"x BAD"], [b" X-", b" XLIST"]),  # XLIST is not announced
    (30, [b"x LOGOUT\r\n"], [b"* BYE ", b"x OK LOGOUT"], []),
]

# where else an item is tested: a file below tests/, and what stands in it
ELSEWHERE = {
    2: [("transcripts/imapd/list-extended.txt", "LIST (SUBSCRIBED)"), ("transcripts/imapd/literal-minus.txt", "4096")],
    19: [("transcripts/imapd/list-extended.txt", "LIST (SUBSCRIBED)")],
    24: [("imapd/extensions/test_imap4rev2.py", "def test_our_own_texts_are_ascii")],
    25: [("integration/test_tls.py", "def test_old_versions_are_refused")],
    26: [("imapd/test_session.py", "* PREAUTH [CAPABILITY IMAP4rev1"), ("imapd/test_alerts.py", "def test_an_alert_")],
    27: [("imapd/extensions/test_imap4rev2.py", "def test_mechanisms")],
    30: [("imapd/test_endings.py", "def test_the_client_is_gone")],
}


def test_every_item_has_a_row_or_a_test() -> None:
    assert {item for item, *_ in TABLE} | set(ELSEWHERE) == set(range(1, 31))
    for file, text in [place for places in ELSEWHERE.values() for place in places]:
        assert text in (ROOT / "tests" / file).read_text(), f"{file}: {text}"


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
    """Item 21; and item 12, no RECENT beside EXISTS."""
    said = _news(lambda box: box.flag_elsewhere(2, "\\Seen", RECENT))
    assert said.startswith(b"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n")
    assert _news(lambda box: box.deliver(TEXT, RECENT)).startswith(b"* 3 EXISTS\r\nn OK")


def test_any_command_puts_the_autologout_off() -> None:
    """Item 28; one that is no command too."""
    client, _ = two()
    for line in (b"x NOOP\r\n", b"x BOGUS\r\n", b"\r\n"):
        client.say(line)
        assert client.wait and client.wait.seconds == 1800


def test_mechanisms() -> None:
    """Item 27."""
    assert "SCRAM-SHA-256" in sasl.MECHANISMS and "DIGEST-MD5" not in sasl.MECHANISMS


def test_our_own_texts_are_ascii() -> None:
    """Item 24: nothing is said in UTF-8 to who has not enabled it, for nothing is said in UTF-8."""
    client, _ = two()
    for line in (b"x SELECT \"\xc3\xbcber\"\r\n", b"x DELETE \"\xc3\xbcber\"\r\n", b"x BOGUS \xc3\xbc\r\n"):
        assert client.say(line).isascii()


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
    """RFC 9051 §6.1.1; and everything that it takes for granted is there (items 2 and 3)."""
    assert b"IMAP4rev1 IMAP4rev2 " in stranger().greeting
    for name in ("NAMESPACE", "UNSELECT", "UIDPLUS", "ESEARCH", "SEARCHRES", "ENABLE", "IDLE", "SASL-IR", "MOVE",
                 "LIST-EXTENDED", "LIST-STATUS", "LITERAL+", "BINARY", "SPECIAL-USE", "STATUS=SIZE"):  # fmt: skip
        assert name in extensions.NAMES
