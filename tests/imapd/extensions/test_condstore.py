"""CONDSTORE: what enables it, and what others hear of it."""

from __future__ import annotations

import pytest

from tests.imapd.fakebox import FakeBox, FakeSession

ENABLING = [
    b"FETCH 1 MODSEQ", b"FETCH 1 FLAGS (CHANGEDSINCE 1)", b"STORE 1 (UNCHANGEDSINCE 1) FLAGS ()", b"SEARCH MODSEQ 1",
    b"SORT (SIZE) UTF-8 MODSEQ 1", b"UID SEARCH RETURN (COUNT) NOT MODSEQ 3",
]  # fmt: skip


@pytest.mark.parametrize("line", ENABLING)
def test_what_enables_it(line: bytes) -> None:
    box = FakeBox(b"a\r\n\r\nb", b"c\r\n\r\nd")
    session = FakeSession(box)
    box.flag_elsewhere(2, "\\Flagged")
    assert session.say(b"CHECK")[0] == b"* 2 FETCH (FLAGS (\\Flagged))"
    session.say(line)
    box.flag_elsewhere(2, "\\Draft")
    assert session.say(b"CHECK")[0] == b"* 2 FETCH (FLAGS (\\Draft) MODSEQ (%d))" % box.modseqs[2]


def test_without_it_nobody_hears_of_numbers() -> None:
    session = FakeSession(FakeBox(b"a\r\n\r\nb"))
    assert session.say(b"STORE 1 FLAGS (\\Seen)")[0] == b"* 1 FETCH (FLAGS (\\Seen))"
    assert session.say(b"STORE 1 FLAGS.SILENT ()") == [b"t OK STORE completed"]


def test_window_of_what_changed() -> None:
    """CHANGEDSINCE and PARTIAL pick one after the other (RFC 9394 section 3.3)."""
    session = FakeSession(FakeBox(*[b"a\r\n\r\nb"] * 9))
    said = session.say(b"UID FETCH 1:* (UID) (CHANGEDSINCE 4 PARTIAL 2:3)")
    assert said[:-1] == [b"* 6 FETCH (UID 6 MODSEQ (6))", b"* 7 FETCH (UID 7 MODSEQ (7))"] or said[:-1] == [
        b"* 6 FETCH (UID 6 MODSEQ (6))\r\n* 7 FETCH (UID 7 MODSEQ (7))"
    ]


def test_gone_is_not_modified() -> None:
    box = FakeBox(*[b"a\r\n\r\nb"] * 3)
    session = FakeSession(box)
    box.vanish(1)
    box.flag_elsewhere(2, "\\Seen")
    said = session.say(b"STORE 1:3 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Draft)")
    assert said[0] == b"* 3 FETCH (MODSEQ (5))" and said[-1] == b"t OK [MODIFIED 2] Conditional STORE failed"
