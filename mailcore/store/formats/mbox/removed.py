"""What was expunged, kept for some days (settings `expunged_days`, `expunged_octets`).

What lives here: files beside the index, one for each mailbox and day, themselves mboxes whose
messages say their UID and flags; writing them, and reading them for `mailcore undelete`.  What
does not: putting messages back (tools/undelete.py).

A message is in such a file, on the disk, before it goes out of the mailbox.  So a crash between
the two leaves it in both; of several with one UID the last counts.
"""

from __future__ import annotations

import os
from _blake2 import blake2b
from time import time

from mailcore.store import files
from mailcore.store.formats.mbox import block
from mailcore.store.formats.mbox.scan import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailcore.settings import Settings
    from mailcore.store.columns import Columns
    from mailcore.store.formats.mbox.identity import Words

DIRECTORY = "expunged"
DAY_SECONDS = 86400


class Removed:
    """The files of one mailbox, and what all mailboxes of a user may take."""

    __slots__ = ("_directory", "_mailbox", "_settings")

    def __init__(self, home: str, path: str, settings: Settings) -> None:
        self._directory = os.path.join(home, DIRECTORY)
        self._mailbox = blake2b(os.fsencode(path), digest_size=12).hexdigest()
        self._settings = settings

    # --- keeping -----------------------------------------------------------------------

    def keep(self, fd: int, columns: Columns, words: Words, rows: list[int]) -> None:
        """Copy these messages of the locked mail file `fd`, durably; then drop what is too old."""
        with files.Judge("expunged mail"):
            target = self._open_today()
            try:
                end = os.fstat(target).st_size
                for row in rows:
                    end = _put(target, end, fd, columns, words, row)
                files.sync(target)
            finally:
                files.close(target)
            self._prune()

    def _open_today(self) -> int:
        path = os.path.join(self._directory, f"{self._mailbox}-{int(time()) // DAY_SECONDS}")
        try:
            os.mkdir(self._directory, 0o700)
            files.sync_directory(os.path.dirname(self._directory))
        except FileExistsError:
            pass
        try:
            fd = files.create(path)
            files.sync_directory(self._directory)
            return fd
        except FileExistsError:
            return files.open_own(path, True)

    def _prune(self) -> None:
        """Files that are too old go, and the oldest as long as all are too large; today's stay."""
        today = int(time()) // DAY_SECONDS
        there = sorted((_day(name), name) for name in os.listdir(self._directory))
        sizes = {name: os.stat(os.path.join(self._directory, name)).st_size for _, name in there}
        total = sum(sizes.values())
        for day, name in there:
            if day < today and (day < today - self._settings.expunged_days or total > self._settings.expunged_octets):
                files.remove(os.path.join(self._directory, name))
                total -= sizes[name]

    # --- finding -----------------------------------------------------------------------

    def messages(self) -> Iterator[Kept]:
        """All that is kept, the oldest first; of one UID the last."""
        found: dict[int, Kept] = {}
        names = sorted(os.listdir(self._directory), key=_day) if os.path.isdir(self._directory) else []
        for name in names:
            if not name.startswith(self._mailbox + "-"):
                continue
            path = os.path.join(self._directory, name)
            with files.Judge("expunged mail"):
                fd = files.open_own(path, False)
                try:
                    there = scan(fd, 0, os.fstat(fd).st_size)
                finally:
                    files.close(fd)
            for row, uid in enumerate(there.uids if there else ()):
                found.pop(uid, None)
                found[uid] = Kept(path, there.columns, row, uid, there.words.get(row, ())) if there else found[uid]
        yield from found.values()


class Kept:
    """One expunged message; `chunks` is what a mailbox shows of it."""

    __slots__ = ("_header", "_path", "_span", "bits", "date", "octets", "uid", "words")

    def __init__(self, path: str, columns: Columns, row: int, uid: int, words: tuple[bytes, ...]) -> None:
        start = columns.start[row] + columns.line[row]
        self._path, self._header = path, columns.header[row]
        self._span = start, start + columns.length[row]
        self.uid, self.bits, self.words = uid, columns.filed[row], words
        self.octets = columns.octets[row]
        self.date = columns.date[row], columns.zone[row]

    def header(self) -> bytes:
        """Without hidden fields, with its empty line."""
        fd = files.open_own(self._path, False)
        try:
            return block.strip(files.read(fd, self._header + 1, self._span[0] - 1))[1:]
        finally:
            files.close(fd)

    def chunks(self) -> Iterator[bytes]:
        yield self.header()
        fd = files.open_own(self._path, False)
        try:
            for offset in range(self._span[0] + self._header, self._span[1], files.COPY_OCTETS):
                yield files.read(fd, min(files.COPY_OCTETS, self._span[1] - offset), offset)
        finally:
            files.close(fd)


def _put(target: int, end: int, fd: int, columns: Columns, words: Words, row: int) -> int:
    """Copy one message behind `end`, with a block that says what we know of it; the new end."""
    start, line, header = columns.start[row], columns.line[row], columns.header[row]
    head = block.strip(files.read(fd, header + 1, start + line - 1))
    cut = block.place(head)
    hidden = block.write(columns.flags[row], words.names(columns.words[row]), columns.uid[row]) or b""
    body, body_end = start + line + header, start + line + columns.length[row]
    data = files.read(fd, line, start) + head[1:cut] + hidden + head[cut:]
    files.write(target, data, end)
    files.copy(fd, body, body_end, target, end + len(data))
    end += len(data) + body_end - body
    space = b"\n" if not body_end - body or files.read(fd, 1, body_end - 1) == b"\n" else b"\n\n"
    files.write(target, space, end)
    return end + len(space)


def _day(name: str) -> int:
    day = name.rpartition("-")[2]
    return int(day) if day.isdigit() else 0
