"""STEWARD: a process of the session's user that stays outside the fence.

What lives here: its start, and the session's end, by which it is asked.  What does not: what it does when
it is asked for the first time (territory.py).

It is forked as soon as the process is the user, while there is little in memory that would be its own: most
are never asked anything, and all that they do is wait.  The names that it serves are sent to it before the fence
is up, on a socket of their own that is closed then, and it looks at them when the first verb comes: so a
session that a client has taken over can name nothing.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal costs an enum
import _socket
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

ANSWER = 2  # octets: one of these, and an errno
DONE, FAILED, BUSY = range(3)
NAMES_OCTETS = 64 * 1024
MOST_DESCRIPTORS = 65536

at_hand: Steward | None = None  # of this process


class Steward:
    """The session's end: what it cannot do itself, asked for."""

    def __init__(self) -> None:
        """Fork it."""
        self.names: tuple[str, ...] = ()  # INBOX, how old a dot lock gets (seconds), the list, alert files
        self._sock, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._naming, names = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            _wait(theirs, names)
        theirs.close()
        names.close()

    def appoint(self, names: Sequence[str]) -> None:
        """These are the names, and it will hear no others."""
        self.names = tuple(names)
        self._naming.send("\0".join(names).encode("utf-8", "surrogateescape"), _socket.MSG_NOSIGNAL)
        self._naming.close()

    def close(self) -> None:
        """It ends."""
        self._sock.close()
        self._naming.close()

    def lock(self, path: str) -> bool:
        """Make the dot lock `path`, which must be INBOX's; raises as Dotlock.acquire does."""
        if path != f"{self.names[0]}.lock":
            raise PermissionError(errno.EACCES, "no lock for the steward to make")
        self._ask(b"L")
        return True

    def unlock(self) -> None:
        self._ask(b"U")

    def home(self) -> int:
        return self._ask(b"H")

    def notice(self, number: int) -> int:
        return self._ask((b"A", b"B")[number])

    def read(self) -> int:
        return self._ask(b"R")

    def fresh(self) -> int:
        return self._ask(b"N")

    def put(self) -> None:
        self._ask(b"P")

    def drop(self) -> None:
        self._ask(b"D")

    def _ask(self, verb: bytes) -> int:
        """The descriptor of an answer, -1 if it has none; what failed there fails here."""
        from array import array

        from mailcore.store import locking

        self._sock.send(verb, _socket.MSG_NOSIGNAL)
        numbers = array("i")
        room = _socket.CMSG_LEN(numbers.itemsize)
        answer, ancillary, _, _ = self._sock.recvmsg(ANSWER, room, _socket.MSG_CMSG_CLOEXEC)
        for _, _, data in ancillary:
            numbers.frombytes(data)
        if len(answer) != ANSWER:
            raise OSError("the steward is gone")
        if answer[0] == BUSY:
            raise locking.Busy
        if answer[0] == FAILED:
            raise OSError(answer[1], os.strerror(answer[1]))
        return numbers[0] if numbers else -1


def engage() -> None:
    """Have one that waits for its names."""
    global at_hand
    at_hand = Steward()


def _wait(sock: _socket.socket, names: _socket.socket) -> NoReturn:
    """The whole life of the process, which has just been forked."""
    try:
        for number in (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT):
            _signal.signal(number, _signal.SIG_IGN)  # the session's end is its end
        _keep_only(sock.fileno(), names.fileno())
        if sock.recv(1, _socket.MSG_PEEK):
            from mailcore.store import territory

            told = names.recv(NAMES_OCTETS, _socket.MSG_DONTWAIT)
            names.close()
            territory.serve(sock, told.decode("utf-8", "surrogateescape").split("\0"))
    finally:
        os._exit(1)  # whatever happens, never back into the session


def _keep_only(*fds: int) -> None:
    """No end of a connection stays open through us."""
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        if standard not in fds:
            os.dup2(null, standard)
    start = 3
    for fd in sorted(fds):
        os.closerange(start, fd)
        start = max(start, fd + 1)
    os.closerange(start, MOST_DESCRIPTORS)
