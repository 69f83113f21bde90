"""OLDER and YOUNGER, to the second."""

from __future__ import annotations

import pytest

from imapd.extensions import within
from tests.imapd.fakebox import DAY, FakeBox, FakeSession


@pytest.mark.parametrize(
    ("key", "numbers"),
    [
        (b"OLDER 100", b" 1"),
        (b"OLDER 101", b""),
        (b"OLDER 10", b" 1 2"),
        (b"YOUNGER 100", b" 1 2 3"),
        (b"YOUNGER 99", b" 2 3"),
        (b"YOUNGER 1", b" 3"),  # dated in the future
        (b"NOT YOUNGER 99", b" 1"),
        (b"OLDER 10 YOUNGER 99", b" 2"),
    ],
)
def test_intervals(monkeypatch: pytest.MonkeyPatch, key: bytes, numbers: bytes):
    monkeypatch.setattr(within, "time", lambda: DAY + 100.7)
    box = FakeBox()
    for seconds, zone in ((DAY, 0), (DAY + 50, 600), (DAY + 200, 0)):
        box.deliver(b"Subject: x\n\n", date=(seconds, zone))
    box.news()
    assert FakeSession(box).say(b"SEARCH " + key)[0] == b"* SEARCH" + numbers
