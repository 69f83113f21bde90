"""UIDONLY: what somebody else changes; the rest is in the transcript."""

from __future__ import annotations

from tests.imapd.fakebox import FakeBox, FakeSession


def test_news_without_numbers() -> None:
    box = FakeBox(*[b"a\r\n\r\nb"] * 3)
    session = FakeSession(box)
    session.enabled = {"UIDONLY"}
    box.vanish(1)
    box.flag_elsewhere(3, "\\Seen")
    assert session.say(b"CHECK") == [b"* VANISHED 1", b"* 3 UIDFETCH (FLAGS (\\Seen))", b"t OK CHECK completed"]


def test_with_mod_sequences() -> None:
    box = FakeBox(*[b"a\r\n\r\nb"] * 3)
    session = FakeSession(box)
    session.enabled = {"UIDONLY", "QRESYNC"}
    assert session.say(b"UID FETCH 2 (FLAGS) (CHANGEDSINCE 1)")[0] == b"* 2 UIDFETCH (FLAGS () MODSEQ (2))"
