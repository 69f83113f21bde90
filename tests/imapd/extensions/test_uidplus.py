"""UIDPLUS: UID EXPUNGE (RFC 4315 §2.1)."""

from __future__ import annotations

from tests.imapd.fakebox import FakeBox, FakeSession

TEXT = b"Subject: x\n\nbody\n"


def test_uid_expunge() -> None:
    box = FakeBox(TEXT, TEXT, TEXT, TEXT)
    session = FakeSession(box)
    session.say(b"STORE 1:3 +FLAGS.SILENT (\\Deleted)")
    assert session.say(b"UID EXPUNGE 2,4,99") == [b"* 2 EXPUNGE", b"t OK Expunged 1 message"]
    assert session.say(b"UID EXPUNGE 99") == [b"t OK No messages deleted, so no update needed"]
    assert session.say(b"UID EXPUNGE")[0].startswith(b"t BAD ")
    assert session.say(b"UID EXPUNGE 1 2")[0].startswith(b"t BAD ")
    assert sorted(box.messages) == [1, 3, 4]


def test_a_set_of_none_is_not_a_set_of_all() -> None:
    box = FakeBox(TEXT)
    box.marks[1] = frozenset({"\\Deleted"})
    FakeSession(box).say(b"UID EXPUNGE 2:3")
    assert sorted(box.messages) == [1]
