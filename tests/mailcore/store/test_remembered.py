"""Texts made of messages: remembered, bound to their messages, and never a wrong one."""

from __future__ import annotations

from array import array
from random import Random

import pytest

from mailcore.store import remembered
from mailcore.store.columns import NAMES, Columns
from mailcore.store.remembered import Chunk


def columns_of(*uids: int) -> Columns:
    columns = Columns()
    for uid in uids:
        for name in NAMES:
            getattr(columns, name).append({"uid": uid, "digest": uid * 7919, "octets": 100 + uid}.get(name, 0))
    return columns


def test_a_chunk_is_packed_and_unpacked():
    columns = columns_of(1, 2, 5)
    chunk = Chunk().merged(columns, {1: b"one", 2: b"", 5: b"five"})
    again = Chunk.unpacked("kind", chunk.packed("kind"))
    assert again.texts(columns, array("I", [1, 2, 5])) == [b"one", b"", b"five"]
    assert again.texts(columns, array("I", [2])) == [b""]
    assert again.texts(columns, array("I", [3, 5])) == [None, b"five"]
    assert Chunk.unpacked("other", chunk.packed("kind")).texts(columns, array("I", [1])) == [None]


def test_every_damage_of_a_chunk_is_seen():
    columns = columns_of(*range(1, 9))
    data = Chunk().merged(columns, {uid: b"text %d" % uid for uid in range(1, 9)}).packed("kind")
    for place in range(len(data)):
        for bit in range(8):
            torn = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
            assert not Chunk.unpacked("kind", torn).uid, (place, bit)
    for length in range(len(data)):
        assert not Chunk.unpacked("kind", data[:length]).uid
    assert not Chunk.unpacked("kind", data + b"\0").uid


def test_other_code_made_it(monkeypatch):
    data = Chunk().merged(columns_of(1), {1: b"one"}).packed("kind")
    monkeypatch.setattr(remembered, "VERSION", remembered.VERSION + 1)
    assert not Chunk.unpacked("kind", data).uid


@pytest.mark.parametrize("name", ["uid", "digest", "octets"])
def test_a_text_belongs_to_its_message(name):
    columns = columns_of(1, 2, 5)
    chunk = Chunk().merged(columns, {1: b"one", 2: b"two", 5: b"five"})
    getattr(columns, name)[1] = 4 if name == "uid" else 1
    assert chunk.texts(columns, array("I", [1, 2, 5])) == [b"one", None, b"five"]
    assert chunk.merged(columns, {}).uid.tolist() == [1, 5], "and leaves with it"


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(remembered, "CHUNK_UIDS", 4)


def test_kept_for_this_session_and_the_next(spool, few):
    spool.fill(*"abcdefghij")
    box = spool.open()
    uids = list(box.uids)
    assert box.remembered("kind", uids) == [None] * 10
    box.remember("kind", [(uid, b"%d" % uid) for uid in uids[2:9]])
    expected = [None, None, *(b"%d" % uid for uid in uids[2:9]), None]
    assert box.remembered("kind", uids) == expected
    assert spool.open().remembered("kind", uids) == [None] * 10, "not written yet"
    box.close()
    other = spool.open()
    assert other.remembered("kind", uids) == expected
    assert other.remembered("other", uids) == [None] * 10
    assert other.remembered("kind", uids[3:5]) == expected[3:5]
    for some in (slice(0, None, 2), slice(1, None, 3), slice(0, None, 9)):
        assert other.remembered("kind", uids[some]) == expected[some]


def test_many_are_written_at_once(spool, few, monkeypatch):
    monkeypatch.setattr(remembered, "WAITING", 3)
    spool.fill(*"abcde")
    box = spool.open()
    for some in ([1], [2, 3], [4, 5]):
        box.remembered("kind", some)
        box.remember("kind", [(uid, b"x") for uid in some])
        box.news()
    assert spool.open().remembered("kind", [1, 2, 3, 4, 5]) == [b"x", b"x", b"x", None, None]


def test_a_chunk_is_written_once(spool, few, monkeypatch):
    """While more may come for it, it waits; not if that is too much to be held."""
    monkeypatch.setattr(remembered, "WAITING", 2)
    spool.fill(*"abcdefghijk")
    box = spool.open()
    written, save = [], box._index.save_texts

    def noted(path, chunks, *rest):
        written.append([number for _, number, _ in chunks])
        save(path, chunks, *rest)

    monkeypatch.setattr(box._index, "save_texts", noted)
    for uid in box.uids:
        box.remembered("kind", [uid])
        box.remember("kind", [(uid, b"%d" % uid)])
        box.news()
    assert written == [[0], [1]]
    monkeypatch.setattr(remembered, "WAITING_OCTETS", 1)
    box.news()
    box.close()
    assert written == [[0], [1], [2]]
    assert spool.open().remembered("kind", box.uids) == [b"%d" % uid for uid in box.uids]


def test_numbers_of_chunks(few):
    for uids in ([], [1], [3, 4], [1, 2, 3, 8, 9, 40], [7, 11, 12, 15, 16]):
        assert remembered._numbers(array("I", uids)) == {uid // 4 for uid in uids}


def test_expunged_messages_leave(spool, few):
    spool.fill(*"abcdefghijkl")
    box = spool.open()
    uids = list(box.uids)
    box.remembered("kind", uids)
    box.remember("kind", [(uid, b"%d" % uid) for uid in uids])
    box.close()
    box = spool.open()
    box.remove([2, 4, 5, 6, 7])
    box.news()
    left = list(box.uids)
    assert box.remembered("kind", left) == [b"%d" % uid for uid in left]
    box.remember("kind", [(1, b"1"), (8, b"8")])
    box.close()
    index, path = spool.index(), str(spool.path)
    assert list(Chunk.unpacked("kind", index.text(path, "kind", 0) or b"").uid) == [1, 3]
    assert index.text(path, "kind", 1) is None


def test_what_changed_while_it_was_read_is_not_kept(spool):
    spool.fill("a", "b")
    box = spool.open()
    box.remembered("kind", [1, 2])
    spool.path.write_bytes(spool.path.read_bytes().rstrip(b"\n"))  # the last line has no end any more
    box.refresh()
    assert list(box.uids) == [1, 2]
    box.remember("kind", [(1, b"a"), (2, b"b")])
    assert box.remembered("kind", [1, 2]) == [b"a", None]


def test_large_texts_are_not_kept(spool):
    spool.fill("a", "b")
    box = spool.open()
    box.remembered("kind", [1, 2])
    box.remember("kind", [(1, b"x" * (remembered.TEXT_OCTETS + 1)), (2, b"b")])
    assert box.remembered("kind", [1, 2]) == [None, b"b"]


def test_there_is_a_limit(spool):
    spool.settings.index_text_octets = 3000
    spool.fill(*"abcd")

    def kept(kind: str, octets: int) -> list[bool]:
        box = spool.open()
        box.remembered(kind, [1, 2, 3, 4])
        box.remember(kind, [(uid, b"x" * octets) for uid in (1, 2, 3, 4)])
        box.close()
        box = spool.open()
        return [None not in box.remembered(kind, [1, 2, 3, 4]) for kind in ("one", "two", "three")]

    assert kept("one", 300) == [True, False, False]
    assert kept("two", 200) == [True, True, False]
    assert kept("three", 400) == [False, False, True], "what was asked for last stays"
    assert kept("one", 5000) == [False, False, False], "but not more than the limit"


@pytest.mark.parametrize("setting", [{"index_text_octets": 0}, {"index_directory": "/proc/nowhere"}])
def test_nothing_is_kept_without_a_place(spool, setting):
    for name, value in setting.items():
        setattr(spool.settings, name, value)
    spool.fill("a")
    box = spool.open()
    box.remembered("kind", [1])
    box.remember("kind", [(1, b"a")])
    assert box.remembered("kind", [1]) == [None]


def test_texts_go_with_their_mailbox(spool):
    spool.fill("a")
    box = spool.open()
    box.remembered("kind", [1])
    box.remember("kind", [(1, b"a")])
    box.close()
    index, path = spool.index(), str(spool.path)
    index.renamed(path, path + "2")
    assert index.text(path, "kind", 0) is None and index.text(path + "2", "kind", 0)
    index.forget(path + "2")
    assert index.text(path + "2", "kind", 0) is None


def test_a_damaged_index_gives_what_was_put_in_or_nothing(spool, few):
    spool.fill(*"abcdefghij")
    box = spool.open()
    uids = list(box.uids)
    texts = [b"text of %d " % uid * 40 for uid in uids]
    box.remembered("kind", uids)
    box.remember("kind", zip(uids, texts, strict=True))
    box.close()
    box._index.close()
    path = spool.home / ".local/state/mailcore/index.db"
    whole = path.read_bytes()
    random = Random(5)
    right = 0
    for _ in range(150):
        place = random.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << random.randrange(8)]) + whole[place + 1 :])
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        other = spool.open(readonly=True)
        assert list(other.uids) == uids
        for uid, text, found in zip(uids, texts, other.remembered("kind", uids), strict=True):
            assert found in (None, text), uid
            right += found is not None
        other.close()
        other._index.close()
        spool.opened.clear()
    assert right > 1000, "most damage is elsewhere"


def test_what_was_made_of_all_of_them(spool, few):
    spool.fill(*"abcdefghij")
    box = spool.open()
    assert box.remembered_of_all("kind") is None
    box.remember_of_all("kind", b"all ten")
    box.close()
    box = spool.open()
    assert box.remembered_of_all("kind") == b"all ten" and box.remembered_of_all("other") is None
    other = spool.open()
    other.remove([3])
    box.refresh()
    assert box.remembered_of_all("kind") is None, "its view is not the mailbox"
    box.news()
    assert box.remembered_of_all("kind") is None
    box.remember_of_all("kind", b"all nine")
    assert other.remembered_of_all("kind") is None
    other.news()
    assert other.remembered_of_all("kind") == b"all nine"
    spool.deliver(spool.message("new"))
    box.refresh()
    box.news()
    assert box.remembered_of_all("kind") is None
