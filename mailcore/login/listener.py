"""LISTENER: holds listening sockets, and forks a monitor for each connection.

Everything a connection will need is imported before the first one comes.  It reads nothing
from any client.  TERM or INT ends it and what it started.  A socket that a super-server owns
is given back after listen_idle_seconds in which nobody called.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import select
from time import monotonic

from mailcore import log
from mailcore.login import access, keykeeper, monitor, passwords

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from mailcore.settings import Settings

BACKLOG = 128
LAST_SECONDS = 10  # for the sessions to end in order
LOOK_SECONDS = 5
_SIGNALS = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGCHLD)


class BadAddress(Exception):
    """Not an address to listen on; the text says why."""


def listen(service: Any, settings: Settings, address: str) -> int:
    """Listen on `HOST:PORT` until a signal comes; the exit status."""
    socks = open_sockets(address)
    for sock in socks:
        host, port = sock.getsockname()[:2]
        print(f"{service.program}: listening on {f'[{host}]' if ':' in host else host}:{port}", flush=True)
    return Listener(service, settings, socks).run()


def adopt(service: Any, settings: Settings, fd: int) -> int:
    """Serve the listening socket that a super-server gave us, and give it back when nobody calls."""
    sock = _socket.socket(fileno=os.dup(fd))
    null = os.open("/dev/null", os.O_RDWR)
    for number in {0, 1, fd}:
        os.dup2(null, number)
    os.close(null)
    return Listener(service, settings, [sock], settings.listen_idle_seconds).run()


def split(address: str) -> tuple[str, int]:
    """`HOST:PORT`, `[IPV6]:PORT` or `:PORT` (any address)."""
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise BadAddress(f"{address}: HOST:PORT is wanted")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadAddress(f"{address}: an IPv6 address stands in brackets, [{host}]:{port}")
    return host, int(port)


def open_sockets(address: str) -> list[_socket.socket]:
    """A listening socket for each address that HOST has."""
    host, port = split(address)
    try:
        found = _socket.getaddrinfo(host or None, port, 0, _socket.SOCK_STREAM, 0, _socket.AI_PASSIVE)
        socks = [_open_socket(family, where) for family, _, _, _, where in dict.fromkeys(found)]
    except OSError as error:
        raise BadAddress(f"{address}: {error.strerror or error}") from None
    return socks


def _open_socket(family: int, where: Any) -> _socket.socket:
    sock = _socket.socket(family, _socket.SOCK_STREAM, 0)
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    if family == _socket.AF_INET6:
        sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
    sock.bind(where)
    sock.listen(BACKLOG)
    return sock


class Listener:
    """The loop: accept, fork, reap."""

    def __init__(self, service: Any, settings: Settings, socks: list[_socket.socket], idle_seconds: float = 0) -> None:
        self.service = service
        self.settings = settings
        self.socks = {sock.fileno(): sock for sock in socks}
        self.idle_seconds = idle_seconds  # 0: for ever
        self.children: set[int] = set()
        self.ending = False
        self.renewing = False
        self.keykeeper: keykeeper.Keykeeper | None = None
        self.called = monotonic()

    def run(self) -> int:
        """Serve until a signal, or until nobody called for a while."""
        log.open_log(self.service.program)
        self._prepare()
        self.keykeeper = keykeeper.start(self.service, self.settings)
        bell = self._hang_bell()
        while not self.ending and not self._forgotten():
            self._wait(bell)
            if self.renewing:
                self._renew()
        return self._end()

    def _prepare(self) -> None:
        """Import what the children will need, once."""
        import gc
        import hmac  # noqa: F401
        import pwd  # noqa: F401
        import resource  # noqa: F401

        import mailcore.login.caps
        import mailcore.login.checker
        import mailcore.login.gatekeeper
        import mailcore.login.names
        import mailcore.login.pace
        import mailcore.login.pam
        import mailcore.login.privileges
        import mailcore.login.provisions
        import mailcore.login.proxy
        import mailcore.login.seccomp
        import mailcore.login.shadow
        import mailcore.login.wrappers  # noqa: F401

        if self.settings.passwd_file:
            try:
                passwords.preload(self.settings.passwd_file)
            except passwords.Unusable as error:
                log.error(str(error))
        preload = getattr(self.service, "preload", None)
        if preload is not None:
            preload()
        for sock in self.socks.values():
            sock.setblocking(False)
        gc.freeze()

    def _hang_bell(self) -> int:
        """A descriptor that becomes readable with every signal, so that none comes unseen."""
        bell, rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _signal.set_wakeup_fd(rope)
        for number in _SIGNALS:
            _signal.signal(number, self._hear_bell)
        return bell

    def _hear_bell(self, number: int, frame: object) -> None:
        if number in (_signal.SIGTERM, _signal.SIGINT):
            self.ending = True
        elif number == _signal.SIGHUP:
            self.renewing = True

    def _renew(self) -> None:
        """HUP: the certificates are read again."""
        self.renewing = False
        if self.keykeeper is not None:
            self.keykeeper.renew()
        else:
            self.keykeeper = keykeeper.start(self.service, self.settings)

    def _forgotten(self) -> bool:
        if self.children:
            self.called = monotonic()
        return bool(self.idle_seconds) and monotonic() - self.called > self.idle_seconds

    def _wait(self, bell: int) -> None:
        """One round: whoever rings."""
        poll = select.poll()
        poll.register(bell, select.POLLIN)
        if len(self.children) < self.settings.listen_children:
            for fd in self.socks:
                poll.register(fd, select.POLLIN)
        seconds = min(LOOK_SECONDS, self.idle_seconds or LOOK_SECONDS)
        for fd, _ in poll.poll(int(seconds * 1000)):
            if fd == bell:
                os.read(bell, 4096)
            elif not self.ending:
                self._accept(self.socks[fd])
        self._reap()

    def _reap(self) -> None:
        while self.children or self.keykeeper is not None:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self.children.discard(pid)
            if self.keykeeper is not None and pid == self.keykeeper.pid:
                self.keykeeper.close()  # its log line says why; monitors do without it
                self.keykeeper = None

    # --- one connection ----------------------------------------------------------------------

    def _accept(self, sock: _socket.socket) -> None:
        try:
            connection, _ = sock._accept()  # type: ignore[attr-defined]
        except OSError:
            return  # it went away before we came
        self.called = monotonic()
        try:
            pid = monitor.fork()
        except OSError as error:
            log.error(f"fork: {error.strerror}")
            os.close(connection)
            return
        if pid == 0:
            self._serve(connection)
        self.children.add(pid)
        os.close(connection)

    def _serve(self, connection: int) -> NoReturn:
        """The child: the connection takes the place of stdin and stdout, everything else of ours is closed."""
        status = 1
        try:
            _signal.set_wakeup_fd(-1)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            _signal.signal(_signal.SIGINT, _signal.SIG_IGN)  # Ctrl-C is for the listener, which tells us
            log.close_log()
            os.dup2(connection, 0)
            os.dup2(connection, 1)
            os.dup2(os.open("/dev/null", os.O_RDWR), 2)
            self._close_all_but_keykeeper()
            status = monitor.serve(self.service, self.settings, access.peer_of(0), keykeeper=self.keykeeper)
        finally:
            os._exit(status)

    def _close_all_but_keykeeper(self) -> None:
        keep = self.keykeeper.sock.fileno() if self.keykeeper is not None else 3
        os.closerange(3, keep)
        os.closerange(keep + (self.keykeeper is not None), 4096)

    # --- the end -----------------------------------------------------------------------------

    def _end(self) -> int:
        """No more connections; those there are end in order, or at least."""
        for sock in self.socks.values():
            sock.close()
        if self.keykeeper is not None:
            self.keykeeper.close()  # so it ends when the last monitor has gone
            self.children.add(self.keykeeper.pid)
        if self.ending:
            for seconds, number in ((LAST_SECONDS, _signal.SIGTERM), (1, _signal.SIGKILL)):
                self._tell(number)
                self._wait_for_children(seconds)
        return 0

    def _tell(self, number: int) -> None:
        for pid in self.children:
            os.kill(pid, number)  # not reaped, so still ours

    def _wait_for_children(self, seconds: float) -> None:
        until = monotonic() + seconds
        while self.children and monotonic() < until:
            self._reap()
            select.select([], [], [], 0.02)
