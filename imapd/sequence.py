"""Sequence sets: which messages a command means (RFC 3501 §9 sequence-set).

What lives here: sets of message sequence numbers or UIDs as the client wrote them, and the
way back, `compact`.  What does not: mailboxes; a set is told how many messages there are,
or shown the ascending UIDs, and answers with numbers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from mailcore.errors import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Span = tuple[int, int]  # first and last, both included
    Place = tuple[int, int]  # start and stop of a slice

STAR = 0  # `*`: the largest number in use; 0 itself is no nz-number
LARGEST = 0xFFFFFFFF
DIGITS = tuple(b"%d" % digit for digit in range(10))  # how a set or a part's number begins


class SequenceSet:
    """What a client wrote: pairs of first and last, STAR for `*`, in its order."""

    __slots__ = ("ranges",)

    def __init__(self, ranges: Iterable[Span]) -> None:
        self.ranges = list(ranges)

    @classmethod
    def parse(cls, text: bytes) -> SequenceSet:
        """`1,3:5,7:*` (RFC 3501 §9); everything else is a Mistake."""
        return cls([_range(piece) for piece in text.split(b",")])

    def spans(self, highest: int) -> list[Span]:
        """The set as ascending, disjoint spans, first and last included; `*` is `highest`.

        Numbers beyond `highest` stay in it: who may not see them must ask `numbers`.
        """
        ordered = []
        for first, last in self.ranges:
            first, last = first or highest, last or highest
            ordered.append((first, last) if first <= last else (last, first))
        return merged(ordered)

    def places(self, highest: int) -> list[Place]:
        """Message numbers as slices of a list of messages (RFC 3501 §9 seq-number).

        A number greater than that of the messages is a Mistake, and so is `*` where there is
        no message at all.
        """
        spans = self.spans(highest)
        if spans[-1][1] > highest or spans[0][0] < 1:
            raise Mistake("Sequence out of range")
        return [(first - 1, last) for first, last in spans]

    def uid_places(self, uids: Sequence[int]) -> list[Place]:
        """The UIDs of the set that exist, as slices of the ascending `uids`.

        A UID that no message has is not an error (RFC 3501 §6.4.8); `9:*` means the last
        message even if all UIDs are smaller than 9.
        """
        if not uids:
            return []
        places = []
        for first, last in self.spans(uids[-1]):
            start, stop = bisect_left(uids, first), bisect_right(uids, last)
            if start < stop:
                places.append((start, stop))
        return places

    def numbers(self, highest: int) -> Sequence[int]:
        """Ascending message numbers, each once; a Mistake as in `places`."""
        places = self.places(highest)
        if len(places) == 1:
            return range(places[0][0] + 1, places[0][1] + 1)
        return [index + 1 for start, stop in places for index in range(start, stop)]

    def uids(self, uids: Sequence[int]) -> Sequence[int]:
        """Those of the ascending `uids` that are in the set."""
        return within(uids, self.uid_places(uids))


def of_uids(wanted: Iterable[int], uids: Sequence[int]) -> list[Place]:
    """Where `wanted` lie in the ascending `uids`; those that do not are left out."""
    places: list[Place] = []
    for uid in sorted(set(wanted)):
        index = bisect_left(uids, uid)
        if index < len(uids) and uids[index] == uid:
            if places and places[-1][1] == index:
                places[-1] = (places[-1][0], index + 1)
            else:
                places.append((index, index + 1))
    return places


def within(uids: Sequence[int], places: Sequence[Place]) -> Sequence[int]:
    """What lies in these slices of `uids`."""
    if len(places) == 1:
        start, stop = places[0]
        return uids[start:stop]
    return [uid for start, stop in places for uid in uids[start:stop]]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in ascending order, those that touch or overlap made one."""
    whole: list[Span] = []
    for first, last in sorted(spans):
        if whole and first <= whole[-1][1] + 1:
            if last > whole[-1][1]:
                whole[-1] = (whole[-1][0], last)
        else:
            whole.append((first, last))
    return whole


def compact(numbers: Iterable[int]) -> bytes:
    """Numbers as a sequence set, runs shortened to `first:last`, in the order given.

    The order is kept because COPYUID pairs two sets member by member (RFC 4315 §3); b"" if
    there are none.
    """
    pieces: list[bytes] = []
    first = last = 0
    for number in numbers:
        if number == last + 1 and first:
            last = number
            continue
        if first:
            pieces.append(_piece(first, last))
        first = last = number
    if first:
        pieces.append(_piece(first, last))
    return b",".join(pieces)


def _piece(first: int, last: int) -> bytes:
    return b"%d" % first if first == last else b"%d:%d" % (first, last)


def _range(piece: bytes) -> Span:
    first, colon, last = piece.partition(b":")
    number = _number(first)
    return (number, _number(last)) if colon else (number, number)


def _number(text: bytes) -> int:
    """An nz-number up to 2^32-1, or `*`."""
    if text == b"*":
        return STAR
    if not text.isdigit() or len(text) > 10 or text.startswith(b"0"):
        raise Mistake("Bad sequence set")
    number = int(text)
    if number > LARGEST:
        raise Mistake("Bad sequence set")
    return number
