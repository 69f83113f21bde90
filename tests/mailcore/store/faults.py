"""A disk that forgets, fills up and fails: what stands in for `os` in mailcore.store.files.

What lives here:
    Recorder   does what is asked and writes down every step that changes a disk
    Disk       what such steps leave when the machine dies after some of them
    Striker    fails one step, or that step and all like it from then on

What a power cut leaves: what was synced, and of the rest whatever the disk pleases.  The data
of a file are sectors (512 or 4096 octets), each written or not; its size and times keep their
order among themselves, but not with the data; so do the names of one directory.  That is less
than ext4 or xfs promise.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

CHANGES = ("pwrite", "fsync", "fdatasync", "ftruncate", "posix_fallocate", "unlink", "rename", "link", "utime", "open")
SECTORS = (512, 4096)


class Crash(BaseException):
    """The process is no more."""


class Step:
    """One change.  Kinds: data, size, time, sync, data sync, alloc, name, names (a directory is synced), save, done."""

    __slots__ = ("kind", "rest", "what")

    def __init__(self, kind: str, what: object, *rest: object) -> None:
        self.kind, self.what, self.rest = kind, what, rest

    def __repr__(self) -> str:
        return f"{self.kind} {self.what} " + " ".join(
            str(len(part)) + " octets" if isinstance(part, bytes) else str(part) for part in self.rest
        )


class Recorder:
    """Stands in for `os`: all is done, and written down in `steps`."""

    def __init__(self, *paths: str) -> None:
        self.steps: list[Step] = []
        self._numbers: dict[tuple[int, int], int] = {}  # device, inode: our number for a file
        for path in paths:
            self.number(os.stat(path), new=True)

    def number(self, status: os.stat_result, new: bool = False) -> int:
        """A number for a file; inode numbers are used again, these are not."""
        key = status.st_dev, status.st_ino
        if new or key not in self._numbers:
            self._numbers[key] = len(self._numbers) + 1000 * new * (key in self._numbers)
        return self._numbers[key]

    def __getattr__(self, name: str) -> object:
        return getattr(self, "_" + name) if name in CHANGES else getattr(os, name)

    def _of(self, fd: int) -> int:
        return self.number(os.fstat(fd))

    def _open(self, path: str, flags: int, *mode: int) -> int:
        made = bool(flags & os.O_CREAT) and not os.path.lexists(path)
        fd = os.open(path, flags, *mode)
        if made:
            number = self.number(os.fstat(fd), new=True)
            self.steps.append(Step("name", os.path.dirname(path), os.path.basename(path), number))
        return fd

    def _pwrite(self, fd: int, data: bytes, offset: int) -> int:
        number, size = self._of(fd), os.fstat(fd).st_size
        done = os.pwrite(fd, data, offset)
        self._times(fd, number)  # before the data: no process dies between the two
        self.steps.append(Step("data", number, offset, bytes(data[:done])))
        if offset + done > size:
            self.steps.append(Step("size", number, offset + done))
        return done

    def _times(self, fd: int, number: int) -> None:
        self.steps.append(Step("time", number, os.fstat(fd).st_mtime_ns))

    def _ftruncate(self, fd: int, octets: int) -> None:
        os.ftruncate(fd, octets)
        self._times(fd, self._of(fd))
        self.steps.append(Step("size", self._of(fd), octets))

    def _posix_fallocate(self, fd: int, offset: int, octets: int) -> None:
        os.posix_fallocate(fd, offset, octets)
        self.steps.append(Step("alloc", self._of(fd)))

    def _utime(self, fd: int, *, ns: tuple[int, int]) -> None:
        os.utime(fd, ns=ns)
        self._times(fd, self._of(fd))

    def _fsync(self, fd: int) -> None:
        os.fsync(fd)
        path = os.readlink(f"/proc/self/fd/{fd}")
        self.steps.append(Step("names", path) if os.path.isdir(path) else Step("sync", self._of(fd)))

    def _fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)
        self.steps.append(Step("data sync", self._of(fd)))

    def _unlink(self, path: str) -> None:
        os.unlink(path)
        self.steps.append(Step("name", os.path.dirname(path), os.path.basename(path), None))

    def _rename(self, old: str, new: str) -> None:
        number = self.number(os.lstat(old))
        os.rename(old, new)
        place = os.path.dirname(old)
        self.steps.append(Step("name", place, os.path.basename(new), number, os.path.basename(old)))

    def _link(self, old: str, new: str) -> None:
        os.link(old, new)
        self.steps.append(Step("name", os.path.dirname(new), os.path.basename(new), self.number(os.lstat(old))))


class File:
    """Content and time of a file."""

    __slots__ = ("content", "mtime_ns")

    def __init__(self, content: bytes, mtime_ns: int) -> None:
        self.content, self.mtime_ns = content, mtime_ns


class Disk:
    """A disk before some steps, and after them."""

    def __init__(self) -> None:
        self.files: dict[int, File] = {}
        self.names: dict[str, dict[str, int]] = {}
        self._pending: dict[int, list[Step]] = {}
        self._changes: dict[str, list[Step]] = {}
        self.saves = (-1, -1)  # of the index: the last that was durable, the last

    def add(self, number: int, path: str) -> None:
        """A file that is there, on the disk."""
        with open(path, "rb") as file:
            self.files[number] = File(file.read(), os.fstat(file.fileno()).st_mtime_ns)
        self.names.setdefault(os.path.dirname(path), {})[os.path.basename(path)] = number

    def take(self, step: Step) -> None:
        """One more step was made."""
        if step.kind in ("data", "size", "time"):
            self._pending.setdefault(step.what, []).append(step)  # type: ignore[arg-type]
        elif step.kind == "sync":
            self._settle(step.what)  # type: ignore[arg-type]
        elif step.kind == "data sync":
            self._settle(step.what, times=False)  # type: ignore[arg-type]
        elif step.kind == "name":
            self._changes.setdefault(str(step.what), []).append(step)
        elif step.kind == "names":
            for change in self._changes.pop(str(step.what), []):
                _named(self.names, change)
        elif step.kind == "save":
            self.saves = (step.what if step.rest[0] else self.saves[0], step.what)  # type: ignore[assignment]

    def _settle(self, number: int, times: bool = True) -> None:
        steps = self._pending.pop(number, [])
        self.files[number] = _applied(self.files.get(number), [s for s in steps if times or s.kind != "time"])
        if not times:
            self._pending[number] = [step for step in steps if step.kind == "time"]

    def killed(self) -> tuple[dict[str, dict[str, int]], dict[int, File]]:
        """The process died, the kernel lives: every step counts."""
        return self._left(lambda steps: steps, lambda steps: steps)

    def cut(self, random: Random, sector: int) -> tuple[dict[str, dict[str, int]], dict[int, File]]:
        """The power failed: of what was not synced each sector, size and name is there or not."""
        share = random.choice((0.0, 0.1, 0.5, 0.9, 1.0))

        def data(steps: list[Step]) -> list[Step]:
            sectors = [part for step in steps if step.kind == "data" for part in _sectors(step, sector)]
            facts = [step for step in steps if step.kind != "data"]
            kept = [part for part in sectors if random.random() < share]
            return kept + facts[: random.randint(0, len(facts))]

        return self._left(data, lambda steps: steps[: random.randint(0, len(steps))])

    def _left(
        self, data: Callable[[list[Step]], list[Step]], names: Callable[[list[Step]], list[Step]]
    ) -> tuple[dict[str, dict[str, int]], dict[int, File]]:
        left = dict(self.files)
        for number, steps in self._pending.items():
            left[number] = _applied(left.get(number), data(steps))
        there = {place: dict(entries) for place, entries in self.names.items()}
        for steps in self._changes.values():
            for change in names(steps):
                _named(there, change)
        return there, left


def _named(names: dict[str, dict[str, int]], change: Step) -> None:
    entries = names.setdefault(str(change.what), {})
    name, number, *old = change.rest
    if number is None:
        entries.pop(str(name), None)
    else:
        entries[str(name)] = number  # type: ignore[assignment]
    for former in old:
        entries.pop(str(former), None)


def _sectors(step: Step, sector: int) -> list[Step]:
    """A write cut where sectors of the file end."""
    offset, data = step.rest
    assert isinstance(offset, int) and isinstance(data, bytes)
    parts = []
    while data:
        octets = sector - offset % sector
        parts.append(Step("data", step.what, offset, data[:octets]))
        offset, data = offset + octets, data[octets:]
    return parts


def _applied(file: File | None, steps: list[Step]) -> File:
    """What is in a file after some of its steps; writes beyond its size are not seen."""
    content = bytearray(file.content if file else b"")
    mtime_ns = file.mtime_ns if file else 0
    size = len(content)
    for step in steps:
        if step.kind == "size":
            octets = step.rest[0]
            assert isinstance(octets, int)
            if octets < size:  # what is cut off comes back as zeros
                content[octets:] = bytes(max(0, len(content) - octets))
            size = octets
        elif step.kind == "time":
            mtime_ns = step.rest[0]  # type: ignore[assignment]
        else:
            offset, data = step.rest
            assert isinstance(offset, int) and isinstance(data, bytes)
            content.extend(bytes(max(0, offset + len(data) - len(content))))
            content[offset : offset + len(data)] = data
    content.extend(bytes(max(0, size - len(content))))
    return File(bytes(content[:size]), mtime_ns)


def lay_down(names: dict[str, dict[str, int]], files: dict[int, File], keep: set[str]) -> None:
    """Make real directories hold this and no more; files in `keep` keep their inode."""
    for place, entries in names.items():
        for name in os.listdir(place):
            path = os.path.join(place, name)
            if name not in entries and path not in keep and not name.startswith("index.db") and os.path.isfile(path):
                os.unlink(path)
        for name, number in entries.items():
            path = os.path.join(place, name)
            file = files.get(number) or File(b"", 0)
            with open(path, "rb+" if os.path.exists(path) else "wb") as out:
                out.write(file.content)
                out.truncate()
            os.utime(path, ns=(file.mtime_ns, file.mtime_ns))


class Striker:
    """Stands in for `os`: step `strike` of `kinds` fails with `number`, and with `lasting` all later ones.

    A write that fails has written `part` octets before; number 0 only makes every write that short.
    """

    def __init__(self, strike: int, number: int, kinds: tuple[str, ...], lasting: bool = False, part: int = 0) -> None:
        self.strike, self.fault, self.kinds, self.lasting, self.part = strike, number, kinds, lasting, part
        self.steps = 0
        self.struck = 0

    def __getattr__(self, name: str) -> object:
        real = getattr(os, name)
        if name not in CHANGES:
            return real

        def step(*arguments: object, **keywords: object) -> object:
            if name == "open" and not int(arguments[1]) & os.O_CREAT:  # type: ignore[call-overload]
                return real(*arguments, **keywords)
            if not self.fault:
                return self._short(name, real, arguments, keywords)
            if name in self.kinds:
                self.steps += 1
                if self.steps == self.strike or (self.lasting and self.steps > self.strike):
                    self._fail(name, arguments)
            return real(*arguments, **keywords)

        return step

    def _short(self, name: str, real: Callable[..., object], arguments: tuple, keywords: dict) -> object:
        if name == "pwrite":
            self.steps += 1
            fd, data, offset = arguments
            return os.pwrite(fd, data[: self.part], offset)
        return real(*arguments, **keywords)

    def _fail(self, name: str, arguments: tuple) -> None:
        self.struck += 1
        if name == "pwrite" and self.part:
            fd, data, offset = arguments
            os.pwrite(fd, data[: self.part], offset)
        raise OSError(self.fault, os.strerror(self.fault))


FAULTS = {
    "ENOSPC": (errno.ENOSPC, ("pwrite", "posix_fallocate", "open")),
    "EDQUOT": (errno.EDQUOT, ("pwrite", "posix_fallocate", "open")),
    "EIO": (errno.EIO, CHANGES),
    "EINTR": (errno.EINTR, ("pwrite", "posix_fallocate", "fsync", "ftruncate")),
    "EROFS": (errno.EROFS, ("pwrite", "open", "unlink", "rename", "utime")),
    "fsync": (errno.EIO, ("fsync",)),
}


def memory() -> str | None:
    """A directory in memory, where thousands of syncs cost nothing; None: there is none."""
    return "/dev/shm" if Path("/dev/shm").is_dir() and os.access("/dev/shm", os.W_OK) else None
