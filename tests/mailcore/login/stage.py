"""One connection to the parrot, served by a fork of the test."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from mailcore import log
from mailcore.login import monitor
from mailcore.login.accounts import Peer
from mailcore.settings import Settings
from tests.mailcore.login.parrot import SERVICE

SECONDS = 10


class FakeSyslog:
    """Takes the lines into a file that it keeps open, so that those of all processes and users are seen."""

    LOG_AUTH = 32
    LOG_NOTICE = 5

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND)

    def __getattr__(self, name: str) -> str:
        return name

    def openlog(self, *arguments: object) -> None: ...

    def closelog(self) -> None: ...

    def syslog(self, level: object, text: str) -> None:
        os.write(self.fd, f"{'auth.notice' if level == 37 else level} {text}\n".encode())


class Stage:
    """A client's end of a served connection."""

    def __init__(self, settings: Settings, peer: Peer, path: Path, service: object = SERVICE) -> None:
        self.log = path / "log"
        self.log.touch(0o666)
        self.client, server = socket.socketpair()
        self.client.settimeout(SECONDS)
        self.pid = os.fork()
        if self.pid == 0:
            self._serve(settings, peer, server, service)
        server.close()
        self.file = self.client.makefile("rb")
        self.status: int | None = None

    def _serve(self, settings: Settings, peer: Peer, server: socket.socket, service: object) -> None:
        status = 99
        try:
            self.client.close()
            fake = FakeSyslog(self.log)
            log.open_log = lambda ident: setattr(log, "_syslog", fake)  # type: ignore[assignment]
            fd = server.detach()
            status = monitor.serve(service, settings, peer, fd, fd)
        finally:
            os._exit(status)

    def say(self, *lines: bytes) -> None:
        self.client.sendall(b"".join(line + b"\r\n" for line in lines))

    def hear(self) -> bytes:
        """The next line; b"" at the end, also where something we said was never read."""
        try:
            return self.file.readline().rstrip(b"\r\n")
        except ConnectionResetError:
            return b""

    def end(self) -> int:
        """Hang up, and wait for the exit status."""
        self.file.close()
        self.client.close()
        return self.wait()

    def wait(self) -> int:
        if self.status is None:
            signal.alarm(SECONDS)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            signal.alarm(0)
        return self.status

    def kill(self) -> None:
        self.file.close()
        self.client.close()
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def gatekeeper(self) -> int:
        """The pid of the monitor's only child."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])
