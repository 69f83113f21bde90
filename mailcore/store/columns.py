"""What is known of the messages of a mailbox, as columns: one array for each fact.

What lives here: the columns and how they are cut, ordered and packed.  What does not: where
they are kept (index.py) and what they mean to a format (formats/).  There is no Python
object for a message: 100 000 messages are some arrays of 100 000 numbers.
"""

from __future__ import annotations

from array import array
from binascii import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

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
CHUNK_ROWS = 1024


class Columns:
    """Rows of facts about messages."""

    __slots__ = NAMES

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

    def __init__(self) -> None:
        for name, kind, _ in FIELDS:
            setattr(self, name, array(kind))

    def __len__(self) -> int:
        return len(self.start)

    def picked(self, rows: Sequence[int]) -> Columns:
        """These rows in this order."""
        some = Columns()
        for name, kind, _ in FIELDS:
            mine = getattr(self, name)
            setattr(some, name, array(kind, map(mine.__getitem__, rows)))
        return some

    def extend(self, more: Columns) -> None:
        for name in NAMES:
            getattr(self, name).extend(getattr(more, name))

    def cut(self, count: int) -> None:
        """Keep the first `count` rows."""
        for name in NAMES:
            del getattr(self, name)[count:]

    def copy(self) -> Columns:
        some = Columns()
        for name in NAMES:
            setattr(some, name, getattr(self, name)[:])
        return some

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

    def chunks(self) -> list[bytes]:
        """All rows packed, a checksum first, CHUNK_ROWS rows in each."""
        return [self._packed(first, first + CHUNK_ROWS) for first in range(0, len(self), CHUNK_ROWS)]

    def _packed(self, first: int, end: int) -> bytes:
        data = b"".join([getattr(self, name)[first:end].tobytes() for name in NAMES])
        return crc32(data).to_bytes(4, "little") + data

    def add_chunk(self, data: bytes) -> bool:
        """Append what `chunks` packed; False (and maybe half of it) if it is damaged."""
        if len(data) < 4 or crc32(data[4:]) != int.from_bytes(data[:4], "little"):
            return False
        rows, rest = divmod(len(data) - 4, ROW_OCTETS)
        if rest:
            return False
        view = memoryview(data)[4:]
        for name, _, _ in FIELDS:
            column = getattr(self, name)
            octets = rows * column.itemsize
            column.frombytes(view[:octets])
            view = view[octets:]
        return True


ROW_OCTETS = sum(array(kind).itemsize for _, kind, _ in FIELDS)
