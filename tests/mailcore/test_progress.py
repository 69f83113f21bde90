"""A tick reaches whoever listens, or nobody."""

from __future__ import annotations

from mailcore import progress


def test_tick(monkeypatch):
    told = []
    progress.tick(1, 2)
    monkeypatch.setattr(progress, "listener", lambda *numbers: told.append(numbers))
    progress.tick(1, 2)
    progress.tick()
    assert told == [(1, 2), (0, 0)]
