"""The file of a mailbox, locked: opened, found replaced, recovered, stamped.

What lives here: the descriptor, its locks, its stamp, interrupted changes.  What does not:
what is in the file (box.py).
"""

from __future__ import annotations

import errno
import os
from time import monotonic, sleep, time_ns

from mailcore.errors import DiskError, InUse, ReadOnly
from mailcore.store import files
from mailcore.store.formats.mbox import journal
from mailcore.store.locking import Locks, is_remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mailcore.settings import Settings
    from mailcore.store.formats.mbox.rewrite import Plan

    Stamp = tuple[int, int, int]  # inode, size, mtime_ns

GRAIN_NS = 20_000_000  # file times of a kernel move in steps of up to 10 ms
COARSE_GRAIN_NS = 2_000_000_000  # where there are whole seconds only
SKEW_NS = 3600 * 1_000_000_000  # no file server's clock is off by more
NOWHERE: Stamp = (0, 0, 0)


class Held:
    """`with file.held(exclusive) as there:` the locks, or False if there is no file."""

    __slots__ = ("_exclusive", "_file", "_seconds")

    def __init__(self, file: MailFile, exclusive: bool, seconds: float | None) -> None:
        self._file = file
        self._exclusive = exclusive
        self._seconds = seconds

    def __enter__(self) -> bool:
        return self._file.lock(self._exclusive, self._seconds)

    def __exit__(self, *_: object) -> None:
        self._file.unlock()


class MailFile:
    """A mail file as one session has it open."""

    __slots__ = (
        "_dirty", "_ignored", "_left", "_locks", "_recovered", "_remote", "_settings", "_spare", "fd", "home", "path",
        "writable",
    )  # fmt: skip

    def __init__(self, path: str, settings: Settings, writable: bool, home: str) -> None:
        self.path = path
        self.home = home  # where journals lie, "": nowhere
        self.fd = -1
        self.writable = writable and bool(home)
        self._settings = settings
        self._locks = Locks(path, settings)
        self._ignored: set[tuple[str, int, int]] = set()  # journals that are not ours to finish
        self._remote = False  # on NFS: what stat says there may be a minute old
        self._spare = journal.Spare()
        self._dirty = True  # something of ours may not be on the disk
        self._left: Stamp = NOWHERE  # how we left the file
        self._recovered: Stamp = NOWHERE  # no journal was there when the file looked like this

    def held(self, exclusive: bool, seconds: float | None = None) -> Held:
        """Lock for as long as the `with` lasts, wait for it `seconds` (settings.lock_seconds)."""
        return Held(self, exclusive, seconds)

    def lock(self, exclusive: bool, seconds: float | None = None) -> bool:
        """Lock the file that has the name now, whole again if a change of it was interrupted."""
        for _ in range(100):
            if self.fd < 0 and not self._open():
                return False
            if exclusive and not self.writable:
                raise ReadOnly
            try:
                self._locks.acquire(self.fd, exclusive, seconds)
                if self._is_named() and not self._interrupted(exclusive):
                    return True
            except OSError as error:
                self._locks.release()
                if error.errno != errno.ESTALE:
                    raise files.judged(error, "mail file") from error
                self.close()  # NFS: it was replaced, the name leads to another file now
            except BaseException:
                self._locks.release()
                raise
            self._locks.release()
        raise InUse

    def wait_for_dot_lock(self, seconds: float) -> None:
        """Let a delivery under a dot lock be done, for who may not take one; holds nothing meanwhile."""
        deadline = monotonic() + seconds
        while os.path.lexists(self.path + ".lock") and monotonic() < deadline:
            sleep(0.01)

    def unlock(self) -> None:
        self._locks.release()

    def _open(self) -> bool:
        with files.Judge("mail file"):
            try:
                self.fd = files.open_mail(self.path, self.writable)
            except FileNotFoundError:
                return False
            except OSError as error:
                if not self.writable or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
                self.writable = False
                self.fd = files.open_mail(self.path, False)
            self._remote = is_remote(self.path, os.fstat(self.fd).st_dev)
        return True

    def _ask_server(self) -> None:
        """On NFS the client asks the server at an open, and when a lock is had, but not at a stat."""
        if self._remote:
            try:
                files.close(os.open(self.path, files.FLAGS | os.O_RDONLY))
            except OSError:
                pass  # gone: the stat that follows says so

    def _is_named(self) -> bool:
        """Is the open file the one that has the name?  If not it is closed."""
        self._ask_server()
        mine = os.fstat(self.fd)
        try:
            there = os.stat(self.path, follow_symlinks=False)
            if (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev):
                return True
        except OSError:
            pass
        self._locks.release()
        self.close()
        return False

    def make(self) -> None:
        """Make the file if there is none."""
        with files.Judge("mail file"):
            try:
                files.close(files.open_mail(self.path, True, self._settings.mailbox_mode))
                files.sync_directory(os.path.dirname(self.path) or ".")
            except FileExistsError:
                pass

    def perform(self, plan: Plan) -> int:
        """Change the file as planned; its new size.  All locks are held."""
        clean = not self._dirty and self.stamp() == self._left
        self._dirty = True
        size = journal.perform(self.fd, self.path, plan, self.home, self._spare, clean)
        self._dirty = False
        return size

    def write(self, data: bytes, offset: int) -> None:
        """Write over what is there.  Raises OSError."""
        self._dirty = True
        files.write(self.fd, data, offset)

    def close(self) -> None:
        self._spare.close()
        fd, self.fd = self.fd, -1
        if fd >= 0:
            files.close(fd)

    # --- interrupted changes -----------------------------------------------------------

    def _interrupted(self, exclusive: bool) -> bool:
        """Was a change interrupted?  Then it is finished, and all must be looked at again."""
        if not self.home:
            return False
        stamp = self.stamp()
        if stamp == self._recovered and not exclusive:  # who writes must see one that had not begun, too
            return False
        names = journal.pending(self.home, stamp[0], self._spare)
        names = [name for name in names if journal.mark(name) not in self._ignored]
        if not names:
            self._recovered = stamp
            return False
        if exclusive:
            self._finish(self.fd, names)
            return True
        self._locks.release()
        self.apart(lambda fd: self._finish(fd, names))  # a reader, too, may not look at what is half changed
        return True

    def _finish(self, fd: int, names: list[str]) -> None:
        for name in names:
            if not journal.recover(fd, self.path, name):
                self._ignored.add(journal.mark(name))  # a later one may have the same name

    def apart(self, change: Callable[[int], None]) -> None:
        """Change the file on a descriptor that may write, under all locks; this session holds none."""
        with files.Judge("mail file"):
            fd = files.open_mail(self.path, True)
        try:
            locks = Locks(self.path, self._settings)
            locks.acquire(fd, True)
            try:
                change(fd)
            finally:
                locks.release()
        finally:
            files.close(fd)

    # --- stamps ------------------------------------------------------------------------

    def stamp(self) -> Stamp:
        """By what we know the file again: inode, size, mtime."""
        self._ask_server()
        status = os.fstat(self.fd)
        return status.st_ino, status.st_size, status.st_mtime_ns

    def named_stamp(self) -> Stamp:
        """The same of whatever has the name now."""
        self._ask_server()
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return NOWHERE
        return status.st_ino, status.st_size, status.st_mtime_ns

    def settled_stamp(self, known: bool = False) -> tuple[Stamp, bool]:
        """The stamp, once no later write could have the same; False if that takes too long to wait for.

        The caller holds a lock, so it is others without locks that this is about.  Who holds all locks of a
        mailbox that is `known` need not wait: it gets a time of its own, before it is read.
        """
        stamp = self.stamp()
        age = time_ns() - stamp[2]
        if age < -SKEW_NS:
            return stamp, True  # set by somebody's hand: no write gets this time
        if age < 0 or (stamp[2] % 1_000_000_000 == 0 and age < COARSE_GRAIN_NS):
            return stamp, False
        if age < GRAIN_NS:
            if known and self._locks.exclusive and (own := self._dated(stamp, self._has_new_mail())):
                return own, True
            sleep((GRAIN_NS - age) / 1e9)
            return self.stamp(), True
        return stamp, True

    def _has_new_mail(self) -> bool:
        """What shells call so."""
        status = os.fstat(self.fd)
        return status.st_atime_ns <= status.st_mtime_ns

    def wait_for_settling(self) -> bool:
        """Wait until a time of whole seconds can be believed; False if that will not be."""
        if time_ns() < self.stamp()[2]:
            return False  # from a clock that is ahead of ours
        sleep(COARSE_GRAIN_NS / 1e9)
        return True

    def wrote(self, before: Stamp, new_mail: bool = False) -> tuple[Stamp, bool]:
        """Give the file a time of its own after we wrote: no write of others can have the same."""
        own = self._dated(before, new_mail)
        if own:
            self._left = own
            return own, True
        return self.settled_stamp()

    def _dated(self, before: Stamp, new_mail: bool) -> Stamp | None:
        """Set a time that differs from the one before; None if we may not, or the file system has no such times.

        Two seconds ago is a time that the kernel gives to nobody any more.  Shells call it new
        mail when atime is before mtime, so that is said only if there is some.  No time is of
        this second: procmail would sleep until the next, with its locks, so as to be seen.
        """
        moment = time_ns() - 2_000_000_000
        try:
            for _ in range(3):
                if moment == before[2]:
                    moment += 1
                files.set_times(self.fd, moment + (-1_000_000_000 if new_mail else 1_000_000_000), moment)
                stamp = self.stamp()
                if stamp[2] != before[2]:
                    return stamp
                moment = before[2] + COARSE_GRAIN_NS  # a file system that counts seconds
        except OSError:
            pass  # not the owner: the kernel's own time has to do
        return None

    def read(self, octets: int, offset: int) -> bytes:
        """A span that must be there."""
        try:
            data = files.read(self.fd, octets, offset)
        except OSError as error:
            raise files.judged(error, "mail file") from error
        if len(data) != octets:
            raise DiskError(detail="mail file is shorter than it was")
        return data
