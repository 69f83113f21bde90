"""ipop3d.session: any bytes in any state get well-formed answers, and endings leave mail alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ipop3d.session import SERVICE
from mailcore.errors import Hangup, Silence, Terminated
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Question, Verdict
from mailcore.settings import load
from mailcore.store.territory import Territory
from mailcore.wire import Wait
from tests.playground import MAILBOXES, Ground

DROP = (MAILBOXES / "drop.mbox").read_bytes()


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = Ground(tmp_path)
    ground.place("INBOX", DROP)
    return ground


def conversation(ground: Ground, *options: str):
    settings = load([*(f"{name}={value}" for name, value in ground.options().items()), *options], "/nonexistent")
    return SERVICE.session(settings, Peer("pipe", local=True), Account("fred", 1000, 1000, str(ground.home)), None)


def strangers(**options):
    settings = load([f"{name}={value}" for name, value in options.items()], "/nonexistent")
    return SERVICE.strangers(settings, Peer("pipe", local=True))


def play(talk, chunks, ending=b"", verdict=None):
    """All that is said when these chunks are heard; then `ending` (bytes, or an error to be raised)."""
    said, reply, chunks = b"", None, iter(chunks)
    error = None
    try:
        while True:
            step = talk.throw(error) if error else talk.send(reply)
            reply = error = None
            if isinstance(step, bytes):
                said += step
            elif isinstance(step, Question):
                reply = verdict or Verdict(False)
            elif not isinstance(step, Territory):  # no fence around the tests themselves
                assert isinstance(step, Wait)
                reply = next(chunks, ending)
                if isinstance(reply, Exception):
                    error = reply
    except StopIteration as end:
        return said, end.value


WORDS = st.sampled_from(
    [b"STAT", b"LIST", b"UIDL", b"RETR", b"TOP", b"DELE", b"RSET", b"LAST", b"NOOP", b"CAPA", b"USER", b"PASS", b"AUTH",
     b"1", b"2", b"9", b"-1", b"", b"99999999999999999999", b"*", b"=", b"PLAIN", b"LOGIN", b"\x00", b"\xff" * 40]
)  # fmt: skip
LINES = st.lists(st.one_of(st.lists(WORDS, max_size=4).map(b" ".join), st.binary(max_size=60)), max_size=8)


def well_formed(said):
    """Status lines, and multi-line answers that end with a dot."""
    lines = said.split(b"\r\n")
    assert lines.pop() == b""
    inside = False
    for line in lines:
        if inside:
            inside = line != b"."
            continue
        assert line.startswith((b"+OK", b"-ERR", b"+ ")), said
        assert len(line) <= 510
        inside = line in (
            b"+OK Capability list follows:", b"+OK Mailbox scan listing follows", b"+OK Unique-ID listing follows",
            b"+OK Top of message follows", b"+OK Supported authentication mechanisms:",
        ) or line.endswith(b" octets")  # fmt: skip
    assert not inside


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES, st.integers(1, 50))
def test_any_bytes_in_the_transaction_state(ground, lines, size):
    data = b"".join(line + b"\r\n" for line in lines if b"QUIT" not in line.upper()) + b"\r\nNOOP\r\n"
    said, _ = play(conversation(ground), [data[i : i + size] for i in range(0, len(data), size)])
    well_formed(said)
    assert said.endswith(b"+OK No-op to you too!\r\n")


@hypothesis_settings(max_examples=150, deadline=None)
@given(LINES, st.integers(1, 50))
def test_any_bytes_before_login(lines, size):
    """No sequence of wrong passwords and odd bytes lets anybody in (S4, S5)."""
    data = b"".join(line + b"\r\n" for line in lines) + b"\r\n*\r\nCAPA\r\n"
    said, entry = play(strangers(), [data[i : i + size] for i in range(0, len(data), size)])
    assert entry is None
    well_formed(said)


def test_only_a_verdict_lets_in():
    right = Verdict(True, Account("fred", 1000, 1000, "/home/fred"))
    said, entry = play(strangers(), [b"USER fred\r\nPASS x\r\nSTAT\r\n"], verdict=right)
    assert said.count(b"+OK") == 2  # the greeting and USER; PASS is answered by the session
    assert (entry.account.name, entry.read_ahead) == ("fred", b"STAT\r\n")


def test_overlong_lines_before_login_are_answered_and_counted():
    said, entry = play(strangers(bad_commands=3), [b"USER " + b"x" * 20_000 + b"\r\n"] * 5)
    assert said.count(b"-ERR Command line too long") == 3
    assert said.endswith(b"-ERR Too many bad commands\r\n")
    assert entry is None


@pytest.mark.parametrize(
    ("ending", "last_words"),
    [
        (b"", b""),
        (Hangup(reason="gone"), b""),
        (Silence(reason="Autologout"), b"-ERR Autologout; idle for too long\r\n"),
        (Terminated("Server shutting down", "Killed"), b"-ERR Server shutting down\r\n"),
    ],
)
def test_without_quit_nothing_is_removed(ground, ending, last_words):
    """RFC 1939 §6; R24."""
    before = len(opened(ground))
    said, _ = play(conversation(ground), [b"DELE 1\r\nDELE 2\r\nRETR 3\r\n"], ending)
    assert said.endswith(b".\r\n" + last_words)
    assert len(opened(ground)) == before == 3


def test_quit_says_so_when_it_could_not(ground, monkeypatch):
    """R25."""
    from mailcore.errors import OutOfSpace
    from mailcore.store.formats.mbox import Box

    def full(*_):
        raise OutOfSpace

    monkeypatch.setattr(Box, "remove", full)
    said, _ = play(conversation(ground), [b"DELE 1\r\nQUIT\r\n"])
    assert said.endswith(b"-ERR [SYS/TEMP] Some deleted messages not removed: No space left for mail\r\n")
    assert len(opened(ground)) == 3


def test_a_file_that_is_no_mailbox_is_refused_and_kept(ground):
    ground.inbox.write_bytes(b"\x7fELF not mail\n")
    said, _ = play(conversation(ground), [b"STAT\r\n"])
    assert said.startswith(b"-ERR [SYS/PERM] ")
    assert ground.inbox.read_bytes() == b"\x7fELF not mail\n"


def opened(ground):
    from mailcore.store.namespace import Store

    settings = load([f"{name}={value}" for name, value in ground.options().items()], "/nonexistent")
    return Store("fred", str(ground.home), settings).open("INBOX")
