"""Every call that changes mail on the disk goes through here.

What lives here: opening, reading and writing whole spans, growing, cutting and syncing
files, and the sorting of errno into errors of the house.  What does not: deciding what to
write (formats/), locks (locking.py).  Tests put faults and crashes in here, by replacing
`os` in this module.
"""

from __future__ import annotations

import errno
import fcntl
import os
from stat import S_ISREG

from mailcore.errors import DiskError, MailError, NoPermission, NoSuchMailbox, NotAMailbox, OutOfSpace

COPY_OCTETS = 1024 * 1024
FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # never a link, never waiting for a FIFO

_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)


def judged(error: OSError, doing: str = "") -> MailError:
    """The error of the house for one of the system's."""
    detail = f"{doing or 'mail file'}: {error.strerror}"
    if error.errno in _SPACE:
        return OutOfSpace(detail=detail)
    if error.errno in _PERMISSION:
        return NoPermission(detail=detail)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NoSuchMailbox(detail=detail)
    if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV):
        return NotAMailbox("Not a regular file", detail=detail)
    return DiskError(detail=detail)


class Judge:
    """`with Judge("what"):` turns an OSError inside into an error of the house."""

    __slots__ = ("doing",)

    def __init__(self, doing: str = "") -> None:
        self.doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, OSError):
            raise judged(error, self.doing) from error


def open_mail(path: str, writable: bool, create_mode: int | None = None) -> int:
    """A descriptor of a mailbox: of `open_own`, but no part of `path` may be, or have become, a link."""
    fd = open_own(path, writable, create_mode)
    if not _is_at(fd, path):
        os.close(fd)
        raise NoSuchMailbox(detail=f"{path}: another file was opened, over a link")
    return fd


def open_own(path: str, writable: bool, create_mode: int | None = None) -> int:
    """A descriptor of a regular file; made with `create_mode` if it is given and nothing is there."""
    how = FLAGS | (os.O_RDWR if writable else os.O_RDONLY)
    if create_mode is None:
        fd = os.open(path, how)
    else:
        fd = os.open(path, how | os.O_CREAT | os.O_EXCL, create_mode)
        os.fchmod(fd, create_mode)
    if not S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotAMailbox("Not a regular file", detail=path)
    return fd


def _is_at(fd: int, path: str) -> bool:
    """Whether what was opened lies at `path`, which holds no link: a directory may have become one meanwhile."""
    try:
        where = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return True  # no /proc: the fence is all there is
    return where.removesuffix(" (deleted)") == path or not where.startswith("/")


def unnoticed(fd: int) -> None:
    """Read without a trace in atime, by which shells and LIST tell new mail; only the owner may."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NOATIME)
    except OSError:
        pass


def close(fd: int) -> None:
    os.close(fd)


def read(fd: int, octets: int, offset: int) -> bytes:
    """So many octets from `offset`; fewer only at the end of the file."""
    data = os.pread(fd, octets, offset)
    if len(data) == octets or not data:
        return data
    parts = [data]
    got = len(data)
    while got < octets and (data := os.pread(fd, octets - got, offset + got)):
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def write(fd: int, data: bytes, offset: int) -> None:
    """All of `data` at `offset`, however short the system's writes are."""
    done = os.pwrite(fd, data, offset)
    while done < len(data):
        wrote = os.pwrite(fd, data[done : done + COPY_OCTETS], offset + done)
        if not wrote:
            raise OSError(errno.EIO, "nothing was written")
        done += wrote


def copy(source: int, start: int, end: int, target: int, offset: int) -> None:
    """The span start:end of one file to `offset` of another."""
    while start < end:
        data = read(source, min(COPY_OCTETS, end - start), start)
        if not data:
            raise OSError(errno.EIO, "file is shorter than it was")
        write(target, data, offset)
        start += len(data)
        offset += len(data)


def grow(fd: int, old_end: int, new_end: int) -> None:
    """Make the file longer with the space really there; as it was when that fails."""
    try:
        os.ftruncate(fd, new_end)  # the size jumps in one step, recovery counts on that
        try:
            os.posix_fallocate(fd, old_end, new_end - old_end)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
            _zeros(fd, old_end, new_end)
    except OSError:
        os.ftruncate(fd, old_end)
        raise


def _zeros(fd: int, start: int, end: int) -> None:
    for offset in range(start, end, COPY_OCTETS):
        write(fd, bytes(min(COPY_OCTETS, end - offset)), offset)


def truncate(fd: int, octets: int) -> None:
    os.ftruncate(fd, octets)


def sync(fd: int) -> None:
    os.fsync(fd)


def sync_data(fd: int) -> None:
    """What is in the file is on the disk; its times may be late."""
    os.fdatasync(fd)


def sync_directory(path: str) -> None:
    """What was made, renamed or removed in a directory is on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def claim(fd: int) -> bool:
    """Take a flock for as long as the file is open, if nobody else has one."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


def create(path: str, mode: int = 0o600) -> int:
    """A new file of our own; FileExistsError if the name is taken."""
    return os.open(path, FLAGS | os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)


def rename(old: str, new: str) -> None:
    os.rename(old, new)


def remove(path: str) -> None:
    os.unlink(path)


def set_times(fd: int, atime_ns: int, mtime_ns: int) -> None:
    os.utime(fd, ns=(atime_ns, mtime_ns))
