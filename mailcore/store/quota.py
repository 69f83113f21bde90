"""How much room mail may take: a limit of ours, and the file system's (RFC 9208).

What lives here: the count of what there is, and the kernel's answer.  What does not: saying no to a
delivery, which only the mail transport can.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from mailcore.errors import OutOfSpace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailcore.settings import Settings

OURS, DISK = "mail", "disk"  # names of the two quota roots
_QUOTACTL_FD = 443  # the number of quotactl_fd(2) on every architecture
_GET_USER_QUOTA = 0x800007 << 8  # QCMD(Q_GETQUOTA, USRQUOTA)
_DQBLK_OCTETS = 72
_BLOCK_OCTETS = 1024  # dqb_bhardlimit and dqb_bsoftlimit count these


class Quota:
    """The limits of one user."""

    __slots__ = ("_inbox", "_root", "_user", "limit")

    def __init__(self, settings: Settings, user: str, root: str, inbox: str) -> None:
        self.limit: int = settings.quota_octets  # octets; 0: none
        self._user = user
        self._root = root
        self._inbox = inbox

    def used(self) -> int:
        """Octets of all files below the mail root, and of the INBOX."""
        return sum(self._sizes())

    def _sizes(self) -> Iterator[int]:
        inside = False
        for directory, _, names in os.walk(self._root):
            for name in names:
                path = os.path.join(directory, name)
                inside = inside or path == self._inbox
                yield _octets(path)
        if not inside:
            yield _octets(self._inbox)

    def room(self, octets: int) -> None:
        """OutOfSpace when so many more are too many."""
        if self.limit and self.used() + octets > self.limit:
            raise OutOfSpace("Quota exceeded")

    def roots(self) -> dict[str, tuple[int, int]]:
        """The limits in force: name, octets used, octets allowed."""
        found = {OURS: (self.used(), self.limit)} if self.limit else {}
        disk = on_disk(self._inbox) or on_disk(self._root)
        return found | ({DISK: disk} if disk else {})


def _octets(path: str) -> int:
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_size if S_ISREG(found.st_mode) else 0


def on_disk(path: str) -> tuple[int, int] | None:
    """Octets used and allowed to this user where `path` lies; None where nobody counts, or there is no limit."""
    import ctypes

    answer = ctypes.create_string_buffer(_DQBLK_OCTETS)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    try:
        libc = ctypes.CDLL(None)
        if libc.syscall(_QUOTACTL_FD, fd, _GET_USER_QUOTA, os.geteuid(), answer) != 0:
            return None
    except (OSError, AttributeError):
        return None
    finally:
        os.close(fd)
    return parsed(answer.raw)


def parsed(answer: bytes) -> tuple[int, int] | None:
    """A struct if_dqblk: octets used and allowed."""
    hard, soft, used = (int.from_bytes(answer[at : at + 8], "little") for at in (0, 8, 16))
    limit = soft or hard
    return (used, limit * _BLOCK_OCTETS) if limit else None
