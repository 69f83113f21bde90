"""MOVE: what is told, in which order, and that nothing is lost when it fails."""

from __future__ import annotations

import pytest

from mailcore.errors import OutOfSpace
from tests.imapd.fakebox import FakeBox, FakeSession

TEXT = b"Subject: x\n\nbody\n"


def four() -> FakeBox:
    return FakeBox(TEXT, TEXT, TEXT, TEXT)


def test_copyuid_comes_before_the_expunges() -> None:
    box, other = four(), FakeBox(name="other")
    session = FakeSession(box, other)
    assert session.say(b"MOVE 2:3 other") == [
        b"* OK [COPYUID 1234 2:3 1:2] Moved",
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
        b"t OK MOVE completed",
    ]
    assert session.say(b"UID MOVE 4 other") == [
        b"* OK [COPYUID 1234 4 3] Moved",
        b"* 2 EXPUNGE",
        b"t OK UID MOVE completed",
    ]
    assert sorted(box.messages) == [1]
    assert len(other.messages) == 3
    assert other.closed


def test_nothing_to_move() -> None:
    assert FakeSession(four(), FakeBox(name="other")).say(b"UID MOVE 99 other") == [b"t OK UID MOVE completed"]


def test_no_such_target() -> None:
    box = four()
    assert FakeSession(box).say(b"MOVE 1 nowhere") == [b"t NO [TRYCREATE] No such mailbox"]
    assert len(box.messages) == 4


@pytest.mark.parametrize("arguments", [b"", b"1", b"1 ", b"9 other", b"0 other", b"1 other x", b"x other"])
def test_mistakes(arguments: bytes) -> None:
    box, other = four(), FakeBox(name="other")
    assert FakeSession(box, other).say(b"MOVE " + arguments)[0].startswith(b"t BAD ")
    assert len(box.messages) == 4
    assert not other.messages


def test_all_or_nothing() -> None:
    box, other = four(), FakeBox(name="other")
    other.failure = OutOfSpace()
    assert FakeSession(box, other).say(b"MOVE 1:3 other") == [b"t NO [OVERQUOTA] No space left for mail"]
    assert len(box.messages) == 4
    assert other.closed


def test_into_the_same_mailbox() -> None:
    box = four()
    assert FakeSession(box).say(b"MOVE 1 INBOX") == [
        b"* OK [COPYUID 1234 1 5] Moved",
        b"* 1 EXPUNGE",
        b"* 4 EXISTS",
        b"* 0 RECENT",
        b"t OK MOVE completed",
    ]
