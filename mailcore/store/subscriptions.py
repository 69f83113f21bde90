"""The names a user subscribed to: ~/.mailboxlist, as UW-IMAP and alpine keep it.

What lives here: the file, one name a line, in the order of subscribing.  What does not:
which names are good, and which lines mean the same mailbox (namespace.py knows; lines that
mean nothing to it, such as `#news.x` or `{host}x`, stay in the file untouched).

The file is never changed, only replaced whole by rename(2), so a reader needs no lock.
Writers hold a flock(2) on the home directory - there is no lock file to be left over - and
look once more at the list before they replace it, because UW's programs lock nothing.

A user who comes from Dovecot has `.subscriptions` in the mail root.  It is read while there
is no ~/.mailboxlist, and never written: the first change makes a ~/.mailboxlist of it.
"""

from __future__ import annotations

import fcntl
import os
from binascii import b2a_base64
from time import monotonic, sleep

from mailcore.errors import DiskError, InUse, MailError, NoPermission, OutOfSpace
from mailcore.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mailcore.store.steward import Steward

NAME = ".mailboxlist"
DOVECOT = ".subscriptions"
LIST_OCTETS = 4 * 1024 * 1024  # read no more of a list
LINE_OCTETS = 1024  # a longer line is no name
LOCK_SECONDS = 10.0
RETRY_SECONDS = 0.01
TRIES = 10  # how often a foreign writer may come between
FILE_MODE = 0o600


class ListFile:
    """The list's file, opened and replaced here; a fenced session's steward has the same (territory.py)."""

    __slots__ = ("_fresh", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._fresh = ""

    def home(self) -> int:
        """The directory, for its lock and for fsync."""
        return os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def read(self) -> int:
        """The list; never waits for the other end of a FIFO."""
        return os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)

    def fresh(self) -> int:
        """A new file, for `put` or `drop`."""
        path = f"{self.path}.{os.getpid()}.{os.urandom(4).hex()}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        self._fresh = path
        return fd

    def put(self) -> None:
        """The new file is the list."""
        os.rename(self._fresh, self.path)
        self._fresh = ""

    def drop(self) -> None:
        """The new file goes, if there is one."""
        path, self._fresh = self._fresh, ""
        if path:
            os.unlink(path)


class Subscriptions:
    """The list of one user; `root` is the mail root, where Dovecot keeps its own list."""

    __slots__ = ("_dovecot", "_home", "file", "path")

    def __init__(self, home: str, root: str) -> None:
        self._home = home
        self._dovecot = os.path.join(root, DOVECOT)
        self.path = os.path.join(home, NAME)
        self.file: ListFile | Steward = ListFile(self.path)

    def names(self) -> list[str]:
        """The lines of the list in their order, doubles once."""
        return self._read()[0]

    def add(self, name: str, same: Callable[[str], bool]) -> bool:
        """Put `name` at the end; False: a line that is the `same` is already there."""

        def added(names: list[str]) -> list[str]:
            return names if any(map(same, names)) else [*names, name]

        return self._change(added)

    def remove(self, same: Callable[[str], bool]) -> bool:
        """Drop every line that is the `same`; False: there was none."""

        def removed(names: list[str]) -> list[str]:
            return [name for name in names if not same(name)]

        return self._change(removed)

    # --- reading -----------------------------------------------------------------------

    def _read(self) -> tuple[list[str], tuple[int, int, int]]:
        """The names, and what the file's stat(2) was (zeros: there is no file)."""
        try:
            with open(self.file.read(), "rb") as file:
                return _lines(file.read(LIST_OCTETS)), _state(file.fileno())
        except FileNotFoundError:
            return self._read_dovecot(), (0, 0, 0)
        except OSError as error:
            raise _judged(error, self.path) from None

    def _read_dovecot(self) -> list[str]:
        try:
            with open(self._dovecot, "rb", opener=_opener) as file:
                data = file.read(LIST_OCTETS)
        except OSError:
            return []
        if not data.startswith(b"V\t2"):
            return _lines(data)
        return _lines(b"\n".join(map(_from_version_2, data.split(b"\n")[1:])))

    # --- writing -----------------------------------------------------------------------

    def _change(self, change: Callable[[list[str]], list[str]]) -> bool:
        """Replace the list by `change` of it; False when that is no change."""
        try:
            home = self.file.home()
        except OSError as error:
            raise _judged(error, self._home) from None
        try:
            lock(home)
            for _ in range(TRIES):
                names, state = self._read()
                changed = change(names)
                if changed == names:
                    return False
                if self._replace(changed, state, home):
                    return True
            raise InUse("Subscriptions are being changed by another program")
        except OSError as error:
            raise _judged(error, self.path) from None
        finally:
            os.close(home)  # and the lock with it

    def _replace(self, names: list[str], state: tuple[int, int, int], home: int) -> bool:
        """Put a new file in place of the one that had `state`; False: it is another one by now."""
        fd = self.file.fresh()
        try:
            with open(fd, "wb") as file:
                file.write("".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape"))
                file.flush()
                os.fchmod(fd, _mode(self.path))
                os.fsync(fd)
            if _state(self.path) != state:
                return False
            self.file.put()
            os.fsync(home)
            return True
        finally:
            self.file.drop()


def _opener(path: str, flags: int) -> int:
    """Never wait for the other end of a FIFO."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _lines(data: bytes) -> list[str]:
    """One name a line; a last line cut by LIST_OCTETS or of no sensible length is dropped."""
    names: dict[str, None] = {}
    for line in data.split(b"\n"):
        name = line.removesuffix(b"\r")
        if name and len(name) <= LINE_OCTETS and b"\0" not in name:
            names.setdefault(name.decode("utf-8", "surrogateescape"))
    return list(names)


def _from_version_2(line: bytes) -> bytes:
    """A line of Dovecot's second format: UTF-8, TAB between levels; octet 1 escapes controls."""
    if b"\x01" in line:
        return b""  # no name of ours holds a control
    return b"/".join(map(_modified_utf7, line.split(b"\t")))


def _modified_utf7(name: bytes) -> bytes:
    """UTF-8 in the form that names have on the wire and on the disk (RFC 3501 §5.1.3)."""
    out, beyond = "", ""
    for letter in name.decode("utf-8", "replace") + " ":
        if " " <= letter <= "~":
            if beyond:
                coded = b2a_base64(beyond.encode("utf-16-be"), newline=False).rstrip(b"=")
                out += f"&{coded.decode().replace('/', ',')}-"
                beyond = ""
            out += "&-" if letter == "&" else letter
        else:
            beyond += letter
    return out[:-1].encode()


def lock(fd: int) -> None:
    """Hold a flock on `fd`; where there is no such thing (NFS), go without."""
    end = monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() >= end:
                raise InUse("Subscriptions are locked by another program") from None
            sleep(RETRY_SECONDS)
        except OSError:
            return


def _state(where: str | int) -> tuple[int, int, int]:
    """What changes when a file is replaced or written; zeros when there is none."""
    try:
        found = os.stat(where)
    except FileNotFoundError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _mode(path: str) -> int:
    """The permission bits that a list at `path` has, or shall have."""
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return FILE_MODE


def _judged(error: OSError, path: str) -> MailError:
    judged = files.judged(error, path)
    if isinstance(judged, (NoPermission, OutOfSpace)):
        return judged
    return DiskError("Error reading or writing subscriptions", judged.detail)
