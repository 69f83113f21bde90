"""QRESYNC over a file that mutt and Postfix write to, and over a lost index; the rest is in the transcripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from imapd.extensions.qresync import _missing, _within
from tests.imapd.speaker import Speaker
from tests.imapd.test_two_sessions import MAIL
from tests.playground import MAILBOXES, Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = Ground(tmp_path)
    ground.place("INBOX", (MAILBOXES / "flags.mbox").read_bytes())
    return ground


def highest(said: list[bytes]) -> int:
    (line,) = [line for line in said if b"[HIGHESTMODSEQ " in line]
    return int(line.split()[3].rstrip(b"]"))


def resynchronised(ground: Ground, modseq: int, known: bytes = b"") -> list[bytes]:
    """What a client hears that comes back with what it knew at `modseq`: VANISHED, FETCH."""
    speaker = Speaker(ground)
    speaker.say(b"ENABLE QRESYNC")
    said = speaker.say(b"SELECT INBOX (QRESYNC (1700000000 %d%b))" % (modseq, known))
    assert said[-1].startswith(b"t OK"), said[-1]
    speaker.talk.close()
    return [line.partition(b" MODSEQ")[0] for line in said if b"VANISHED" in line or b" FETCH (" in line]


@pytest.fixture
def known(ground: Ground) -> int:
    speaker = Speaker(ground)
    known = highest(speaker.say(b"SELECT INBOX"))
    speaker.say(b"CLOSE")
    speaker = Speaker(ground)
    known = highest(speaker.say(b"SELECT INBOX"))
    speaker.talk.close()
    return known


def test_nothing_happened(ground: Ground, known: int) -> None:
    assert resynchronised(ground, known) == []


def test_a_delivery(ground: Ground, known: int) -> None:
    with ground.inbox.open("ab") as file:
        file.write(MAIL)
    assert resynchronised(ground, known) == [b"* 5 FETCH (UID 10 FLAGS (\\Recent)"]


def test_mutt_rewrites_the_file(ground: Ground, known: int) -> None:
    """Message 3 (UID 3) is gone, UID 7 has another flag, as mutt would write both."""
    parts = ground.inbox.read_bytes().split(b"\n\nFrom ")
    assert len(parts) == 4
    del parts[1]
    parts[1] = parts[1].replace(b"Status: O", b"Status: RO", 1)
    ground.inbox.write_bytes(b"\n\nFrom ".join(parts))
    told = resynchronised(ground, known)
    assert told[0] == b"* VANISHED (EARLIER) 3" and len(told) == 2 and b"UID 7 FLAGS (\\Seen" in told[1]


def test_a_lost_index(ground: Ground, known: int) -> None:
    for path in ground.index.glob("index.db*"):
        path.unlink()
    told = resynchronised(ground, known, b" 1:9")
    assert told[0] == b"* VANISHED (EARLIER) 2,4:6,8" and len(told) == 5
    told = resynchronised(ground, known, b" 1:9 (1:3 1,3,7)")
    assert told[0] == b"* VANISHED (EARLIER) 8", "up to UID 7 the client has what we have"


def test_an_append_by_ipop3ds_neighbour(ground: Ground, known: int) -> None:
    speaker = Speaker(ground)
    assert speaker.say(b"APPEND INBOX {5+}\r\nx\r\ny\r\n"[:-2])[-1].startswith(b"t OK [APPENDUID")
    assert resynchronised(ground, known) == [b"* 5 FETCH (UID 10 FLAGS (\\Recent)"]


def test_close_tells_no_number_if_others_removed_too(ground: Ground, known: int) -> None:
    one, other = Speaker(ground), Speaker(ground)
    one.say(b"ENABLE QRESYNC")
    for speaker in (one, other):
        speaker.say(b"SELECT INBOX")
    other.say(b"UID STORE 3 +FLAGS.SILENT (\\Deleted)")
    one.say(b"NOOP")
    one.say(b"UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.say(b"UID EXPUNGE 3")
    assert one.say(b"CLOSE") == [b"t OK CLOSE completed"]


MISSING = [
    ([], [(1, 5)], b"1:5"),
    ([1, 2, 3], [(1, 3)], b""),
    ([2], [(1, 3)], b"1,3"),
    ([2, 3, 9], [(1, 3), (5, 12)], b"1,5:8,10:12"),
    ([5], [(7, 6)], b""),
    ([1, 4294967295], [(1, 4294967295)], b"2:4294967294"),
]


@pytest.mark.parametrize(("uids", "spans", "told"), MISSING)
def test_missing(uids: list[int], spans: list[tuple[int, int]], told: bytes) -> None:
    assert _missing(uids, spans) == told


def test_within() -> None:
    assert [uid for uid in range(12) if _within([(2, 3), (5, 5), (7, 9)], uid)] == [2, 3, 5, 7, 8, 9]
