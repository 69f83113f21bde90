"""An index that is damaged, missing or impossible costs time, and never changes an answer."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random

import pytest

from mailcore.store.columns import NAMES
from tests.imapd.speaker import Speaker
from tests.playground import ROOT, Ground

FLIPS = 300
ASKED = (
    b"FETCH 1:* (UID RFC822.SIZE INTERNALDATE ENVELOPE)",
    b"FETCH 1:* (BODY BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (Subject From Date)])",
    b"SEARCH SUBJECT e",
    b"SEARCH OR FROM example SENTSINCE 1-Jan-2000",
    b"SORT (REVERSE DATE SUBJECT FROM) UTF-8 ALL",
    b"UID THREAD REFERENCES UTF-8 ALL",
    b"FETCH 1:* (FLAGS)",
)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = Ground(tmp_path)
    mails = [path.read_bytes() for path in sorted((ROOT / "tests/golden").glob("*.eml"))]
    line = b"From a@b Sat Nov 21 12:00:00 2026\n"
    ground.place("INBOX", b"".join(line + mail.rstrip(b"\n") + b"\n\n" for mail in mails))
    return ground


def answers(ground: Ground) -> list[list[bytes]]:
    speaker = Speaker(ground)
    speaker.say(b"EXAMINE INBOX")
    said = [speaker.say(line) for line in ASKED]
    speaker.talk.close()
    return said


def without_recent(said: list[list[bytes]]) -> list[list[bytes]]:
    return [[line.replace(b"\\Recent ", b"").replace(b"\\Recent", b"") for line in lines] for lines in said]


def test_with_and_without_an_index(ground):
    first = answers(ground)
    assert answers(ground) == first, "remembered"
    for name in ground.index.iterdir():
        name.unlink()
    assert answers(ground) == first
    ground.index = Path("/proc/nowhere")
    assert without_recent(answers(ground)) == without_recent(first)


@pytest.mark.parametrize("field", range(1, len(NAMES)))
def test_damage_that_is_found_late(ground, field):
    """SELECT reads little; what it left is damaged when it is wanted."""
    right = without_recent(answers(ground)) and without_recent(answers(ground))
    speaker = Speaker(ground)
    speaker.say(b"SELECT INBOX")
    speaker.talk.close()
    reader = Speaker(ground)
    reader.say(b"EXAMINE INBOX")
    connection = sqlite3.connect(ground.index / "index.db")
    with connection:
        connection.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE field = ?", (field,))
    connection.close()
    said = without_recent([reader.say(line) for line in ASKED])
    for lines in said[:-1]:  # where it is found, all flags are news
        lines[:] = [line for line in lines if b" FETCH (FLAGS (" not in line]
    said[-1] = list(dict.fromkeys(said[-1]))
    assert said == right
    reader.talk.close()
    assert without_recent(answers(ground)) == right


def test_flipped_bits(ground):
    select = Speaker(ground)
    select.say(b"SELECT INBOX")
    select.say(b"STORE 2:4 +FLAGS (\\Seen)")
    select.talk.close()
    answers(ground)
    right = without_recent(answers(ground))
    path = ground.index / "index.db"
    whole = path.read_bytes()
    mail = ground.inbox.read_bytes()
    random = Random(1)
    for _ in range(FLIPS):
        place, bit = random.randrange(len(whole)), 1 << random.randrange(8)
        for name in ground.index.iterdir():
            name.unlink()
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        assert without_recent(answers(ground)) == right, (place, bit)
    assert ground.inbox.read_bytes() == mail
