"""Performs a plan so that a crash at any moment loses nothing.

What lives here: the redo journal, its making, its performing, its recovery.  What does not:
what is written (rewrite.py).  The caller holds the exclusive locks of the mail file.

1. The new end of the file, from the plan's first offset on, is written to a journal beside the
   index, with a header that names the file and has checksums; both and their directory are
   synced.  Up to here nothing was begun, a journal that is not whole is thrown away.
2. The file is made longer, if it must be, with real space: a full disk strikes now, and all is
   as before.  Then the bytes are copied from the journal into place, the file is cut, synced.
3. The journal is removed, the directory synced; or it is made void, synced, and kept for the session's
   next change (Spare).

In place, because delivery agents wait for their lock on this inode: a file renamed over it
would get their mail into a file without a name.

Whoever opens the mailbox and finds a journal does 2 and 3 again.  Meanwhile a delivery agent
may have appended, and where that lies depends on how far 2 had come.  The size of the file
jumps only once, so it ended at the old or at the new end then:
    longer plan    new bytes up to the new end are ours or still zero if it was grown;
                   anything else there was appended at the old end;
    shorter plan   the bytes between new and old end are known by a checksum as long as the
                   file was not cut; else they were appended at the new end.
A sector that is neither the old nor the new one was written by somebody else since (mutt, or a
restore from a backup, before we came to finish): then the journal is put aside, and reported.

What was appended at the old end is first taken into a new journal, behind the new bytes, and
that one replaces the old in one step; so a crash in the recovery is no worse than the first.
"""

from __future__ import annotations

import os
from _blake2 import blake2b
from array import array
from errno import EIO
from struct import Struct
from zlib import adler32, crc32

from mailcore import log
from mailcore.errors import DiskError
from mailcore.progress import tick
from mailcore.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailcore.store.formats.mbox.rewrite import Plan

MAGIC = b"MCREDO2\n"
KIND_OCTETS = 6  # of MAGIC; the rest is the version
HEADER_OCTETS = 4096
PREFIX_OCTETS = 4096
SECTOR_OCTETS = 512  # a disk writes so much or nothing
SPARE_OCTETS = 256 * 1024  # a larger journal is not kept
# host, dev, ino, first, old end, new end, sums of: the octets before first, the new end, what is cut off, _sectors
_FIELDS = Struct("<16s5Q8s8s8s8s")


class Redo:
    """The header of a journal."""

    __slots__ = ("cut", "dev", "first", "host", "ino", "new_end", "old_end", "path", "prefix", "sectors", "tail")

    def __init__(self) -> None:
        self.host = self.prefix = self.tail = self.cut = self.sectors = b""
        self.dev = self.ino = self.first = self.old_end = self.new_end = 0
        self.path = b""

    @property
    def over_old(self) -> int:
        """Up to here new bytes lie where old ones were."""
        return max(self.first, min(self.old_end, self.new_end))

    @property
    def length(self) -> int:
        return self.new_end - self.first

    @property
    def sectors_octets(self) -> int:
        """Of the sums of old sectors, which lie behind the new bytes."""
        last = self.over_old - 1
        return array("I").itemsize * (last // SECTOR_OCTETS - self.first // SECTOR_OCTETS + 1) * (last >= self.first)

    def packed(self) -> bytes:
        numbers = (self.dev, self.ino, self.first, self.old_end, self.new_end)
        fields = _FIELDS.pack(self.host, *numbers, self.prefix, self.tail, self.cut, self.sectors)
        head = MAGIC + fields + len(self.path).to_bytes(2, "little") + self.path
        return (head + _sum(head)).ljust(HEADER_OCTETS, b"\0")

    @classmethod
    def parse(cls, data: bytes) -> Redo | None:
        """None if this is not a whole header."""
        redo = cls()
        path_start = len(MAGIC) + _FIELDS.size + 2
        if len(data) != HEADER_OCTETS or not data.startswith(MAGIC):
            return None
        path_end = path_start + int.from_bytes(data[path_start - 2 : path_start], "little")
        if data[path_end : path_end + 32] != _sum(data[:path_end]):
            return None
        redo.host, redo.dev, redo.ino, redo.first, redo.old_end, redo.new_end, *sums = _FIELDS.unpack_from(
            data, len(MAGIC)
        )
        redo.prefix, redo.tail, redo.cut, redo.sectors = sums
        redo.path = data[path_start:path_end]
        return redo


class Sum:
    """Finds what a crash leaves, at the speed of memory: a cryptographic one costs more than the writing."""

    __slots__ = ("_adler", "_crc", "_octets")

    def __init__(self) -> None:
        self._crc, self._adler, self._octets = 0, 1, 0

    def update(self, data: bytes) -> None:
        self._crc, self._adler = crc32(data, self._crc), adler32(data, self._adler)
        self._octets += len(data)

    def digest(self) -> bytes:
        return (self._crc ^ self._octets & 0xFFFFFFFF).to_bytes(4, "little") + self._adler.to_bytes(4, "little")


def _sum(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


def _sum_of(fd: int, start: int, end: int) -> bytes:
    total = Sum()
    while start < end and (data := files.read(fd, min(files.COPY_OCTETS, end - start), start)):
        total.update(data)
        start += len(data)
    return total.digest()


def _sectors(fd: int, start: int, end: int) -> array[int]:
    """A sum for each sector of a span, by which it is known again whether it was written over."""
    sums = array("I")
    while start < end:
        data = files.read(fd, min(end, start - start % SECTOR_OCTETS + files.COPY_OCTETS) - start, start)
        if not data:
            raise OSError(EIO, "file is shorter than it was")
        edge = (-start) % SECTOR_OCTETS
        whole, rest = divmod(max(0, len(data) - edge), SECTOR_OCTETS)
        # cut by struct: 200 000 slices of a hundred megabytes take longer than their sums
        cut = Struct(f"{min(edge, len(data))}s" * (edge > 0) + f"{SECTOR_OCTETS}s" * whole + f"{rest}s" * (rest > 0))
        sums.extend(map(crc32, cut.unpack(data)))
        start += len(data)
    return sums


def _put_sectors(fd: int, redo: Redo, journal: int) -> None:
    """Add to a journal by what the old bytes are known that it is going to write over."""
    data = _sectors(fd, redo.first, redo.over_old).tobytes()
    total = Sum()
    total.update(data)
    redo.sectors = total.digest()
    if data:
        files.write(journal, data, HEADER_OCTETS + redo.length)


def _is_between(fd: int, journal: int, redo: Redo) -> bool:
    """Is each sector the old or the new one, or as far as a write came?  If not, somebody else was there."""
    end = redo.over_old
    now = _sectors(fd, redo.first, end)
    old = array("I", files.read(journal, len(now) * now.itemsize, HEADER_OCTETS + redo.length))
    start = redo.first
    begun = True
    for mine, former in zip(now, old, strict=True):
        octets = min(end, start - start % SECTOR_OCTETS + SECTOR_OCTETS) - start
        if mine == former:
            begun = False
        else:
            there = files.read(fd, octets, start)
            new = files.read(journal, octets, HEADER_OCTETS + start - redo.first)
            if there == new:
                begun = True
            elif there.strip(b"\0") and not (begun and there[0] == new[0]):
                return False
        start += octets
    return True


_host = b""


def this_host() -> bytes:
    """Sixteen octets that name this machine."""
    global _host
    if not _host:
        try:
            with open("/etc/machine-id", "rb") as file:
                name = file.read(64).strip()
        except OSError:
            name = b""
        _host = blake2b(name + b"\n" + os.uname().nodename.encode(), digest_size=16).digest()
    return _host


# --- performing ------------------------------------------------------------------------


def perform(
    fd: int, path: str, plan: Plan, home: str, spare: Spare | None = None, clean: bool = False
) -> int:
    """Change the file as planned; its new size.

    An error before the file is touched leaves it as it was; one later leaves the journal, and
    the next opener finishes.  A `spare` journal is written over, and kept.  Is the file `clean`,
    then all that is in it is on the disk.
    """
    status = os.fstat(fd)
    if not clean:
        with files.Judge("mail file"):
            files.sync_data(fd)  # the journal is made for what is on the disk, whoever wrote it
    with files.Judge("journal"):
        name, journal = spare.taken(home, status) if spare else ("", -1)
        new = not name
        if new:
            name, journal = _named(home, status)
    try:
        with files.Judge("journal"):
            redo = _written(fd, name, journal, plan, path, new)
        uncut = redo.new_end < redo.old_end
        _redo(fd, journal, redo, name, status.st_size, uncut, begin=True, beside=plan.beside)
        with files.Judge("journal"):
            if spare and spare.keep(name, journal, status, redo.length):
                journal = -1
            else:
                _drop(name)
    finally:
        if journal >= 0:
            files.close(journal)
    return redo.new_end


class Spare:
    """A journal that a session keeps for its next change: making and removing one is dearer than a short change.

    Between changes its header is void, on the disk too, and its session holds a flock on it.
    """

    __slots__ = ("_fd", "_key", "_name")

    def __init__(self) -> None:
        self._fd = -1
        self._name = ""
        self._key = (0, 0)  # device and inode of the mail file

    def taken(self, home: str, status: os.stat_result) -> tuple[str, int]:
        """Its name and descriptor, for one change; "" if there is none for this file."""
        name, fd, self._name, self._fd = self._name, self._fd, "", -1
        if fd >= 0 and self._key == (status.st_dev, status.st_ino) and _is_named(name, fd):
            return name, fd
        if fd >= 0:
            _give_up(name, fd)
        return "", -1

    def keep(self, name: str, fd: int, status: os.stat_result, length: int) -> bool:
        """Keep it now that its change was made; False if that is not worth it."""
        if length > SPARE_OCTETS or not files.claim(fd):
            return False
        try:
            files.write(fd, bytes(len(MAGIC)), 0)
            files.sync_data(fd)
        except OSError:
            return False
        self._name, self._fd, self._key = name, fd, (status.st_dev, status.st_ino)
        return True

    def is_mine(self, name: str) -> bool:
        return name == self._name

    def close(self) -> None:
        """Remove it.  Nothing is synced: void it is anyway."""
        name, fd, self._name, self._fd = self._name, self._fd, "", -1
        if fd >= 0:
            _give_up(name, fd)


def _give_up(name: str, fd: int) -> None:
    try:
        if _is_named(name, fd):
            files.remove(name)
    except OSError as error:
        log.warning(f"{log.clean(name)}: {error.strerror}")
    finally:
        files.close(fd)


def _is_named(name: str, fd: int) -> bool:
    try:
        there, mine = os.lstat(name), os.fstat(fd)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _is_spare(name: str) -> bool:
    """Is this journal void, and kept by a session that lives?"""
    try:
        fd = os.open(name, files.FLAGS | os.O_RDONLY)
    except OSError:
        return False
    try:
        return not files.read(fd, len(MAGIC), 0).strip(b"\0") and not files.claim(fd)
    finally:
        files.close(fd)


def _named(home: str, status: os.stat_result) -> tuple[str, int]:
    """A new file for a journal; a name is taken by one that is left alone (another host's, a spare one)."""
    for again in range(99):
        name = os.path.join(home, f"{status.st_ino:x}-{status.st_dev:x}-{again}.journal")
        try:
            return name, files.create(name)
        except FileExistsError:
            pass
    raise DiskError(detail="journals of others are in the way")


def _written(fd: int, name: str, journal: int, plan: Plan, path: str, new: bool) -> Redo:
    """Fill the journal; if that fails there is none."""
    try:
        status = os.fstat(fd)
        redo = Redo()
        redo.host, redo.dev, redo.ino, redo.path = this_host(), status.st_dev, status.st_ino, os.fsencode(path)[:2048]
        redo.first, redo.old_end = plan.first, plan.old_end
        total = Sum()
        offset = HEADER_OCTETS
        for data in _bytes(fd, plan):
            files.write(journal, data, offset)
            tick(offset >> 10, max(plan.old_end - plan.first, 0) >> 10)
            total.update(data)
            offset += len(data)
        redo.new_end = plan.first + offset - HEADER_OCTETS
        redo.tail = total.digest()
        redo.prefix = _prefix(fd, plan.first)
        redo.cut = _sum_of(fd, redo.new_end, redo.old_end)
        _put_sectors(fd, redo, journal)
        files.write(journal, redo.packed(), 0)
        if new:
            files.sync(journal)
            files.sync_directory(os.path.dirname(name))
        else:
            files.sync_data(journal)
        return redo
    except BaseException:
        files.remove(name)
        raise


def _bytes(fd: int, plan: Plan) -> Iterator[bytes]:
    """The pieces of a plan in chunks; small ones together."""
    held: list[bytes] = []
    octets = 0
    for data in _pieces(fd, plan):
        held.append(data)
        octets += len(data)
        if octets >= files.COPY_OCTETS:
            yield b"".join(held)
            held.clear()
            octets = 0
    if held:
        yield b"".join(held)


def _pieces(fd: int, plan: Plan) -> Iterator[bytes]:
    for piece in plan.pieces:
        if isinstance(piece, bytes):
            yield piece
        elif isinstance(piece, tuple):
            start, end = piece
            while start < end:
                data = files.read(fd, min(files.COPY_OCTETS, end - start), start)
                if not data:
                    raise DiskError(detail="mail file is shorter than it was")
                yield data
                start += len(data)
        else:
            yield from piece.chunks()


def _prefix(fd: int, first: int) -> bytes:
    return _sum_of(fd, max(0, first - PREFIX_OCTETS), first)


def _redo(
    fd: int, journal: int, redo: Redo, name: str, size: int, uncut: bool, begin: bool = False,
    beside: Sequence[tuple[int, bytes]] = (),
) -> None:  # fmt: skip
    """Put the new end in place; `size` is what the file has now, `uncut` whether it has to be cut.

    Who makes the first try (`begin`) and has no room drops the journal.  Later nobody may: the power can
    have failed when new bytes were on the disk and the new size was not.
    """
    with files.Judge("mail file"):
        if redo.new_end > size:
            try:
                files.grow(fd, size, redo.new_end)
            except OSError:
                if begin and size == os.fstat(fd).st_size:
                    _drop(name)
                raise
        files.copy(journal, HEADER_OCTETS, HEADER_OCTETS + redo.length, fd, redo.first)
        if uncut:
            files.truncate(fd, redo.new_end)
        for offset, data in beside:
            files.write(fd, data, offset)
        files.sync(fd)


def _drop(name: str) -> None:
    files.remove(name)
    files.sync_directory(os.path.dirname(name))


# --- recovery --------------------------------------------------------------------------


def pending(home: str, ino: int, spare: Spare | None = None) -> list[str]:
    """Journals that may be for a file of this inode number, but for spare ones; `spare` is known to be one."""
    start = f"{ino:x}-"
    try:
        names = os.listdir(home)
    except OSError:
        return []
    paths = [os.path.join(home, name) for name in names if name.startswith(start) and name.endswith(".journal")]
    return [path for path in paths if not (spare and spare.is_mine(path)) and not _is_spare(path)]


def mark(name: str) -> tuple[str, int, int]:
    """By what a journal is known again: its name, inode and time; zeros if there is none."""
    try:
        status = os.lstat(name)
    except OSError:
        return name, 0, 0
    return name, status.st_ino, status.st_mtime_ns


def recover(fd: int, path: str, name: str) -> bool:
    """Finish the journal `name` if it is for this file; True if the file was changed."""
    with files.Judge("journal"):
        try:
            journal = os.open(name, files.FLAGS | os.O_RDONLY)
        except FileNotFoundError:
            return False
    try:
        return _recover(fd, path, name, journal)
    finally:
        files.close(journal)


def _recover(fd: int, path: str, name: str, journal: int) -> bool:
    with files.Judge("journal"):
        if os.fstat(journal).st_uid not in (os.geteuid(), os.fstat(fd).st_uid):
            log.error(f"journal {log.clean(name)} of another user is left alone")
            return False
        head = files.read(journal, HEADER_OCTETS, 0)
        if head.startswith(MAGIC[:KIND_OCTETS]) and not head.startswith(MAGIC):
            log.error(f"journal {log.clean(name)} of another version is left alone")
            return False
        redo = Redo.parse(head)
        if redo is None or not _is_whole(journal, redo):
            log.info(f"journal of {log.clean(path)} was not whole, nothing had been begun")
            _drop(name)
            return False
        status = os.fstat(fd)
        if redo.host != this_host() or redo.ino != status.st_ino:
            log.error(f"journal {log.clean(name)} of another host or file is left alone")
            return False
        if redo.dev != status.st_dev and redo.path != os.fsencode(path)[:2048]:
            return False  # the same inode number on another disk
        short = status.st_size < min(redo.old_end, redo.new_end)
        if short or _prefix(fd, redo.first) != redo.prefix or not _is_between(fd, journal, redo):
            log.error(f"journal {log.clean(name)} does not fit {log.clean(path)} any more, put aside")
            files.rename(name, name + ".misfit")
            files.sync_directory(os.path.dirname(name))
            return False
    log.warning(f"finishing an interrupted change of {log.clean(path)}")
    return _finish(fd, name, journal, redo, status.st_size)


def _is_whole(journal: int, redo: Redo) -> bool:
    end = HEADER_OCTETS + redo.length
    same = _sum_of(journal, HEADER_OCTETS, end) == redo.tail
    return same and _sum_of(journal, end, end + redo.sectors_octets) == redo.sectors


def _finish(fd: int, name: str, journal: int, redo: Redo, size: int) -> bool:
    """Redo, with what was appended since; see the essay above."""
    other = journal
    with files.Judge("journal"):
        uncut = redo.new_end < redo.old_end <= size and _sum_of(fd, redo.new_end, redo.old_end) == redo.cut
        ungrown = redo.old_end < redo.new_end and (size < redo.new_end or not _ours_or_zero(fd, journal, redo))
        if size > redo.old_end and (uncut or ungrown):
            other, redo = _with_appended(fd, name, journal, redo, size)
            uncut = redo.new_end < redo.old_end
    try:
        _redo(fd, other, redo, name, size, uncut)
    finally:
        if other != journal:
            files.close(other)
    with files.Judge("journal"):
        _drop(name)
    return True


def _ours_or_zero(fd: int, journal: int, redo: Redo) -> bool:
    """Between old and new end there is nothing but our bytes and zeros."""
    offset = max(redo.old_end, redo.first)
    while offset < redo.new_end:
        octets = min(files.COPY_OCTETS, redo.new_end - offset)
        there = files.read(fd, octets, offset)
        ours = files.read(journal, octets, HEADER_OCTETS + offset - redo.first)
        if there != ours and any(a != b and a for a, b in zip(there, ours, strict=True)):
            return False
        offset += octets
    return True


def _with_appended(fd: int, name: str, journal: int, redo: Redo, size: int) -> tuple[int, Redo]:
    """Replace the journal by one whose end has what lies behind the old end."""
    both = Redo()
    for field in Redo.__slots__:
        setattr(both, field, getattr(redo, field))
    length = redo.length
    files.sync_data(fd)  # the sums are for what is on the disk
    temporary = name + ".new"
    if os.path.lexists(temporary):
        files.remove(temporary)
    other = files.create(temporary)
    try:
        files.copy(journal, HEADER_OCTETS, HEADER_OCTETS + length, other, HEADER_OCTETS)
        files.copy(fd, redo.old_end, size, other, HEADER_OCTETS + length)
        both.old_end, both.new_end = size, redo.new_end + size - redo.old_end
        both.tail = _sum_of(other, HEADER_OCTETS, HEADER_OCTETS + both.length)
        both.cut = _sum_of(fd, both.new_end, both.old_end)
        _put_sectors(fd, both, other)
        files.write(other, both.packed(), 0)
        files.sync(other)
        files.rename(temporary, name)
        files.sync_directory(os.path.dirname(name))
        return other, both
    except BaseException:
        files.close(other)
        raise


