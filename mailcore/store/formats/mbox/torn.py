"""What a crash of the machine left of the last mail: parted from what came after it (R37).

What lives here: finding the NULs and parting, the number of this start of the machine.  What does not:
when to look (box.py).

A crash can leave NULs where the last mail was: the file's size was on the disk, its blocks were
not.  The next delivery starts right behind them, without an empty line, so that it would be read
as part of the torn mail and be deleted with it.  Two of the NULs become that empty line, in the
file, where every program sees it.

A sender can write NULs and "From " into a mail too, and would make two of it, with whatever header
he likes in the second.  So the NULs count only where a crash can have left them: once after each
start of the machine, and only in what was delivered since the mailbox was looked at before that.
"""

from __future__ import annotations

import os
from zlib import crc32

from mailcore import log
from mailcore.store import files
from mailcore.store.formats.mbox import fromline

STARTED = "/proc/sys/kernel/random/boot_id"
NULS = b"\0" * 16  # fewer are nobody's damage
CHUNK_OCTETS = 4 * 1024 * 1024
ASIDE_OCTETS = 1024 * 1024  # of a torn message
_TORN = NULS + b"From "
_OVERLAP = len(_TORN) + fromline.LINE_OCTETS


def started() -> int:
    """A number of this start of the machine, another after the next; 0: not to be known."""
    try:
        with open(STARTED, "rb", buffering=0) as file:
            return crc32(file.read(64)) or 1
    except OSError:
        return 0


def ends(fd: int, known: int, size: int) -> list[int]:
    """Where NULs end that a separator follows, from offset `known` on, or the end of the file."""
    found = set()
    place = max(0, known - len(NULS))
    while place < size:
        data = files.read(fd, min(CHUNK_OCTETS, size - place), place)
        at = data.find(_TORN)
        while at >= 0:
            line = at + len(NULS)
            if place + line >= known and fromline.is_separator(data[line : data.find(b"\n", line) + 1]):
                found.add(place + line)
            at = data.find(_TORN, line)
        if place + len(data) >= size or len(data) <= _OVERLAP:
            break
        place += len(data) - _OVERLAP
    if size >= len(NULS) and files.read(fd, len(NULS), size - len(NULS)) == NULS:
        found.add(size)
    return sorted(found)


def part(fd: int, path: str, known: int, home: str) -> None:
    """Put an empty line at the end of such NULs.  The exclusive lock is held."""
    for end in ends(fd, known, os.fstat(fd).st_size):
        log.error(f"{log.clean(path)}: NULs before offset {end}, a crash of the machine left them")
        _set_aside(fd, end, home)
        files.write(fd, b"\n\n", end - 2)
    files.sync(fd)


def _set_aside(fd: int, end: int, home: str) -> None:
    """Keep a copy of the torn message beside the index."""
    start = max(0, end - ASIDE_OCTETS)
    data = files.read(fd, end - start, start).rstrip(b"\0")
    data = data[data.rfind(b"\n\nFrom ") + 1 :].lstrip(b"\n")
    path = os.path.join(home, f"{crc32(data):08x}.damaged")
    try:
        copy = files.create(path)
        try:
            files.write(copy, data, 0)
        finally:
            files.close(copy)
        log.error(f"a copy of the torn message is {log.clean(path)}")
    except FileExistsError:
        pass
    except OSError as error:
        log.error(f"{log.clean(path)}: {error.strerror}")
