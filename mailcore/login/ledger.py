"""A ledger: a few numbers and a time for each of many strangers, in a file that never grows.

The file is a table of SETS sets of WAYS rows.  A key is a hash; it may stand in the rows of one set only,
and a new key takes the place of the oldest there.  So a stranger can make us forget others by coming
under thousands of keys, and nothing worse: what is kept here only ever restricts.

Times are of the clock that starts with the machine (CLOCK_MONOTONIC), as /run does: setting the clock changes
nothing.  A row is 8 octets of key, 4 of value, 8 of time in milliseconds.
"""

from __future__ import annotations

import os
from time import monotonic

from mailcore import log
from mailcore.login import rundir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mailcore.settings import Settings

    Row = tuple[int, float]  # a number, and when it was written

SETS, WAYS = 1024, 8
ROW_OCTETS = 20
LARGEST = 2**32 - 1
NOTHING: Row = (0, 0.0)


def change(settings: Settings, name: str, key: str, new: Callable[[Row], int | None]) -> Row:
    """Write the number that `new` makes of what is known now, and the time (None: write nothing).

    Returns what was known before, (0, 0.0) if nothing was.
    """
    try:
        directory = rundir.open_directory(settings)
    except rundir.Unusable:
        return NOTHING
    try:
        fd = rundir.open_file(directory, name)
        try:
            return _in_file(fd, _hash(key), new)
        finally:
            os.close(fd)  # and with it the lock
    except OSError as error:
        log.error(f"{settings.run_directory}/{name}: {error.strerror}")
        return NOTHING
    finally:
        os.close(directory)


def _in_file(fd: int, key: bytes, new: Callable[[Row], int | None]) -> Row:
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX)  # only root's processes have this file, and none of them waits with it
    place = int.from_bytes(key, "big") % SETS * WAYS * ROW_OCTETS
    rows = _rows(os.pread(fd, WAYS * ROW_OCTETS, place))
    known = [number for number, row in enumerate(rows) if row[0] == key]
    number = known[0] if known else min(range(WAYS), key=lambda each: rows[each][2])
    before = rows[number][1:] if known else NOTHING
    value = new(before)
    if value is not None:
        os.pwrite(fd, _packed(key, min(max(value, 0), LARGEST), monotonic()), place + number * ROW_OCTETS)
    return before


def _rows(data: bytes) -> list[tuple[bytes, int, float]]:
    data = data.ljust(WAYS * ROW_OCTETS, b"\0")
    found = (data[start : start + ROW_OCTETS] for start in range(0, len(data), ROW_OCTETS))
    return [(row[:8], int.from_bytes(row[8:12], "big"), int.from_bytes(row[12:], "big") / 1000) for row in found]


def _packed(key: bytes, value: int, time: float) -> bytes:
    return key + value.to_bytes(4, "big") + int(time * 1000).to_bytes(8, "big")


def _hash(key: str) -> bytes:
    import _blake2

    return bytes(_blake2.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest())
