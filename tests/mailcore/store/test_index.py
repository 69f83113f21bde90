"""The index: what it keeps, and how little it can hurt."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
from array import array

import pytest

from mailcore.settings import Settings
from mailcore.store.columns import NAMES, Stale
from mailcore.store.formats.mbox.identity import follower
from mailcore.store.index import Index, Record, find_home


@pytest.fixture
def index(tmp_path):
    made = Index(Settings(), "fred", str(tmp_path))
    yield made
    made.close()


def record(rows=3000):
    made = Record()
    made.uid_validity, made.uid_next = 77, 2 * rows + 1
    made.facts, made.keywords, made.word_sets = ["1", "2"], ["$A", "b"], [0, 1, 3]
    for row in range(rows):
        made.columns.uid.append(2 * row + 1)
        for name, value in (("start", row * 1000), ("words", row % 3), ("zone", -60), ("digest", row << 40)):
            getattr(made.columns, name).append(value)
        for name in ("flags", "filed", "line", "header", "length", "octets", "date", "modseq", "saved"):
            getattr(made.columns, name).append(row % 200)
        made.columns.block.append(1)
        made.columns.filed_words.append(2)
        made.columns.block_octets.append(0xFFFFFFFF)
    return made


def same(one, two):
    assert (one.uid_validity, one.uid_next, one.facts, one.keywords, one.word_sets) == (
        two.uid_validity, two.uid_next, two.facts, two.keywords, two.word_sets
    )  # fmt: skip
    for name in NAMES:
        assert getattr(one.columns, name) == getattr(two.columns, name)


@pytest.mark.parametrize("rows", [0, 1, 1023, 1024, 1025, 3000])
def test_what_is_saved_is_loaded(index, tmp_path, rows):
    made = record(rows)
    assert index.load("/m") is None and index.generation("/m") == 0
    assert index.save("/m", made)
    same(index.load("/m"), made)
    again = Index(Settings(), "fred", str(tmp_path))
    same(again.load("/m"), made)
    assert again.facts("/m") == ["1", "2"] and again.load("/other") is None


def test_changed_chunks_only_and_shorter_ones(index, tmp_path):
    made = record()
    index.save("/m", made, durable=True)
    made.columns.own("flags")
    made.columns.flags[1500] = 1
    index.save("/m", made)
    same(index.load("/m"), made)
    made.columns.cut(1000)
    index.save("/m", made)
    same(Index(Settings(), "fred", str(tmp_path)).load("/m"), made)


def test_who_comes_late_must_look_again(index, tmp_path):
    other = Index(Settings(), "fred", str(tmp_path))
    one, two = record(10), record(20)
    assert index.save("/m", one)
    assert not other.save("/m", two)
    two.generation = other.generation("/m")
    assert other.save("/m", two)
    assert not index.save("/m", one)
    same(index.load("/m"), two)


def test_columns_are_read_when_they_are_asked_for(index, tmp_path):
    other = Index(Settings(), "fred", str(tmp_path))
    made = record()
    index.save("/m", made)
    early, late = other.load("/m"), other.load("/m")
    assert early.columns.have(("flags",)) and not early.columns.read
    made.columns.cut(2999)
    made.columns.flags[7] = 99
    index.save("/m", made)
    assert early.columns.flags[7] == 7 and len(early.columns) == 3000
    assert list(late.columns.uid) == list(early.columns.uid), "the numbers of a session hold"
    with pytest.raises(Stale):
        _ = late.columns.flags
    assert not late.columns.have() and other.load("/m").columns.flags[7] == 99


def test_columns_that_nobody_read_stay_as_they_are(index, tmp_path):
    expected = record()
    index.save("/m", expected)
    found = index.load("/m")
    changed = follower(found)
    changed.columns.flags[7] = 99
    assert index.save("/m", changed) and not changed.columns.read and not found.columns.read
    assert found.columns.flags[7] == 7, "as it was"
    expected.columns.flags[7], expected.columns.modseq[7] = 99, changed.highest_modseq
    same(index.load("/m"), expected)
    same(changed, expected)


def test_late_for_what_was_not_read(index, tmp_path):
    index.save("/m", record())
    late = follower(index.load("/m"))
    late.columns.flags[7] = 99
    other = Index(Settings(), "fred", str(tmp_path))
    assert other.save("/m", follower(other.load("/m")))
    assert not index.save("/m", late)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "uid"])
def test_a_damaged_column_is_found_by_who_reads_it(index, tmp_path, name):
    made = record()
    index.save("/m", made)
    connection = sqlite3.connect(tmp_path / ".local/state/mailcore/index.db")
    with connection:
        connection.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE field = ? AND number = 1",
                           (NAMES.index(name),))  # fmt: skip
    connection.close()
    found = index.load("/m")
    assert found.columns.have(tuple(other for other in NAMES if other != name))
    assert not found.columns.have((name,))
    assert index.load("/m") is None and index.generation("/m") == found.generation + 1, "nobody believes the others"


def test_renamed(index):
    made, former = record(10), record(20)
    made.uid_validity = 78
    index.save("/a", made)
    index.save("/b", former)
    index.renamed("/a", "/b")
    same(index.load("/b"), made)
    buried = index.load("/a")
    assert (buried.uid_validity, buried.facts, len(buried.columns)) == (78, [], 0)


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_found_or_does_not_matter(tmp_path, seed):
    chance = random.Random(seed)
    index = Index(Settings(), "fred", str(tmp_path))
    made = record()
    index.save("/m", made)
    index.close()
    path = tmp_path / ".local/state/mailcore/index.db"
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 50])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    index = Index(Settings(), "fred", str(tmp_path))
    found = index.load("/m")
    if found is not None and found.columns.have():
        same(found, made)
    else:
        assert index.load("/m") is None
        found = Record()
    found.generation = index.generation("/m")
    assert index.save("/m", made if found.generation == made.generation else found) in (True, False)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000])
def test_another_file_in_its_place(tmp_path, content):
    home = tmp_path / ".local/state/mailcore"
    home.mkdir(parents=True)
    (home / "index.db").write_bytes(content)
    index = Index(Settings(), "fred", str(tmp_path))
    assert index.save("/m", record(5))
    assert len(index.load("/m").columns) == 5
    assert index.lasting


def test_nowhere(tmp_path):
    index = Index(Settings(index_directory="/proc/no"), "fred", str(tmp_path))
    made = record(5)
    assert index.home == "" and not index.lasting
    assert index.save("/m", made) and made.generation == 1 and index.load("/m") is None


def test_home(tmp_path, monkeypatch):
    from mailcore.store import index as module

    own = find_home(Settings(), "fred", str(tmp_path))
    assert own == str(tmp_path / ".local/state/mailcore")
    assert stat.S_IMODE(os.stat(own).st_mode) == 0o700
    assert find_home(Settings(index_directory="%h/x/%u"), "fred", str(tmp_path)) == str(tmp_path / "x/fred")
    assert find_home(Settings(index_directory="~/y"), "fred", str(tmp_path)) == str(tmp_path / "y")
    monkeypatch.setattr(module, "SHARED_HOME", str(tmp_path / "shared"))
    (tmp_path / "shared/fred").mkdir(parents=True)
    assert find_home(Settings(), "fred", str(tmp_path)) == str(tmp_path / "shared/fred")
    assert find_home(Settings(), "..", str(tmp_path)) == own
    assert find_home(Settings(), "fred", "/no/such/home") == str(tmp_path / "shared/fred")
    assert find_home(Settings(), "other", "/no/such/home") == ""


def test_the_last_rows(index):
    """They grow and are saved in place of all, by who has just what the index has."""
    made = record(3000)
    index.save("/m", made)
    other = index.load("/m")
    columns = index.end("/m", made)
    assert columns.before == 2048 and list(columns.uid) == list(made.columns.uid[2048:])
    assert index.end("/m", record(1024)) is None and index.end("/none", made) is None
    columns.own(*NAMES)
    for name in NAMES:
        getattr(columns, name).extend(getattr(columns, name)[:200])
    columns.uid = array("I", range(4097, 4097 + len(columns)))
    made.columns, made.uid_next = columns, 9000
    assert index.save("/m", made)
    loaded = index.load("/m")
    assert len(loaded.columns) == 3200 and loaded.columns.uid[2047:2049] == array("I", [4095, 4097])
    assert loaded.columns.start[3000:] == loaded.columns.start[2048:2248] and loaded.columns.have()
    assert index.end("/m", other) is None and not other.columns.have()
    assert index.end("/m", loaded).before == 3072
    loaded.columns.cut(1500)
    assert index.save("/m", loaded) and len(index.load("/m").columns) == 1500 and index.load("/m").columns.have()
