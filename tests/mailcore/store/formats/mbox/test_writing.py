"""In place where it fits, through the journal where not."""

from __future__ import annotations

import pytest

from mailcore.store.formats.mbox import journal, writing


@pytest.fixture
def performed(monkeypatch):
    plans = []
    real = journal.perform

    def perform(fd, path, plan, *places):
        plans.append(plan)
        return real(fd, path, plan, *places)

    monkeypatch.setattr(journal, "perform", perform)
    return plans


def test_flags_need_no_journal(spool, performed, agrees):
    spool.fill("a", "b", "c")
    box = spool.open()
    assert len(performed) == 1 and performed[0].first < 100
    box.store([1, 2, 3], "+", ["\\Seen", "$Key"])
    box.store([2], "=", [])
    assert len(performed) == 1
    agrees(box)


def test_only_what_lies_behind_is_written_anew(spool, performed, agrees):
    spool.fill("a", "b", "c")
    box = spool.open()
    second = spool.path.read_bytes().index(b"From b@")
    box.store([2], "+", ["k" * 60])
    assert performed[-1].first > second
    box.remove([3])
    third = len(spool.path.read_bytes())
    assert (performed[-1].first, performed[-1].pieces) == (third, [])
    agrees(box)


def test_in_place_before_and_anew_behind(spool, agrees):
    """A message that fits, before and behind one that does not."""
    spool.fill("a", "b", "c")
    box = spool.open()
    box.store([2], "+", ["k" * 60])
    box.store([1, 2, 3], "+", ["l" * 20, "\\Flagged"])
    agrees(box)
    spool.forget_index()
    box.close()
    again = spool.open()
    assert [again.flags(uid) for uid in (1, 3)] == [{"\\Flagged", "l" * 20}] * 2
    assert again.flags(2) == {"\\Flagged", "l" * 20, "k" * 60}


def test_a_lost_base_line_comes_back(spool, agrees):
    spool.fill("a", "b", "c")
    box = spool.open()
    validity = box.uid_validity
    box.close()
    data = spool.path.read_bytes()
    spool.path.write_bytes(data[data.index(b"From b@") :])
    spool.open().close()
    assert b"X-IMAPbase: %010d %010d" % (validity, 3) in spool.path.read_bytes()
    spool.forget_index()
    box = spool.open()
    assert (box.uid_validity, list(box.uids)) == (validity, [2, 3])
    agrees(box)


def test_keywords_that_outgrow_their_line_are_named_in_the_end(spool, agrees):
    """UW, alpine and Dovecot know a message's keywords by the list in X-IMAPbase; what it lacks they forget."""
    spool.fill("a", "b")
    names = [f"Keyword{number:02}" for number in range(30)]
    box = spool.open()
    for number, name in enumerate(names):
        box.store([1 + number % 2], "+", [name])
    agrees(box)
    box.close()
    line = spool.path.read_bytes().split(b"X-IMAPbase: ")[1].split(b"\n")[0]
    assert line.decode().split()[2:] == names
    spool.forget_index()
    again = spool.open()
    assert again.keywords == names
    assert again.flags(1) == set(names[::2]) and again.flags(2) == set(names[1::2])
    again.store([1], "+", ["one-more"])
    agrees(again)


def test_a_line_on_the_edge_of_a_sector_goes_by_the_journal(spool, performed, agrees):
    """Half of "$Home" is a keyword too; a change on one side of the edge only cannot be torn."""
    spool.path.write_bytes(spool.message("a") + spool.message("b", headers=f"X-Pad: {'p' * 110}\n"))
    box = spool.open()
    start = spool.path.read_bytes().index(b"X-Keywords:", 300) + len(b"X-Keywords: $H")
    assert start == 512
    box.store([2], "+", ["\\Seen"])
    assert len(performed) == 1
    box.store([2], "+", ["$Home"])
    assert len(performed) == 2
    assert (performed[-1].old_end - performed[-1].first, len(performed[-1].pieces)) == (81, 1)
    agrees(box)


def test_one_plan_for_neighbours(spool):
    patches = [(1, 100, b"one"), (2, 200, b"two"), (3, 5_000_000, b"three"), (0, 103, b"-")]
    plans = list(writing._plans(patches))
    assert [(plan.first, plan.old_end, plan.pieces) for plan in plans] == [
        (100, 203, [b"one", b"-", (104, 200), b"two"]),
        (5_000_000, 5_000_005, [b"three"]),
    ]
