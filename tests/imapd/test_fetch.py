"""FETCH: the grammar as a table, then each item on messages in memory."""

from __future__ import annotations

import pytest

from imapd import fetch
from imapd.fetch import FETCH_ATT, FlagLists, Partial, Section, content, fetch_items
from imapd.message import Message
from imapd.responses import Literal
from imapd.syntax import Args
from mailcore.errors import DiskError, Expunged, Hangup, Mistake, OutOfSpace
from mailcore.message.crlf import wire_form
from mailcore.settings import Settings
from tests.imapd.fakebox import FakeBox, FakeSession

PLAIN = b"From: a@example.net\nSubject: plain\nDate: Mon, 9 Nov 2026 08:00:00 +0100\n\nOne.\nTwo.\n"
MULTI = b"""From: b@example.net
Subject: parts
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x

first
--x
Content-Type: message/rfc822
Content-Description: enclosed

Subject: inner
Content-Type: multipart/alternative; boundary=y

--y
Content-Type: text/html

<b>
--y--
--x--
"""
LETTER = b"Subject: outer\nContent-Type: message/rfc822\n\nSubject: letter\nX-A: b\n\nHello.\n"

# --- grammar -------------------------------------------------------------------------

LABELS = [
    (b"FLAGS", [b"FLAGS"]),
    (b"flags", [b"FLAGS"]),
    (b"ALL", [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"]),
    (b"FAST", [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"]),
    (b"FULL", [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY"]),
    (b"(UID RFC822.SIZE)", [b"UID", b"RFC822.SIZE"]),
    (b"(UID FLAGS UID)", [b"UID", b"FLAGS"]),
    (b"BODY", [b"BODY"]),
    (b"BODY[]", [b"BODY[]"]),
    (b"BODY.PEEK[]", [b"BODY[]"]),
    (b"body.peek[header]", [b"BODY[HEADER]"]),
    (b"BODY[1]", [b"BODY[1]"]),
    (b"BODY[1.2.MIME]", [b"BODY[1.2.MIME]"]),
    (b"BODY[10.TEXT]<0.10>", [b"BODY[10.TEXT]<0>"]),
    (b"BODY[]<4294967295.1>", [b"BODY[]<4294967295>"]),
    (b"BODY[HEADER.FIELDS (From \"Sub ject\")]", [b'BODY[HEADER.FIELDS (FROM "SUB JECT")]']),
    (b"BODY[2.HEADER.FIELDS.NOT (To)]<1.2>", [b"BODY[2.HEADER.FIELDS.NOT (TO)]<1>"]),
]  # fmt: skip

MISTAKES = [
    b"", b"()", b"(ALL)", b"(FLAGS FAST)", b"BOGUS", b"(FLAGS", b"FLAGS)", b"FLAGS UID", b"( FLAGS)",
    b"(FLAGS )",
    b"BODY[", b"BODY[FOO]", b"BODY[1.FOO]", b"BODY[MIME]", b"BODY[0]", b"BODY[01]", b"BODY[1.]", b"BODY[.1]",
    b"BODY[1..2]",
    b"BODY[HEADER.FIELDS]", b"BODY[HEADER.FIELDS ()]", b"BODY[HEADER.FIELDS (a]", b"BODY[HEADER (a)]", b"BODY[TEXT]X",
    b"BODY[TEXT]<0.0>", b"BODY[TEXT]<0>", b"BODY[TEXT]<.5>", b"BODY[TEXT]<-1.5>", b"BODY[TEXT]<0.5",
    b"BODY[]<9223372036854775808.1>",
    b"BODY.PEEK", b"BODYSTRUCTURE[]", b"RFC822[]", b"FLAGS[]", b"BODY [TEXT]", b"BODY[ TEXT]", b"ENVELOPE<0.1>",
]  # fmt: skip


def parsed(text: bytes) -> list[fetch.Item]:
    args = Args(text)
    items = fetch_items(args)
    args.end()
    return items


@pytest.mark.parametrize(("text", "labels"), LABELS)
def test_labels(text: bytes, labels: list[bytes]) -> None:
    assert [item.label for item in parsed(text)] == labels


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text: bytes) -> None:
    with pytest.raises(Mistake):
        parsed(text)


def test_a_field_name_may_be_a_literal() -> None:
    args = Args(b"BODY[HEADER.FIELDS ({4}\r\n)]", [b"From"])
    assert [item.label for item in fetch_items(args)] == [b"BODY[HEADER.FIELDS (FROM)]"]


def test_a_field_name_cannot_break_out_of_the_answer() -> None:
    args = Args(b"BODY[HEADER.FIELDS ({11}\r\n)]", [b"a\r\n* 9 EXPU"])
    label = fetch_items(args)[0].label
    assert label == b"BODY[HEADER.FIELDS ({11}\r\nA\r\n* 9 EXPU)]"


@pytest.mark.parametrize("name", sorted({"BODY[]", "RFC822", "RFC822.TEXT", "BODY[HEADER]", "BODY[1]"}))
def test_what_sets_seen(name: str) -> None:
    assert parsed(name.encode())[0].sees


@pytest.mark.parametrize("name", sorted(set(FETCH_ATT) - {"BODY.PEEK", "RFC822", "RFC822.TEXT"}) + ["BODY.PEEK[]"])
def test_what_does_not_set_seen(name: str) -> None:
    assert not parsed(name.encode())[0].sees


# --- sections ------------------------------------------------------------------------


def section(text: bytes, of: bytes) -> bytes:
    args = Args(text + b"]")
    span = fetch.section(args).span(Message(FakeBox(of), 1, Settings()))
    value = content(span)
    assert isinstance(value, bytes)
    return value.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("of", "text", "expected"),
    [
        (PLAIN, b"", PLAIN),
        (PLAIN, b"HEADER", PLAIN[:-10]),
        (PLAIN, b"TEXT", b"One.\nTwo.\n"),
        (PLAIN, b"1", b"One.\nTwo.\n"),
        (PLAIN, b"2", b""),
        (PLAIN, b"1.1", b""),
        (PLAIN, b"1.MIME", b""),
        (PLAIN, b"1.TEXT", b""),
        (PLAIN, b"1.HEADER", b""),
        (PLAIN, b"HEADER.FIELDS (date From)", b"From: a@example.net\nDate: Mon, 9 Nov 2026 08:00:00 +0100\n\n"),
        (PLAIN, b"HEADER.FIELDS (X-None)", b"\n"),
        (PLAIN, b"HEADER.FIELDS.NOT (DATE FROM)", b"Subject: plain\n\n"),
        (MULTI, b"1", b"first"),
        (MULTI, b"1.MIME", b"\n"),
        (MULTI, b"2.MIME", b"Content-Type: message/rfc822\nContent-Description: enclosed\n\n"),
        (MULTI, b"2.HEADER", b"Subject: inner\nContent-Type: multipart/alternative; boundary=y\n\n"),
        (MULTI, b"2.HEADER.FIELDS (Subject)", b"Subject: inner\n\n"),
        (MULTI, b"2.HEADER.FIELDS.NOT (Subject)", b"Content-Type: multipart/alternative; boundary=y\n\n"),
        (MULTI, b"2.TEXT", b"--y\nContent-Type: text/html\n\n<b>\n--y--"),
        (MULTI, b"2.1", b"<b>"),
        (MULTI, b"2.1.MIME", b"Content-Type: text/html\n\n"),
        (MULTI, b"2.1.HEADER", b""),
        (MULTI, b"1.HEADER", b""),
        (MULTI, b"3", b""),
        (MULTI, b"2.2", b""),
        (LETTER, b"1", b"Subject: letter\nX-A: b\n\nHello.\n"),
        (LETTER, b"1.HEADER", b"Subject: letter\nX-A: b\n\n"),
        (LETTER, b"1.TEXT", b"Hello.\n"),
        (LETTER, b"1.1", b"Hello.\n"),
        (b"no header at all", b"HEADER", b"no header at all"),
        (b"no header at all", b"TEXT", b""),
        (b"\nbody only\n", b"HEADER", b"\n"),
        (b"\nbody only\n", b"TEXT", b"body only\n"),
        (b"", b"", b""),
    ],
)
def test_sections(of: bytes, text: bytes, expected: bytes) -> None:
    assert section(text, of) == expected


def test_header_sections_do_not_read_the_body() -> None:
    box = FakeBox(PLAIN)
    FakeSession(box).say(b"FETCH 1 (BODY.PEEK[HEADER.FIELDS (Subject)] ENVELOPE RFC822.HEADER)")
    assert box.texts_read == []
    assert box.headers_read == [1]


def test_a_message_is_read_once_for_all_items() -> None:
    box = FakeBox(MULTI)
    FakeSession(box).say(b"FETCH 1 (BODY[1] BODY[2] BODYSTRUCTURE BODY[TEXT])")
    assert box.texts_read == [1]


# --- octets --------------------------------------------------------------------------

LONG = b"0123456789\nabcdef\r\n\n" * 20_000


def whole(value: bytes | Literal) -> bytes:
    if isinstance(value, bytes):
        return value
    said = b"".join(value.chunks)
    assert len(said) == value.octets
    return said


@pytest.mark.parametrize("text", [b"", b"one\ntwo\n", b"one\r\ntwo\n\r", b"\n" * 12, LONG])
@pytest.mark.parametrize(
    "partial",
    [None, (0, 1), (0, 4), (4, 1), (0, 10), (10, 2), (11, 1), (5, 1000), (200_001, 70_000), (10**6, 5), (0, 2**32 - 1)],
)
def test_content(text: bytes, partial: tuple[int, int] | None) -> None:
    form = wire_form(text)
    if partial is None:
        assert whole(content((text, 0, len(text)))) == form
    else:
        offset, octets = partial
        assert whole(content((text, 0, len(text)), Partial(offset, octets))) == form[offset : offset + octets]


def test_large_content_is_never_in_one_piece() -> None:
    value = content((LONG, 0, len(LONG)))
    assert isinstance(value, Literal)
    assert max(map(len, value.chunks)) <= 128 * 1024


def test_a_literal_that_fails_ends_the_connection() -> None:
    class Vanishing:
        def __len__(self) -> int:
            return 500_000

        def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:
            return -1

        def __getitem__(self, span: slice) -> bytes:
            self.reads = getattr(self, "reads", 0) + 1
            if self.reads > 10:
                raise DiskError("gone")
            return b"x" * (span.stop - span.start)

    value = content((Vanishing(), 0, 500_000))
    assert isinstance(value, Literal)
    with pytest.raises(Hangup):
        list(value.chunks)


# --- answers -------------------------------------------------------------------------


def test_columns_and_single_answers_agree() -> None:
    box = FakeBox(PLAIN, MULTI, LETTER)
    box.marks[2] = frozenset({"\\Seen", "\\Recent", "\\Answered", "\\Draft", "\\Flagged", "\\Deleted"})
    session = FakeSession(box)
    quick = session.say(b"FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE)")
    slow = session.say(b"FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[9])")
    assert quick[-1] == slow[-1] == b"t OK FETCH completed"
    assert [line.replace(b' BODY[9] ""', b"") for line in slow] == quick
    assert quick[1] == (
        b"* 2 FETCH (UID 2 FLAGS (\\Recent \\Seen \\Deleted \\Flagged \\Answered \\Draft) "
        b'INTERNALDATE " 6-Nov-1994 08:49:37 +0000" RFC822.SIZE %d)' % len(wire_form(MULTI))
    )


def test_what_all_messages_have_in_common_is_said_of_each() -> None:
    one = b"Subject: 100%d of %b %\n\nx\n"
    session = FakeSession(FakeBox(one, one, PLAIN))
    command = b'FETCH %b (UID BODY.PEEK[HEADER.FIELDS (Subject "%%s")] FLAGS)'
    each = [line for number in (b"1", b"2", b"3") for line in session.say(command % number)[:-1]]
    assert session.say(command % b"1:2")[:-1] == each[: len(each) // 3 * 2]
    assert session.say(command % b"1:3")[:-1] == each
    assert b"".join(each).count(b"Subject: 100%d of %b %") == 2


def test_flags_keep_the_order_of_the_keywords() -> None:
    written = FlagLists(["zebra", "apple"])
    assert written[frozenset({"apple", "zebra", "\\Seen", "new"})] == b"(\\Seen zebra apple new)"
    assert written[frozenset()] == b"()"


def test_uid_fetch_tells_the_uid_first() -> None:
    session = FakeSession(FakeBox(PLAIN, PLAIN))
    assert session.say(b"UID FETCH 2 FLAGS") == [b"* 2 FETCH (UID 2 FLAGS ())", b"t OK UID FETCH completed"]
    assert session.say(b"UID FETCH 2 (FLAGS UID)") == [b"* 2 FETCH (FLAGS () UID 2)", b"t OK UID FETCH completed"]
    assert session.say(b"UID FETCH 99 FLAGS") == [b"t OK UID FETCH completed"]
    assert session.say(b"UID FETCH 99:* FLAGS") == [b"* 2 FETCH (UID 2 FLAGS ())", b"t OK UID FETCH completed"]


@pytest.mark.parametrize("line", [b"FETCH 3 FLAGS", b"FETCH 0 FLAGS", b"FETCH 1:3 FLAGS", b"FETCH * FLAGS"])
def test_numbers_that_do_not_exist(line: bytes) -> None:
    box = FakeBox(PLAIN, PLAIN) if b"*" not in line else FakeBox()
    assert FakeSession(box).say(line)[0].startswith(b"t BAD ")


def test_uid_fetch_in_an_empty_mailbox() -> None:
    assert FakeSession(FakeBox()).say(b"UID FETCH 1:* FLAGS") == [b"t OK UID FETCH completed"]


# --- \Seen ---------------------------------------------------------------------------


def test_seen_is_set_for_all_at_once_and_told_in_the_same_answer() -> None:
    box = FakeBox(PLAIN, PLAIN, PLAIN)
    box.marks[2] = frozenset({"\\Seen"})
    said = FakeSession(box).say(b"FETCH 1:3 BODY[TEXT]<0.1>")
    assert box.stores == [([1, 3], "+", ["\\Seen"])]
    assert said == [
        b'* 1 FETCH (BODY[TEXT]<0> "O" FLAGS (\\Seen))',
        b'* 2 FETCH (BODY[TEXT]<0> "O")',
        b'* 3 FETCH (BODY[TEXT]<0> "O" FLAGS (\\Seen))',
        b"t OK FETCH completed",
    ]


def test_flags_asked_for_are_told_once_and_after_seen() -> None:
    said = FakeSession(FakeBox(PLAIN)).say(b"FETCH 1 (FLAGS BODY[9])")
    assert said[0] == b'* 1 FETCH (FLAGS (\\Seen) BODY[9] "")'


def test_peek_and_read_only_set_nothing() -> None:
    box = FakeBox(PLAIN)
    FakeSession(box).say(b"FETCH 1 (BODY.PEEK[] RFC822.HEADER ENVELOPE BODYSTRUCTURE)")
    closed = FakeBox(PLAIN, readonly=True)
    FakeSession(closed).say(b"FETCH 1 (BODY[] RFC822)")
    assert box.stores == closed.stores == []


def test_mail_can_be_read_when_seen_cannot_be_set() -> None:
    box = FakeBox(PLAIN)
    box.failure = OutOfSpace()
    assert FakeSession(box).say(b"FETCH 1 BODY[9]") == [b'* 1 FETCH (BODY[9] "")', b"t OK FETCH completed"]


# --- messages that are gone ----------------------------------------------------------


@pytest.mark.parametrize("items", [b"UID", b"FLAGS", b"(FLAGS UID)", b"BODY.PEEK[9]", b"BODY[9]", b"ENVELOPE"])
def test_the_others_are_answered(items: bytes) -> None:
    box = FakeBox(PLAIN, PLAIN, PLAIN)
    box.vanish(2)
    if items == b"UID":
        return  # known without asking: the answer is right and harmless
    said = FakeSession(box).say(b"FETCH 1:3 " + items)
    assert [line[:9] for line in said[:-1]] == [b"* 1 FETCH", b"* 3 FETCH"]
    assert said[-1] == b"t NO [EXPUNGEISSUED] Some of the messages no longer exist"
    assert list(box.uids) == [1, 2, 3]  # nothing told during FETCH (RFC 3501 §7.4.1)


def test_uid_fetch_says_ok_and_tells_the_expunge() -> None:
    box = FakeBox(PLAIN, PLAIN)
    box.vanish(1)
    assert FakeSession(box).say(b"UID FETCH 1:2 FLAGS") == [
        b"* 2 FETCH (UID 2 FLAGS ())",
        b"* 1 EXPUNGE",
        b"t OK [EXPUNGEISSUED] Some of the messages no longer exist",
    ]


def test_a_message_that_vanishes_while_it_is_read_says_nothing_of_itself() -> None:
    box = FakeBox(PLAIN, PLAIN)

    def text(uid: int) -> bytes:
        raise Expunged

    box.text = text  # type: ignore[method-assign]
    said = FakeSession(box).say(b"FETCH 1:2 (FLAGS BODY.PEEK[TEXT])")
    assert said == [b"t NO [EXPUNGEISSUED] Some of the messages no longer exist"]


def test_section_label() -> None:
    assert Section([1, 2], "HEADER.FIELDS", [b"a", b"b c"]).label() == b'1.2.HEADER.FIELDS (A "B C")'
