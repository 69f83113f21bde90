"""Mod-sequences over an mbox that others write to, and over an index that is lost."""

from __future__ import annotations

from mailcore.store import modseq
from mailcore.store.formats.mbox.flags import VISIBLE
from mailcore.store.index import Index
from mailcore.store.mailbox import DELETED, SEEN


def test_the_bits_that_clients_see():
    assert modseq.SHOWN == VISIBLE


def test_what_other_programs_do(spool):
    spool.fill("one", "two", "three")
    with spool.open() as box:
        known, uids = box.highest_modseq, list(box.uids)
    data = spool.path.read_bytes()
    spool.path.write_bytes(data.replace(b"Status: O ", b"Status: RO", 1)[: data.index(b"From three")])
    spool.deliver(spool.message("four"))
    with spool.open() as box:
        assert box.changed_since(known, box.uids) == [uids[0], uids[2] + 1]
        assert box.vanished_since(known) == uids[2:]
        assert box.flags(uids[0]) >= {SEEN} and box.highest_modseq > known


def test_a_lost_index_starts_above_what_was_told(spool):
    spool.fill("one", "two", "three")
    with spool.open() as box:
        box.store([1], "+", [DELETED])
        box.expunge()
        known = box.highest_modseq
    spool.forget_index()
    with spool.open() as box:
        assert all(box.modseq(uid) > known for uid in box.uids)
        assert box.vanished_since(known) is None
        assert box.vanished_since(box.highest_modseq) == []


def test_not_all_that_is_gone_is_remembered(spool, monkeypatch):
    monkeypatch.setattr(modseq, "GONE_OCTETS", 4)
    spool.fill(*"abcdefghi")
    with spool.open() as box:
        known = []
        for uid in (1, 3, 5):
            known.append(box.highest_modseq)
            box.remove([uid])
        assert box.vanished_since(known[0]) == [1, 3, 5], "four octets are three UIDs and no more than one save"
        box.remove([7])
        box.remove([9])
        assert box.vanished_since(known[0]) is None
        assert box.vanished_since(known[2]) == [5, 7, 9]
    with spool.open() as box:
        assert box.vanished_since(known[0]) is None and box.vanished_since(known[2]) == [5, 7, 9]


def test_numbers_go_up_when_the_clock_goes_back(spool, monkeypatch):
    spool.fill("one")
    with spool.open() as box:
        known = box.highest_modseq
        monkeypatch.setattr(modseq, "time_ns", lambda: 1000)
        box.store([1], "+", [SEEN])
        assert box.highest_modseq == box.modseq(1) == known + 1


def test_no_index_no_numbers(spool):
    spool.fill("one")
    spool.settings.index_directory = "/proc/no"
    with spool.open() as box:
        assert box.highest_modseq == 0


def test_a_file_that_comes_back(spool):
    spool.fill("one", "two")
    with spool.open() as box:
        known = box.highest_modseq
        aside = spool.path.rename(spool.root / "aside")
        box.refresh()
        assert box.news().vanished == [1, 2]
        aside.rename(spool.path)
        with spool.open() as other:
            assert list(other.uids) == [1, 2] and other.vanished_since(known) == []


def test_gone_uids_as_spans(tmp_path, spool):
    spool.fill(*[f"m{number}" for number in range(20)])
    with spool.open() as box:
        known = box.highest_modseq
        box.remove([1, 2, 3, 9, 20])
        assert Index(spool.settings, "fred", str(spool.home)).gone_since(box.path, known) == [1, 2, 3, 9, 20]
