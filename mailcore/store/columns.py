"""What is known of the messages of a mailbox, as columns: one array for each fact.

What lives here: the columns and how they are cut, ordered and packed.  What does not: where
they are kept (index.py) and what they mean to a format (formats/).  There is no Python
object for a message: 100 000 messages are some arrays of 100 000 numbers.

Columns that come from an index are read one by one, each when somebody looks at it: SELECT wants
the UIDs, FETCH FLAGS two more.  If others saved meanwhile it is too late for that (`Stale`).  What was
not read was not changed, so it need not be written either.

Who only adds rows need not read those before: columns may be the last rows of a mailbox, whole chunks of them.
"""

from __future__ import annotations

from array import array
from binascii import crc32
from bisect import bisect_left, bisect_right
from itertools import compress
from operator import ne

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    class Reader(Protocol):
        """Where columns are read from: what was saved in that generation."""

        generation: int

        def __call__(self, name: str) -> array[int]: ...

# name, array type, what it is
FIELDS = (
    ("uid", "I", "UID; rows are in ascending order of it"),
    ("flags", "B", "flag bits as they are (block.py has the bits), NUMBERED always set"),
    ("words", "I", "which set of keywords: an index into the mailbox's list of sets"),
    ("filed", "B", "flag bits as the file has them, NUMBERED if the file says this UID in our form"),
    ("filed_words", "I", "the set of keywords as the file has it"),
    ("start", "Q", "offset of the separator line"),
    ("line", "I", "octets of the separator line"),
    ("header", "I", "octets of the header with its empty line, hidden fields counted"),
    ("length", "Q", "octets of header and body in the file"),
    ("octets", "Q", "octets as sent: CRLF, without hidden fields"),
    ("date", "q", "internal date, unix seconds"),
    ("zone", "h", "its zone in minutes"),
    ("digest", "Q", "what makes this message this message"),
    ("block", "I", "offset of our block of hidden fields from `start`, or where one goes"),
    ("block_octets", "I", "its size, 0 if there is none"),
    ("modseq", "Q", "mod-sequence (modseq.py)"),
    ("saved", "q", "when it came into this mailbox, unix seconds; 0: not known yet (modseq.py)"),
)
NAMES = tuple(name for name, _, _ in FIELDS)
NUMBERS = {name: number for number, name in enumerate(NAMES)}
KINDS = {name: kind for name, kind, _ in FIELDS}
CHUNK_ROWS = 1024
DENSE = 8  # where each eighth message is asked about, looking up all between them is quicker
OFTEN = ("flags", "words", "filed", "filed_words")  # what most changes of a mailbox change
_SEED = 1 << 24  # more chunks of a column than that, no mailbox has


class Stale(Exception):
    """A column that was not read yet is not there any more: others saved since, or it is damaged."""


class Columns:
    """Rows of facts about messages.

    `before` rows of the mailbox, whole chunks, are not here and stay as they are.  `_unread` columns are
    still in the index, `_shared` ones are others' too, `unsaved` ones may not be as in the index.
    """

    __slots__ = (*NAMES, "_count", "_read", "_shared", "_unread", "before", "unsaved")

    if TYPE_CHECKING:
        uid: array[int]
        flags: array[int]
        words: array[int]
        filed: array[int]
        filed_words: array[int]
        start: array[int]
        line: array[int]
        header: array[int]
        length: array[int]
        octets: array[int]
        date: array[int]
        zone: array[int]
        digest: array[int]
        block: array[int]
        block_octets: array[int]
        modseq: array[int]
        saved: array[int]
        _count: int
        _read: Reader | None
        _shared: set[str]
        _unread: set[str]
        unsaved: set[str]

    def __init__(self) -> None:
        for name, kind, _ in FIELDS:
            setattr(self, name, array(kind))
        self.before = self._count = 0
        self._read = None
        self._shared, self._unread, self.unsaved = set(), set(), set(NAMES)

    @classmethod
    def unread(cls, count: int, read: Reader) -> Columns:
        """Columns of `count` rows, each read when it is asked for; `read` raises Stale."""
        some = cls.__new__(cls)
        some._count, some._read, some.before = count, read, 0
        some._shared, some._unread, some.unsaved = set(), set(NAMES), set()
        return some

    def __getattr__(self, name: str) -> array[int]:
        """A column that has not been read."""
        if name not in NUMBERS or self._read is None:
            raise AttributeError(name)
        column = self._read(name)
        setattr(self, name, column)
        self._unread.discard(name)
        return column

    def have(self, names: Sequence[str] = NAMES) -> bool:
        """Read these, if they have not been; False if it is too late for that."""
        try:
            for name in names:
                getattr(self, name)
        except Stale:
            return False
        return True

    @property
    def read(self) -> bool:
        """All of them are in memory."""
        return not self._unread

    def settled(self, generation: int) -> None:
        """They are in the index as they are here."""
        self.unsaved.clear()
        if self._read is not None:
            self._read.generation = generation

    def __len__(self) -> int:
        return self._count if self._unread else len(self.start)

    def picked(self, rows: Sequence[int]) -> Columns:
        """These rows in this order."""
        some = Columns()
        for name, kind, _ in FIELDS:
            mine = getattr(self, name)
            setattr(some, name, array(kind, map(mine.__getitem__, rows)))
        return some

    def extend(self, more: Columns) -> None:
        self.own(*NAMES)
        for name in NAMES:
            getattr(self, name).extend(getattr(more, name))

    def cut(self, count: int) -> None:
        """Keep the first `count` rows."""
        self.own(*NAMES)
        for name in NAMES:
            del getattr(self, name)[count:]

    def copy(self) -> Columns:
        """The same to be changed: whoever changes another column than those of OFTEN says so first (`own`)."""
        some = Columns.__new__(Columns)
        for name in OFTEN:
            getattr(self, name)  # read, so that it stays here as it is
        some._count, some._read, some.before = self._count, self._read, self.before
        some._unread, some.unsaved = set(self._unread), set(self.unsaved)
        some._shared = set(NAMES) - some._unread
        for name in some._shared:
            setattr(some, name, getattr(self, name))
        some.own(*OFTEN)
        return some

    def own(self, *names: str) -> None:
        """These columns are going to be changed, and nobody else's with them."""
        for name in self._unread.intersection(names):
            getattr(self, name)
        for name in self._shared.intersection(names):
            setattr(self, name, getattr(self, name)[:])
        self._shared.difference_update(names)
        self.unsaved.update(names)

    def same(self, name: str, other: Columns) -> bool:
        """Is this column the other's, by that alone where it comes from?"""
        if name in self._unread:
            return self._read is other._read
        return name not in other._unread and getattr(self, name) is getattr(other, name)

    def file_order(self) -> Sequence[int]:
        """The rows in the order of the file."""
        starts = self.start
        rows = range(len(starts))
        before = 0
        for start in starts:  # nearly always in order already
            if start < before:
                return sorted(rows, key=starts.__getitem__)
            before = start
        return rows

    # --- on the disk -----------------------------------------------------------------

    def chunks(self, name: str) -> Iterator[tuple[int, bytes]]:
        """A column packed, CHUNK_ROWS rows in each, a checksum first; each with its number.

        Equal rows are one row, but in the last chunk.
        """
        column, number = getattr(self, name), NUMBERS[name]
        last = len(column) - CHUNK_ROWS
        for place, first in enumerate(range(0, len(column), CHUNK_ROWS), self.before // CHUNK_ROWS):
            data = column[first : first + CHUNK_ROWS].tobytes()
            if first < last and data == data[: column.itemsize] * CHUNK_ROWS:
                data = data[: column.itemsize]
            yield place, crc32(data, number * _SEED + place).to_bytes(4, "little") + data


def run_of(columns: Columns, uids: Sequence[int]) -> Sequence[int]:
    """All UIDs from the first to the last of these (ascending), if that are more, but not many times as many."""
    if not uids:
        return ()
    run = columns.uid[bisect_left(columns.uid, uids[0]) : bisect_right(columns.uid, uids[-1])]
    return run if len(uids) < len(run) < DENSE * len(uids) else ()


def different(one: array[int] | bytes, other: array[int] | bytes) -> Sequence[int]:
    """The rows in which two columns of one kind and length differ; a range if they are side by side."""
    if one == other:
        return ()
    if isinstance(one, bytes) and isinstance(other, bytes):  # all at once: as one long number
        marks = (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")
    else:
        marks = bytes(map(ne, one, other))
    first, stop = len(marks) - len(marks.lstrip(b"\0")), len(marks.rstrip(b"\0"))
    run = range(first, stop)
    return run if not marks.count(0, first, stop) else list(compress(run, marks[first:stop]))


def first_different(one: array[int], other: array[int]) -> int:
    """The first row in which two columns of one kind and length differ, -1 if none does."""
    if one == other:
        return -1
    first = 0
    while one[first : first + CHUNK_ROWS] == other[first : first + CHUNK_ROWS]:
        first += CHUNK_ROWS
    return next(row for row in range(first, len(one)) if one[row] != other[row])


def unpacked(name: str, chunks: Sequence[bytes], first: int = 0) -> array[int] | None:
    """The column that `chunks` packed, the `first` and those that follow; None if it is damaged."""
    column, seed = array(KINDS[name]), NUMBERS[name] * _SEED
    views = [memoryview(data)[4:] for data in chunks]
    for place, (data, view) in enumerate(zip(chunks, views, strict=True), seed + first):
        if len(data) < 4 or crc32(view, place) != int.from_bytes(data[:4], "little"):
            return None
    for view in views[:-1]:
        column.frombytes(bytes(view) * CHUNK_ROWS if len(view) == column.itemsize else view)
    if views:
        column.frombytes(views[-1])
    return column
