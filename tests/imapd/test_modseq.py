"""Mod-sequences in commands: who hears of them."""

from __future__ import annotations

import pytest

from imapd import modseq
from imapd.syntax import Args
from mailcore.errors import Mistake
from tests.imapd.fakebox import FakeBox, FakeSession


def test_who_asks_hears_of_them_from_then_on() -> None:
    session = FakeSession(FakeBox(b"x\r\n"))
    assert not modseq.noted(session) and not modseq.quick(session)
    assert modseq.since(session, Args(b" 7")) == 7
    assert modseq.noted(session) and not modseq.quick(session) and modseq.code(session) == ""
    session.enabled = {"QRESYNC"}
    assert modseq.noted(session) and modseq.code(session) == "HIGHESTMODSEQ 1"


@pytest.mark.parametrize("text", [b"", b" ", b" x", b" -1", b" 9223372036854775808", b" " + b"9" * 5000])
def test_what_is_no_mod_sequence(text: bytes) -> None:
    with pytest.raises(Mistake):
        modseq.since(FakeSession(FakeBox(b"x")), Args(text))


def test_the_largest() -> None:
    assert modseq.since(FakeSession(FakeBox(b"x")), Args(b" 9223372036854775807")) == 2**63 - 1


def test_none_are_kept() -> None:
    box = FakeBox(b"x")
    box.highest_modseq = 0
    session = FakeSession(box)
    with pytest.raises(Mistake):
        modseq.since(session, Args(b" 7"))
    session.enabled = {"QRESYNC"}
    assert modseq.code(session) == ""
    for line in (b"FETCH 1 MODSEQ", b"FETCH 1 FLAGS (CHANGEDSINCE 1)", b"STORE 1 (UNCHANGEDSINCE 1) FLAGS ()",
                 b"SEARCH MODSEQ 1"):  # fmt: skip
        assert session.say(line)[-1] == b"t BAD No mod-sequences in this mailbox: " + line.split()[0]
