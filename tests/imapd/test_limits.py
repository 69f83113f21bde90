"""What a hostile client, or a hostile mail, may cost the real program: CPU and memory, and the session goes on.

The numbers are those of the requirements: S46 nesting, S47 literals, S48 large messages, S49 MIME, S50 searching,
S52 sequence sets, S53 numbers.  S51 (patterns) is in test_hostile_names.py and test_house.py, S54 (charsets) in
tests/mailcore/message/test_decode.py, S56 (compression) in test_deflate.py.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imapd.conversation import stranger, user
from tests.mailcore.message.test_mime import BOMBS
from tests.playground import MAILBOXES, Ground, program

MIB = 1024 * 1024
STUCK_SECONDS = 100
TICKS = os.sysconf("SC_CLK_TCK")
FROM = b"From a@b Sat Nov 14 08:00:00 2026 +0000\n"


class Live:
    """imapd over pipes, and what it has used so far."""

    def __init__(self, ground: Ground, *settings: str) -> None:
        ground.hand_over()
        options = [f"{name}={value}" for name, value in ground.options().items()]
        options += ["progress_seconds=0", f"spool_directory={ground.path}", *settings]
        command = program("imapd", *[word for option in options for word in ("-o", option)])
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"HOME": str(ground.home)},
            **ground.identity(),  # type: ignore[call-overload]
        )
        self.stuck = ""
        self.killer = threading.Timer(STUCK_SECONDS, self._end)
        self.killer.start()
        self.until(b"* PREAUTH")

    def _end(self) -> None:
        """Nobody takes that long: say where it is, so that it can be found."""
        place = Path(f"/proc/{self.process.pid}")
        self.stuck = " ".join((place / name).read_text() for name in ("wchan", "syscall", "stat"))
        self.process.kill()

    def until(self, beginning: bytes) -> bytes:
        """The line that begins so; those before it are passed over."""
        assert self.process.stdout
        while True:
            line: bytes = self.process.stdout.readline()
            assert line, f"the server is gone {self.stuck}"
            if line.startswith(beginning):
                return line

    def send(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def say(self, command: bytes) -> bytes:
        """The tagged answer."""
        self.send(b"t " + command + b"\r\n")
        return self.until(b"t ")

    def memory(self, name: str) -> int:
        """VmRSS or VmHWM, octets."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0]) * 1024

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def close(self) -> None:
        self.killer.cancel()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
def live(ground: Ground) -> Iterator[Live]:
    ground.place("INBOX", (MAILBOXES / "flags.mbox").read_bytes())
    live = Live(ground)
    live.say(b"SELECT INBOX")
    yield live
    live.close()


# --- S46 ---------------------------------------------------------------------------------

OPENING = (
    b"SEARCH ", b"SEARCH NOT ", b"SEARCH OR ALL ", b"SEARCH FUZZY ", b"SORT (DATE) UTF-8 ", b"THREAD REFERENCES UTF-8 ",
    b"ESEARCH IN (selected) ", b"FETCH 1 ", b"STORE 1 FLAGS ", b"LIST ", b'LIST "" ', b"STATUS INBOX ", b"ID ",
    b"NOTIFY SET ", b"SELECT INBOX ", b"CREATE x ", b"SETMETADATA INBOX ", b"APPEND INBOX ",
)  # fmt: skip


@pytest.mark.parametrize("command", OPENING)
def test_a_million_parentheses(live: Live, command: bytes) -> None:
    """S46: as many as a line holds, and a line of a million."""
    live.say(command + b"(")  # what it needs is imported by then
    before, cpu = live.memory("VmRSS"), live.cpu_seconds()
    line = command + (b"(" if command.endswith(b" ") else b" (") * 60_000
    assert live.say(line).startswith((b"t BAD", b"t NO"))
    assert live.say(command + b"(" * 1_000_000).startswith(b"t BAD")
    assert live.say(command + b"(NOT " * 12_000).startswith((b"t BAD", b"t NO"))
    assert live.say(b"NOOP") == b"t OK NOOP completed\r\n"
    assert live.memory("VmRSS") - before < MIB
    assert live.cpu_seconds() - cpu < 1


def test_before_login_there_are_no_lists_to_speak_of() -> None:
    """S46: ID has the only one, of one level (CVE-2026-27857)."""
    for line in (b"a ID " + b"(" * 8000, b"a ID (" + b'"x" NIL ' * 900, b"a ID (" * 1000, b"a " + b"(" * 8000):
        started = time.process_time()
        client = stranger()
        assert client.say(line + b"\r\n").startswith((b"a BAD", b"a NO"))
        assert time.process_time() - started < 0.5


# --- S47, S48 ----------------------------------------------------------------------------


def test_literals_without_end(live: Live) -> None:
    """S47: too many or too large, asked for or not; nothing of them is held."""
    before = live.memory("VmRSS")
    assert live.say(b"ID (" + b'"a" {1+}\r\nx ' * 1000 + b")").startswith(b"t BAD")
    assert live.say(b"ID (" + b'"a" {30000+}\r\n' + b"x" * 30_000 + b' "b" {60000+}\r\n' + b"x" * 60_000 + b")") == (
        b"t NO [TOOBIG] Literal too large\r\n"
    )
    assert live.say(b"SELECT {1000000}") == b"t NO [TOOBIG] Literal too large\r\n"
    assert live.say(b"SELECT {1000000+}\r\n" + b"x" * 1_000_000).startswith(b"t NO [TOOBIG]")
    assert live.say(b"NOOP").startswith(b"t OK")
    assert live.memory("VmRSS") - before < MIB
    live.send(b"t SELECT {4000000000+}\r\n")
    assert live.until(b"* BYE") == b"* BYE [TOOBIG] Literal too large\r\n"


def test_a_large_message_passes_through(live: Live) -> None:
    """S48: memory does not depend on its size."""
    peaks = []
    for octets in (8 * MIB, 96 * MIB):
        live.send(b"t APPEND INBOX {%d}\r\n" % octets)
        live.until(b"+ ")
        line = b"x" * 998 + b"\r\n"
        for _ in range(octets // 1000):
            live.send(line)
        live.send(b"x" * (octets % 1000) + b"\r\n")
        assert live.until(b"t ").startswith(b"t OK [APPENDUID")
        peaks.append(live.memory("VmHWM"))
    assert peaks[1] < 64 * MIB and peaks[1] - peaks[0] < 8 * MIB
    assert b" APPENDLIMIT=" in live_capability(live)


def live_capability(live: Live) -> bytes:
    live.send(b"t CAPABILITY\r\n")
    line = live.until(b"* CAPABILITY")
    live.until(b"t ")
    return line


# --- S49, S50 ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_in_the_mailbox(ground: Ground, name: str) -> None:
    """S49: to look at it costs less than a second and 64 MiB, whatever is asked."""
    ground.place("INBOX", FROM + BOMBS[name] + b"\n\n")
    live = Live(ground)
    try:
        live.say(b"SELECT INBOX")
        start = live.memory("VmHWM")
        for command in (b"FETCH 1 (ENVELOPE BODYSTRUCTURE)", b"FETCH 1 (BODY.PEEK[1.1] PREVIEW)", b"SEARCH TEXT no"):
            cpu = live.cpu_seconds()
            assert live.say(command).startswith(b"t OK")
            assert live.cpu_seconds() - cpu < 1, command
        assert live.memory("VmHWM") - start < 64 * MIB
    finally:
        live.close()


MANY = 20_000


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A mailbox of messages that are made to be hard to put in order."""
    ground = Ground(tmp_path_factory.mktemp("crowd"))
    mail = (
        FROM
        + b"Message-ID: <%d@x>\nReferences: <%d@x> <0@x>\nSubject: Re: [x] Re: fwd: (fwd)\nDate: Sat, 14 Nov 2026\n"
        b"From: %b\n\nbody\n\n"
    )
    ground.place("INBOX", b"".join(mail % (n, n + 1, b"a, " * 20) for n in range(MANY)))
    live = Live(ground)
    live.say(b"EXAMINE INBOX")
    yield live
    live.close()


@pytest.mark.parametrize(
    "command",
    [
        b"SORT (REVERSE SUBJECT FROM TO CC DATE SIZE ARRIVAL) UTF-8 ALL",
        b"THREAD REFERENCES UTF-8 ALL",
        b"THREAD ORDEREDSUBJECT UTF-8 ALL",
        b"THREAD REFS UTF-8 ALL",
        b"SEARCH " + b"OR SEEN " * 250 + b"SEEN",
        b"SEARCH " + b"NOT " * 1000 + b"SEEN",
        b"SEARCH " + b"(" * 49 + b"NOT TEXT x" + b")" * 49,
        b"SEARCH OR TEXT nowhere TEXT neither",
        b"SEARCH " + b"1:*," * 5000 + b"1",
        b"UID SEARCH RETURN (SAVE COUNT) UID " + b"1:4294967295,4294967295:*," * 2000 + b"1",
    ],
    ids=lambda command: command[:30].decode(),
)
def test_searching_is_linear(crowd: Live, command: bytes) -> None:
    """S50: 10^5 messages in ten seconds, so these in two; no recursion, no list for each key.

    Each key costs as much as there are messages; how many there may be only the line limits.
    """
    cpu, before = crowd.cpu_seconds(), crowd.memory("VmHWM")
    assert crowd.say(command).startswith((b"t OK", b"t BAD Keys nested too deep"))
    assert crowd.cpu_seconds() - cpu < 2
    assert crowd.memory("VmHWM") - before < 64 * MIB


# --- S52, S53 ----------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [b"4294967295:*", b"1:*", b"*:1", b"1:4294967295", b"*"])
def test_the_same_set_again_and_again(live: Live, piece: bytes) -> None:
    """S52: sets are spans, made one, and never a list of numbers."""
    before, cpu = live.memory("VmRSS"), live.cpu_seconds()
    whole = b",".join([piece] * (60_000 // (len(piece) + 1)))
    assert live.say(b"UID FETCH " + whole + b" UID").startswith(b"t OK")
    assert live.say(b"UID SEARCH UID " + whole).startswith(b"t OK")
    assert live.say(b"FETCH " + whole + b" UID").startswith((b"t OK", b"t BAD"))
    assert live.cpu_seconds() - cpu < 1
    assert live.memory("VmRSS") - before < 8 * MIB


@pytest.mark.parametrize(
    "line",
    [
        b"FETCH N UID", b"UID FETCH N:* UID", b"FETCH 1 BODY[N]", b"FETCH 1 BODY[]<N.1>", b"SEARCH LARGER N",
        b"SEARCH UID N", b"SEARCH OLDER N", b"SEARCH UIDAFTER N", b"SEARCH MODSEQ N",
        b"STORE 1 (UNCHANGEDSINCE N) FLAGS ()",
        b"SEARCH RETURN (PARTIAL N:N) ALL", b"GETMETADATA (MAXSIZE N) INBOX /private/x", b"SETQUOTA x (STORAGE N)",
    ],
)  # fmt: skip
def test_numbers_as_long_as_a_line(line: bytes) -> None:
    """S53: their digits are counted before they are a number; 2^32 + 1 is not 1."""
    client, _ = user()
    for digits in (b"9" * 60_000, b"1" * 20, b"18446744073709551617"):
        started = time.process_time()
        said = client.say(b"a " + line.replace(b"N", digits) + b"\r\n")
        assert said.split(b"\r\n")[-2].startswith((b"a BAD", b"a NO")), said[:200]
        assert time.process_time() - started < 0.2
