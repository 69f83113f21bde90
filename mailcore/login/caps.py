"""Caps: how many sessions one user and one address may have, over all processes of this machine.

A session holds a slot: a file in run_directory/sessions with an flock on it.  Nothing is counted; a
cap of N is that there are N slots.  The kernel lets go of a lock when the last process that has the
descriptor is gone, however it ended, so no slot is ever lost.  A session that has become a user keeps
a descriptor which can do no more than give its own slot back.

Slots that nobody holds are files without use; one in SWEEP_EVERY sessions removes them.
"""

from __future__ import annotations

import os

from mailcore import log
from mailcore.login import rundir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.settings import Settings

DIRECTORY = "sessions"
SWEEP_EVERY = 64
TRIES = 8  # for one slot, against somebody who sweeps at the same moment

NO_SLOT = -1  # access.py has it too, which is loaded before any greeting

_taken = 0  # by this process


class Full(Exception):
    """All slots are held."""


def take(settings: Settings, key: str, cap: int) -> int:
    """Hold one of `cap` slots for `key` as long as the descriptor stays open that comes back; Full.

    NO_SLOT where there is no cap (0), and where there is no run directory.
    """
    global _taken
    if not cap:
        return NO_SLOT
    try:
        directory = rundir.open_directory(settings, DIRECTORY)
    except rundir.Unusable:
        return NO_SLOT
    try:
        _taken += 1
        first = os.getpid() + _taken  # spread, so that the first one tried is mostly free
        if first % SWEEP_EVERY == 0:
            _sweep(directory)
        name = _file_name(key)
        for number in range(first, first + cap):
            slot = _take_slot(directory, f"{name}.{number % cap}")
            if slot != NO_SLOT:
                return slot
        raise Full
    except OSError as error:
        log.error(f"{settings.run_directory}/{DIRECTORY}: {error.strerror}: no cap")
        return NO_SLOT
    finally:
        os.close(directory)


def _file_name(key: str) -> str:
    """A name without slashes, of a length that a file may have, one for each key."""
    plain = key.encode("utf-8", "surrogateescape").hex()
    if len(plain) <= 200:
        return plain
    import _blake2

    return str(_blake2.blake2b(plain.encode(), digest_size=32).hexdigest()) + "+"


def _take_slot(directory: int, name: str) -> int:
    """The descriptor that holds this slot; NO_SLOT when somebody else does."""
    import fcntl

    flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(TRIES):
        fd = os.open(name, flags, 0o600, dir_fd=directory)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return NO_SLOT
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)  # swept away between opening and locking
    return NO_SLOT


def _sweep(directory: int) -> None:
    """Remove the slots that nobody holds."""
    import fcntl

    for name in os.listdir(directory):
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:
            continue  # somebody else sweeps
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink:
                os.unlink(name, dir_fd=directory)
        except BlockingIOError:
            pass  # held
        finally:
            os.close(fd)
