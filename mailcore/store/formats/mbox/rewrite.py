"""What is and what shall be, to a plan: pure, no files.

What lives here: `Plan`, and how one is made for a mailbox.  What does not: performing it
(journal.py) and deciding what shall change (box.py).

A plan says what the file shall hold from offset `first` to its new end: a list of pieces,
each a span of the old file, bytes, or an object with `chunks()`.  It can be printed.
"""

from __future__ import annotations

from array import array
from operator import ne, or_

from mailcore.store.columns import NAMES, Columns
from mailcore.store.formats.mbox import block
from mailcore.store.formats.mbox.scan import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


FEW = 100  # so many rows are taken out of columns one by one


class Plan:
    """A change of the end of a file."""

    __slots__ = ("beside", "first", "old_end", "pieces")

    def __init__(self, first: int, old_end: int) -> None:
        self.first = first
        self.old_end = old_end
        self.pieces: list[Any] = []
        self.beside: list[tuple[int, bytes]] = []  # offset and bytes, written too: no harm if they are not

    def __str__(self) -> str:
        pieces = ", ".join(
            f"{piece[0]}:{piece[1]}" if isinstance(piece, tuple) else repr(piece) for piece in self.pieces
        )
        return f"from {self.first} (of {self.old_end}): {pieces or 'nothing'}"


class Draft:
    """A plan being written: knows where in the new file it is."""

    __slots__ = ("offset", "plan")

    def __init__(self, first: int, old_end: int) -> None:
        self.plan = Plan(first, old_end)
        self.offset = first  # in the new file

    def keep(self, start: int, end: int) -> None:
        """What the old file has there."""
        if start >= end:
            return
        self.offset += end - start
        pieces = self.plan.pieces
        if not pieces and start == self.plan.first:
            self.plan.first = end  # stays where it is
        elif pieces and isinstance(pieces[-1], tuple) and pieces[-1][1] == start:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((start, end))

    def put(self, data: bytes) -> None:
        """Something new."""
        self.offset += len(data)
        pieces = self.plan.pieces
        if pieces and isinstance(pieces[-1], bytes):
            pieces[-1] += data
        elif data:
            pieces.append(data)


class Change:
    """What shall become of a mailbox; `planned` makes the plan and the columns that go with it."""

    __slots__ = ("base", "base_offset", "columns", "names", "old_end", "read", "removed")

    def __init__(
        self,
        columns: Columns,
        old_end: int,
        names: Callable[[int], list[bytes]],
        read: Callable[[int, int], bytes],
    ) -> None:
        self.columns = columns
        self.old_end = old_end
        self.names = names  # set of keywords → their names
        self.read = read  # (octets, offset) → what the old file has there
        self.removed: set[int] = set()  # rows that go away
        self.base: bytes | None = None  # X-IMAPbase line that the first message shall have
        self.base_offset = -1  # where it is then; -1: was not part of the plan

    def planned(self, place: int, order: Sequence[int]) -> tuple[Plan, Columns]:
        """Write everything anew from the message at `place` of the file order on.

        Messages from there on get their block; rows of `removed` before `place` are not allowed.
        """
        columns = self.columns.copy()
        columns.own("start", "header", "length", "block", "block_octets")
        draft = Draft(columns.start[order[place]] if place < len(order) else self.old_end, self.old_end)
        first = place == 0
        changes = self._changes() if isinstance(order, range) else b"\1" * len(order)
        index = place
        while index < len(order):
            stop = changes.find(1, index) % (len(order) + 1)
            if stop > index and not (first and self.base is not None):
                self._moved(draft, columns, index, stop)
                first, index = False, stop
                continue
            if order[index] not in self.removed:
                end = self._end(order, index + 1)
                self._message(draft, columns, order[index], end, self.base if first else None)
                first = False
            index += 1
        if self.removed:
            columns = _without(columns, self.removed)
        return draft.plan, columns

    def _end(self, order: Sequence[int], stop: int) -> int:
        """Where the message before `stop` of the file order ends."""
        return self.columns.start[order[stop]] if stop < len(order) else self.old_end

    def _changes(self) -> bytes:
        """Row for row: does more of it change than its place?"""
        columns = self.columns
        marks = bytearray(map(ne, columns.flags, columns.filed))
        if columns.words != columns.filed_words:
            marks = bytearray(map(or_, marks, map(ne, columns.words, columns.filed_words)))
        for row in self.removed:
            marks[row] = 1
        return bytes(marks)

    def _moved(self, draft: Draft, columns: Columns, index: int, stop: int) -> None:
        """A run of messages of which nothing changes but their place; rows are in the order of the file."""
        starts = self.columns.start[index:stop]
        by = draft.offset - starts[0]
        columns.start[index:stop] = array("Q", [start + by for start in starts])
        draft.keep(starts[0], self._end(range(len(columns)), stop))

    def _message(self, draft: Draft, columns: Columns, row: int, end: int, base: bytes | None) -> None:
        """One message that stays, with the block it shall have."""
        start = columns.start[row]
        columns.start[row] = draft.offset
        octets = columns.block_octets[row]
        if octets == NEVER or (base is None and _filed(columns, row)):
            draft.keep(start, end)
            return
        flags, names, uid = columns.flags[row], self.names(columns.words[row]), columns.uid[row]
        ours = 0 < octets < NEVER
        data = (block.write(flags, names, uid, octets) if ours else None) or block.write(flags, names, uid) or b""
        if base is None and octets < NEVER:
            place = start + columns.block[row]
            draft.keep(start, place)
            draft.put(data)
            draft.keep(place + octets, end)
            self._grown(columns, row, len(data) - octets)
        else:
            self._header_anew(draft, columns, row, (start, end), base, data)
        columns.block_octets[row] = len(data)
        columns.filed[row], columns.filed_words[row] = flags, columns.words[row]

    def _header_anew(
        self, draft: Draft, columns: Columns, row: int, span: tuple[int, int], base: bytes | None, data: bytes
    ) -> None:
        """A header whose hidden fields lie about anyhow, or that gets an X-IMAPbase."""
        start, end = span
        header_start = start + columns.line[row]
        old = columns.header[row]
        head = self.read(old + 1, header_start - 1)
        shown = block.strip(head)
        cut = block.place(shown)
        draft.keep(start, header_start)
        draft.put(shown[1:cut])
        if base is not None:
            self.base_offset = draft.offset
            draft.put(base)
        columns.block[row] = draft.offset - columns.start[row]
        draft.put(data)
        draft.put(shown[cut:])
        draft.keep(header_start + old, end)
        self._grown(columns, row, len(shown) - len(head) + len(base or b"") + len(data))

    @staticmethod
    def _grown(columns: Columns, row: int, octets: int) -> None:
        columns.header[row] += octets
        columns.length[row] += octets


def _without(columns: Columns, rows: set[int]) -> Columns:
    """The columns, which may be changed, without these rows."""
    if len(rows) > FEW:
        return columns.picked([row for row in range(len(columns)) if row not in rows])
    columns.own(*NAMES)
    for name in NAMES:
        column = getattr(columns, name)
        for row in sorted(rows, reverse=True):
            del column[row]
    return columns


def _filed(columns: Columns, row: int) -> bool:
    """The file says already what we say."""
    return columns.flags[row] == columns.filed[row] and columns.words[row] == columns.filed_words[row]
