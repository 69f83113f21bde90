"""Plans are values."""

from __future__ import annotations

import os

import pytest

from mailcore.store.formats.mbox import block, identity
from mailcore.store.formats.mbox.rewrite import Change, Draft
from mailcore.store.formats.mbox.scan import scan

F = b"From x@y Sat Nov 21 12:00:00 2026\n"


def test_a_draft_keeps_and_puts():
    draft = Draft(10, 100)
    draft.keep(10, 20)
    draft.keep(20, 30)
    draft.put(b"ab")
    draft.put(b"c")
    draft.keep(40, 50)
    draft.keep(50, 60)
    draft.keep(60, 60)
    assert (draft.plan.first, draft.plan.pieces, draft.offset) == (30, [b"abc", (40, 60)], 53)
    assert str(draft.plan) == "from 30 (of 100): b'abc', 40:60"


@pytest.fixture
def change(tmp_path):
    def make(data):
        path = tmp_path / "mbox"
        path.write_bytes(data)
        fd = os.open(path, os.O_RDONLY)
        try:
            columns = scan(fd, 0, len(data)).columns
        finally:
            os.close(fd)
        for name in identity.UNSCANNED:
            getattr(columns, name).extend([0] * len(columns))
        for row in range(len(columns)):
            columns.uid[row] = row + 1
            columns.flags[row] = block.NUMBERED
        return Change(columns, len(data), lambda number: [], lambda octets, offset: data[offset : offset + octets])

    return make


def test_blocks_go_before_the_empty_line(change):
    data = F + b"A: 1\n\nx\n\n" + F + b"B: 2\nStatus: R\n\ny\n"
    made = change(data)
    plan, columns = made.planned(0, range(2))
    first = len(F) + 5
    blocks = [block.write(0, [], uid) for uid in (1, 2)]
    second = len(F) + 9
    assert plan.first == first
    assert plan.pieces == [
        blocks[0],
        (first, second + len(F)),
        b"B: 2\n" + blocks[1] + b"\n",
        (second + len(F) + 16, len(data)),
    ]
    assert list(columns.start) == [0, second + len(blocks[0])]
    assert columns.filed == columns.flags


def test_what_is_filed_is_one_span(change):
    own = [block.write(0, [], uid) for uid in (1, 2, 3)]
    parts = [F + b"A: 1\n" + data + b"\nx\n\n" for data in own]
    made = change(b"".join(parts))
    for row in range(3):
        made.columns.filed[row] |= block.NUMBERED
    made.removed = {1}
    size = len(parts[0])
    plan, columns = made.planned(1, range(3))
    assert (plan.first, plan.pieces) == (size, [(2 * size, 3 * size)])
    assert list(columns.start) == [0, size] and list(columns.uid) == [1, 3]
    made.removed = {2}
    plan, _ = made.planned(2, range(3))
    assert (plan.first, plan.pieces) == (2 * size, [])


def test_a_header_cut_off_is_left_alone(change):
    made = change(F + b"A: 1\n\nx\n\n" + F + b"B: 2\nC")
    plan, columns = made.planned(1, range(2))
    assert plan.pieces == []


def test_base_line_comes_first(change):
    made = change(F + b"A: 1\n\nx\n\n")
    made.base = block.write_base(7, 1, [])
    plan, columns = made.planned(0, range(1))
    assert plan.pieces == [b"A: 1\n" + made.base + block.write(0, [], 1) + b"\n", (len(F) + 6, len(F) + 9)]
    assert made.base_offset == len(F) + 5
    assert columns.block[0] == made.base_offset + len(made.base)
