"""The client's side: as little as can be, so that what is measured is the server."""

from __future__ import annotations

import socket
import ssl
import time

from benchmarks.servers import HOST, PASSWORD, USER, Server

READ_OCTETS = 1 << 20
SECONDS = 60  # a server that is silent for so long has failed


class Refused(Exception):
    """The server did not say OK; its last words."""


class Client:
    """A connection; `octets` counts what came."""

    def __init__(self, server: Server, protocol: str) -> None:
        self.sock: socket.socket = socket.create_connection((HOST, server.ports[protocol]), SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if protocol.endswith("s"):
            self.sock = trusting().wrap_socket(self.sock)
        self.octets = 0
        self.greeting = self.line()

    def line(self) -> bytes:
        heard = b""
        while not heard.endswith(b"\n"):
            part = self.sock.recv(READ_OCTETS)
            if not part:
                raise Refused(f"the connection is gone after {heard[-200:]!r}")
            heard += part
        self.octets += len(heard)
        return heard

    def close(self) -> None:
        """Wait for the server's end of the connection: it has done all that it does."""
        while self.sock.recv(READ_OCTETS):
            pass
        self.sock.close()


class Imap(Client):
    def __init__(self, server: Server, protocol: str = "imap") -> None:
        super().__init__(server, protocol)
        self.number = 0

    def ask(self, command: str, literal: bytes = b"") -> bytes:
        """The end of the answer (all of it, if it is short)."""
        self.number += 1
        tag = b"a%d" % self.number
        data = tag + b" " + command.encode()
        if literal:
            data += b" {%d+}\r\n" % len(literal) + literal
        self.sock.sendall(data + b"\r\n")
        return self.until(tag)

    def until(self, tag: bytes) -> bytes:
        heard, at_line = b"", b"\n" + tag + b" "
        while True:
            part = self.sock.recv(READ_OCTETS)
            if not part:
                raise Refused(f"the connection is gone after {heard[-200:]!r}")
            self.octets += len(part)
            heard = heard[-4000:] + part if len(heard) > 200_000 else heard + part
            if heard.endswith(b"\n"):
                last = heard.rfind(at_line, -1000 - len(tag)) if b"\n" in heard[:-1] else -1
                if last >= 0 or heard.startswith(tag + b" "):
                    answer = heard[last + 1 :]
                    if not answer.startswith(tag + b" OK"):
                        raise Refused(answer.decode("ascii", "replace"))
                    return heard

    def login(self) -> Imap:
        self.ask(f"LOGIN {USER} {PASSWORD}")
        return self

    def leave(self) -> None:
        self.ask("LOGOUT")
        self.close()


class Pop(Client):
    def __init__(self, server: Server, protocol: str = "pop3") -> None:
        super().__init__(server, protocol)

    def ask(self, command: str) -> bytes:
        self.sock.sendall(command.encode() + b"\r\n")
        answer = self.line()
        if not answer.startswith(b"+OK"):
            raise Refused(answer.decode("ascii", "replace"))
        return answer

    def login(self) -> Pop:
        self.ask(f"USER {USER}")
        self.ask(f"PASS {PASSWORD}")
        return self

    def lines(self, commands: list[str]) -> None:
        """Several commands with long answers in one packet (PIPELINING)."""
        self.sock.sendall("".join(command + "\r\n" for command in commands).encode())
        left, tail = len(commands), b""
        while left:
            part = self.sock.recv(READ_OCTETS)
            if not part:
                raise Refused("the connection is gone")
            self.octets += len(part)
            heard = tail + part
            left -= heard.count(b"\r\n.\r\n")
            tail = heard[-4:]  # one octet less than what is counted

    def leave(self) -> None:
        self.ask("QUIT")
        self.close()


def trusting() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


class Meter:
    """Wall seconds and the server's CPU seconds of what runs inside `with`."""

    def __init__(self, server: Server, share: int = 1) -> None:
        self.server = server
        self.share = share  # how many things are measured together
        self.wall = self.cpu = 0.0

    def __enter__(self) -> Meter:
        self._cpu, self._wall = self.server.group.cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = (time.perf_counter() - self._wall) / self.share
        time.sleep(0.03)  # processes that are about to end do so at our cost, not the next one's
        self.cpu = (self.server.group.cpu_seconds() - self._cpu) / self.share
