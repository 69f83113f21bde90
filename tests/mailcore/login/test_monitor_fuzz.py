"""S3: whatever the gatekeeper sends, no account comes of it.

First to the monitor alone, then to a monitor that forks and is root if the tests are. What comes of every order of
good frames is in test_walk.py."""

from __future__ import annotations

import os
import random

import pytest

from mailcore import log
from mailcore.login import channel, gatekeeper, monitor
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Forged, Verdict, pack
from mailcore.settings import Settings
from tests.mailcore.login.oracle import driven
from tests.mailcore.login.parrot import SERVICE
from tests.mailcore.login.stage import Stage

FRAMES = 100_000
KINDS = b"HAFTVR" + b"".join(channel.KINDS)


def frame(chance: random.Random) -> bytes:
    """Noise, or a good frame, or a good frame with an octet changed, added or lost."""
    sort = chance.randrange(4)
    if sort == 0:
        return chance.randbytes(chance.randrange(1, 40))
    kind = KINDS[chance.randrange(len(KINDS))].to_bytes(1, "big")
    if sort == 1:  # also numbers, which some fields are
        words = (b"", b"0", b"1", b"9" * 9, b"LOGIN", b"\xff", b"fred")
        return pack(kind, [chance.choice(words) for _ in range(chance.randrange(6))])
    whole = bytearray(pack(kind, [chance.randbytes(chance.randrange(9)) for _ in range(chance.randrange(5))]))
    at = chance.randrange(len(whole))
    if sort == 2:
        whole[at] = chance.randrange(256)
    else:
        del whole[at:]
    return bytes(whole) or b"\0"


@pytest.fixture
def watched(monkeypatch):
    """A monitor whose checkers always say no, at once; the longest of what is logged."""
    peer = Peer("socket", "192.0.2.7", 50000, 143)
    peer.sources = {kind.needs for kind in channel.QUESTIONS.values()}  # everything may be asked
    settings = Settings(login_delay_seconds=0.0, login_tries=1 << 30, run_directory="")
    watched = monitor.Monitor(SERVICE, settings, peer, (0, 1))
    lines = []

    def ask_checker(kind, kept, only_refuse):
        about = channel.QUESTIONS[kind]
        watched.channel.receive(about.octet, about.fields)
        yield monitor.Pause(watched.channel.fileno(), 0, 0.0)
        return "fred", Verdict(False), b""

    monkeypatch.setattr(watched, "_ask_checker", ask_checker)
    for level in ("refused", "error", "info"):
        monkeypatch.setattr(log, level, lines.append)
    watched.lines = lines
    return watched


def answered(watched, *frames: bytes) -> str:
    """How the monitor ends when it is told these frames and then nothing."""
    ours, theirs = channel.pair()
    watched.channel, watched.admitted, watched.troubles = ours, None, 0
    try:
        for octets in frames:
            theirs._sock.send(octets)
        theirs._sock.shutdown(1)
        return "left" if driven(watched._answer()) is None else "admitted"
    except (Forged, monitor.Trouble, EOFError) as error:
        return type(error).__name__
    finally:
        ours.close()
        theirs.close()


def test_a_hundred_thousand_frames(watched):
    chance = random.Random(3)
    ends = dict.fromkeys(("left", "Forged", "Trouble"), 0)
    for _ in range(FRAMES // 2):
        ends[answered(watched, frame(chance), frame(chance))] += 1
    assert all(ends.values()), ends  # and not one "admitted", which would be a KeyError
    assert all("\n" not in line and line.isprintable() for line in watched.lines)


def test_what_is_handed_over_is_measured():
    chance = random.Random(4)
    fred = Account("fred", 1000, 1000, "/home/fred")
    for _ in range(2000):
        ours, theirs = channel.pair()
        for _ in range(3):
            theirs._sock.send(frame(chance))
        theirs._sock.shutdown(1)
        try:
            bundle = ours.take_over(fred, (10, 10, 10))
            while not bundle.whole:
                bundle.take(ours)
            entry = bundle.entry()
            assert len(entry.tag) <= 10 and len(entry.state) <= 10 and len(entry.read_ahead) <= 10
        except (Forged, EOFError):
            pass
        finally:
            ours.close()
            theirs.close()


def test_the_real_monitor_and_a_gatekeeper_that_speaks_at_random(tmp_path, monkeypatch):
    """All processes: whoever was taken over gets no session, and the monitor ends by itself, without a fault."""
    (tmp_path / "passwd").write_text("fred:!:54321:54321::/\n")
    (tmp_path / "passwd").chmod(0o600)
    settings = Settings(
        login_delay_seconds=0.0, run_directory=str(tmp_path / "run"), passwd_file=str(tmp_path / "passwd"),
        cram_md5_file="", anonymous_file="", hosts_allow="", hosts_deny="", login_timeout_seconds=5,
    )  # fmt: skip

    def keep(service, settings, peer, in_fd, out_fd, ours, parent, seconds):
        try:
            chance = random.Random(os.getpid())
            ours._sock.settimeout(0.05)
            for _ in range(chance.randrange(1, 12)):
                ours._sock.send(frame(chance))
                if chance.randrange(2):
                    ours._sock.recv(5000)
        finally:
            os._exit(0)

    monkeypatch.setattr(gatekeeper, "keep", keep)
    for _ in range(60):
        stage = Stage(settings, Peer("socket", "127.0.0.1", 50000, 143, local=True), tmp_path)
        stage.say(b"WHAT")
        assert stage.hear() == b"HELLO"  # the monitor's own
        assert stage.hear() == b""  # neither a session's words nor an apology
        assert stage.wait() in (0, 1)
        stage.kill()
        said = stage.lines()
        assert not any("Login user=" in line or "Authenticated" in line or "Error" in line for line in said), said
        assert any(line.startswith(("LOG_ALERT", "LOG_INFO")) for line in said)
        stage.log.write_text("")
