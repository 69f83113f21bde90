"""SAVEDATE; the rest is in the transcript."""

from __future__ import annotations

import pytest

from tests.imapd.fakebox import FakeBox, FakeSession

KEYS = [
    (b"SAVEDBEFORE 6-Nov-1994", b"* SEARCH"),
    (b"SAVEDON 6-Nov-1994", b"* SEARCH 1"),
    (b"SAVEDSINCE 6-Nov-1994", b"* SEARCH 1 2"),
    (b"SAVEDSINCE 7-Nov-1994", b"* SEARCH 2"),
]


@pytest.mark.parametrize(("key", "told"), KEYS)
def test_keys(key: bytes, told: bytes) -> None:
    box = FakeBox(b"a")
    box.deliver(b"b", date=(784_111_777 + 86400, 600))
    box.news()
    assert FakeSession(box).say(b"SEARCH " + key)[0] == told
