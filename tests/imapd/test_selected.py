"""The selected state: STORE, COPY, EXPUNGE, CLOSE and what they say when messages are gone."""

from __future__ import annotations

import pytest

from mailcore.errors import InUse, OutOfSpace
from tests.imapd.fakebox import FakeBox, FakeSession

TEXT = b"Subject: x\n\nbody\n"


def four(**kinds: bool) -> FakeBox:
    return FakeBox(TEXT, TEXT, TEXT, TEXT, **kinds)  # type: ignore[arg-type]


# --- STORE ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ((), b"+FLAGS (\\Seen)", b"(\\Seen)"),
        ((), b"+FLAGS \\seen \\ANSWERED", b"(\\Seen \\Answered)"),
        (("\\Seen",), b"-FLAGS (\\Seen \\Draft)", b"()"),
        (("\\Seen", "\\Recent", "Junk"), b"FLAGS (\\Flagged)", b"(\\Recent \\Flagged)"),
        (("\\Seen",), b"FLAGS ()", b"()"),
        (("\\Seen",), b"+flags ()", b"(\\Seen)"),
    ],
)
def test_store(before: tuple[str, ...], change: bytes, after: bytes) -> None:
    box = FakeBox()
    box.deliver(TEXT, *before)
    box.news()
    assert FakeSession(box).say(b"STORE 1 " + change) == [b"* 1 FETCH (FLAGS %b)" % after, b"t OK STORE completed"]


def test_store_of_many_is_one_change() -> None:
    box = four()
    said = FakeSession(box).say(b"STORE 4,1:2 +FLAGS (\\Seen)")
    assert box.stores == [([1, 2, 4], "+", ["\\Seen"])]
    assert [line[:3] for line in said] == [b"* 1", b"* 2", b"* 4", b"t O"]


def test_uid_store_tells_uids() -> None:
    session = FakeSession(four())
    assert session.say(b"UID STORE 2 +FLAGS (\\Seen)")[0] == b"* 2 FETCH (UID 2 FLAGS (\\Seen))"
    assert session.say(b"UID STORE 77 +FLAGS (\\Seen)") == [b"t OK UID STORE completed"]


def test_new_keywords_are_told_before_they_are_used() -> None:
    assert FakeSession(four()).say(b"STORE 2 +FLAGS ($Forwarded)") == [
        b"* FLAGS ($Forwarded \\Answered \\Flagged \\Deleted \\Draft \\Seen)",
        b"* OK [PERMANENTFLAGS ($Forwarded \\* \\Answered \\Flagged \\Deleted \\Draft \\Seen)] Permanent flags",
        b"* 2 FETCH (FLAGS ($Forwarded))",
        b"t OK STORE completed",
    ]


@pytest.mark.parametrize("word", [b"+FLAGS.SILENT", b"-FLAGS.SILENT", b"FLAGS.SILENT"])
def test_silent(word: bytes) -> None:
    assert FakeSession(four()).say(b"STORE 1:4 %b (\\Seen)" % word) == [b"t OK STORE completed"]


@pytest.mark.parametrize(
    "arguments",
    [
        b"", b"1", b"1 FLAGS", b"1 FLAGZ (\\Seen)", b"1 +FLAGS (\\Recent)", b"1 +FLAGS (\\Bogus)", b"1 +FLAGS (\\Seen",
        b"1 +FLAGS (bad*name)", b"5 +FLAGS (\\Seen)", b"0 +FLAGS (\\Seen)", b"1 FLAGS.LOUD ()",
        b"1 +FLAGS (\\Seen) x", b"1 ++FLAGS ()",
        b"1 +FLAGS (\\Seen) \\Draft", b"1 (FLAGS) (\\Seen)",
    ],
)  # fmt: skip
def test_store_mistakes(arguments: bytes) -> None:
    box = four()
    assert FakeSession(box).say(b"STORE " + arguments)[0].startswith(b"t BAD ")
    assert box.stores == []


def test_store_on_messages_that_are_gone() -> None:
    box = four()
    box.vanish(2)
    session = FakeSession(box)
    assert session.say(b"STORE 1:2 +FLAGS (\\Seen)") == [
        b"* 1 FETCH (FLAGS (\\Seen))",
        b"t NO [EXPUNGEISSUED] Some of the messages no longer exist",
    ]
    assert session.say(b"STORE 1:2 +FLAGS.SILENT (\\Seen)") == [b"t OK STORE completed"]
    assert session.say(b"UID STORE 1:2 +FLAGS (\\Seen)") == [
        b"* 1 FETCH (UID 1 FLAGS (\\Seen))",
        b"* 2 EXPUNGE",
        b"t OK [EXPUNGEISSUED] Some of the messages no longer exist",
    ]


def test_store_that_fails() -> None:
    box = four()
    box.failure = InUse()
    said = FakeSession(box).say(b"STORE 1 +FLAGS (\\Seen)")
    assert said == [b"t NO [INUSE] Mailbox is locked by another program"]


@pytest.mark.parametrize(
    "line", [b"STORE 1 +FLAGS (\\Seen)", b"EXPUNGE", b"UID EXPUNGE 1", b"MOVE 1 other", b"UID STORE 1 FLAGS ()"]
)
def test_read_only(line: bytes) -> None:
    box = four(readonly=True)
    box.marks[1] = frozenset({"\\Deleted"})
    other = FakeBox(name="other")
    assert FakeSession(box, other).say(line)[0].startswith(b"t NO [READ-ONLY] ")
    assert len(box.messages) == 4


# --- EXPUNGE, CLOSE, CHECK, UNSELECT -------------------------------------------------


def test_expunge() -> None:
    box = four()
    session = FakeSession(box)
    session.say(b"STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    assert session.say(b"EXPUNGE") == [b"* 4 EXPUNGE", b"* 2 EXPUNGE", b"t OK Expunged 2 messages"]
    assert session.say(b"EXPUNGE") == [b"t OK No messages deleted, so no update needed"]
    assert session.say(b"EXPUNGE 1")[0].startswith(b"t BAD ")
    assert sorted(box.messages) == [1, 3]


@pytest.mark.parametrize(("line", "left"), [(b"CLOSE", [1, 3]), (b"UNSELECT", [1, 2, 3, 4])])
def test_leaving(line: bytes, left: list[int]) -> None:
    box = four()
    session = FakeSession(box)
    session.say(b"STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    assert session.say(line) == [b"t OK %b completed" % line]
    assert sorted(box.messages) == left
    assert box.closed
    assert session.box is None


def test_close_of_a_read_only_mailbox_removes_nothing() -> None:
    box = four(readonly=True)
    box.marks[1] = frozenset({"\\Deleted"})
    assert FakeSession(box).say(b"CLOSE") == [b"t OK CLOSE completed"]
    assert len(box.messages) == 4


@pytest.mark.parametrize("line", [b"CLOSE 1", b"CHECK 1", b"UNSELECT x"])
def test_no_arguments(line: bytes) -> None:
    session = FakeSession(four())
    assert session.say(line)[0].startswith(b"t BAD ")
    assert session.box is not None


def test_check_brings_news() -> None:
    box = four()
    session = FakeSession(box)
    assert session.say(b"CHECK") == [b"t OK CHECK completed"]
    box.vanish(1)
    assert session.say(b"CHECK") == [b"* 1 EXPUNGE", b"t OK CHECK completed"]


# --- COPY --------------------------------------------------------------------------


def test_copy() -> None:
    box, other = four(), FakeBox(TEXT, name="other")
    session = FakeSession(box, other)
    assert session.say(b"COPY 1:2,4 other") == [b"t OK [COPYUID 1234 1:2,4 2:4] COPY completed"]
    assert session.say(b'UID COPY 3 "other"') == [b"t OK [COPYUID 1234 3 5] UID COPY completed"]
    assert len(other.messages) == 5
    assert other.closed


def test_copy_of_nothing() -> None:
    other = FakeBox(name="other")
    assert FakeSession(four(), other).say(b"UID COPY 99 other") == [b"t OK UID COPY completed"]


@pytest.mark.parametrize("verb", [b"COPY", b"UID COPY", b"MOVE", b"UID MOVE"])
def test_no_such_target(verb: bytes) -> None:
    assert FakeSession(four()).say(verb + b" 1 nowhere") == [b"t NO [TRYCREATE] No such mailbox"]


@pytest.mark.parametrize("verb", [b"COPY", b"UID COPY"])
@pytest.mark.parametrize("arguments", [b"", b"1", b"1 ", b"0 other", b"1 other x", b"x other", b"1 ot*er"])
def test_copy_mistakes(verb: bytes, arguments: bytes) -> None:
    box, other = four(), FakeBox(name="other")
    assert FakeSession(box, other).say(verb + b" " + arguments)[0].startswith(b"t BAD ")
    assert not other.messages


@pytest.mark.parametrize("verb", [b"COPY", b"MOVE", b"UID COPY", b"UID MOVE"])
def test_all_or_nothing(verb: bytes) -> None:
    box, other = four(), FakeBox(name="other")
    box.vanish(2)
    said = FakeSession(box, other).say(verb + b" 1:3 other")
    assert said[-1] == b"t NO [EXPUNGEISSUED] Message has been expunged"
    assert not other.messages
    assert other.closed


def test_copy_without_room() -> None:
    box, other = four(), FakeBox(name="other")
    other.failure = OutOfSpace()
    assert FakeSession(box, other).say(b"COPY 1 other") == [b"t NO [OVERQUOTA] No space left for mail"]
    assert other.closed


def test_copy_into_the_selected_mailbox() -> None:
    box = four()
    assert FakeSession(box).say(b"COPY 1 inbox") == [
        b"* 5 EXISTS",
        b"* 0 RECENT",
        b"t OK [COPYUID 1234 1 5] COPY completed",
    ]
    assert not box.closed
