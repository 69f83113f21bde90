"""Plays tests/transcripts/*/*.txt, each in several ways, with and without an index.

The ways:

    inside      byte by byte into the conversation, without a process
    file        all at once into the standard input of a program started for it
    pipe        line by line over pipes, to a program started for it
    warm        line by line to a listener, which keeps sessions for their user's next connection: one listener for
                all transcripts of the same settings

What the server knows beforehand:

    fresh       nothing: it makes its index
    filled      what another session looked at: all mailboxes, by all that an index remembers, texts too
    none        nothing, and nothing can be kept: there is no lasting index

The answers are the same. Only without an index SELECT says NOMODSEQ where it else says HIGHESTMODSEQ (RFC 7162
§3.1.2.2), and what needs mod-sequences or what an index keeps says `index: fresh filled` in its header.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imapd.session import SERVICE as IMAP
from mailcore.errors import NoSuchMailbox, NotAMailbox
from mailcore.login import sources
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Question
from mailcore.settings import Settings, load
from mailcore.store.namespace import Store
from mailcore.store.territory import Territory
from mailcore.tools.index import _learn as teach
from mailcore.wire import Aside, Wait
from tests.mailcore.login.oracle import Oracle
from tests.playground import MAILBOXES, MODULES, Ground, program
from tests.transcript import VISITOR, Judge, Transcript

FILES = sorted((Path(__file__).parent / "transcripts").glob("*/*.txt"))
ANSWER_SECONDS = 20
LOOKED_AT = """
x FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)
x FETCH 1:* BODY
x FETCH 1:* BODYSTRUCTURE
x FETCH 1:* PREVIEW
x FETCH 1:* BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]
x SORT (SUBJECT FROM ARRIVAL SIZE) UTF-8 ALL
x THREAD REFERENCES UTF-8 ALL
x SEARCH OR SUBJECT x TEXT "a string that is nowhere"
x UNSELECT
"""


# a start of the program is the dear part, so not all pairs are tried
PAIRS = {"inside": "fresh filled none", "file": "filled", "pipe": "fresh none", "warm": "fresh filled none"}


def _plays() -> Iterator[object]:
    for path in FILES:
        transcript = Transcript(path)
        for way in transcript.ways:
            alone = transcript.indexes == ["fresh"]
            for index in ["fresh"] if alone else [one for one in PAIRS[way].split() if one in transcript.indexes]:
                yield pytest.param(path, way, index, id=f"{path.parent.name}/{path.stem}-{way}-{index}")


@pytest.mark.parametrize("path, way, index", [*_plays()])
def test_transcript(path: Path, way: str, index: str, ground: Ground, listeners: Listeners) -> None:
    transcript = Transcript(path)
    if way == "warm":
        ground = listeners.ground(transcript)
    stranger = way == "warm" or bool(transcript.account)
    options = _prepare(transcript, ground, index, stranger)
    steps = transcript.steps(stranger)
    if index == "none":
        steps = [(who, "* OK [NOMODSEQ] $" if "* OK [HIGHESTMODSEQ" in text else text) for who, text in steps]
    judge = Judge()
    if way == "inside":
        _inside(transcript, steps, ground, options, judge)
    elif way == "file":
        _file(transcript, steps, ground, options, judge)
    elif way == "pipe":
        ground.hand_over()
        _lines(steps, judge, {number: Pipe(transcript, ground, options) for number in transcript.connections})
    else:
        address = listeners.address(transcript, options)
        _lines(steps, judge, {number: Call(address) for number in transcript.connections})
    for name, fixture in transcript.after:
        judge.check_file((MAILBOXES / fixture).read_bytes(), ground.file(name).read_bytes())


def _prepare(transcript: Transcript, ground: Ground, index: str, stranger: bool) -> list[str]:
    for name, fixture in transcript.mailboxes:
        ground.place(name, (MAILBOXES / fixture).read_bytes())
    options = [f"{name}={value}" for name, value in ground.options().items()]
    if index == "filled":
        _fill([name for name, _ in transcript.mailboxes], options, ground)
    elif index == "none":
        (ground.index / "index.db").mkdir()
    if transcript.secrets:
        ground.secrets(transcript.secrets)
    if stranger:
        options.append(f"passwd_file={ground.accounts(transcript.account or VISITOR)}")
    elif transcript.server == "ipop3d":
        options.append("pop3_preauth=true")
    return options + transcript.settings


def _fill(names: list[str], options: list[str], ground: Ground) -> None:
    """Sessions that look at everything and change nothing: what is \\Recent stays so."""
    settings = load([*options, "text_index=true"], "/nonexistent")
    words = b""
    for name in names:
        words += f'x EXAMINE "{name}"'.encode("latin-1") + LOOKED_AT.replace("\n", "\r\n").encode()
    talk = IMAP.session(settings, Peer("pipe", local=True), _fred(ground), None)
    reply: bytes | None = None
    with contextlib.suppress(StopIteration):
        while True:
            step = talk.send(reply)
            reply, words = (words, b"") if isinstance(step, Wait) else (None, words)
    store = Store("fred", str(ground.home), settings)
    for name in names:
        with contextlib.suppress(NoSuchMailbox, NotAMailbox), store.open(name, readonly=True) as box:
            teach(box, settings, store.index)
    store.close()


def _fred(ground: Ground) -> Account:
    return Account("fred", ground.user.pw_uid, ground.user.pw_gid, str(ground.home))


# --- byte by byte into the generator --------------------------------------------------


def _conversation(transcript: Transcript, settings: Settings, ground: Ground, service, peer: Peer):  # type: ignore[no-untyped-def]
    if not transcript.account:
        yield from service.session(settings, peer, _fred(ground), None)
        return
    entry = yield from service.strangers(settings, peer)
    if entry is not None:
        yield from service.session(settings, peer, entry.account, entry)


def _inside(
    transcript: Transcript, steps: list[tuple[str, str]], ground: Ground, options: list[str], judge: Judge
) -> None:
    settings = load(options, "/nonexistent")
    module = importlib.import_module(f"{MODULES.get(transcript.server, transcript.server)}.session")
    service, peer = module.SERVICE, Peer("pipe", local=True)
    sources.survey(settings, peer, service.name)
    oracle = Oracle(service, settings, peer)
    talk = _conversation(transcript, settings, ground, service, peer)
    said = b""
    unheard = b""
    reply: object = None
    while True:
        try:
            step = talk.send(reply)
        except StopIteration:
            break
        reply = None
        if isinstance(step, bytes):
            said += step
        elif isinstance(step, Wait):
            if not unheard:
                said = _check_lines(steps, said, judge)
                unheard = _next_words(steps, judge)
            reply, unheard = unheard[:1], unheard[1:]
        elif isinstance(step, Question):
            reply = oracle.ask(step)
        elif not isinstance(step, (Aside, Territory)):  # no fence around the tests themselves
            raise TypeError(f"nobody answers {step!r}")
    said = _check_lines(steps, said, judge)
    assert not said, f"said more than expected: {said!r}"
    assert not steps, f"not played: {steps}"


def _check_lines(steps: list[tuple[str, str]], said: bytes, judge: Judge) -> bytes:
    """Play the S: steps that are next against what was said; give back what is left."""
    while steps and steps[0][0] == "S":
        line, end, said = said.partition(b"\r\n")
        assert end, f"expected {steps[0][1]!r}, the server said {line!r} and waits"
        judge.check(steps.pop(0)[1], line.decode("latin-1"))
    if said and steps:
        raise AssertionError(f"before {steps[0]!r} the server said {said!r}")
    return said


def _next_words(steps: list[tuple[str, str]], judge: Judge) -> bytes:
    words = b""
    while steps and steps[0][0] == "C":
        words += judge.filled(steps.pop(0)[1]).encode("latin-1")
    return words


# --- all at once into the program's stdin ---------------------------------------------


def _command(transcript: Transcript, options: list[str]) -> list[str]:
    return program(transcript.server, *[word for option in options for word in ("-o", option)])


def _file(
    transcript: Transcript, steps: list[tuple[str, str]], ground: Ground, options: list[str], judge: Judge
) -> None:
    script = ground.path / "transcript"
    script.write_bytes(b"".join(text.encode("latin-1") for who, text in steps if who == "C"))
    ground.hand_over()
    with script.open("rb") as stdin:
        done = subprocess.run(
            _command(transcript, options),
            stdin=stdin,
            capture_output=True,
            timeout=60,
            cwd=ground.path,
            env={"HOME": str(ground.home)},
            **ground.identity(),  # type: ignore[call-overload]
        )
    lines = done.stdout.decode("latin-1").split("\r\n")
    for pattern in [text for who, text in steps if who == "S"]:
        assert lines, f"expected {pattern!r}, the server said no more"
        judge.check(pattern, lines.pop(0))
    assert lines == [""], f"said more than expected: {lines}"
    assert done.stderr == b""
    assert done.returncode == 0


# --- line by line -----------------------------------------------------------------------


def _lines(steps: list[tuple[str, str]], judge: Judge, servers: dict[str, Pipe] | dict[str, Call]) -> None:
    killer = threading.Timer(ANSWER_SECONDS, lambda: [server.abandon() for server in servers.values()])
    killer.start()
    try:
        for who, text in steps:
            server = servers[who[:-1]]
            if who.endswith("C"):
                server.say(judge.filled(text).encode("latin-1"))
            else:
                line = server.hear()
                assert line.endswith(b"\r\n"), f"expected {text!r}, the server said {line!r} and no more"
                judge.check(text, line[:-2].decode("latin-1"))
        for server in servers.values():
            server.end()
    finally:
        killer.cancel()
        for server in servers.values():
            server.close()


class Pipe:
    """A program of its own, spoken to over pipes."""

    def __init__(self, transcript: Transcript, ground: Ground, options: list[str]) -> None:
        self.process = subprocess.Popen(
            _command(transcript, options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ground.path,
            env={"HOME": str(ground.home)},
            **ground.identity(),  # type: ignore[call-overload]
        )
        self.abandon = self.process.kill

    def say(self, words: bytes) -> None:
        self.process.stdin.write(words)
        self.process.stdin.flush()

    def hear(self) -> bytes:
        return self.process.stdout.readline()

    def end(self) -> None:
        self.process.stdin.close()
        rest = self.process.stdout.read()
        assert not rest, f"said more than expected: {rest!r}"
        assert self.process.stderr.read() == b""
        assert self.process.wait(10) == 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Call:
    """A connection to a listener."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=ANSWER_SECONDS)
        self.file = self.socket.makefile("rb")

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def say(self, words: bytes) -> None:
        self.socket.sendall(words)

    def hear(self) -> bytes:
        return self.file.readline()

    def end(self) -> None:
        with contextlib.suppress(OSError):  # it has hung up already
            self.socket.shutdown(socket.SHUT_WR)
        rest = self.file.read()
        assert not rest, f"said more than expected: {rest!r}"

    def close(self) -> None:
        self.file.close()
        self.socket.close()


# --- listeners ----------------------------------------------------------------------------


class Listeners:
    """One for the transcripts of the same server and settings, each on a ground of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.grounds: dict[tuple[str, ...], Ground] = {}
        self.running: dict[tuple[str, ...], tuple[subprocess.Popen[bytes], tuple[str, int]]] = {}

    def ground(self, transcript: Transcript) -> Ground:
        """With nothing on it; its directories stay, for sessions that are kept have been fenced into them."""
        key = (transcript.server, *transcript.settings)
        if key not in self.grounds:
            self.grounds[key] = Ground(self.place / str(len(self.grounds)))
        ground = self.grounds[key]
        kept = {ground.home, ground.mail, ground.spool, ground.index}
        for path in [entry for directory in (ground.path, *kept) for entry in directory.iterdir()]:
            if path.is_dir() and path not in kept:
                shutil.rmtree(path)
            elif path not in kept:
                path.unlink()
        return ground

    def address(self, transcript: Transcript, options: list[str]) -> tuple[str, int]:
        """Where it listens; it is started when it is first asked for."""
        key = (transcript.server, *transcript.settings)
        self.grounds[key].hand_over()
        if key not in self.running:
            with socket.create_server(("127.0.0.1", 0)) as sock:
                self.running[key] = (self._started(transcript, options, sock), sock.getsockname())
        return self.running[key][1]

    def _started(self, transcript: Transcript, options: list[str], sock: socket.socket) -> subprocess.Popen[bytes]:
        ground = self.grounds[transcript.server, *transcript.settings]
        return subprocess.Popen(
            _command(transcript, [*options, "listen_idle_seconds=600"]),
            stdin=sock,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ground.path,
            env={"HOME": str(ground.home)},
            **ground.identity(),  # type: ignore[call-overload]
        )

    def processes(self, transcript: Transcript) -> set[str]:
        """What the listener has forked and not missed yet."""
        pid = self.running[transcript.server, *transcript.settings][0].pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def close(self) -> None:
        for process, _ in self.running.values():
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def listeners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listeners]:
    made = Listeners(tmp_path_factory.mktemp("listeners"))
    yield made
    made.close()


def test_a_session_that_is_kept_plays_many(listeners: Listeners) -> None:
    """What the listener is there for: of all that call, some are served by a process that has served before."""
    transcript = Transcript(FILES[0].parent.parent / "imapd/status.txt")
    used_again = False
    for _ in range(10):
        ground = listeners.ground(transcript)
        address = listeners.address(transcript, _prepare(transcript, ground, "fresh", True))
        before = listeners.processes(transcript)
        _lines(transcript.steps(True), Judge(), {"": Call(address)})
        used_again |= bool(before) and listeners.processes(transcript) <= before
    assert used_again
