"""What was made of messages once and is wanted again: ready-made answers and sort keys, as texts.

What lives here: texts by kind and UID, in chunks of UIDs, each with a checksum and bound to what
makes a message that message.  What does not: where chunks lie (index.py) and what a text says (the
servers make and read them).

A chunk is packed as a checksum (of its kind, too), VERSION, the number of texts, the columns uid,
digest, octets and end, and the texts one after another.  It is read only when its kind is asked
for.  A chunk that is damaged, or of another VERSION, is as good as none; a text of a message that
is not what it was is passed over.  Nothing is compressed: inflating takes longer than reading.
"""

from __future__ import annotations

from _blake2 import blake2b
from array import array
from binascii import crc32
from bisect import bisect_left, bisect_right
from itertools import accumulate

from mailcore.store.columns import run_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailcore.store.columns import Columns
    from mailcore.store.index import Index

VERSION = 1  # goes up with every change of what any kind of text says
CHUNK_UIDS = 1024
TEXT_OCTETS = 32 * 1024  # a longer one is made anew each time
WAITING = 512  # so many new texts are written together; fewer wait for the end of the session
WAITING_OCTETS = 4 * 1024 * 1024
SUM_OCTETS = 16
_HEAD = 10


class Chunk:
    """Texts of one kind of messages whose UIDs are near each other, in ascending order of them."""

    __slots__ = ("data", "digest", "ends", "octets", "uid")

    def __init__(self) -> None:
        self.uid = array("I")
        self.digest = array("Q")
        self.octets = array("Q")
        self.ends = array("I", [0])  # text n is data[ends[n]:ends[n + 1]]
        self.data = b""

    def texts(self, columns: Columns, uids: array[int]) -> list[bytes | None]:
        """Those of these messages, None where there is none."""
        if not self.uid:
            return [None] * len(uids)
        first, row = bisect_left(self.uid, uids[0]), bisect_left(columns.uid, uids[0])
        last, end = first + len(uids), row + len(uids)
        if (
            self.uid[first:last] == uids == columns.uid[row:end]
            and self.digest[first:last] == columns.digest[row:end]
            and self.octets[first:last] == columns.octets[row:end]
        ):
            data, ends = self.data, self.ends[first : last + 1]
            return [data[start:stop] for start, stop in zip(ends, ends[1:], strict=False)]
        return [self._text(columns, uid) for uid in uids]

    def _text(self, columns: Columns, uid: int) -> bytes | None:
        place = bisect_left(self.uid, uid)
        if place == len(self.uid) or self.uid[place] != uid:
            return None
        if marks(columns, uid) != (self.digest[place], self.octets[place]):
            return None
        return self.data[self.ends[place] : self.ends[place + 1]]

    def merged(self, columns: Columns, more: dict[int, bytes]) -> Chunk:
        """This and more, without what is not of any message now."""
        texts = {uid: text for uid in self.uid if (text := self._text(columns, uid)) is not None} | more
        chunk = Chunk()
        first, last = bisect_left(columns.uid, min(texts, default=0)), bisect_right(columns.uid, max(texts, default=0))
        for uid, digest, octets in zip(
            columns.uid[first:last], columns.digest[first:last], columns.octets[first:last], strict=True
        ):
            if uid in texts:
                chunk.uid.append(uid)
                chunk.digest.append(digest)
                chunk.octets.append(octets)
        pieces = list(map(texts.__getitem__, chunk.uid))
        chunk.ends.extend(accumulate(map(len, pieces)))
        chunk.data = b"".join(pieces)
        return chunk

    # --- on the disk -----------------------------------------------------------------

    def packed(self, kind: str) -> bytes:
        columns = (self.uid, self.digest, self.octets, self.ends[1:])
        data = b"".join((
            VERSION.to_bytes(2, "little"), len(self.uid).to_bytes(4, "little"),
            *[column.tobytes() for column in columns], self.data,
        ))  # fmt: skip
        return crc32(data, crc32(kind.encode())).to_bytes(4, "little") + data

    @classmethod
    def unpacked(cls, kind: str, data: bytes) -> Chunk:
        """What `packed` made; empty if it is damaged or not of this VERSION."""
        chunk = cls()
        view = memoryview(data)
        if len(data) < _HEAD or crc32(view[4:], crc32(kind.encode())) != int.from_bytes(view[:4], "little"):
            return chunk
        if int.from_bytes(view[4:6], "little") != VERSION:
            return chunk
        count = int.from_bytes(view[6:_HEAD], "little")
        place = _HEAD
        for column in (chunk.uid, chunk.digest, chunk.octets, chunk.ends):
            stop = place + count * column.itemsize
            column.frombytes(view[place:stop])
            place = stop
        chunk.data = data[place:]
        return chunk


def _sum(columns: Columns) -> bytes:
    """What tells these messages from all others, and in which order they are."""
    found = blake2b(digest_size=SUM_OCTETS)
    for column in (columns.uid, columns.digest, columns.octets, columns.date):
        found.update(column)
    return found.digest()


def marks(columns: Columns, uid: int) -> tuple[int, int] | None:
    """By what a message is known to be the one of which a text was made."""
    row = bisect_left(columns.uid, uid)
    if row == len(columns.uid) or columns.uid[row] != uid:
        return None
    return columns.digest[row], columns.octets[row]


class Remembered:
    """The texts of one mailbox, for one session."""

    __slots__ = ("_asked", "_index", "_last", "_limit", "_path", "_waiting", "_waiting_octets")

    def __init__(self, index: Index, path: str, limit: int) -> None:
        self._index = index
        self._path = path
        self._limit = limit  # octets
        self._asked: Columns | None = None  # the mailbox when somebody last asked
        self._last: dict[str, tuple[int, Chunk]] = {}  # kind: the chunk read last
        self._waiting: dict[str, dict[int, bytes]] = {}  # kind: texts by UID, not yet written
        self._waiting_octets = 0

    def texts(self, kind: str, columns: Columns, uids: Sequence[int]) -> list[bytes | None]:
        """What is known, for each of these UIDs (ascending), None where nothing is."""
        self._asked = columns
        if not self._index.lasting or not self._limit:
            return [None] * len(uids)
        wanted = array("I", uids)
        if run := run_of(columns, wanted):
            text_of = dict(zip(run, self.texts(kind, columns, run), strict=True))
            return list(map(text_of.get, wanted))
        values: list[bytes | None] = []
        while (place := len(values)) < len(wanted):
            number = wanted[place] // CHUNK_UIDS
            end = bisect_left(wanted, (number + 1) * CHUNK_UIDS, place + 1)
            values += self._chunk(kind, number).texts(columns, wanted[place:end])
        if waiting := self._waiting.get(kind):
            values = [waiting.get(uid) if text is None else text for uid, text in zip(wanted, values, strict=True)]
        return values

    def _chunk(self, kind: str, number: int) -> Chunk:
        last = self._last.get(kind)
        if last is None or last[0] != number:
            data = self._index.text(self._path, kind, number)
            last = self._last[kind] = number, Chunk.unpacked(kind, data) if data else Chunk()
        return last[1]

    def keep(self, kind: str, columns: Columns, pairs: Iterable[tuple[int, bytes]]) -> None:
        """UIDs and texts that were made since somebody asked for them."""
        if self._asked is None or not self._index.lasting or not self._limit:
            return
        kept = [pair for pair in pairs if len(pair[1]) <= TEXT_OCTETS]
        if self._asked is not columns:  # what changed meanwhile may have been read as it was, or as it is
            kept = [pair for pair in kept if marks(columns, pair[0]) == marks(self._asked, pair[0])]
        self._waiting.setdefault(kind, {}).update(kept)
        self._waiting_octets += sum(len(text) for _, text in kept)

    @property
    def waits(self) -> bool:
        """There are texts to write."""
        return any(self._waiting.values())

    def of_all(self, kind: str, columns: Columns) -> bytes | None:
        """What was made of all these messages together, and of no others."""
        if not self._index.lasting or not self._limit or not len(columns):
            return None
        data = self._index.text(self._path, kind, columns.uid[-1] // CHUNK_UIDS)
        chunk = Chunk.unpacked(kind, data) if data else Chunk()
        return chunk.data[SUM_OCTETS:] if chunk.data[:SUM_OCTETS] == _sum(columns) and len(chunk.uid) == 1 else None

    def keep_of_all(self, kind: str, columns: Columns, text: bytes) -> None:
        if self._index.lasting and self._limit and len(columns):
            last = columns.uid[-1]
            chunk = Chunk().merged(columns, {last: _sum(columns) + text})
            chunks = [(kind, last // CHUNK_UIDS, chunk.packed(kind))]
            self._index.save_texts(self._path, chunks, _numbers(columns.uid), self._limit)

    def settle(self, columns: Columns, all_: bool = False) -> None:
        """Write what waits, if it is worth it; holds no lock of a mailbox."""
        many = max(map(len, self._waiting.values()), default=0)
        if not many or (many < WAITING and self._waiting_octets < WAITING_OCTETS and not all_):
            return
        chunks = []
        for kind, texts in self._waiting.items():
            by_number: dict[int, dict[int, bytes]] = {}
            for uid, text in texts.items():
                by_number.setdefault(uid // CHUNK_UIDS, {})[uid] = text
            texts.clear()
            if not all_ and self._waiting_octets < WAITING_OCTETS:
                texts.update(by_number.pop(max(by_number, default=0), {}))  # there may come more for the last one
            self._last.pop(kind, None)
            for number, some in by_number.items():
                chunk = self._chunk(kind, number).merged(columns, some)
                chunks.append((kind, number, chunk.packed(kind)))
            self._last.pop(kind, None)
        self._waiting_octets = sum(len(text) for texts in self._waiting.values() for text in texts.values())
        if chunks:
            self._index.save_texts(self._path, chunks, _numbers(columns.uid), self._limit)


def _numbers(uids: array[int]) -> set[int]:
    """The numbers of the chunks in which these UIDs are; they ascend."""
    numbers, place = set(), 0
    while place < len(uids):
        numbers.add(uids[place] // CHUNK_UIDS)
        place = bisect_left(uids, (uids[place] // CHUNK_UIDS + 1) * CHUNK_UIDS, place)
    return numbers
