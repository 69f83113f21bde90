"""Files that hold secrets: reading /etc/cram-md5.pwd, and changing it or a passwd-file whole.

What lives here: who may own such a file, what UW's users write into it, and `replace`, the one way in
which we ever change a file of secrets.  What does not: what a secret is good for (digests.py,
scram.py), reading a passwd-file to verify (passwords.py), and asking people (tools/secret.py).

/etc/cram-md5.pwd has a line `user TAB secret` for each user, as docs/md5.txt of UW-IMAP taught them:
CR and LF end lines, a line that starts with `#` or is empty is a comment, the first TAB divides, a
line without a TAB or without a secret behind it is nothing.  The first line with exactly this name
wins; without one, the first line with the name in lower case.  A line with a NUL is nothing either:
UW stopped reading there.

A change is a new file: written beside the old one, on the disk, then renamed over it, so that whoever
opens the file finds the old one or the new one, whatever happens to us in between.  The new file is
the lock too: whoever holds its flock, and finds it still under its name, may go on.  A crash leaves
at most `.NAME.new`, which the next change empties and uses.
"""

from __future__ import annotations

import os
from stat import S_ISLNK, S_ISREG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/etc/cram-md5.pwd"
FILE_OCTETS = 16 * 1024 * 1024
CHUNK_OCTETS = 65536
LOCK_SECONDS = 10.0

TAB = b"\t"  # divides /etc/cram-md5.pwd
COLON = b":"  # divides a passwd-file

SECRET_BITS = 0o077  # nobody but the owner may do anything with clear secrets
HASH_BITS = 0o022  # a passwd-file may be read by others, but not written


class Unusable(Exception):
    """A file of secrets that must not be believed; the text names it and the reason."""


class UserExists(Exception):
    """The user has a line already."""


class NoSuchUser(Exception):
    """The user has no line."""


# --- reading -------------------------------------------------------------------------------


def ready(path: str = PATH) -> bool:
    """Is there a file of secrets?  Its presence turns APOP and CRAM-MD5 on; Unusable if it must not be believed."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    if status.st_uid == 0 and os.geteuid() and not os.access(path, os.R_OK):
        return False  # root's, and we are not: it is not for us
    _judge(path, status, SECRET_BITS)
    return True


def secret(user: bytes, path: str = PATH) -> bytes | None:
    """The secret of `user`, or None; the whole file is looked through for everybody alike."""
    exact = lower = None
    folded = user.lower()  # ASCII only, as UW's
    for name, value in entries(read(path)[0], TAB) if user else ():
        if exact is None and name == user:
            exact = value
        if lower is None and name == folded:
            lower = value
    return lower if exact is None else exact


def read(path: str, bits: int = SECRET_BITS) -> tuple[bytes, os.stat_result | None]:
    """What is in the file, and its status; (b"", None) if there is none; Unusable if it must not be believed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return b"", None
    except OSError as error:
        if os.path.islink(path):
            raise Unusable(f"{path} is a symbolic link") from None
        raise Unusable(f"{path}: {error.strerror}") from None
    try:
        status = os.fstat(fd)
        _judge(path, status, bits)
        return b"".join(iter(lambda: os.read(fd, CHUNK_OCTETS), b"")), status
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    finally:
        os.close(fd)


def _judge(path: str, status: os.stat_result, bits: int) -> None:
    """Only a regular file that is root's (or ours, when we are not root) is believed."""
    if S_ISLNK(status.st_mode):
        raise Unusable(f"{path} is a symbolic link")
    if not S_ISREG(status.st_mode):
        raise Unusable(f"{path} is not a regular file")
    if status.st_uid not in (0, os.geteuid()):
        raise Unusable(f"{path} belongs to uid {status.st_uid}, not to root")
    if status.st_mode & bits:
        verb = "read or write" if bits & 0o044 else "write"
        raise Unusable(f"{path} has mode {status.st_mode & 0o7777:04o}: others than its owner can {verb} it")
    if status.st_size > FILE_OCTETS:
        raise Unusable(f"{path} is larger than {FILE_OCTETS} octets")


def entries(text: bytes, separator: bytes) -> list[tuple[bytes, bytes]]:
    """The name and the rest of each line that means something, in order."""
    found = (entry(line, separator) for line in text.splitlines())
    return [pair for pair in found if pair]


def entry(line: bytes, separator: bytes) -> tuple[bytes, bytes] | None:
    """The name and the rest of one line, without its line end; None for a comment and for nonsense."""
    name, divided, rest = line.rstrip(b"\r\n").partition(separator)
    if not name or name.startswith(b"#") or not divided or b"\0" in line:
        return None
    if separator == TAB and not rest:
        return None  # while a passwd-file's line without a hash locks the user out
    return name, rest


# --- changing ------------------------------------------------------------------------------


def put(path: str, separator: bytes, user: bytes, value: Callable[[bytes | None], bytes]) -> None:
    """Give `user` the rest of line that `value` makes of the present one (None: there is none).

    The line that counts is changed in its place, a new one stands at the end, all others stay as they
    are.  What `value` raises leaves the file as it was.  ValueError for a name or a rest that the
    file cannot hold.
    """
    _name_fits(user, separator)

    def change(text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        for index, line in enumerate(lines):
            present = entry(line, separator)
            if present and present[0] == user:
                end = line[len(line.rstrip(b"\r\n")) :] or b"\n"
                lines[index] = user + separator + _fits(value(present[1])) + end
                return b"".join(lines)
        if lines and not lines[-1].endswith((b"\n", b"\r")):
            lines.append(b"\n")
        return b"".join(lines) + user + separator + _fits(value(None)) + b"\n"

    replace(path, change, forbidden(separator))


def remove(path: str, separator: bytes, user: bytes) -> int:
    """Remove every line of `user`, for a second one would count from now on; how many users are left."""
    left: set[bytes] = set()

    def change(text: bytes) -> bytes:
        lines = [(line, entry(line, separator)) for line in text.splitlines(keepends=True)]
        names = {pair[0] for _, pair in lines if pair}
        if user not in names:
            raise NoSuchUser
        left.update(names - {user})
        return b"".join(line for line, pair in lines if not pair or pair[0] != user)

    replace(path, change, forbidden(separator))
    return len(left)


def forbidden(separator: bytes) -> int:
    """The mode bits that a file of this kind must not have."""
    return SECRET_BITS if separator == TAB else HASH_BITS


def _name_fits(user: bytes, separator: bytes) -> None:
    if not user or user.startswith(b"#"):
        raise ValueError("a user name is not empty and does not start with #")
    if any(octet < 0x20 or octet == 0x7F or octet == separator[0] for octet in user):
        raise ValueError("a user name has no control characters" + (" and no :" if separator == COLON else ""))


def _fits(rest: bytes) -> bytes:
    """What no client could send (S9), and what would end the line, is no secret."""
    if not rest or any(octet in b"\0\t\r\n" for octet in rest):
        raise ValueError("a password is not empty and has no TAB, CR, LF or NUL")
    return rest


def replace(path: str, change: Callable[[bytes], bytes], bits: int | None) -> None:
    """Make the file at `path` what `change` makes of its content, at once and for good.

    `bits` as in `read`; None: what is there now is neither read nor believed, nor are its owner and
    mode kept.  A new file is 0600 and the caller's.  Unusable, or OSError from the file system.
    """
    directory, name = os.path.split(os.path.abspath(path))
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        new = f".{name}.new"
        fd = _locked(folder, new, path)
        try:
            text, status = (b"", None) if bits is None else read(path, bits)
            _fill(fd, change(text), status)
            os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            _drop(new, folder)
            raise
        finally:
            os.close(fd)
        os.fsync(folder)
    finally:
        os.close(folder)


def _drop(new: str, folder: int) -> None:
    try:
        os.unlink(new, dir_fd=folder)
    except FileNotFoundError:
        pass  # an interrupt came after the renaming


def _locked(folder: int, new: str, path: str) -> int:
    """A descriptor of the new file, which is ours alone while it stays open under this name."""
    import fcntl
    from time import monotonic, sleep

    deadline = monotonic() + LOCK_SECONDS
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    while True:
        fd = os.open(new, flags, 0o600, dir_fd=folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_named(fd, new, folder):
                return fd
        except BlockingIOError:
            if monotonic() > deadline:
                os.close(fd)
                raise Unusable(f"{path}: somebody else is changing it") from None
            sleep(0.02)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _still_named(fd: int, new: str, folder: int) -> bool:
    """False when the holder before us has renamed or removed what we opened."""
    ours = os.fstat(fd)
    if not S_ISREG(ours.st_mode) or ours.st_uid != os.geteuid() or ours.st_nlink > 1:
        raise Unusable(f"{new} is in the way, and not of our making")
    try:
        named = os.stat(new, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)


def _fill(fd: int, text: bytes, status: os.stat_result | None) -> None:
    """The new content, with the owner and mode of the old file, safe on the disk."""
    os.ftruncate(fd, 0)
    os.fchmod(fd, 0o600)
    left = memoryview(text)
    while left:
        left = left[os.write(fd, left) :]
    if status is not None:
        os.fchown(fd, status.st_uid, status.st_gid)
        os.fchmod(fd, status.st_mode & 0o7777)
    os.fsync(fd)
