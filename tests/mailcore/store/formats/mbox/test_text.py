"""A text that is read when asked looks like bytes."""

from __future__ import annotations

import random

import pytest

from mailcore.store.formats.mbox import text as module
from mailcore.store.formats.mbox.text import FileText

HEADER = b"Subject: x\n\n"
BODY = bytes(random.Random(1).choices(b"abc\n", k=3000))
WHOLE = HEADER + BODY


@pytest.fixture
def text(monkeypatch):
    monkeypatch.setattr(module, "PIECE_OCTETS", 100)
    return FileText(HEADER, len(BODY), lambda offset, octets: BODY[offset : offset + octets])


def test_slices_and_finds(text):
    chance = random.Random(2)
    assert len(text) == len(WHOLE) and text[:] == WHOLE
    for _ in range(2000):
        start, end = chance.randrange(-20, len(WHOLE) + 20), chance.randrange(-20, len(WHOLE) + 20)
        assert text[start:end] == WHOLE[start:end]
        sub = bytes(chance.choices(b"abc\nS", k=chance.randrange(1, 8)))
        assert text.find(sub, start, end) == WHOLE.find(sub, start, end), (sub, start, end)
        assert text.find(sub, abs(start)) == WHOLE.find(sub, abs(start))
    with pytest.raises(ValueError):
        text[::2]
