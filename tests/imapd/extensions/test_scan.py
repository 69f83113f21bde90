"""SCAN: a text that lies across two pieces is found; the rest is in the transcript."""

from __future__ import annotations

import pytest

from imapd.extensions import scan


@pytest.mark.parametrize("wanted", [b"abc", b"abcdefghijkl", b"z", b""])
def test_pieces(monkeypatch: pytest.MonkeyPatch, wanted: bytes):
    monkeypatch.setattr(scan, "PIECE_OCTETS", 4)
    for before in range(12):
        text = b"." * before + wanted.upper() + b"." * 5
        assert scan._in_text(text, wanted)
        assert scan._in_text(text, b"x" + wanted) is False
