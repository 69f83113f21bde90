"""The text index: what it finds, what it does not claim to know, and how it ends."""

from __future__ import annotations

import os
import sqlite3
import stat
from time import time

import pytest

from mailcore.store import textindex
from mailcore.store.columns import Columns
from mailcore.store.mailbox import ANYTHING
from mailcore.store.textindex import Filed, Known, TextIndex, grams

MIB = 1024 * 1024


def columns(*uids: int, digest: int = 7) -> Columns:
    made = Columns()
    for uid in uids:
        made.start.append(uid)
        made.uid.append(uid)
        made.digest.append(digest << 56 | uid)
        made.octets.append(uid + 100)
    return made


@pytest.fixture
def texts(tmp_path):
    made = TextIndex(str(tmp_path), MIB)
    yield made
    made.close()


def filed(texts: TextIndex, box: Columns, name: str = "F1", **documents: str) -> Filed:
    """One mailbox; `u3` is the text of the message with UID 3."""
    made = Filed(texts)
    made.unknown(name, box, box.uid)
    assert not documents or made.learn(name, box, [(int(uid[1:]), text) for uid, text in documents.items()], len(box))
    return made


@pytest.mark.parametrize(
    "strings, expected",
    [
        ([], []),
        (["AB"], []),
        (["ABC"], ["ABC"]),
        (["ABCD", "XBCD"], ["ABC", "BCD", "XBC"]),
        (["A\0B\ud800"], ["A\1B", "\1B?"]),
        (["ßİ\U0001f600"], ["ßİ\U0001f600"]),
    ],
)
def test_grams(strings, expected):
    assert grams(strings) == expected


def test_grams_of_a_long_string_are_some_of_all():
    found = grams(["".join(map(chr, range(500, 5500)))])
    assert textindex.GRAMS // 2 < len(found) <= textindex.GRAMS


@pytest.mark.parametrize(
    "string, without",
    [
        ("HELLO", {2, 3}),
        ("HEL", {2}),
        ("ELLO WORLD", {2, 3}),
        ("WORLD HELLO", {1, 2, 3}),
        ('"QUO', {1, 2}),
        ('" OR "', {1, 2, 3}),
        ("NUL\0S", {1, 3}),
        ("ZZZ", {1, 2, 3}),
        ("ZZ", set()),
        ("", set()),
    ],
)
def test_who_is_surely_without(texts, string, without):
    box = columns(1, 2, 3, 4, 5)
    one = filed(texts, box, u1="HELLO WORLD", u2="A NUL\0STANDS", u3='HEL "QUOTED"', u4=ANYTHING)
    assert one.without("F1", box, [string]) == without
    assert one.unknown("F1", box, [4, 5]) == {5}
    assert one.without("F1", box, ["HELLO", "WORLD", string]) >= without
    assert Filed(texts).without("F2", box, [string]) == set(), "another mailbox"


def test_a_message_that_is_another_one_is_not_known(texts):
    box = columns(1, 2)
    filed(texts, box, u1="ONE", u2="TWO")
    other = columns(1, 2)
    other.octets[0] += 1
    other.digest[1] ^= 1
    one = filed(texts, other)
    assert one.without("F1", other, ["NOT"]) == set() and one.unknown("F1", other, [1, 2, 3]) == {1, 2, 3}
    assert one.learn("F1", other, [(2, "NOT THAT"), (3, "NOBODY")], 2)
    assert one.without("F1", other, ["TWO"]) == set(), "what had its UID before may still be found"
    assert one.without("F1", other, ["ONE"]) == {2} and texts.size()[0] == 3


def test_what_changed_while_it_was_read_is_not_learned(texts):
    box = columns(1, 2)
    one = filed(texts, box)
    after = columns(1, 2)
    after.digest[1] ^= 1
    assert one.learn("F1", after, [(1, "ONE"), (2, "TWO")], 2)
    assert one.unknown("F1", after, [1, 2]) == {2}


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 3000])
def test_many_and_more(texts, count):
    box = columns(*range(1, count + 1))
    half = count // 2
    one = filed(texts, box, **{f"u{uid}": f"NUMBER <{uid}>" for uid in range(1, half + 1)})
    filed(texts, box, **{f"u{uid}": f"NUMBER <{uid}>" for uid in range(half, count + 1)})
    assert texts.size()[0] == count, "none twice"
    assert one.without("F1", box, [f"<{count}>"]) == set(range(1, count)) - {uid for uid in box.uid if uid == count}
    assert one.unknown("F1", box, box.uid) == set()
    assert texts.sound()


def test_the_file(texts, tmp_path):
    filed(texts, columns(1), u1="ONE")
    assert stat.S_IMODE(os.stat(tmp_path / "text.db").st_mode) == 0o600
    rows, octets = texts.size()
    assert rows == 1 and 0 < octets < 100_000


def test_it_does_not_grow_over_its_limit(tmp_path):
    box = columns(*range(1, 401))
    texts = TextIndex(str(tmp_path), 100_000)
    one = filed(texts, box)
    for uid in box.uid:
        words = "".join(chr(0x4E00 + (uid * 97 + at * at) % 20000) for at in range(30))
        assert one.learn("F1", box, [(uid, words)], 400) is not texts.full
        if texts.full:
            break
    rows, octets = texts.size()
    assert 10 < rows < 400 and octets < 150_000
    assert one.unknown("F1", box, box.uid) == set(), "nothing is wanted any more"
    texts = TextIndex(str(tmp_path), 100_000)
    one = filed(texts, box)
    assert len(one.unknown("F1", box, box.uid)) == 400 - rows
    texts.clear()
    assert texts.size()[0] == 0 and len(one.unknown("F1", box, box.uid)) == 400
    assert one.without("F1", box, ["ABC"]) == set(), "what was known before the end is not"


def test_mostly_gone_begins_anew(texts, monkeypatch):
    monkeypatch.setattr(textindex, "SPARE_ROWS", 4)
    old = columns(*range(1, 11))
    one = filed(texts, old, **{f"u{uid}": "OLD" for uid in old.uid})
    assert one.without("F1", old, ["NEW"]) == set(old.uid)
    box = columns(10, 11)
    two = filed(texts, box)
    assert two.learn("F1", box, [(11, "NEW")], 3) and texts.size()[0] == 11, "10 are not more than 2 * 3 + 4"
    assert two.learn("F1", box, [(10, "OLD"), (11, "NEW")], 2) and texts.size()[0] == 2
    assert two.without("F1", box, ["NEW"]) == {10}
    assert one.without("F1", box, ["NEW"]) == {10}, "the other session notices"


def test_somebody_else_is_writing(texts, tmp_path):
    box = columns(1, 2)
    one = filed(texts, box, u1="ONE")
    texts.busy_seconds = 0
    texts.close()
    with sqlite3.connect(tmp_path / "text.db") as other:
        other.execute("BEGIN IMMEDIATE")
        assert not one.learn("F1", box, [(2, "TWO")], 2)
        assert one.without("F1", box, ["TWO"]) == {1}, "who reads does not wait"
    assert texts.lasting and one.learn("F1", box, [(2, "TWO")], 2)


def test_another_file_of_the_same_size_in_its_place(texts, tmp_path):
    box = columns(1, 2)
    one = filed(texts, box, u1="ONE", u2="TWO")
    assert one.without("F1", box, ["ONE"]) == {2}
    texts.close()
    for path in tmp_path.iterdir():
        path.unlink()
    other = TextIndex(str(tmp_path), MIB)
    filed(other, box, u2="TWO")
    filed(other, box, u1="ONE")
    other.close()
    assert one.without("F1", box, ["ONE"]) == {2}


def test_the_disk_is_full(texts, tmp_path):
    box = columns(*range(1, 1001))
    one = filed(texts, box, u1="ONE")
    pages = texts._connection.execute("PRAGMA page_count").fetchone()[0]
    texts._connection.execute(f"PRAGMA max_page_count = {pages}")
    assert not one.learn("F1", box, [(uid, f"{uid * uid} {uid ** 3} {uid ** 4}") for uid in range(2, 1001)], 1000)
    assert one.without("F1", box, ["TWO"]) == set() and not texts.lasting
    again = TextIndex(str(tmp_path), MIB)
    assert again.size()[0] == 1 and again.sound()


@pytest.mark.parametrize("statement", [
    "UPDATE known SET data = substr(data, 1, 10)",
    "UPDATE known SET data = x''",
    "DELETE FROM known",
    "UPDATE mailbox SET id = id + 1",
    "UPDATE mailbox SET messages = 7",
    "DROP TABLE text_data",
    "DELETE FROM text_data",
    "UPDATE text_data SET block = x'ffffffffffffffff' WHERE id = 10",
    "DROP TABLE known",
])  # fmt: skip
def test_damage_costs_the_file(texts, tmp_path, statement):
    box = columns(1, 2)
    filed(texts, box, u1="ONE", u2="TWO")
    texts.close()
    with sqlite3.connect(tmp_path / "text.db") as db:
        db.execute(statement)
    db.close()
    texts = TextIndex(str(tmp_path), MIB)
    assert filed(texts, box).without("F1", box, ["ONE"]) == set()
    assert not (tmp_path / "text.db").exists()
    fresh = filed(TextIndex(str(tmp_path), MIB), box, u1="ONE", u2="TWO")
    assert fresh.without("F1", box, ["ONE"]) == {2}


@pytest.mark.parametrize("table", ["text_data", "text_idx"])
def test_a_row_that_fts5_would_believe(texts, tmp_path, monkeypatch, table):
    box = columns(1, 2)
    one = filed(texts, box, u1="ONE", u2="TWO")
    assert one.without("F1", box, ["ONE"]) == {2}, "looked at today"
    with sqlite3.connect(tmp_path / "text.db") as other:
        other.execute(f"DELETE FROM {table} WHERE rowid > 10" if table == "text_data" else f"DELETE FROM {table}")
    monkeypatch.setattr(textindex, "time", lambda: time() + textindex.CHECK_SECONDS + 1)
    assert one.without("F1", box, ["ONE"]) == set() and not texts.lasting


def test_a_damaged_chunk():
    known = Known(1)
    for row in range(1500):
        known.uid.append(row + 1)
        known.digest.append(row << 50)
        known.octets.append(row)
    again = Known(1)
    for number in (0, 1):
        again.add_chunk(number, "F1", known.packed(number, "F1"))
    assert (again.uid, again.digest, again.octets) == (known.uid, known.digest, known.octets)
    data = known.packed(1, "F1")
    for damaged in (b"", data[:-1], data[:50] + bytes([data[50] ^ 4]) + data[51:]):
        with pytest.raises(ValueError, match="damaged"):
            Known(1).add_chunk(1, "F1", damaged)
    for number, name in ((0, "F1"), (1, "F2")):
        with pytest.raises(ValueError, match="damaged"):
            Known(1).add_chunk(number, name, data)
