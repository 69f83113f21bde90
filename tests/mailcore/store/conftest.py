"""Mailboxes for the tests of the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailcore.settings import Settings
from mailcore.store.formats.mbox.box import Box
from mailcore.store.formats.mbox.scan import scan
from mailcore.store.index import Index

DATE = "Sat Nov 21 12:00:00 2026"


class Spool:
    """A user's mail directory and index, and sessions on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "inbox"
        self.home = root / "home"
        self.home.mkdir(exist_ok=True)
        self.settings = Settings(lock_seconds=2, spool_directory=str(root), index_directory="~/.local/state/mailcore")
        self.opened: list[Box] = []

    def index(self) -> Index:
        return Index(self.settings, "fred", str(self.home))

    def open(self, readonly: bool = False, inbox: bool = True, path: Path | None = None) -> Box:
        box = Box(str(path or self.path), "INBOX", self.settings, readonly, inbox, self.index(), "fred")
        self.opened.append(box)
        return box

    def message(self, word: str, body: str = "", headers: str = "") -> bytes:
        return f"From {word}@example.org {DATE}\nSubject: {word}\n{headers}\n{body or word + ' body'}\n\n".encode()

    def fill(self, *words: str, path: Path | None = None) -> None:
        (path or self.path).write_bytes(b"".join(self.message(word) for word in words))

    def deliver(self, *messages: bytes, path: Path | None = None) -> None:
        with open(path or self.path, "ab") as file:
            for message in messages:
                file.write(message)

    def forget_index(self) -> None:
        for name in (self.home / ".local/state/mailcore").glob("index.db*"):
            name.unlink()

    def close(self) -> None:
        for box in self.opened:
            box.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path)
    yield made
    made.close()


def subjects(box: Box) -> list[str]:
    """The view's subjects, read from the file."""
    found = []
    for uid in box.uids:
        line = box.header(uid).split(b"\n", 1)[0]
        found.append(line.removeprefix(b"Subject: ").rstrip(b"\r").decode())
    return found


def agrees(box: Box, cut: bool = False) -> None:
    """What the session holds is what a scan of the file finds; after a power cut the hidden fields may be others."""
    fd = os.open(box.path, os.O_RDONLY)
    try:
        found = scan(fd, 0, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    columns = box._record.columns
    order = columns.file_order()
    for name in ("start", "line", "header", "length", "octets", "date", "zone", "digest", "block_octets"):
        mine = [getattr(columns, name)[row] for row in order]
        assert mine == list(getattr(found.columns, name)), name
    for place, row in enumerate(order):
        if 0 < columns.block_octets[row] < 0xFFFFFFFE:
            assert columns.block[row] == found.columns.block[place]
            assert cut or columns.filed[row] & 0x7F == found.columns.filed[place]
            assert columns.uid[row] == found.uids[place] or not columns.filed[row] & 0x80
    assert (box._facts.base_offset, box._facts.base_octets) == (found.base_offset, found.base_octets)
    if found.base_offset >= 0 and not cut:
        assert (box._facts.base_validity, box._facts.base_last) == found.base[:2]


@pytest.fixture(name="subjects")
def _subjects() -> object:
    return subjects


@pytest.fixture(name="agrees")
def _agrees() -> object:
    return agrees


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """A file to lock."""
    path = tmp_path / "mail"
    path.write_bytes(b"x")
    return path


@pytest.fixture
def fd(mail: Path) -> Iterator[int]:
    """The same, open."""
    fd = os.open(mail, os.O_RDWR)
    yield fd
    os.close(fd)
