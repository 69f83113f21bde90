"""SEARCH: the grammar, then each key on messages in memory."""

from __future__ import annotations

import pytest

from imapd import search
from imapd.search import OPENING, SEARCH_KEY, Query
from imapd.syntax import Args
from mailcore.errors import Mistake, Refusal
from mailcore.settings import Settings
from tests.imapd.conversation import Watched, user
from tests.imapd.fakebox import FakeBox, FakeSession

HOUR = 3600
NOV_9 = 1_794_182_400  # 2026-11-09 00:00:00 +0000


def messages() -> FakeBox:
    """Four messages; UIDs 1, 2, 4, 5."""
    box = FakeBox()
    box.deliver(
        b"From: Carol Example <carol@example.net>\nTo: fred@mail.example.org\nCc: list (the list) @example.org\n"
        b"Date: Mon, 9 Nov 2026 08:29:59 +0100\nSubject: hello\nMessage-ID: <s1@x>\n\nThe quick \nbrown fox.\n",
        *("\\Seen", "\\Answered"),
        date=(NOV_9 + 30 * HOUR, -8 * 60),  # still the 9th there
    )
    box.deliver(
        b"From: bob@example.org (Bob Sample)\nTo: jane@example.com\nDate: Sun, 1 Nov 2026 23:00:00 -0800\n"
        b"Subject: =?ISO-8859-1?Q?Gr=FC=DFe_aus?=\n =?UTF-8?B?IE3DvG5jaGVu?= and\n\televation\nMIME-Version: 1.0\n"
        b"Content-Type: multipart/alternative; boundary=a\n\npreamble\n--a\n"
        b"Content-Type: text/plain; charset=ISO-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
        b"Sch=F6ne Gr=FC=DFe, ein langer Sa=\ntz.\n--a\n"
        b"Content-Type: text/html; charset=UTF-8\nContent-Transfer-Encoding: base64\n\nZmV0dCBPw5k=\n--a--\n",
        *("Junk", "\\Recent"),
        date=(NOV_9 + 24 * HOUR, 0),
    )
    box.deliver(b"lost\n\n")
    box.deliver(
        b"From: carol@example.net\nSubject: Re: hello\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\nContent-Type: message/rfc822\n\n"
        b"From: inner@example.net\nSubject: =?utf-8?q?inn=C3=A9r?=\n\ninner words\n"
        b'--b\nContent-Type: application/octet-stream; name="x.bin"\n'
        b"Content-Transfer-Encoding: base64\n\nc2VjcmV0\n--b--\n",
        *("\\Flagged", "\\Seen", "\\Recent"),
        date=(NOV_9 + 48 * HOUR, 0),
    )
    box.deliver(
        b"From: root@mail.example.org\nSubject: no date\nX-Extra: hello folded\n\theader\n"
        b"Bcc: hidden@example.net\n\nfox two\n",
        *("\\Draft", "\\Deleted"),
        date=(NOV_9 + 72 * HOUR, 0),
    )
    box.vanish(3)
    box.news()
    return box


KEYS = [
    (b"ALL", "1 2 3 4"),
    (b"1", "1"),
    (b"2:3", "2 3"),
    (b"*", "4"),
    (b"3:*", "3 4"),
    (b"9:*", "4"),  # `*` is the last message, whatever stands beside it
    (b"9", ""),  # beyond the end: nothing, as UW
    (b"1,9,3", "1 3"),
    (b"1 2", ""),
    (b"UID 4", "3"),
    (b"UID 1:2,5", "1 2 4"),
    (b"UID 3", ""),
    (b"UID 99:*", "4"),
    (b"ANSWERED", "1"),
    (b"UNANSWERED", "2 3 4"),
    (b"DELETED", "4"),
    (b"UNDELETED", "1 2 3"),
    (b"DRAFT", "4"),
    (b"UNDRAFT", "1 2 3"),
    (b"FLAGGED", "3"),
    (b"UNFLAGGED", "1 2 4"),
    (b"SEEN", "1 3"),
    (b"UNSEEN", "2 4"),
    (b"RECENT", "2 3"),
    (b"OLD", "1 4"),
    (b"NEW", "2"),
    (b"KEYWORD junk", "2"),
    (b"UNKEYWORD JUNK", "1 3 4"),
    (b"KEYWORD $Unheard", ""),
    (b"UNKEYWORD $Unheard", "1 2 3 4"),
    (b"BEFORE 10-Nov-2026", "1"),
    (b"ON 10-Nov-2026", "2"),
    (b'SINCE "11-nov-2026"', "3 4"),
    (b"SENTBEFORE 2-Nov-2026", "2"),
    (b"SENTON 9-Nov-2026", "1"),
    (b"SENTSINCE 1-Nov-2026", "1 2"),  # those without a Date were never sent
    (b"NOT SENTSINCE 1-Nov-2026", "3 4"),
    (b"LARGER 250", "2 3"),
    (b"SMALLER 170", "4"),
    (b"SUBJECT HELLO", "1 3"),
    (b'SUBJECT ""', "1 2 3 4"),
    (b"SUBJECT elevation", "2"),
    (b'SUBJECT "and elevation"', "2"),  # the fold was a tab
    (b"FROM carol", "1 3"),
    (b'FROM "Bob Sample"', "2"),
    (b"TO fred", "1"),
    (b"CC list@example.org", "1"),
    (b'CC "the list"', "1"),
    (b"BCC hidden", "4"),
    (b"BCC fred", ""),
    (b'HEADER Message-ID ""', "1"),
    (b"HEADER message-id S1", "1"),
    (b'HEADER X-Extra "FOLDED\theader"', "4"),
    (b'HEADER X-Extra "folded header"', "4"),
    (b"HEADER X-None x", ""),
    (b"BODY fox", "1 4"),
    (b'BODY "langer Satz"', "2"),
    (b"BODY hello", ""),
    (b'BODY "quick brown"', "1"),  # a line ends between them
    (b'TEXT "and elevation"', "2"),
    (b'TEXT "hello folded header"', "4"),
    (b"BODY preamble", ""),
    (b"BODY words", "3"),
    (b"BODY x.bin", "3"),
    (b"BODY secret", ""),
    (b"TEXT hello", "1 3 4"),
    (b"TEXT fett", "2"),
    (b"TEXT inner@", "3"),
    (b'TEXT ""', "1 2 3 4"),
    (b"NOT 1", "2 3 4"),
    (b"NOT NOT 1", "1"),
    (b"NOT (SEEN FLAGGED)", "1 2 4"),
    (b"OR SEEN DELETED", "1 3 4"),
    (b"OR BODY words FROM root", "3 4"),
    (b"OR OR 1 2 4", "1 2 4"),
    (b"(SEEN)", "1 3"),
    (b"(SEEN (FLAGGED FROM carol))", "3"),
    (b"TEXT hello SEEN NOT FLAGGED", "1"),
    (b"NOT TEXT fox NOT DELETED", "2 3"),
    (b"CHARSET US-ASCII SUBJECT hello", "1 3"),
    (b'CHARSET "utf-8" SUBJECT hello', "1 3"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "numbers"), KEYS)
def test_keys(keys: bytes, numbers: str) -> None:
    said = FakeSession(messages()).say(b"SEARCH " + keys)
    assert said == [b" ".join([b"* SEARCH", *numbers.encode().split()]), b"t OK SEARCH completed"]


def test_every_key_is_tested() -> None:
    tested = {word.strip("()") for keys, _ in KEYS for word in keys.decode().split()}
    own = {name for name, key in {**SEARCH_KEY, **OPENING}.items() if key.__module__ == "imapd.search"}
    assert own <= tested


@pytest.mark.parametrize(
    ("charset", "string", "numbers"),
    [
        (b"UTF-8", "grüß".encode(), b" 2"),
        (b"ISO-8859-1", b"GR\xdc\xdf", b" 2"),
        (b"utf-8", "MÜNCHEN".encode(), b" 2"),
        (b"utf-8", "Grüße aus München".encode(), b" 2"),
        (b"UTF-8", "INNE\u0301R".encode(), b""),  # in an enclosed message's subject, not here
        (b"UTF-8", b"gruss", b""),
    ],
)
def test_charsets(charset: bytes, string: bytes, numbers: bytes) -> None:
    line = b"SEARCH CHARSET %b SUBJECT {%d}\r\n" % (charset, len(string))
    assert FakeSession(messages()).say(line, string)[0] == b"* SEARCH" + numbers


@pytest.mark.parametrize(
    ("string", "numbers"), [("schöne", b" 2"), ("fett OÙ", b" 2"), ("inne\u0301r", b" 3"), ("ÜÜ", b"")]
)
def test_text_in_another_charset(string: str, numbers: bytes) -> None:
    octets = string.encode()
    assert FakeSession(messages()).say(b"SEARCH CHARSET UTF-8 TEXT {9}\r\n", octets)[0] == b"* SEARCH" + numbers


def test_unknown_charset() -> None:
    said = FakeSession(messages()).say(b"SEARCH CHARSET X-BOGUS SUBJECT x")
    assert said == [b"t NO [BADCHARSET (" + search.COMMON_CHARSETS.encode() + b")] Unknown charset"]


@pytest.mark.parametrize(
    "keys",
    [
        b"", b" ", b"BOGUS", b"ALL BOGUS", b"()", b"(ALL", b"ALL)", b"NOT", b"OR 1", b"OR", b"FROM", b"HEADER x",
        b"HEADER",
        b"SINCE", b"SINCE 32-Foo-2026", b"SINCE 1-Nov", b"ON yesterday", b"LARGER", b"LARGER x",
        b"LARGER 9223372036854775808",
        b"SMALLER -1", b"UID", b"UID x", b"UID 0", b"0", b"1:", b"1,,2", b"ALL  ALL", b"KEYWORD", b"KEYWORD (",
        b"CHARSET",
        b"CHARSET UTF-8", b"CHARSET UTF-8 ", b'SUBJECT "Gr\\', b"MODSEQ", b"RETURN", b"RETURN ()",
        b"ALL RETURN () ALL", b"ALL CHARSET UTF-8 ALL",
    ],
)  # fmt: skip
def test_mistakes(keys: bytes) -> None:
    assert FakeSession(messages()).say(b"SEARCH " + keys)[0].startswith(b"t BAD ")


@pytest.mark.parametrize(
    "nest",
    [
        b"NOT " * 60 + b"ALL",
        b"(" * 60 + b"ALL" + b")" * 60,
        b"OR (ALL " * 29 + b"1" + b") 1" * 29,
        b"OR NOT " * 30 + b"1" + b" 1" * 30,
    ],
)
def test_nesting_is_limited(nest: bytes) -> None:
    assert FakeSession(messages(), nesting=50).say(b"SEARCH " + nest)[0].startswith(b"t BAD ")
    assert FakeSession(messages(), nesting=61).say(b"SEARCH " + nest)[0].startswith(b"* SEARCH")


@pytest.mark.parametrize(
    "chain",
    [
        *(b"OR 1 " * 10_000 + b"4", b"OR " * 10_000 + b"1 " * 10_000 + b"4"),
        *(b"OR OR 1 1 " * 5000 + b"4", b"NOT OR 2 OR 3 9"),
    ],
)
def test_a_chain_of_or_is_not_nested(chain: bytes) -> None:
    """Clients write them to either side (UW took 500; here only what is really nested counts)."""
    assert FakeSession(messages(), nesting=3).say(b"SEARCH " + chain)[0] == b"* SEARCH 1 4"


def test_nesting_without_end() -> None:
    """Neither reading nor asking is recursive."""
    for nest in (b"NOT " * 9_999 + b"NOT TEXT fox", b"(TEXT fox " * 10_000 + b"ALL" + b")" * 10_000):
        assert FakeSession(messages(), nesting=20_000).say(b"SEARCH " + nest)[0] == b"* SEARCH 1 4"
    nest = b"OR TEXT fox (ALL NOT " * 5_001 + b"1" + b")" * 5_001
    assert FakeSession(messages(), nesting=20_000).say(b"SEARCH " + nest)[0] == b"* SEARCH 1 2 3 4"


def test_keys_side_by_side_are_not_nested() -> None:
    said = FakeSession(messages(), nesting=2).say(b"SEARCH" + b" NOT 9" * 1000)
    assert said[0] == b"* SEARCH 1 2 3 4"


def test_uid_search() -> None:
    session = FakeSession(messages())
    assert session.say(b"UID SEARCH 3:*") == [b"* SEARCH 4 5", b"t OK UID SEARCH completed"]
    assert session.say(b"UID SEARCH UNSEEN") == [b"* SEARCH 2 5", b"t OK UID SEARCH completed"]


@pytest.mark.parametrize("keys", [b"ALL", b"1:*", b"UID 1:*", b"NOT 1", b"TEXT x", b"SEEN"])
def test_empty_mailbox(keys: bytes) -> None:
    assert FakeSession(FakeBox()).say(b"SEARCH " + keys) == [b"* SEARCH", b"t OK SEARCH completed"]


# --- what it costs -------------------------------------------------------------------


def test_cheap_keys_spare_the_texts() -> None:
    box = messages()
    FakeSession(box).say(b"SEARCH TEXT fox SUBJECT date DELETED 2:*")
    assert box.texts_read == [5]
    assert box.headers_read == [5]


def test_a_header_is_read_once_for_all_keys() -> None:
    box = messages()
    FakeSession(box).say(b"SEARCH OR OR SUBJECT q FROM q OR TO q CC q")
    assert box.headers_read == [1, 2, 4, 5]
    assert box.texts_read == []


def test_a_message_that_vanishes_is_passed_over() -> None:
    box = messages()
    box.vanish(2)
    for keys in (b"NOT TEXT zzz", b"UNFLAGGED", b"SMALLER 9999", b"NOT FROM zzz", b"OR SEEN UNSEEN"):
        said = FakeSession(box).say(b"SEARCH " + keys)
        assert b"2" not in said[0].split()[2:], keys
        assert said[-1] == b"t OK SEARCH completed"


def test_program_takes_all() -> None:
    box = messages()
    with pytest.raises(Mistake):
        search.program(Query(Args(b" ALL x"), box, Settings()))
    with pytest.raises(Refusal):
        search.program(Query(Args(b" CHARSET x-y ALL"), box, Settings()))


@pytest.mark.parametrize("count", [1, 2, 16, 17, 49, 50, 60])
@pytest.mark.parametrize("kind", ["OR", "NOT"])
def test_many_keys_in_one(count, kind):
    """However dear they are together, they are asked."""
    client, _ = user(Watched(*[b"From: %d\nSubject: x\n\n" % number for number in range(5)]))
    client.say(b"s SELECT INBOX\r\n")
    ors = b"OR " * count + b"FROM zzz " * count + b"FROM 3"
    told = client.say(b"a SEARCH " + (ors if kind == "OR" else b"NOT (" + ors + b")") + b"\r\n")
    assert told.startswith(b"* SEARCH 4\r\n" if kind == "OR" else b"* SEARCH 1 2 3 5\r\n"), told
