"""KEYKEEPER: holds the TLS keys of a listener, and forks a TLS gatekeeper for whoever asks.

A listener's monitors must not have a key in their memory, since they become sessions; loading
OpenSSL and the key anew for each connection would cost more than all the rest, and its tickets
would be good for nothing.  So the listener forks this process when TLS is first wanted (`Post`); it loads once,
a monitor sends it the descriptors of a connection, and its fork is the gatekeeper.  It reads no client.

It asks for as little as it can: one frame with four descriptors in, and out of the new
gatekeeper one frame with a pidfd, by which the monitor can end what is not its own child.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import select
from time import monotonic

from mailcore import log
from mailcore.login import certificates, channel, parcel, privileges, renewal, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from mailcore.login.accounts import Peer
    from mailcore.login.channel import Channel
    from mailcore.settings import Settings

REQUEST_OCTETS = 4096
START_SECONDS = 10  # to fork on a busy machine; later than that something is broken
LOWEST = 10  # descriptors above those that a gatekeeper's get
IDLE_SECONDS = 60  # its memory is more than all the rest of a listener; a new one costs 0.2 s, and the tickets


class Keykeeper:
    """The monitors' end."""

    def __init__(self, sock: _socket.socket, pid: int) -> None:
        self.sock = sock
        self.pid = pid

    def close(self) -> None:
        """No more questions: the user of a session must not be able to put one."""
        self.sock.close()

    def renew(self) -> None:
        """Have the certificates read again, and new keys made for the tickets."""
        try:
            os.kill(self.pid, _signal.SIGHUP)
        except ProcessLookupError:
            pass

    def ask(self, peer: Peer, seconds: float, fds: tuple[int, int, int, int]) -> None:
        """Have a gatekeeper for these descriptors (in, out, channel, clear); OSError if nobody is there."""
        parcel.send(self.sock, parcel.packed([b"%d" % seconds, *parcel.facts(peer)]), fds)


class Post:
    """The keykeeper's place in a listener; nobody holds it until TLS is first wanted."""

    __slots__ = ("_service", "_settings", "_holder", "_rehearsal", "_useless", "_wanted")

    def __init__(self, service: Any, settings: Settings) -> None:
        self._service = service
        self._settings = settings
        self._holder: Keykeeper | None = None
        self._rehearsal = 0  # the pid of who sees whether the keys can be loaded
        self._useless = False  # they cannot: monitors do without a keykeeper
        self._wanted = 0.0  # when it was wanted last

    def rehearse(self) -> None:
        """Have a process load the keys once, so that the log tells now what is wrong with them."""
        self._useless = False
        if self._has_certificate():
            self._rehearsal = _fork(lambda: _load(self._service, self._settings))

    def can_be_filled(self) -> bool:
        return not self._useless and (self._holder is not None or self._has_certificate())

    def _has_certificate(self) -> bool:
        """For the usual address."""
        return bool(certificates.find(self._service.program, self._settings))

    def holder(self) -> Keykeeper | None:
        """Who holds it, from now on at least; None where the keys are of no use."""
        if self._holder is None and self.can_be_filled():
            self._holder = start(self._service, self._settings)
        self._wanted = monotonic()
        return self._holder

    def tidy(self) -> None:
        """One that nobody has wanted for long goes."""
        if self._holder is not None and monotonic() - self._wanted > IDLE_SECONDS:
            self.vacate()

    def note_end(self, pid: int, status: int) -> None:
        """A child of the listener has ended; the log line of one that could not load its keys says why."""
        if pid == self._rehearsal:
            self._rehearsal, self._useless = 0, status != 0
        elif self._holder is not None and pid == self._holder.pid:
            self.vacate()
            self._useless = True

    def renew(self) -> None:
        """Have the certificates read again, by whoever holds it."""
        if self._holder is None:
            self.rehearse()
        else:
            self._holder.renew()

    def vacate(self) -> int:
        """It ends when the last monitor has gone; its pid, 0 if nobody was there."""
        holder, self._holder = self._holder, None
        if holder is None:
            return 0
        holder.close()
        return holder.pid


def start(service: Any, settings: Settings) -> Keykeeper:
    """Fork the process."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
    pid = _fork(lambda: _serve(service, settings, theirs))
    theirs.close()
    return Keykeeper(ours, pid)


def _fork(work: Callable[[], None]) -> int:
    """The pid of a process of the keykeeper's kind, which does this and ends; a signal finds it with its handlers."""
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, renewal.SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _run(work)
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
    return pid


def pidfd_of(ours: Channel) -> int:
    """What the new gatekeeper says first; -1 if it never came to that."""
    poll = select.poll()
    poll.register(ours.fileno(), select.POLLIN)
    if not poll.poll(START_SECONDS * 1000):
        return -1
    sock = _socket.socket(fileno=os.dup(ours.fileno()))
    try:
        frame, found = parcel.receive(sock, channel.FRAME_OCTETS, 1)
    except OSError:
        return -1
    finally:
        sock.close()
    return found[0] if found and frame == channel.pack(channel.POSTED, ()) else -1


# --- the process itself --------------------------------------------------------------------


def _run(work: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        privileges.keep_secrets()
        work()
        status = 0
    except BaseException as error:
        log.error(str(error) if type(error).__name__ == "Unusable" else f"keykeeper: {log.where(error)}")
    finally:
        os._exit(status)


def _keep_only(service: Any, *fds: int) -> None:
    """Of the listener's descriptors these, from LOWEST on, and a line to the log of our own."""
    log.close_log()
    for place, fd in enumerate(fds, LOWEST):
        os.dup2(fd, place)
    syscalls.close_others((0, 1, 2, *range(LOWEST, LOWEST + len(fds))))
    log.open_log(service.program)


def _hang_bell() -> int:
    """Readable after HUP.  What the listener does at Ctrl-C is not ours to do."""
    bell, rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    _signal.set_wakeup_fd(rope, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGHUP, lambda *_: None)
    _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # the kernel reaps
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, renewal.SIGNALS)
    return bell


def _load(service: Any, settings: Settings) -> None:
    """Only see whether it can be done."""
    _keep_only(service)
    from mailcore.login import tls

    tls.Keys(service, settings)


def _serve(service: Any, settings: Settings, theirs: _socket.socket) -> None:
    """Until the listener and all its monitors are gone."""
    import gc

    _keep_only(service, theirs.detach())
    sock, bell = _socket.socket(fileno=LOWEST), _hang_bell()

    from mailcore.login import sealed, tls  # noqa: F401

    keys, made = tls.Keys(service, settings), monotonic()
    gc.freeze()
    poll = select.poll()
    for fd in (bell, sock.fileno()):
        poll.register(fd, select.POLLIN)
    while True:
        ready = dict(poll.poll(int(settings.tls_renew_seconds * 1000)))
        if bell in ready or monotonic() - made > settings.tls_renew_seconds:
            if bell in ready:
                os.read(bell, 4096)
            keys, made = _renewed(service, settings, keys), monotonic()
        if sock.fileno() in ready and not _answer(service, settings, sock, keys):
            return


def _renewed(service: Any, settings: Settings, keys: Any) -> Any:
    """Keys made anew; those at hand if that fails."""
    from mailcore.login import tls

    try:
        return tls.Keys(service, settings)
    except tls.Unusable as error:
        log.error(f"the certificates in use stay: {error}")
        return keys


def _answer(service: Any, settings: Settings, sock: _socket.socket, keys: Any) -> bool:
    """Fork one gatekeeper; False when nobody can ask any more."""
    request, fds = parcel.receive(sock, REQUEST_OCTETS, 4)
    try:
        if request and len(fds) == 4 and os.fork() == 0:
            _become_gatekeeper(service, settings, request, fds, keys)
    except OSError as error:
        log.error(f"fork: {error.strerror}")
    finally:
        for fd in fds:
            os.close(fd)
    return bool(request)


def _become_gatekeeper(service: Any, settings: Settings, request: bytes, fds: list[int], keys: Any) -> NoReturn:
    """In the child: the connection in the places where descriptors of a connection are."""
    from mailcore.login import sealed

    try:
        _signal.set_wakeup_fd(-1)
        for number in (_signal.SIGHUP, _signal.SIGCHLD):
            _signal.signal(number, _signal.SIG_DFL)
        seconds, *facts = parcel.unpacked(request)
        peer = parcel.peer_of(facts)
        pidfd = os.pidfd_open(os.getpid())
        for fd, place in zip(fds, (0, 1, 3, 4), strict=True):  # they came in above LOWEST
            os.dup2(fd, place)
        monitor = channel.Channel(_socket.socket(fileno=3))
        parcel.send(_socket.socket(fileno=os.dup(3)), channel.pack(channel.POSTED, ()), (pidfd,))
        sealed.keep(service, settings, peer, (0, 1, 4), monitor, int(seconds), keys)
    finally:
        os._exit(1)
