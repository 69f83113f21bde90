"""The pipe between cipher and clear: what is left of a TLS gatekeeper after the login.

On one side the client, on the other a socket whose far end is the session's stdin and stdout.
It understands nothing that passes and keeps at most one chunk for each direction; while that is
not delivered it takes no more.  It ends when the session has ended and the client has its last
words, or when the client is gone; a client that says no more may still listen.
"""

from __future__ import annotations

import _socket
import select
from time import monotonic

from mailcore.login.tls import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.login.tls import Cipher

CHUNK_OCTETS = 131072
SEND_SECONDS = 300  # a client that takes nothing for so long is gone
LINGER_SECONDS = 2  # for the client to take the last words; closing at once could destroy them
AT_ONCE = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL


class Pump:
    """One connection; the descriptors are sockets and belong to it."""

    def __init__(self, in_fd: int, out_fd: int, clear_fd: int, cipher: Cipher) -> None:
        self.net_in = _socket.socket(fileno=in_fd)
        self.net_out = self.net_in if in_fd == out_fd else _socket.socket(fileno=out_fd)
        self.clear = _socket.socket(fileno=clear_fd)
        self.cipher = cipher
        self.to_net = memoryview(b"")
        self.to_session = memoryview(b"")
        self.client_speaks = self.session_speaks = self.session_hears = True

    def run(self) -> None:
        """Until it is over, however it ends."""
        try:
            self._hear_client()  # what came with the login
            while self.session_speaks or self.to_net:
                self._round()
            self._linger()
        except (OSError, Refused):
            pass  # the client is gone: the session finds out when our end of its socket closes

    def _round(self) -> None:
        """Wait until something can be moved, and move it."""
        client, session = self.net_in.fileno(), self.clear.fileno()
        wanted = {client: 0, self.net_out.fileno(): 0, session: 0}
        if self.client_speaks and not self.to_session:
            wanted[client] |= select.POLLIN
        if self.session_speaks and not self.to_net:
            wanted[session] |= select.POLLIN
        if self.to_net:
            wanted[self.net_out.fileno()] |= select.POLLOUT
        if self.to_session:
            wanted[session] |= select.POLLOUT
        for fd in self._ready(wanted):
            if wanted[fd] & select.POLLIN:
                if fd == client:
                    self._take_from_client()
                else:
                    self._take_from_session()
        self._give()

    def _ready(self, wanted: dict[int, int]) -> list[int]:
        poll = select.poll()
        for fd, events in wanted.items():
            if events:  # a descriptor nothing is wanted of would still report its end, for ever
                poll.register(fd, events)
        ready = [fd for fd, _ in poll.poll(SEND_SECONDS * 1000 if self.to_net else None)]
        if not ready:
            raise TimeoutError
        return ready

    # --- one chunk each way --------------------------------------------------------------

    def _take_from_client(self) -> None:
        try:
            data = self.net_in.recv(CHUNK_OCTETS, AT_ONCE)
        except BlockingIOError:
            return
        if data:
            self.cipher.feed(data)
            self._hear_client()
        else:
            self._end_of_client()

    def _hear_client(self) -> None:
        said = []
        while part := self.cipher.read():
            said.append(part)
        if self.session_hears:
            self.to_session = memoryview(b"".join(said))
        self._say(self.cipher.take())  # TLS's own, such as to a change of keys
        if self.cipher.ended:
            self._end_of_client()

    def _end_of_client(self) -> None:
        self.client_speaks = False
        if not self.to_session and self.session_hears:
            self._tell_session_the_end()

    def _take_from_session(self) -> None:
        try:
            data = self.clear.recv(CHUNK_OCTETS, AT_ONCE)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self.cipher.write(data)
        else:
            self.session_speaks = self.session_hears = False
            self.to_session = memoryview(b"")
            self.cipher.close()
        self._say(self.cipher.take())

    def _say(self, data: bytes) -> None:
        if data:
            self.to_net = memoryview(bytes(self.to_net) + data if self.to_net else data)

    def _give(self) -> None:
        if self.to_net:
            self.to_net = self.to_net[self._send(self.net_out, self.to_net) :]
        if self.to_session:
            try:
                self.to_session = self.to_session[self._send(self.clear, self.to_session) :]
            except ConnectionError:
                self.session_hears = False  # it has gone, but its last words may be on the way
                self.to_session = memoryview(b"")
            if not self.to_session and not self.client_speaks and self.session_hears:
                self._tell_session_the_end()

    def _send(self, sock: _socket.socket, data: memoryview) -> int:
        try:
            return sock.send(data, AT_ONCE)
        except BlockingIOError:
            return 0

    def _tell_session_the_end(self) -> None:
        self.session_hears = False
        try:
            self.clear.shutdown(_socket.SHUT_WR)
        except OSError:
            pass  # it knows

    def _linger(self) -> None:
        """Wait a moment for the client to close first."""
        self.net_out.shutdown(_socket.SHUT_WR)
        until = monotonic() + LINGER_SECONDS
        poll = select.poll()
        poll.register(self.net_in.fileno(), select.POLLIN)
        while (left := until - monotonic()) > 0 and poll.poll(int(left * 1000)):
            if not self.net_in.recv(CHUNK_OCTETS, AT_ONCE):
                return
