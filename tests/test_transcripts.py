"""Plays tests/transcripts/*/*.txt, each three ways.

A transcript is a header, an empty line, then the talk:

    mailbox: INBOX = three.mbox     a copy of tests/mailboxes/three.mbox (may stand several times)
    account: fred secret            start before login, with this account in a passwd-file
    login: fred secret              the same, and log in first
    secrets: fred secret            the same account, and its secret in clear in a file like /etc/cram-md5.pwd
    greeting: yes                   the greeting is the first S: line (otherwise it is passed over)
    setting: name=value             as -o name=value
    after: INBOX = x-after.mbox     what must lie on the disk in the end, line by line
    ways: inside pipe               not all three (only with a reason in a comment)

    # what a step proves
    C: a line from the client       C| a line of a literal
    S: a line from the server       S| the same, inside a literal

In S: lines `$name` is bound at first sight and must be the same later, `$` alone stands for
anything, and \\xNN is an octet.  Without account or login the talk begins after the login.

Two connections to one store are `1C:`, `1S:`, `2C:`, `2S:`; such a talk is played over pipes.

In C: lines <$name> is what was bound; <apop fred secret>, <cram-md5 fred secret> and <scram secret> are
what a client makes of the `$stamp`, of the `$challenge` in base64, and of that with SCRAM-SHA-256 after the
message `n,,n=fred,r=nonce`.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import threading
from pathlib import Path

import pytest

from mailcore.login import sources
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Question
from mailcore.settings import Settings, load
from mailcore.store.territory import Territory
from mailcore.wire import Aside, Wait
from tests.mailcore.login import client
from tests.mailcore.login.oracle import Oracle
from tests.playground import MAILBOXES, MODULES, Ground, program

TRANSCRIPTS = Path(__file__).parent / "transcripts"
FILES = sorted(TRANSCRIPTS.glob("*/*.txt"))
ANSWER_SECONDS = 20


class Transcript:
    def __init__(self, path: Path) -> None:
        self.server = path.parent.name
        header, _, talk = path.read_text("latin-1").partition("\n\n")
        fields = [line.split(": ", 1) for line in header.splitlines() if line and not line.startswith("#")]
        self.mailboxes = [value.split(" = ") for key, value in fields if key == "mailbox"]
        self.after = [value.split(" = ") for key, value in fields if key == "after"]
        self.settings = [value for key, value in fields if key == "setting"]
        named = dict(fields)
        self.login = tuple(named["login"].split(" ", 1)) if "login" in named else None
        self.secrets = tuple(named["secrets"].split(" ", 1)) if "secrets" in named else None
        self.account = tuple(named["account"].split(" ", 1)) if "account" in named else self.login or self.secrets
        self.greeting = "greeting" in named
        spoken = [line for line in talk.splitlines() if line[:2] in ("1C", "1S", "2C", "2S")]
        self.connections = ["1", "2"] if spoken else [""]
        self.ways = ["pipe"] if spoken else named.get("ways", "inside file pipe").split()
        unknown = set(named) - {"mailbox", "after", "setting", "login", "account", "secrets", "greeting", "ways"}
        assert not unknown, f"unknown header fields: {unknown}"
        self.steps = self._log_in() + [step for line in talk.splitlines() if (step := _step(line))]

    def _log_in(self) -> list[tuple[str, str]]:
        greeting = [] if self.greeting else [(f"{number}S", "$") for number in self.connections]
        if not self.login:
            return greeting
        user, secret = self.login
        if self.server == "imapd":
            return [*greeting, ("C", f"login LOGIN {user} {secret}\r\n"), ("S", "login OK $")]
        return [*greeting, ("C", f"USER {user}\r\n"), ("S", "+OK $"), ("C", f"PASS {secret}\r\n"), ("S", "+OK $")]

    def spoken(self) -> bytes:
        return b"".join(text.encode("latin-1") for who, text in self.steps if who == "C")


def _step(line: str) -> tuple[str, str] | None:
    if not line or line.startswith("#"):
        return None
    number, line = (line[0], line[1:]) if line[0] in "12" else ("", line)
    who, text = line[0], line[3:]
    assert line[:3] in ("C: ", "C| ", "S: ", "S| ") or line in ("C:", "C|", "S:", "S|"), f"not a step: {line!r}"
    if who == "C":
        text = re.sub(r"\\x([0-9a-f]{2})", lambda octet: chr(int(octet[1], 16)), text) + "\r\n"
    return number + who, text


class Judge:
    """Compares what the server says with the S: lines, binding names on the way."""

    def __init__(self) -> None:
        self.bound: dict[str, str] = {}

    def check(self, pattern: str, said: str) -> None:
        parts = re.split(r"(\$[a-z_]*|\\x[0-9a-f]{2})", pattern)
        new: list[str] = []
        expression = ""
        for part in parts:
            if part == "$":
                expression += ".*"
            elif part.startswith("$"):
                if part in self.bound:
                    expression += re.escape(self.bound[part])
                elif part in new:
                    expression += f"(?P={part[1:]})"
                else:
                    new.append(part)
                    expression += rf"(?P<{part[1:]}>[^ )\]\r]+)"
            elif part.startswith("\\x"):
                expression += re.escape(chr(int(part[2:], 16)))
            else:
                expression += re.escape(part)
        match = re.fullmatch(expression, said, re.DOTALL)
        bound = {name: value for name, value in self.bound.items() if name in pattern}
        assert match, f"\nexpected {pattern!r} {bound or ''}\n     got {said!r}"
        for name in new:
            self.bound[name] = match[name[1:]]

    def filled(self, text: str) -> str:
        """A C: line with what a client computes in its place."""
        text = re.sub(r"<(\$[a-z_]+)>", lambda match: self.bound[match[1]], text)
        return re.sub(r"<(apop|cram-md5|scram) ([^>]+)>", self._computed, text)

    def _computed(self, match: re.Match[str]) -> str:
        challenge = self.bound["$stamp" if match[1] == "apop" else "$challenge"].encode()
        return client.MECHANISMS[match[1]](challenge, *match[2].encode().split(b" ")).decode()

    def check_file(self, expected: bytes, found: bytes) -> None:
        lines = found.decode("latin-1").split("\n")
        patterns = expected.decode("latin-1").split("\n")
        for pattern, line in zip(patterns, lines, strict=False):
            self.check(pattern, line)
        assert len(lines) == len(patterns)


def _prepare(transcript: Transcript, ground: Ground) -> list[str]:
    for name, fixture in transcript.mailboxes:
        ground.place(name, (MAILBOXES / fixture).read_bytes())
    options = [f"{name}={value}" for name, value in ground.options().items()] + transcript.settings
    if transcript.account:
        options.append(f"passwd_file={ground.accounts(transcript.account)}")
    if transcript.secrets:
        options.append(f"cram_md5_file={ground.secrets(transcript.secrets)}")
    if not transcript.account and transcript.server == "ipop3d":
        options.append("pop3_preauth=true")
    return options


@pytest.mark.parametrize("way", ["inside", "file", "pipe"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_transcript(path: Path, way: str, ground: Ground) -> None:
    transcript = Transcript(path)
    if way not in transcript.ways:
        return
    options = _prepare(transcript, ground)
    judge = Judge()
    {"inside": _inside, "file": _file, "pipe": _pipe}[way](transcript, ground, options, judge)
    for name, fixture in transcript.after:
        judge.check_file((MAILBOXES / fixture).read_bytes(), ground.file(name).read_bytes())


# --- byte by byte into the generator --------------------------------------------------


def _conversation(transcript: Transcript, settings: Settings, ground: Ground, service, peer: Peer):  # type: ignore[no-untyped-def]
    if not transcript.account:
        account = Account("fred", ground.user.pw_uid, ground.user.pw_gid, str(ground.home))
        yield from service.session(settings, peer, account, None)
        return
    entry = yield from service.strangers(settings, peer)
    if entry is not None:
        yield from service.session(settings, peer, entry.account, entry)


def _inside(transcript: Transcript, ground: Ground, options: list[str], judge: Judge) -> None:
    settings = load(options, "/nonexistent")
    module = importlib.import_module(f"{MODULES.get(transcript.server, transcript.server)}.session")
    service, peer = module.SERVICE, Peer("pipe", local=True)
    sources.survey(settings, peer, service.name)
    oracle = Oracle(service, settings, peer)
    talk = _conversation(transcript, settings, ground, service, peer)
    steps = list(transcript.steps)
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


def _file(transcript: Transcript, ground: Ground, options: list[str], judge: Judge) -> None:
    script = ground.path / "transcript"
    script.write_bytes(transcript.spoken())
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
    for pattern in [text for who, text in transcript.steps if who == "S"]:
        assert lines, f"expected {pattern!r}, the server said no more"
        judge.check(pattern, lines.pop(0))
    assert lines == [""], f"said more than expected: {lines}"
    assert done.stderr == b""
    assert done.returncode == 0


# --- lock-step over pipes -------------------------------------------------------------


def _pipe(transcript: Transcript, ground: Ground, options: list[str], judge: Judge) -> None:
    ground.hand_over()
    servers = {number: _started(transcript, ground, options) for number in transcript.connections}
    killer = threading.Timer(ANSWER_SECONDS, lambda: [server.kill() for server in servers.values()])
    killer.start()
    try:
        for who, text in transcript.steps:
            server = servers[who[:-1]]
            assert server.stdin and server.stdout
            if who.endswith("C"):
                server.stdin.write(judge.filled(text).encode("latin-1"))
                server.stdin.flush()
            else:
                line = server.stdout.readline()
                assert line.endswith(b"\r\n"), f"expected {text!r}, the server said {line!r} and no more"
                judge.check(text, line[:-2].decode("latin-1"))
        for server in servers.values():
            _ended(server)
    finally:
        killer.cancel()
        for server in servers.values():
            assert server.stdout and server.stderr
            server.kill()
            server.wait()
            server.stdout.close()
            server.stderr.close()


def _started(transcript: Transcript, ground: Ground, options: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        _command(transcript, options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ground.path,
        env={"HOME": str(ground.home)},
        **ground.identity(),  # type: ignore[call-overload]
    )


def _ended(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin and server.stdout and server.stderr
    server.stdin.close()
    rest = server.stdout.read()
    assert not rest, f"said more than expected: {rest!r}"
    assert server.stderr.read() == b""
    assert server.wait(10) == 0
