"""What is read without a lock: whatever others do meanwhile, the record is the file's in the end (R29, R28)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mailcore.errors import NotAMailbox
from mailcore.store.formats.mbox import survey
from mailcore.store.locking import Locks


@pytest.fixture
def slow(monkeypatch):
    """Every scan takes too long to be made under the lock; what others do is done after a scan without."""
    monkeypatch.setattr(survey, "BRIEF_OCTETS", 300)
    monkeypatch.setattr(survey, "BRIEF_MESSAGES", 3)
    held = []
    acquire, release = Locks.acquire, Locks.release

    def acquired(self, fd, exclusive, seconds=None):
        acquire(self, fd, exclusive, seconds)
        held.append(self)

    def released(self):
        if self in held:
            held.remove(self)
        release(self)

    monkeypatch.setattr(Locks, "acquire", acquired)
    monkeypatch.setattr(Locks, "release", released)

    class Slow:
        deeds: list = []
        locked: list[int] = []  # octets scanned while a lock was held

    scan = survey.scan

    def watched(fd, begin, end, pseudo):
        found = scan(fd, begin, end, pseudo)
        if held:
            Slow.locked.append(end - begin)
        elif Slow.deeds:
            Slow.deeds.pop(0)()
        return found

    Slow.deeds, Slow.locked = [], []
    monkeypatch.setattr(survey, "scan", watched)
    return Slow


WORDS = [f"m{number}" for number in range(12)]


def test_nothing_long_is_read_under_the_lock(spool, slow, agrees, subjects):
    spool.fill(*WORDS)
    box = spool.open()
    assert slow.locked == [] and subjects(box) == WORDS
    agrees(box)
    box.close()
    spool.deliver(*(spool.message(word) for word in WORDS))
    os.utime(spool.path)
    box = spool.open()
    assert not [octets for octets in slow.locked if octets > 300]
    assert subjects(box) == WORDS * 2 and list(box.uids) == list(range(1, 25))
    agrees(box)


@pytest.mark.parametrize("readonly", [False, True])
def test_mail_comes_while_it_is_read(spool, slow, agrees, subjects, readonly):
    spool.fill(*WORDS)
    slow.deeds += [lambda: spool.deliver(spool.message("new1")), lambda: spool.deliver(spool.message("new2"))]
    box = spool.open(readonly)
    assert subjects(box) == [*WORDS, "new1", "new2"] and not slow.deeds
    assert not [octets for octets in slow.locked if octets > 300]
    if not readonly:
        agrees(box)


def test_mail_that_comes_each_time_is_read_under_the_lock_in_the_end(spool, slow, agrees):
    spool.fill(*WORDS)
    slow.deeds += [lambda: spool.deliver(*(spool.message(word) for word in WORDS))] * 20
    box = spool.open()
    assert slow.locked and len(box) == 12 * (1 + 20 - len(slow.deeds))
    agrees(box)


def test_another_program_rewrites_it_while_it_is_read(spool, slow, agrees, subjects):
    spool.fill(*WORDS)
    first = spool.open()
    uids = dict(zip(subjects(first), first.uids, strict=True))
    first.close()
    old = spool.path.read_bytes()
    start = old.index(b"From m3@")
    shorter = old[start:] + old[: old.index(b"From m2@")]
    os.utime(spool.path)
    slow.deeds += [lambda: spool.path.write_bytes(shorter), lambda: spool.path.write_bytes(old[:start])]
    box = spool.open()
    assert subjects(box) == WORDS[:3]
    assert [uids[word] for word in subjects(box)] == list(box.uids)
    agrees(box)


def test_it_is_replaced_or_taken_away_while_it_is_read(spool, slow, agrees, subjects, tmp_path):
    spool.fill(*WORDS)

    def replace():
        spool.fill("other", *WORDS, path=tmp_path / "new")
        os.rename(tmp_path / "new", spool.path)

    slow.deeds += [replace, lambda: os.unlink(spool.path)]
    box = spool.open()
    assert list(box.uids) == []
    spool.fill(*WORDS)
    box.refresh()
    box.news()
    assert subjects(box) == WORDS


def test_another_session_of_ours_is_quicker(spool, slow, agrees, subjects):
    spool.fill(*WORDS)
    others = []
    slow.deeds += [lambda: others.append(spool.open())]
    box = spool.open()
    assert subjects(others[0]) == subjects(box) == WORDS and list(others[0].uids) == list(box.uids)
    assert others[0].recent == 12 and box.recent == 0
    others[0].store([2], "+", ["\\Deleted"])
    slow.deeds += [lambda: others[0].expunge()]
    os.utime(spool.path)
    box.store([3], "+", ["\\Flagged"])
    assert list(box.news().expunged) == [2]
    assert subjects(box) == ["m0", *WORDS[2:]] and box.flags(3) == {"\\Flagged"}
    agrees(box)


def test_what_is_no_mailbox_is_said_and_what_only_was_none_is_not(spool, slow, subjects):
    spool.path.write_bytes(b"no mailbox\n" * 100)
    with pytest.raises(NotAMailbox):
        spool.open()
    scan = survey.scan
    spool.fill(*WORDS)

    def torn(fd, begin, end, pseudo):
        survey.scan = scan
        spool.deliver(spool.message("late"))
        raise NotAMailbox

    survey.scan = torn
    assert subjects(spool.open()) == [*WORDS, "late"]


def test_times_of_whole_seconds(spool, slow, subjects):
    """Where a later write could have the same time, it is waited for another second."""
    spool.fill(*WORDS)
    now = os.stat(spool.path).st_mtime_ns // 1_000_000_000 * 1_000_000_000
    os.utime(spool.path, ns=(now, now))
    assert subjects(spool.open(readonly=True)) == WORDS
    spool.fill(*WORDS[1:])
    later = now + 600 * 1_000_000_000
    os.utime(spool.path, ns=(later, later))
    assert subjects(spool.open()) == WORDS[1:] and slow.locked


@pytest.mark.parametrize("cut", range(0, 130, 7))
def test_a_delivery_cut_off_is_tolerated(spool, subjects, cut):
    """R14: nothing is rewritten until asked, and the next mail is found."""
    spool.fill("one")
    spool.deliver(spool.message("torn", "body " * 20)[:cut])
    before = spool.path.read_bytes()
    assert subjects(spool.open(readonly=True))[0] == "one" and spool.path.read_bytes() == before
    spool.deliver(b"\n\n" + spool.message("after"))
    box = spool.open()
    assert subjects(box)[0] == "one" and subjects(box)[-1] == "after"


READER = """
import sys
from mailcore.settings import Settings
from mailcore.store.formats.mbox import survey as module
from mailcore.store.namespace import Store
module.BRIEF_OCTETS, module.BRIEF_MESSAGES = 20000, 30
root, count = sys.argv[1], int(sys.argv[2])
settings = Settings(mail_location=f"mbox:{root}/mail:INBOX={root}/inbox", index_directory=f"{root}/home/index")
with Store("fred", root, settings) as store:
    for number in range(count):
        with store.open("INBOX") as box:
            for uid in list(box.uids)[number % 3 :: 3]:
                try:
                    text = bytes(box.text(uid)[:])
                except Exception as error:
                    if type(error).__name__ != "Expunged":
                        raise
                    continue
                word = text[9 : text.index(b"\\n")]
                assert text == b"Subject: %b\\n\\n%b body\\n" % (word, word * 9), text
            if number % 2 and len(box) > 3:
                box.store([box.uids[number % 3]], "+", ["\\\\Deleted", f"k{number}"])
                print(*box.expunge(), flush=True)
"""


def test_readers_writers_and_deliveries_together(spool):
    """Nobody ever sees half a message or another one's bytes, and nothing is lost."""
    (spool.root / "home/index").mkdir()
    spool.path.write_bytes(b"".join(mail(f"old{number}") for number in range(60)))
    command = [sys.executable, "-c", READER, str(spool.root), "25"]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    for number in range(150):
        deliver(spool.path, mail(f"new{number}"))
    removed = [int(uid) for reader in readers for uid in reader.communicate(timeout=120)[0].split()]
    assert [reader.returncode for reader in readers] == [0, 0, 0]
    words = [f"{kind}{number}" for kind, count in (("old", 60), ("new", 150)) for number in range(count)]
    left = [word for uid, word in enumerate(words, 1) if uid not in removed]
    text = spool.path.read_bytes()
    assert len(removed) == len(set(removed)) > 10
    assert [line[9:].decode() for line in text.split(b"\n") if line.startswith(b"Subject: ")] == left


def mail(word: str) -> bytes:
    return f"From a@example.org Sat Nov 21 12:00:00 2026\nSubject: {word}\n\n{word * 9} body\n\n".encode()


def deliver(path, data: bytes) -> None:
    """As a delivery agent that knows fcntl locks only."""
    import fcntl

    with open(path, "ab") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        file.write(data)
        file.flush()
