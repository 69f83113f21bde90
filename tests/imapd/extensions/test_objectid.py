"""OBJECTID; the rest is in the transcript."""

from __future__ import annotations

import pytest

from tests.imapd.fakebox import FakeBox, FakeSession


@pytest.mark.parametrize("wanted", [b'""', b"a.b", b"x" * 256, b'"a b"'])
def test_what_is_no_object_id(wanted: bytes) -> None:
    for key in (b"EMAILID ", b"THREADID "):
        assert FakeSession(FakeBox(b"a")).say(b"SEARCH " + key + wanted)[-1].startswith(b"t BAD ")


def test_gone_messages_fit_nothing() -> None:
    box = FakeBox(b"a", b"a")
    box.vanish(1)
    assert FakeSession(box).say(b"SEARCH EMAILID " + box.email_id(2).encode())[0] == b"* SEARCH 2"
