"""INPROGRESS: what long work says aside, when, and when not."""

from __future__ import annotations

import fcntl
import os
import subprocess
import zlib

import pytest

from imapd.extensions.inprogress import Progress
from imapd.responses import Fetch, Literal
from mailcore import progress
from mailcore.errors import Hangup
from tests.imapd.conversation import user
from tests.playground import MAILBOXES, Ground, program

MAIL = b"From a@b Sat Nov 14 08:00:00 2026 +0000\nSubject: x\n\n%b\n"


@pytest.fixture(autouse=True)
def nobody_listens_afterwards():
    yield
    progress.listener = None


@pytest.fixture
def said():
    return []


@pytest.fixture
def session(said):
    """A session with a command that has just begun; each tick may tell."""
    _, session = user(progress_seconds=1e-9)
    session.progress = Progress(session, lambda line: said.append(line) is None)
    session.request.tag = b"a1"
    session.progress.begin()
    return session


def test_numbers(session, said):
    """One count is told and never falls; what else is counted is not (RFC 9585 §4)."""
    for done, goal in ((0, 0), (3, 10), (2, 10), (10, 10), (5, 20), (4, 1 << 33)):
        progress.tick(done, goal)
    assert said == [
        b'* OK [INPROGRESS ("a1" NIL NIL)] Still at it\r\n',
        b'* OK [INPROGRESS ("a1" 3 10)] Still at it\r\n',
        b'* OK [INPROGRESS ("a1" 3 10)] Still at it\r\n',
        b'* OK [INPROGRESS ("a1" 9 10)] Still at it\r\n',
        b'* OK [INPROGRESS ("a1" NIL NIL)] Still at it\r\n',
        b'* OK [INPROGRESS ("a1" NIL NIL)] Still at it\r\n',
    ]


def test_a_tag_that_would_end_the_code(session, said):
    session.request.tag = b"a]1"
    progress.tick(1, 2)
    assert said == [b"* OK [INPROGRESS (NIL 1 2)] Still at it\r\n"]


def test_only_while_a_command_runs(session, said):
    session.progress.end()
    progress.tick(1, 2)
    assert not said


def test_not_more_often_than_that(said):
    _, session = user(progress_seconds=1000)
    session.progress = Progress(session, lambda line: said.append(line) is None)
    session.progress.begin()
    progress.tick(1, 2)
    assert not said


def test_never(said):
    _, session = user(progress_seconds=0)
    Progress(session, lambda line: said.append(line) is None)
    assert progress.listener is None


def test_never_inside_an_answer(session, said):
    """A tick while a literal is being sent would become part of the message."""

    def chunks():
        progress.tick(1, 2)
        yield b"x" * 100

    assert b"".join(session._say(Fetch(1, [("RFC822", Literal(100, chunks()))]))).endswith(b"x)\r\n")
    assert not said
    progress.tick(1, 2)
    assert said


def test_compressed(session, said):
    """Not before its time: what was said and is not flushed stays before it."""
    from imapd.deflate import Squeeze

    session.squeeze = squeeze = Squeeze(250)
    squeeze.begun = True
    first = squeeze.say(b"* 1 EXISTS\r\n")
    progress.tick(1, 2)
    assert not said
    first += squeeze.flush()
    progress.tick(1, 2)
    assert said.pop(0) == b""  # is there room?
    assert zlib.decompressobj(-15).decompress(first + said[0]).endswith(b'[INPROGRESS ("a1" 1 2)] Still at it\r\n')


def test_a_client_that_is_gone(session):
    def fails(line):
        raise Hangup(reason="gone")

    session.progress = Progress(session, fails)
    session.progress.begin()
    progress.tick(1, 2)  # shows where the client is waited for
    progress.tick(1, 2)


# --- the real thing --------------------------------------------------------------------


@pytest.fixture
def ground(tmp_path):
    return Ground(tmp_path)


def run(ground, talk, *settings):
    ground.hand_over()
    options = [f"{name}={value}" for name, value in ground.options().items()] + ["progress_seconds=0.000001", *settings]
    done = subprocess.run(
        program("imapd", *[word for option in options for word in ("-o", option)]),
        input=b"".join(line + b"\r\n" for line in talk),
        capture_output=True,
        timeout=60,
        env={"HOME": str(ground.home)},
        **ground.identity(),
    )
    return done.stdout.split(b"\r\n")


def of(lines, tag):
    return [line for line in lines if line.startswith(b'* OK [INPROGRESS ("%b" ' % tag)]


def test_what_takes_long_tells(ground):
    """The first SELECT, SEARCH TEXT, the first SORT, COPY and EXPUNGE; each before its tagged OK."""
    ground.place("INBOX", b"".join(MAIL % (b"line\n" * 2000) for _ in range(300)))
    ground.place("other", b"")
    talk = [b"s SELECT INBOX", b"t SEARCH BODY nowhere", b"o SORT (SUBJECT) UTF-8 ALL", b"c COPY 1:200 other"]
    talk += [b"d STORE 2 +FLAGS.SILENT (\\Deleted)", b"e EXPUNGE", b"z LOGOUT"]
    lines = run(ground, talk)
    for tag in b"s t o c e".split():
        told = of(lines, tag)
        assert told, tag
        assert lines.index(told[-1]) < next(n for n, line in enumerate(lines) if line.startswith(tag + b" OK "))
    assert b'* OK [INPROGRESS ("c" 1 200)] Still at it' in lines


def test_waiting_for_a_lock_tells(ground):
    ground.place("INBOX", (MAILBOXES / "three.mbox").read_bytes())
    with ground.file("INBOX").open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        lines = run(ground, [b"s SELECT INBOX", b"z LOGOUT"], "lock_seconds=1")
    assert of(lines, b"s") and any(line.startswith(b"s NO [INUSE]") for line in lines)


def test_not_announced_where_it_is_off(ground):
    assert b" INPROGRESS " in run(ground, [b"z LOGOUT"])[0]
    assert b"INPROGRESS" not in run(ground, [b"z LOGOUT"], "progress_seconds=0")[0]
    assert os.path.exists(ground.index)
