"""Locks on a mail file that every neighbour knows.

What lives here: taking and giving back an fcntl (OFD) lock, a flock and a dot lock.  What
does not: when to lock (formats/).

The neighbours take these three in every order there is (security-reliability D3).  So each
one is tried without waiting; if one cannot be had, all are given back and the next try comes
after a random pause: whoever waits holds nothing, and no two programs can wait for each
other.  Reading takes a shared fcntl lock and a shared flock, for an instant (what takes long is
read without: followed.py); flock too, because procmail, mutt and mail.local may be built to know
nothing else.  A dot lock is an exclusive lock, so a reader makes none.

NFS: both kernel locks are one there, so a flock that is refused is our own fcntl lock and does not
count; the dot lock counts links and uses the server's clock; nothing waits in the kernel.

The OFD lock belongs to the open file, not to the process: two mailboxes of one process
exclude each other, and closing some other descriptor of the file gives nothing back.
"""

from __future__ import annotations

import errno
import fcntl
import os
from struct import pack
from time import monotonic, sleep, time

from mailcore import log
from mailcore.errors import InUse
from mailcore.progress import tick

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.settings import Settings
    from mailcore.store.mlock import Mlock
    from mailcore.store.steward import Steward

FIRST_PAUSES_SECONDS = (0.002, 0.005, 0.01, 0.02)
DOTLOCKFILE = "/usr/bin/dotlockfile"  # liblockfile's, setgid mail on Debian
deputy: Steward | None = None  # who makes dot locks where we may not run programs (territory.py)
_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
_NOT_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


class Busy(Exception):
    """Somebody else holds a lock."""


class Locks:
    """The locks of one mail file; they are all held or none is."""

    __slots__ = ("_dot", "_fd", "_flock", "_nfs", "_settings", "_vulnerable", "exclusive", "path")

    def __init__(self, path: str, settings: Settings) -> None:
        self.path = path
        self._settings = settings
        self._fd = -1
        self.exclusive = False
        self._flock = False
        self._dot: Dotlock | None = None
        self._nfs: bool | None = None  # not asked yet
        self._vulnerable = False  # no dot lock can be had here, and the log knows

    @property
    def held(self) -> bool:
        return self._fd >= 0

    def acquire(self, fd: int, exclusive: bool, seconds: float | None = None) -> None:
        """Lock the open file; raises InUse after `seconds` (settings.lock_seconds)."""
        deadline = monotonic() + (self._settings.lock_seconds if seconds is None else seconds)
        tries = 0
        while True:
            try:
                self._try(fd, exclusive)
                return
            except Busy:
                self.release()
            if monotonic() >= deadline:
                raise InUse
            tick()
            sleep(pause_seconds(tries))
            tries += 1

    def _try(self, fd: int, exclusive: bool) -> None:
        try:
            self._fd = fd
            _ofd(fd, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK)
            self._flock = self._try_flock(fd, exclusive)
            if exclusive:
                self._dot = self._dotlock()
                self.exclusive = True
        except BaseException:
            self.release()
            raise

    def _try_flock(self, fd: int, exclusive: bool) -> bool:
        try:
            return _flock(fd, exclusive)
        except Busy:
            if self._nfs is None:
                self._nfs = _file_system(self.path).startswith("nfs")
            if not self._nfs:
                raise
            return False

    def _dotlock(self) -> Dotlock | None:
        dot = Dotlock(self.path, self._settings.dotlock_stale_seconds, self._fd)
        try:
            dot.acquire()
            return dot
        except OSError as error:
            if not self._vulnerable:
                self._vulnerable = True
                log.warning(f"no dot lock for {log.clean(self.path)}: {error.strerror}")
            return None

    def release(self) -> None:
        """Give back what is held."""
        fd, self._fd = self._fd, -1
        dot, self._dot = self._dot, None
        self.exclusive = False
        try:
            if dot is not None:
                dot.release()
        finally:
            if fd >= 0:
                if self._flock:
                    self._flock = False
                    fcntl.flock(fd, fcntl.LOCK_UN)
                _ofd(fd, fcntl.F_UNLCK)


def wait_below(directory: str, settings: Settings) -> None:
    """Wait until nobody has a dot lock in a directory or below; raises InUse after settings.lock_seconds.

    For who renames it: a lock file goes along, and who made it would not find it to remove it.
    """
    deadline = monotonic() + settings.lock_seconds
    tries = 0
    while _locked_below(directory, settings.dotlock_stale_seconds):
        if monotonic() >= deadline:
            raise InUse
        sleep(pause_seconds(tries))
        tries += 1


def _locked_below(directory: str, stale_seconds: float) -> bool:
    for place, _, names in os.walk(directory):
        for name in names:
            if name.endswith(".lock"):
                try:
                    if time() - os.lstat(os.path.join(place, name)).st_mtime < stale_seconds:
                        return True
                except OSError:
                    pass  # gone
    return False


def _random() -> float:
    """From 0 to 1, another one in each fork."""
    return int.from_bytes(os.urandom(2)) / 0xFFFF


def pause_seconds(tries: int) -> float:
    """How long to wait after so many tries in vain."""
    if tries < len(FIRST_PAUSES_SECONDS):
        return FIRST_PAUSES_SECONDS[tries] * (0.5 + _random())
    return 0.05 + 0.45 * _random() * min(1.0, tries / 16)


def _ofd(fd: int, kind: int) -> None:
    """Lock or unlock the whole file without waiting (struct flock; l_pid must be 0)."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        if error.errno in _BUSY:
            raise Busy from None
        if error.errno not in _NOT_HERE:
            raise


def _flock(fd: int, exclusive: bool) -> bool:
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno in _BUSY:
            raise Busy from None
        return False  # a file system without it


class Dotlock:
    """FILE.lock, made so that it works over NFS too: link(2), then count the links."""

    __slots__ = ("_helper", "_mine", "_mlock", "mail_fd", "path", "stale_seconds")

    def __init__(self, path: str, stale_seconds: float, fd: int = -1) -> None:
        self.path = path + ".lock"
        self.stale_seconds = stale_seconds
        self.mail_fd = fd  # the mail file, for UW's mlock to look at
        self._mlock: Mlock | None = None
        self._mine: tuple[int, int, int] | None = None  # device, inode, mtime of the lock we made
        self._helper = False

    def acquire(self) -> None:
        """Make it.  Raises Busy if it is somebody's, OSError if it cannot be made here."""
        try:
            self._link()
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            self._ask_helper(error)

    def release(self) -> None:
        """Remove it if it is still ours."""
        if self._helper:
            self._helper = False
            if deputy is not None:
                deputy.unlock()
            else:
                _run(DOTLOCKFILE, "-u", self.path)
        mlock, self._mlock = self._mlock, None
        if mlock is not None:
            mlock.release()
        mine, self._mine = self._mine, None
        if mine is None:
            return
        try:
            there = os.lstat(self.path)
            if (there.st_dev, there.st_ino, there.st_mtime_ns) == mine:
                os.unlink(self.path)
        except OSError:
            pass  # gone already

    def _link(self) -> None:
        post = f"{self.path}.{os.uname().nodename}.{os.getpid()}.{os.urandom(4).hex()}"
        fd = os.open(post, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, b"%d\n" % os.getpid())
            for _ in range(2):
                try:
                    os.link(post, self.path)
                except OSError as error:
                    if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
                        raise
                ours = os.fstat(fd)
                if ours.st_nlink == 2:  # what link() answered does not count (NFS)
                    self._mine = ours.st_dev, ours.st_ino, ours.st_mtime_ns
                    return
                if not self._take_away_stale(ours.st_ctime):
                    break
            raise Busy
        finally:
            os.close(fd)
            os.unlink(post)

    def _take_away_stale(self, now: float) -> bool:
        """Remove a lock that nobody holds any more; `now` is the file system's clock."""
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            return True
        age = now - there.st_mtime
        if age < self.stale_seconds and not (age > 2 and self._holder_is_dead()):
            return False
        aside = f"{self.path}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            os.rename(self.path, aside)  # of several who think so only one gets it
            taken = os.lstat(aside)
            if taken.st_ino != there.st_ino:  # a fresh one came in between: put it back
                os.link(aside, self.path)
            os.unlink(aside)
            return taken.st_ino == there.st_ino
        except OSError:
            return False

    def _holder_is_dead(self) -> bool:
        """The lock names a process of this machine that is not there."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                words = os.read(fd, 256).split()
            finally:
                os.close(fd)
            if len(words) != 1 or not words[0].isdigit() or len(words[0]) > 9 or int(words[0]) < 2:
                return False  # procmail writes 0; host names mean another machine may be meant
            os.kill(int(words[0]), 0)
        except ProcessLookupError:
            return _local(self.path)
        except OSError:
            return False
        return False

    def _ask_helper(self, error: OSError) -> None:
        """Have a setgid program make it, where the directory is not ours: liblockfile's, else UW's."""
        if deputy is not None:
            self._helper = deputy.lock(self.path)
            return
        if not os.access(DOTLOCKFILE, os.X_OK):
            self._ask_mlock(error)
            return
        code = _run(DOTLOCKFILE, "-l", "-p", "-r", "0", self.path)
        if code == 0:
            self._helper = True
        elif code == 4 or os.path.lexists(self.path):  # L_MAXTRYS: somebody has it
            raise Busy
        else:
            raise error


    def _ask_mlock(self, error: OSError) -> None:
        from mailcore.store.mlock import Mlock, find

        program = find() if self.mail_fd >= 0 else ""
        if not program:
            raise error
        mlock = Mlock(program, self.mail_fd, self.path.removesuffix(".lock"))
        if mlock.locked():
            self._mlock = mlock
        else:
            raise Busy if os.path.lexists(self.path) else error


def is_remote(path: str, device: int) -> bool:
    """Is the file on NFS?  `device` spares the question where a disk of this machine says no."""
    return os.major(device) == 0 and _file_system(path).startswith("nfs")


def _local(path: str) -> bool:
    """Is this directory on a disk of this machine, so that process ids in it are ours?"""
    kind = _file_system(path)
    return bool(kind) and not kind.startswith(("nfs", "cifs", "smb", "fuse", "9p", "afs", "ceph", "gluster"))


def _file_system(path: str) -> str:
    """What kind of file system a file is on; "" if that cannot be found out."""
    place = os.path.realpath(os.path.dirname(path) or ".")
    best, kind = "", ""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                _, point, name, *_ = line.split(" ")
                if (place + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
                    best, kind = point, name
    except OSError:
        return ""
    return kind


def _run(program: str, *arguments: str) -> int:
    """Run a lock helper with nothing of ours but its arguments; its exit code."""
    null = os.open("/dev/null", os.O_RDWR)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
        pid = os.posix_spawn(program, [program, *arguments], {"PATH": "/usr/bin:/bin"}, file_actions=actions)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except OSError:
        return -1
    finally:
        os.close(null)
