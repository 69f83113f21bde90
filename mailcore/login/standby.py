"""STANDBY: a session that has ended in order waits for its user's next connection.

Webmail logs in anew for each click, and a process that is the user already, fenced in and with all it
needs in its memory, costs a third of a new one.  What lives here: both ends.  The listener's, `Seat`,
knows who the process is because the innkeeper forked it on its order, and has its pidfd from the first packet, that is
sent by root's code; all that the process can say to it later is one octet:

    P   with a pidfd: this is me
    F   my client has gone, I am free        T   I take this connection
    N   not here: make a new session

The process can do nothing for the next client that it could not do for the last one, for they are the
same user; the password of each is asked before, elsewhere.  It says N when a place that it was
fenced into is no longer what it was, and it ends after MOST_VISITS, MOST_SECONDS or when it has grown.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
from time import monotonic

from mailcore.login import parcel
from mailcore.login.channel import Entry
from mailcore.login.tenancy import Tenancy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from mailcore.login.accounts import Account, Peer
    from mailcore.settings import Settings

MOST_VISITS = 100  # whatever leaks does not leak for ever
MOST_SECONDS = 600  # groups and the rest of the account are those of the beginning
MOST_KIB = 32 * 1024  # of resident memory, on top of what it began with
VISIT_OCTETS = 128 * 1024
MOST_FDS = 4  # the client, and what counts the connection
ENDINGS = (_signal.SIGTERM, _signal.SIGHUP)
FREE, TAKEN, NOT_HERE, BEGUN = b"F", b"T", b"N", b"P"


class Visit:
    """A connection that has logged in; `slots` are descriptors that count it (caps.py)."""

    __slots__ = ("peer", "account", "entry", "fd", "slots", "tries")

    def __init__(self, peer: Peer, account: Account, entry: Entry | None, fd: int, slots: list[int]) -> None:
        self.peer = peer
        self.account = account
        self.entry = entry
        self.fd = fd
        self.slots = slots
        self.tries = 0  # to have a session begin with it

    @property
    def regular(self) -> bool:
        """One that may share a process with others of its user."""
        return self.entry is not None and self.entry.method != "ANONYMOUS"

    def close(self) -> None:
        for fd in (self.fd, *self.slots):
            os.close(fd)


# --- the listener's end ------------------------------------------------------------------------


class Seat:
    """A session's process: who it is (-1: it has not begun), and the visit that it has not taken yet."""

    __slots__ = ("sock", "pidfd", "who", "since", "free_since", "visits", "offered")

    def __init__(self, sock: _socket.socket, visit: Visit, pidfd: int = -1) -> None:
        self.sock = sock
        self.pidfd = pidfd
        self.who = who(visit.account) if visit.regular else None
        self.since = monotonic()
        self.free_since = 0.0  # 0: busy
        self.visits = 1
        self.offered: Visit | None = visit if pidfd < 0 else None

    def suits(self, visit: Visit) -> bool:
        """Free, of the same user, and not too old."""
        young = self.visits < MOST_VISITS and monotonic() - self.since < MOST_SECONDS
        return bool(self.free_since) and young and visit.regular and self.who == who(visit.account)

    def offer(self, visit: Visit) -> bool:
        """False: it cannot be had."""
        entry = visit.entry
        if entry is None:
            return False
        fields = (entry.tag, entry.read_ahead, entry.state, entry.method.encode())
        data = parcel.packed([*fields, *parcel.facts(visit.peer)])
        try:
            if len(data) > VISIT_OCTETS:
                return False
            parcel.send(self.sock, data, (visit.fd, *visit.slots))
        except OSError:
            return False
        self.offered, self.free_since = visit, 0.0
        self.visits += 1
        return True

    def begins(self) -> bool:
        """Its first packet; False if it never came to that."""
        try:
            said, fds = parcel.receive(self.sock, 1, 1)
        except OSError:
            return False
        if said != BEGUN or not fds or self.offered is None:
            return False
        self.pidfd = fds[0]
        self.offered.close()
        self.offered = None
        return True

    def hear(self) -> bytes:
        """What it says; b"" when it has gone."""
        try:
            return self.sock.recv(1)
        except OSError:
            return b""

    def close(self) -> None:
        """No more visits: it ends when it is free."""
        self.sock.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)


def who(account: Account) -> tuple[str, int, int, str, str]:
    """All that makes an account."""
    return account.name, account.uid, account.gid, account.home, account.location


# --- the session's end ---------------------------------------------------------------------------


def run(service: Any, settings: Settings, visit: Visit, sock: _socket.socket) -> NoReturn:
    """The whole life of the process, which has just been forked: one client after the other."""
    status = 1
    try:
        _signal.pthread_sigmask(_signal.SIG_BLOCK, ENDINGS)  # until somebody can say goodbye (dialogue.py)
        _tell_who(sock)
        at_first = _resident()
        tenancy = Tenancy(service, settings, visit.account)
        _seat(visit)
        status = tenancy.begin(visit.peer, visit.entry, warm=True)
        while visit.regular and status == 0 and tenancy.fence.entered and _resident() - at_first < MOST_KIB:
            _leave(visit)
            sock.send(FREE, _socket.MSG_NOSIGNAL)
            visit = _next_visit(sock, visit.account)
            if not tenancy.fence.stands():
                sock.send(NOT_HERE, _socket.MSG_NOSIGNAL)
                break
            _seat(visit)
            sock.send(TAKEN, _socket.MSG_NOSIGNAL)
            status = tenancy.converse(visit.peer, visit.entry)
    except (EOFError, OSError):
        pass  # the listener wants no more of us
    finally:
        os._exit(status)


def _tell_who(sock: _socket.socket) -> None:
    """So that the listener can end what is not its child."""
    pidfd = os.pidfd_open(os.getpid())
    parcel.send(sock, BEGUN, (pidfd,))
    os.close(pidfd)


def _seat(visit: Visit) -> None:
    """The client in the place of stdin and stdout."""
    for place in (0, 1):
        os.dup2(visit.fd, place)
    os.close(visit.fd)


def _leave(visit: Visit) -> None:
    """Let go of the client, and of what counts him."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    os.close(null)
    for fd in visit.slots:
        os.close(fd)


def _next_visit(sock: _socket.socket, account: Account) -> Visit:
    """Wait for it; EOFError when none will come."""
    data, fds = parcel.receive(sock, VISIT_OCTETS, MOST_FDS)
    if not data or not fds:
        raise EOFError
    tag, read_ahead, state, method, *known = parcel.unpacked(data)
    entry = Entry(account, tag, read_ahead, state, method.decode())
    return Visit(parcel.peer_of(known), account, entry, fds[0], fds[1:])


def _resident() -> int:
    """KiB of resident memory, at the most that it ever was."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
