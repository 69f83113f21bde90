"""The end of a mailbox: done with the last rows only, a delivery ends in what it does when all rows are looked at."""

from __future__ import annotations

import random
import sqlite3

import pytest

from mailcore.store.columns import CHUNK_ROWS, NAMES
from mailcore.store.formats.mbox import ending, followed
from mailcore.store.formats.mbox.box import Box
from mailcore.store.index import Index
from mailcore.store.mailbox import Incoming
from tests.mailcore.store.conftest import Spool
from tests.mailcore.store.test_columns import columns

BASE = "X-IMAPbase: 1700000000 0000000000                    \n"
MANY = CHUNK_ROWS + 76


class Wholly(Index):
    """An index that gives nobody the last rows alone."""

    def end(self, path, record):
        return None


class Pair:
    """The same mailbox twice; `ours` may use the last rows alone, `theirs` not."""

    def __init__(self, root):
        self.ours, self.theirs = (Spool(self._made(root / name)) for name in ("ours", "theirs"))
        self.theirs.index = lambda: Wholly(self.theirs.settings, "fred", str(self.theirs.home))
        self.count = 0

    @staticmethod
    def _made(path):
        path.mkdir()
        return path

    def fill(self, count):
        words = [f"m{number}" for number in range(count)]
        for spool in (self.ours, self.theirs):
            first = spool.message(words[0], headers=BASE)
            spool.path.write_bytes(first + b"".join(spool.message(word) for word in words[1:]))
        self.count = count

    def both(self, work):
        return [work(spool) for spool in (self.ours, self.theirs)]

    def deliver(self, count):
        words = [f"m{number}" for number in range(self.count, self.count + count)]
        self.both(lambda spool: spool.deliver(*map(spool.message, words)))
        self.count += count

    def compare(self):
        one, other = self.both(lambda spool: spool.index().load(str(spool.path)))
        assert (one.uid_next, one.counts, one.word_sets) == (other.uid_next, other.counts, other.word_sets)
        assert list(one.counts) == list(followed._counts(one))
        for name in NAMES:
            if name not in ("modseq", "saved"):
                assert getattr(one.columns, name) == getattr(other.columns, name), name
        assert max(one.columns.modseq) <= one.highest_modseq and 0 not in one.columns.saved
        assert one.columns.modseq.count(one.highest_modseq) == other.columns.modseq.count(other.highest_modseq)
        assert self.ours.path.read_bytes() == self.theirs.path.read_bytes()


@pytest.fixture
def pair(tmp_path):
    made = Pair(tmp_path)
    yield made
    made.ours.close()
    made.theirs.close()


@pytest.fixture
def ends(monkeypatch):
    """What the last rows alone were good for: "grown" at an open, "settled" at a close."""
    used = []
    grown, settled = Box._grown, Box._settle_end

    def grow(box, *args):
        found = grown(box, *args)
        used.extend(["grown"] * (found is not None))
        return found

    def settle(box, sync):
        done = settled(box, sync)
        used.extend(["settled"] * done)
        return done

    monkeypatch.setattr(Box, "_grown", grow)
    monkeypatch.setattr(Box, "_settle_end", settle)
    return used


def opened(spool, readonly=False):
    box = spool.open(readonly)
    box.close()
    return list(box.uids), box.recent, box.unseen, box.first_unseen


@pytest.mark.parametrize("count", [MANY, 2 * CHUNK_ROWS - 1, 2 * CHUNK_ROWS])
def test_a_delivery(pair, ends, count):
    pair.fill(count)
    pair.both(opened)
    for more in (1, 2, 1500):
        ends.clear()
        pair.deliver(more)
        one, other = pair.both(lambda spool: (opened(spool, True), opened(spool), opened(spool)))
        assert one == other and one[1][0] == list(range(1, pair.count + 1)) and one[1][1] == more
        assert ends[:1] == ["grown"]
        pair.compare()


def test_no_column_but_the_uids_is_read(spool, ends):
    spool.fill(*[f"m{number}" for number in range(MANY)])
    opened(spool)
    spool.deliver(spool.message("new"))
    box = spool.open()
    columns = box._record.columns
    assert (box.recent, len(box.uids), box.uid_next, ends) == (1, MANY + 1, MANY + 2, ["grown"])
    assert not columns.read and _in_memory(columns) == ["uid"]
    box.close()
    assert ends == ["grown", "settled"] and _in_memory(box._record.columns) == ["uid"]
    assert spool.path.read_bytes().count(b"\nX-UID: ") == MANY + 1
    assert spool.open()._is_filed()


def _in_memory(columns):
    """The columns that were read."""
    found = []
    for name in NAMES:
        try:
            object.__getattribute__(columns, name)
            found.append(name)
        except AttributeError:
            pass
    return found


def test_flags_that_others_set_meanwhile(pair, ends):
    pair.fill(MANY)
    pair.both(opened)
    pair.deliver(1)

    def work(spool):
        other, box = spool.open(), spool.open()
        other.store([3, MANY, MANY + 1], "+", ["\\Seen", "$Word"])
        found = [box.news().changed, box.flags(3), box.flags(MANY + 1), box.unseen]
        other.close()
        box.close()
        return found

    one, other = pair.both(work)
    assert one == other and "grown" in ends
    pair.compare()


def test_the_last_message_is_not_that_with_the_highest_uid(pair, ends):
    """Somebody sorted the file: who took the last row for its end would take the others for new mail."""
    pair.fill(MANY)
    pair.both(opened)

    def sort(spool):
        first, *rest = spool.path.read_bytes().split(b"\n\nFrom ")
        rest[-1] = rest[-1].removesuffix(b"\n\n")
        spool.path.write_bytes(b"\n\nFrom ".join((first, *reversed(rest))) + b"\n\n")
        opened(spool)
        spool.deliver(spool.message("new"))
        return opened(spool)

    ends.clear()
    one, other = pair.both(sort)
    assert one == other and one[0] == list(range(1, MANY + 2)) and "grown" not in ends
    pair.compare()


@pytest.mark.parametrize("name", ["start", "flags", "uid", "digest"])
def test_damaged_last_rows(pair, ends, name):
    pair.fill(MANY)
    pair.both(opened)
    with sqlite3.connect(pair.ours.index().path) as db:
        field = NAMES.index(name)
        db.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE field = ? AND number = 1", (field,))
    pair.deliver(1)
    one, other = pair.both(opened)
    assert one[0] == other[0] == list(range(1, MANY + 2)) and "grown" not in ends


STEPS = ("visit", "glance", "store", "store_last", "touch", "expunge", "append")


def test_any_course_of_things(pair):
    chance = random.Random(5)
    pair.fill(MANY)
    sessions = []

    def step(name, *args):
        found = pair.both(lambda spool: globals()[f"_{name}"](spool, sessions, *args))
        assert found[0] == found[1], name

    for _ in range(60):
        name = chance.choice(["deliver", "deliver", *STEPS])
        if name == "deliver":
            pair.deliver(chance.choice([1, 1, 3]))
            continue
        step(name, chance.randrange(1, MANY))
        if name == "visit":
            pair.compare()


def _visit(spool, _, __):
    return opened(spool)


def _glance(spool, _, __):
    return opened(spool, True)


def _store(spool, _, uid):
    box = spool.open()
    box.store([uid], "+", ["\\Flagged"])
    box.close()
    return sorted(box.flags(uid)) if uid in box.uids else None


def _store_last(spool, _, __):
    box = spool.open()
    box.store(box.uids[-3:], "+", ["\\Answered", "$Last"])
    found = [sorted(box.flags(uid)) for uid in box.uids[-4:]]
    box.close()
    return found


def _touch(spool, _, uid):
    """Another program sets a flag in place."""
    data = spool.path.read_bytes()
    place = data.find(b"X-UID: %-10d\n" % uid)
    place = data.rfind(b"\nX-Status: ", 0, place) + 11 if place >= 0 else -1
    if place >= 0:
        spool.path.write_bytes(data[:place] + b"F" + data[place + 1 :])
    return place


def _expunge(spool, _, uid):
    box = spool.open()
    gone = box.remove([uid, box.uids[-1]])
    box.close()
    return gone


def _append(spool, _, number):
    box = spool.open()
    uids = box.append([Incoming(b"Subject: brought\r\n\r\n%d\r\n" % number, frozenset(["\\Seen"]), (1700000000, 0))])
    box.close()
    return uids


def test_adjoin():
    made = columns(3)
    for name, values in (("start", [0, 100, 200]), ("line", [10] * 3), ("length", [89, 90, 88])):
        for row, value in enumerate(values):
            getattr(made, name)[row] = value
    assert [ending.adjoin(made, row, 300) for row in range(3)] == [True, True, True]
    assert not any(ending.adjoin(made, row, size) for row in range(3) for size in (297, 301))
    made.length[1] = 87
    assert [ending.adjoin(made, row, 300) for row in range(3)] == [False, False, True]
    assert ending.last_start(made, 300) == 200 and ending.last_start(made, 400) == 0
