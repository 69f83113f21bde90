"""Plain messages are measured as all others are."""

from __future__ import annotations

import os
import random

import pytest

from mailcore.store.columns import NAMES
from mailcore.store.formats.mbox import plain, scan
from tests.playground import MAILBOXES

F = b"From x@y Sat Nov 21 12:00:00 2026\n"
HEADERS = (
    b"", b"A: 1\n", b"Status: RO\n", b"X-Spam-Status: No\nSubject: x\n", b"X-UID: 17\nX-Keywords: a b\n",
    b"Content-Length: 7\nA: 2\n", b"Lines: 2\n", b"X-Mozilla-Status: 1\n", b"X-IMAPbase: 7 9\n", b"no field\n\tx\n",
    b"Status: RO\nX-Status: F   \nX-Keywords:                         \nX-UID: 17        \n",
)  # fmt: skip
BODIES = (
    b"", b"x", b"x\n", b"\n", b"\n\n", b"\n\nFrom me\n", b"a\nFrom x\n\nFrom y Sat Nov\nb", b"From z\n", b"l\n" * 900,
)  # fmt: skip


def measured(path, monkeypatch, fast):
    with monkeypatch.context() as patch:
        if not fast:
            patch.setattr(plain, "run", lambda data, at, separator, found: separator)
        fd = os.open(path, os.O_RDONLY)
        try:
            found = scan.scan(fd, 0, os.fstat(fd).st_size)
        finally:
            os.close(fd)
    columns = {name: getattr(found.columns, name).tolist() for name in NAMES}
    return columns, found.uids, found.words, found.base, found.internal


@pytest.mark.parametrize("seed", range(60))
def test_random_mailboxes(tmp_path, monkeypatch, seed):
    chance = random.Random(seed)
    path = tmp_path / "mbox"
    path.write_bytes(b"".join(
        F + b"".join(chance.choices(HEADERS, k=chance.randrange(4))) + b"\n" * chance.choice((1, 1, 1, 0))
        + chance.choice(BODIES) + b"\n" * chance.choice((1, 1, 2))
        for _ in range(chance.randrange(1, 60))
    ))  # fmt: skip
    for octets in (scan.CHUNK_OCTETS, 3000):
        monkeypatch.setattr(scan, "CHUNK_OCTETS", octets)
        assert measured(path, monkeypatch, True) == measured(path, monkeypatch, False)


@pytest.mark.parametrize("path", sorted(MAILBOXES.glob("*.mbox")), ids=lambda path: path.name)
def test_mailboxes(monkeypatch, path):
    if scan.probe(str(path)):
        assert measured(path, monkeypatch, True) == measured(path, monkeypatch, False)


def test_most_are_plain(tmp_path, monkeypatch):
    path = tmp_path / "mbox"
    path.write_bytes((F + b"A: 1\n\nx\n\n") * 50)
    slow = []
    monkeypatch.setattr(scan, "_message", lambda *given, real=scan._message: slow.append(1) or real(*given))
    assert len(measured(path, monkeypatch, True)[1]) == 50
    assert len(slow) == 2, "the first and the last"
