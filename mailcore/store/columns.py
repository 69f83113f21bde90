"""What is known of the messages of a mailbox, as columns: one array for each fact.

What lives here: the columns and how they are cut, ordered and packed.  What does not: where
they are kept (index.py) and what they mean to a format (formats/).  There is no Python
object for a message: 100 000 messages are some arrays of 100 000 numbers.

Columns that come from an index are read one by one, each when somebody looks at it: SELECT wants
the UIDs, FETCH FLAGS two more.  If others saved meanwhile it is too late for that (`Stale`).

Who only adds rows need not read those before: columns may be the last rows of a mailbox, whole chunks of them.
"""

from __future__ import annotations

from array import array
from binascii import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
OFTEN = ("flags", "words", "filed", "filed_words")  # what most changes of a mailbox change
_SEED = 1 << 24  # more chunks of a column than that, no mailbox has


class Stale(Exception):
    """A column that was not read yet is not there any more: others saved since, or it is damaged."""


class Columns:
    """Rows of facts about messages.

    `before` rows of the mailbox, whole chunks, are not here and stay as they are.
    """

    __slots__ = (*NAMES, "_count", "_read", "_shared", "before")

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
        _shared: set[str]

    def __init__(self) -> None:
        for name, kind, _ in FIELDS:
            setattr(self, name, array(kind))
        self.before = 0
        self._read: Callable[[str], array[int]] | None = None
        self._shared = set()

    @classmethod
    def unread(cls, count: int, read: Callable[[str], array[int]]) -> Columns:
        """Columns of `count` rows, each read when it is asked for; `read` raises Stale."""
        some = cls.__new__(cls)
        some._count, some._read, some._shared, some.before = count, read, set(), 0
        return some

    def __getattr__(self, name: str) -> array[int]:
        """A column that has not been read."""
        if name not in NUMBERS or self._read is None:
            raise AttributeError(name)
        column = self._read(name)
        setattr(self, name, column)
        return column

    def have(self, names: Sequence[str] = NAMES) -> bool:
        """Read these, if they have not been; False if it is too late for that."""
        try:
            for name in names:
                getattr(self, name)
        except Stale:
            return False
        if names is NAMES:
            self._read = None
        return True

    @property
    def read(self) -> bool:
        """All of them are in memory."""
        return self._read is None

    def __len__(self) -> int:
        return len(self.start) if self._read is None else self._count

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
        some._read, some._shared, some.before = None, set(NAMES), self.before
        for name in NAMES:
            setattr(some, name, getattr(self, name))
        some.own(*OFTEN)
        return some

    def own(self, *names: str) -> None:
        """These columns are going to be changed, and nobody else's with them."""
        for name in self._shared.intersection(names):
            setattr(self, name, getattr(self, name)[:])
        self._shared.difference_update(names)

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
        """A column packed, CHUNK_ROWS rows in each, a checksum first; each with its number."""
        column, number = getattr(self, name), NUMBERS[name]
        for place, first in enumerate(range(0, len(column), CHUNK_ROWS), self.before // CHUNK_ROWS):
            data = column[first : first + CHUNK_ROWS].tobytes()
            yield place, crc32(data, number * _SEED + place).to_bytes(4, "little") + data


def different(one: array[int], other: array[int]) -> list[int]:
    """The rows in which two columns of one kind and length differ."""
    found: list[int] = []
    if one == other:
        return found
    for first in range(0, len(one), CHUNK_ROWS):
        here, there = one[first : first + CHUNK_ROWS], other[first : first + CHUNK_ROWS]
        if here != there:
            found += [row for row, (new, old) in enumerate(zip(here, there, strict=True), first) if new != old]
    return found


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
    column.frombytes(b"".join(views))
    return column
