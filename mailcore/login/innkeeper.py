"""INNKEEPER: holds the logged-in half of a listener, and forks the sessions.

The listener needs nothing of it to talk with strangers: without it its forks are lighter, and it is no larger than
it must be while nobody logs in.  So the first login makes this process, which imports what a session needs; from
then on it only waits.  What it forks shares all that with it, since it changes nothing meanwhile.

It hears the listener and nobody else: one packet with the account that was let in, what is known of the
client, and descriptors; its fork says in the seat's socket who it is (standby.py), and becomes the user.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os

from mailcore import log
from mailcore.login import monitor, parcel, standby
from mailcore.login.accounts import Account
from mailcore.login.channel import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from mailcore.login.listener import Listener
    from mailcore.login.standby import Visit
    from mailcore.settings import Settings

REQUEST_OCTETS = 256 * 1024  # what a gatekeeper may hand over, and more


class Innkeeper:
    """The listener's end; there is a process from the first visit on."""

    __slots__ = ("_house", "_sock", "_pid")

    def __init__(self, house: Listener) -> None:
        self._house = house
        self._sock: _socket.socket | None = None
        self._pid = 0

    def put_up(self, visit: Visit, seat: _socket.socket) -> None:
        """Have a session for it, which speaks in `seat`; OSError if that cannot be, or a new process dies at once."""
        order, fds = written(visit), (seat.fileno(), visit.fd, *visit.slots)
        if self._sock is not None:
            try:
                return parcel.send(self._sock, order, fds)
            except OSError:
                self.dismiss()  # it has died, which hurts nobody who has a session
        self._sock = self._hire()
        return parcel.send(self._sock, order, fds)

    def _hire(self) -> _socket.socket:
        """Fork the process."""
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
        pid = monitor.fork()
        if pid == 0:
            try:
                self._house.leave((theirs.fileno(),))
                _run(self._house.service, self._house.settings, theirs)
            finally:
                os._exit(1)
        theirs.close()
        self._pid = pid
        return ours

    def note_end(self, pid: int) -> None:
        """A child of the listener has ended."""
        if pid == self._pid:
            self.dismiss()

    def end(self) -> None:
        """It hangs."""
        if self._pid:
            os.kill(self._pid, _signal.SIGKILL)  # not reaped, so still ours
        self.dismiss()

    def dismiss(self) -> int:
        """It ends when it has done what it was told; its pid, 0 if nobody was there."""
        pid, self._pid = self._pid, 0
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        return pid


def written(visit: Visit) -> bytes:
    """All of a visit but its descriptors."""
    account, entry = visit.account, visit.entry
    if entry is None:
        raise OSError("nobody comes in here without a login")
    known = [account.name, str(account.uid), str(account.gid), account.home, account.location, entry.method]
    fields = [field.encode("utf-8", "surrogateescape") for field in known]
    return parcel.packed([*fields, entry.tag, entry.read_ahead, entry.state, *parcel.facts(visit.peer)])


def read(data: bytes, fd: int, slots: list[int]) -> Visit:
    """The visit again."""
    *known, tag, read_ahead, state = (fields := parcel.unpacked(data))[:9]
    name, uid, gid, home, location, method = (field.decode("utf-8", "surrogateescape") for field in known)
    account = Account(name, int(uid), int(gid), home, location)
    entry = Entry(account, tag, read_ahead, state, method)
    return standby.Visit(parcel.peer_of(fields[9:]), account, entry, fd, slots)


# --- the process itself --------------------------------------------------------------------


def _run(service: Any, settings: Settings, sock: _socket.socket) -> None:
    import gc

    _signal.signal(_signal.SIGHUP, _signal.SIG_IGN)  # the listener's business
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # the kernel reaps
    preload = getattr(service, "preload", None)
    if preload is not None:
        preload()
    gc.freeze()
    while True:
        data, fds = parcel.receive(sock, REQUEST_OCTETS, 1 + standby.MOST_FDS)
        if not data:
            return
        try:
            if monitor.fork() == 0:
                _become_session(service, settings, sock, data, fds)
        except OSError as error:
            log.error(f"no process for a session: {error.strerror}")
        finally:
            for fd in fds:
                os.close(fd)


def _become_session(service: Any, settings: Settings, sock: _socket.socket, data: bytes, fds: list[int]) -> NoReturn:
    """In the child."""
    try:
        sock.close()
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        seat, fd, *slots = fds
        standby.run(service, settings, read(data, fd, slots), _socket.socket(fileno=seat))
    finally:
        os._exit(1)
