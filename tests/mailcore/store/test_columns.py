"""Columns: packed, ordered, cut."""

from __future__ import annotations

from array import array

import pytest

from mailcore.store.columns import CHUNK_ROWS, NAMES, OFTEN, Columns, Stale, different, unpacked


def columns(rows):
    made = Columns()
    for name in NAMES:
        getattr(made, name).extend([row % 100 for row in range(rows)])
    for row in range(rows):
        made.start[row] = row * 10
    return made


@pytest.mark.parametrize("rows", [0, 1, CHUNK_ROWS, CHUNK_ROWS + 1, 3 * CHUNK_ROWS])
def test_packed_and_unpacked(rows):
    made = columns(rows)
    for name in NAMES:
        numbers, chunks = zip(*made.chunks(name), strict=True) if rows else ((), ())
        assert list(numbers) == list(range(-(-rows // CHUNK_ROWS)))
        assert unpacked(name, chunks) == getattr(made, name)


def test_every_flipped_bit_and_every_wrong_place_is_found():
    ((_, data),) = columns(3).chunks("start")
    for place in range(len(data)):
        assert unpacked("start", [data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]]) is None
    assert unpacked("start", [data[:-1]]) is None
    assert unpacked("start", [b""]) is None
    assert unpacked("length", [data]) is None
    (_, one), (_, two) = columns(CHUNK_ROWS + 3).chunks("start")
    assert unpacked("start", [two, one]) is None and unpacked("start", [two]) is None
    assert list(unpacked("start", [two], 1)) == [10240, 10250, 10260]


def test_read_when_asked_for():
    asked = []

    def read(name):
        asked.append(name)
        if name == "zone":
            raise Stale
        return getattr(columns(7), name)

    lazy = Columns.unread(7, read)
    assert len(lazy) == 7 and not lazy.read and not asked
    assert lazy.start[6] == 60 and lazy.have(("start", "uid")) and asked == ["start", "uid"]
    assert not lazy.have() and not lazy.have(("zone",))
    with pytest.raises(Stale):
        _ = lazy.copy().zone
    with pytest.raises(AttributeError):
        _ = lazy.nothing


def test_equal_rows_are_one():
    made = columns(3 * CHUNK_ROWS)
    made.zone[:] = array("h", [-60]) * len(made)
    chunks = [data for _, data in made.chunks("zone")]
    assert list(map(len, chunks)) == [6, 6, 4 + 2 * CHUNK_ROWS], "but of the last chunk"
    assert unpacked("zone", chunks) == made.zone


def test_what_was_not_read_was_not_changed():
    lazy = Columns.unread(7, lambda name: getattr(columns(7), name))
    other = lazy.copy()
    assert not other.read and other.unsaved == set(OFTEN)
    assert other.same("start", lazy) and not other.same("flags", lazy)
    other.own("start")
    other.start[0] = 5
    assert lazy.start[0] == 0 and other.copy().unsaved == {*OFTEN, "start"} and not other.same("start", lazy)
    assert other.date == lazy.date and not other.same("date", columns(7))


@pytest.mark.parametrize(
    ("one", "other", "rows"),
    [
        (b"aaaa", b"aaaa", []),
        (b"abba", b"aaaa", [1, 2]),
        (b"aaab", b"baaa", [0, 3]),
        (array("I", [1, 2, 3, 900]), array("I", [0, 2, 3, 4]), [0, 3]),
        (array("I", [1, 2, 3]), array("I", [1, 2, 3]), []),
    ],
)
def test_different(one, other, rows):
    assert list(different(one, other)) == rows


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
