"""How a session ends when somebody else ends it: changes are saved, nothing is half done, locks are gone (R27)."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.playground import MAILBOXES, Ground, program

SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGALRM]


class Server:
    """imapd on two pipes, as the user."""

    def __init__(self, ground: Ground, name: str = "imapd", **settings: str) -> None:
        ground.hand_over()
        options = [f"{key}={value}" for key, value in {**ground.options(), **settings}.items()]
        arguments = [word for option in options for word in ("-o", option)]
        self.process = subprocess.Popen(
            program(name, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=ground.path, env={"HOME": str(ground.home)}, **ground.identity(),
        )  # fmt: skip
        self.hear()

    def hear(self) -> bytes:
        assert self.process.stdout
        return self.process.stdout.readline()

    def ask(self, line: bytes) -> list[bytes]:
        self.tell(line)
        lines = [self.hear()]
        while lines[-1][:2] not in (b"t ", b""):
            lines.append(self.hear())
        return lines

    def tell(self, line: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"t " + line + b"\r\n")
        self.process.stdin.flush()

    def rest(self) -> bytes:
        said, _ = self.process.communicate(timeout=30)
        return said


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = Ground(tmp_path)
    ground.place("INBOX", (MAILBOXES / "three.mbox").read_bytes())
    return ground


def settled(ground: Ground, server: Server) -> None:
    """The flags are in the file, the mailbox can be locked, no journal and no lock file lies about."""
    assert server.process.wait(30) == 0
    text = ground.inbox.read_bytes()
    assert text.count(b"\nX-Status: F") == 3 and text.count(b"\nX-Keywords: Work") == 3
    assert text.count(b"\nX-UID: ") == 3 and b"X-IMAPbase: " in text
    left = [path.name for path in (*ground.spool.iterdir(), *ground.index.rglob("*"))]
    assert not [name for name in left if ".lock" in name or "journal" in name]
    other = Server(ground)
    assert b"* 3 EXISTS\r\n" in other.ask(b"SELECT INBOX")
    assert other.ask(b"STORE 1:3 +FLAGS.SILENT (\\Seen)") == [b"t OK STORE completed\r\n"]
    other.ask(b"LOGOUT")
    other.rest()


def flagged(server: Server) -> None:
    server.ask(b"SELECT INBOX")
    assert server.ask(b"STORE 1:3 +FLAGS.SILENT (\\Flagged Work)")[-1].startswith(b"t OK")


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("idle", [False, True])
def test_a_signal_while_it_waits(ground: Ground, number: int, idle: bool) -> None:
    server = Server(ground)
    flagged(server)
    if idle:
        server.tell(b"IDLE")
        assert server.hear().startswith(b"+")
    os.kill(server.process.pid, number)
    assert b"* BYE Server shutting down\r\n" in server.rest()
    settled(ground, server)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_nobody_takes_the_answer(ground: Ground, number: int) -> None:
    """No BYE then: it would stand in the middle of a literal."""
    server = Server(ground)
    flagged(server)
    server.ask(b"CREATE big")
    server.ask(b"APPEND big {300000+}\r\nSubject: big\r\n\r\n" + b"x" * 299_984)
    server.tell(b"EXAMINE big\r\nt FETCH 1 BODY.PEEK[]\r\nt SELECT INBOX")
    assert server.process.stdout
    while not server.hear().startswith(b"* 1 FETCH (BODY[] {"):
        pass
    os.kill(server.process.pid, number)
    assert server.process.wait(60) == 0
    assert b"BYE" not in server.process.stdout.read()
    settled(ground, server)


def test_the_client_is_gone(ground: Ground) -> None:
    """PIPE: an answer that nobody takes."""
    server = Server(ground)
    flagged(server)
    assert server.process.stdout and server.process.stdin
    server.process.stdout.close()
    server.process.stdin.write(b"t FETCH 1:3 BODY.PEEK[]\r\n" * 50)
    server.process.stdin.close()
    settled(ground, server)


def test_autologout(ground: Ground) -> None:
    server = Server(ground, imap_idle_seconds="1")
    flagged(server)
    assert server.hear().startswith(b"* BYE Autologout")
    settled(ground, server)


@pytest.mark.parametrize("delay", range(12))
def test_a_signal_in_the_middle_of_work_waits_for_its_end(ground: Ground, delay: int) -> None:
    """Whenever it comes, an expunge is done or not begun."""
    server = Server(ground)
    flagged(server)
    server.ask(b"CREATE copy")
    server.tell(b"APPEND copy (\\Seen) {5+}\r\nA: b\n\r\nt COPY 1:3 copy\r\nt MOVE 1:3 copy")
    signal.sigtimedwait([signal.SIGUSR2], delay * 0.002)
    os.kill(server.process.pid, SIGNALS[delay % 3])
    server.rest()
    assert server.process.returncode == 0
    other = Server(ground)
    counts = [
        int(line.split()[1])
        for name in (b"INBOX", b"copy")
        for line in other.ask(b"SELECT " + name)
        if b"EXISTS" in line
    ]
    assert counts in ([3, 0], [3, 1], [3, 4], [3, 7], [0, 7])
    other.ask(b"LOGOUT")
    other.rest()
    left = [*ground.spool.iterdir(), *ground.index.iterdir()]
    assert not [path for path in left if path.suffix in (".lock", ".journal")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGALRM])
def test_pop3_removes_nothing_without_quit(ground: Ground, number: int) -> None:
    """R24: an ending that is no QUIT leaves all messages."""
    before = (MAILBOXES / "three.mbox").read_bytes().count(b"\nSubject:")
    server = Server(ground, "ipop3d", pop3_preauth="true")
    server.process.stdin.write(b"DELE 1\r\nNOOP\r\n")  # type: ignore[union-attr]
    server.process.stdin.flush()  # type: ignore[union-attr]
    assert server.hear().startswith(b"+OK") and server.hear().startswith(b"+OK")
    os.kill(server.process.pid, number)
    server.rest()
    assert ground.inbox.read_bytes().count(b"\nSubject:") == before
