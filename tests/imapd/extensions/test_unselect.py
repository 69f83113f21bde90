"""UNSELECT (RFC 3691)."""

from __future__ import annotations

from tests.imapd.fakebox import FakeBox, FakeSession


def test_unselect_removes_nothing() -> None:
    box = FakeBox(b"Subject: x\n\nbody\n")
    box.marks[1] = frozenset({"\\Deleted"})
    session = FakeSession(box)
    assert session.say(b"UNSELECT now")[0].startswith(b"t BAD ")
    assert session.say(b"UNSELECT") == [b"t OK UNSELECT completed"]
    assert box.closed
    assert session.box is None
    assert sorted(box.messages) == [1]
