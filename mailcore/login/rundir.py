"""run_directory: what the processes of all connections know together until the next boot.

What lives here: opening its files so that nobody but us can have put them there.  A directory that
cannot be used costs the caps and delays that need it, and nobody his mail: root says so in the log,
anybody else has none of them and says nothing.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from mailcore import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.settings import Settings


class Unusable(Exception):
    """There is no run directory for us."""


def open_directory(settings: Settings, name: str = "") -> int:
    """A descriptor of run_directory, or of a private directory in it; made if it is missing."""
    path = f"{settings.run_directory}/{name}" if name else str(settings.run_directory)
    try:
        if not settings.run_directory:
            raise Unusable
        if name:
            os.close(open_directory(settings))
        fd = _open(path, 0o700 if name else 0o755)
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or status.st_mode & (0o077 if name else 0o022):
            os.close(fd)
            raise Unusable("others than its owner can change it")
        return fd
    except (OSError, Unusable) as error:
        if os.geteuid() == 0 and settings.run_directory and str(error):
            log.error(f"{path}: {getattr(error, 'strerror', '') or error}: no caps and no delays")
        raise Unusable from None


def _open(path: str, mode: int) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        pass
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        pass  # somebody was quicker
    return os.open(path, flags)


def open_file(directory: int, name: str) -> int:
    """A file of our own in it, to read and write; made if it is missing; OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600, dir_fd=directory)
    status = os.fstat(fd)
    if not S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        os.close(fd)
        raise OSError(0, f"{name} is not of our making")
    return fd
