"""Columns: packed, ordered, cut."""

from __future__ import annotations

import pytest

from mailcore.store.columns import CHUNK_ROWS, NAMES, ROW_OCTETS, Columns


def columns(rows):
    made = Columns()
    for name in NAMES:
        getattr(made, name).extend([row % 100 for row in range(rows)])
    for row in range(rows):
        made.start[row] = row * 10
    return made


@pytest.mark.parametrize("rows", [0, 1, CHUNK_ROWS, CHUNK_ROWS + 1, 3 * CHUNK_ROWS])
def test_packed_and_unpacked(rows):
    made, again = columns(rows), Columns()
    chunks = made.chunks()
    assert len(chunks) == -(-rows // CHUNK_ROWS)
    for data in chunks:
        assert again.add_chunk(data)
    for name in NAMES:
        assert getattr(again, name) == getattr(made, name)


def test_every_flipped_bit_is_found():
    (data,) = columns(3).chunks()
    assert len(data) == 4 + 3 * ROW_OCTETS
    for place in range(len(data)):
        assert not Columns().add_chunk(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
    assert not Columns().add_chunk(data[:-1])
    assert not Columns().add_chunk(b"")


def test_picked_cut_extended():
    made = columns(5)
    some = made.picked([4, 0, 2])
    assert list(some.start) == [40, 0, 20] and list(some.zone) == [4, 0, 2]
    assert list(some.file_order()) == [1, 2, 0]
    assert list(made.file_order()) == [0, 1, 2, 3, 4]
    other = made.copy()
    other.cut(2)
    other.extend(some)
    assert list(other.start) == [0, 10, 40, 0, 20] and len(made) == 5
