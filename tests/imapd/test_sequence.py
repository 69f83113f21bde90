"""Sequence sets: the grammar as a table, then what each set means to a mailbox."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapd.sequence import STAR, SequenceSet, compact, merged, of_uids
from mailcore.errors import Mistake

GRAMMAR = [
    (b"1", [(1, 1)]),
    (b"1,2", [(1, 1), (2, 2)]),
    (b"1:3", [(1, 3)]),
    (b"3:1", [(3, 1)]),
    (b"*", [(STAR, STAR)]),
    (b"*:4,7", [(STAR, 4), (7, 7)]),
    (b"4294967295", [(4294967295, 4294967295)]),
]

MISTAKES = [
    b"", b"0", b"01", b"-1", b"+1", b"1,", b",1", b"1,,2", b"1:", b":1", b"1:2:3", b"**", b"a", b"1 ", b" 1",
    b"4294967296", b"99999999999999999999", b"1:0", b"\xb9", b"1_0", b"$",
]  # fmt: skip


@pytest.mark.parametrize(("text", "ranges"), GRAMMAR)
def test_grammar(text: bytes, ranges: list[tuple[int, int]]) -> None:
    assert SequenceSet.parse(text).ranges == ranges


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text: bytes) -> None:
    with pytest.raises(Mistake):
        SequenceSet.parse(text)


@pytest.mark.parametrize(
    ("text", "highest", "numbers"),
    [
        (b"2,1,1", 4, [1, 2]),
        (b"*:2", 4, [2, 3, 4]),
        (b"*", 4, [4]),
        (b"4,*,3:4", 4, [3, 4]),
        (b"1:*", 3, [1, 2, 3]),
        (b"1,3", 3, [1, 3]),
    ],
)
def test_numbers(text: bytes, highest: int, numbers: list[int]) -> None:
    assert list(SequenceSet.parse(text).numbers(highest)) == numbers


@pytest.mark.parametrize(("text", "highest"), [(b"5", 4), (b"1:5", 4), (b"9:*", 4), (b"*", 0), (b"1:*", 0), (b"1", 0)])
def test_a_number_too_high_is_a_mistake(text: bytes, highest: int) -> None:
    with pytest.raises(Mistake):
        SequenceSet.parse(text).numbers(highest)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"1:*", [3, 5, 9]),
        (b"4", []),
        (b"4:6", [5]),
        (b"10:*", [9]),  # RFC 3501 §6.4.8: `*` is always the last message
        (b"*:10", [9]),
        (b"*", [9]),
        (b"9,3", [3, 9]),
        (b"4294967295", []),
    ],
)
def test_uids(text: bytes, found: list[int]) -> None:
    assert list(SequenceSet.parse(text).uids(array("I", [3, 5, 9]))) == found


def test_uids_of_an_empty_mailbox() -> None:
    assert list(SequenceSet.parse(b"1:*").uids(array("I"))) == []


def test_a_huge_range_costs_nothing() -> None:
    assert list(SequenceSet.parse(b"1:4294967295").uids(array("I", [7]))) == [7]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], b""), ([1], b"1"), ([1, 2, 3], b"1:3"), ([1, 3, 4], b"1,3:4"), ([4, 3], b"4,3"), ([5, 6, 1, 2], b"5:6,1:2")],
)
def test_compact(numbers: list[int], text: bytes) -> None:
    assert compact(numbers) == text


@given(st.sets(st.integers(1, 60), min_size=1))
def test_compact_and_back(numbers: set[int]) -> None:
    assert list(SequenceSet.parse(compact(sorted(numbers))).numbers(60)) == sorted(numbers)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)).map(sorted).map(tuple)))
def test_merged_is_the_same_set_without_overlaps(spans: list[tuple[int, int]]) -> None:
    whole = merged(spans)
    assert {n for a, b in whole for n in range(a, b + 1)} == {n for a, b in spans for n in range(a, b + 1)}
    assert all(left[1] + 1 < right[0] for left, right in zip(whole, whole[1:], strict=False))


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([], []),
        ([9], []),
        ([2], [(0, 1)]),
        ([5, 3, 2], [(0, 2), (3, 4)]),
        ([2, 3, 4, 5, 6, 7], [(0, 5)]),
        ([4, 4, 9], [(2, 3)]),
    ],
)
def test_places_of_uids(wanted: list[int], places: list[tuple[int, int]]) -> None:
    assert of_uids(wanted, [2, 3, 4, 5, 7]) == places
