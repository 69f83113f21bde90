"""S3: whatever the gatekeeper sends, no account comes of it."""

from __future__ import annotations

import random

import pytest

from mailcore import log
from mailcore.login import channel, monitor
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Forged, Verdict, pack
from mailcore.settings import Settings
from tests.mailcore.login.parrot import SERVICE

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
    watched = monitor.Monitor(SERVICE, settings, peer)
    lines = []

    def ask_checker(kind, kept, only_refuse):
        about = channel.QUESTIONS[kind]
        watched.channel.receive(about.octet, about.fields)
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
        return "left" if watched._answer() is None else "admitted"
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
            entry = ours.take_over(fred, (10, 10, 10))
            assert len(entry.tag) <= 10 and len(entry.state) <= 10 and len(entry.read_ahead) <= 10
        except (Forged, EOFError):
            pass
        finally:
            ours.close()
            theirs.close()
