"""The messages of an mbox as its session sees them.

What lives here: flags, sizes, dates and texts of messages, one or many, and what they count up
to.  What does not: whether the record is right (followed.py), and changes (box.py).
"""

from __future__ import annotations

from mailcore.errors import DiskError, Expunged
from mailcore.store.columns import Stale, run_of
from mailcore.store.formats.mbox import block
from mailcore.store.formats.mbox.flags import NAMES, VISIBLE
from mailcore.store.formats.mbox.followed import FIRST_UNSEEN, TRIES, UNSEEN, Followed
from mailcore.store.formats.mbox.text import FileText
from mailcore.store.formats.mbox.view import TOLD, row_of
from mailcore.store.mailbox import RECENT, News

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeVar

    from mailcore.store.mailbox import Text
    from mailcore.store.textindex import Filed

    _T = TypeVar("_T")

SLICE_MESSAGES = 100  # so many are read under one lock,
_HEADER = ("start", "line", "header", "block", "block_octets")  # columns that tell where a header lies,
_TEXT = (*_HEADER, "length")  # and where a message
SLICE_OCTETS = 1024 * 1024  # or so much of them
GAP_OCTETS = 32 * 1024  # to read so much more costs no more than another read

# bytes.translate tables: a column of flag bits to those that are told, and to one of yes and no
_VISIBLE = bytes(bits & VISIBLE for bits in range(256))
_UNSEEN = bytes(not bits & block.SEEN for bits in range(256))


_kept: list[int] = []


def keep_room() -> None:
    """Once a block of this size has been freed, glibc keeps the memory of one slice for the next; till then each page
    goes back to the kernel and comes again, zeroed (mallopt(3), M_MMAP_THRESHOLD).  It costs 1 ms."""
    if not _kept:
        _kept.append(len(bytearray(2 * SLICE_OCTETS)))


class Messages(Followed):
    """What can be asked of an mbox without changing it."""

    # --- one message -------------------------------------------------------------------

    def _row(self, uid: int) -> int:
        return row_of(self._record.columns, uid)

    def _there(self, uid: int) -> int:
        row = self._row(uid)
        if row < 0:
            raise Expunged
        return row

    def flags(self, uid: int) -> frozenset[str]:
        columns = self._columns("flags", "words")
        row = self._row(uid)
        words = 0
        if row >= 0:
            bits, words = columns.flags[row], columns.words[row]
        elif (bits := self._view.told_flags(uid)) < 0:
            raise Expunged
        return self._flag_set(bits & VISIBLE, words, uid in self._view.recent)

    def _flag_set(self, bits: int, words: int, recent: bool) -> frozenset[str]:
        key = bits, words, recent
        flags = self._flag_sets.get(key)
        if flags is None:
            names = [name for bit, name in NAMES.items() if bits & bit]
            names += [name.decode() for name in self._words.names(words)]
            flags = self._flag_sets[key] = frozenset([*names, RECENT] if key[2] else names)
        return flags

    def _side_by_side(self, uids: Sequence[int]) -> slice | None:
        """The rows of these if they are all there and nothing is between them."""
        columns = self._record.columns.uid
        first = row_of(self._record.columns, uids[0]) if uids else 0
        rows = slice(first, first + len(uids))
        some = columns[rows] if first >= 0 else None
        return rows if some == uids or (some is not None and some.tolist() == list(uids)) else None

    def _spread(
        self, uids: Sequence[int], of_many: Callable[[Sequence[int]], Sequence[_T]], of_one: Callable[[int], _T]
    ) -> list[_T]:
        """Of messages with others between them, who are looked up too where that is quicker."""
        run = run_of(self._record.columns, uids)
        value_of = dict(zip(run, of_many(run), strict=True)) if run else {}
        return [value_of[uid] if uid in value_of else of_one(uid) for uid in uids]

    def flags_of(self, uids: Sequence[int]) -> list[frozenset[str]]:
        columns = self._columns("flags", "words")
        rows = self._side_by_side(uids)
        if rows is None:
            return self._spread(uids, self.flags_of, self.flags)
        visible = columns.flags[rows].tobytes().translate(_VISIBLE)
        words, recent = columns.words[rows], self._view.recent
        if (not recent or recent.isdisjoint(uids)) and len(set(words)) == 1:
            few = {bits: self._flag_set(bits, words[0], False) for bits in set(visible)}
            return list(map(few.__getitem__, visible))
        known = self._flag_sets
        keys = zip(visible, words, map(recent.__contains__, uids), strict=True)
        return [known.get(key) or self._flag_set(*key) for key in keys]

    def octets_of(self, uids: Sequence[int]) -> Sequence[int]:
        columns = self._columns("octets")
        rows = self._side_by_side(uids)
        return self._spread(uids, self.octets_of, self.octets) if rows is None else columns.octets[rows]

    def dates_of(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        columns = self._columns("date", "zone")
        rows = self._side_by_side(uids)
        if rows is None:
            return self._spread(uids, self.dates_of, self.internal_date)
        return list(zip(columns.date[rows], columns.zone[rows], strict=True))

    def modseqs_of(self, uids: Sequence[int]) -> Sequence[int]:
        columns = self._columns("modseq")
        rows = self._side_by_side(uids)
        return super().modseqs_of(uids) if rows is None else columns.modseq[rows]

    def octets(self, uid: int) -> int:
        return self._columns("octets").octets[self._there(uid)]

    def internal_date(self, uid: int) -> tuple[int, int]:
        columns = self._columns("date", "zone")
        row = self._there(uid)
        return columns.date[row], columns.zone[row]

    def header(self, uid: int) -> bytes:
        found = self._undisturbed(lambda: self._headers([uid]))
        if not found:
            raise Expunged
        return found[0][1]

    def text(self, uid: int) -> Text:
        found = self._undisturbed(lambda: self._texts((uid,)))
        if not found:
            raise Expunged
        return found[0][1]

    def _in_file(self, uid: int, header: bytes, body_octets: int) -> FileText:
        return FileText(header, body_octets, lambda offset, octets: self._body(uid, offset, octets))

    def headers(self, uids: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        wanted = list(uids)
        for first in range(0, len(wanted), SLICE_MESSAGES):
            some = wanted[first : first + SLICE_MESSAGES]
            yield from self._undisturbed(lambda some=some: self._headers(some))  # type: ignore[misc]

    def _headers(self, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        """Those that are there, without hidden fields.  The file is as the record says."""
        cut, found = block.cut, []
        rows, held, held_at = self._rows_of(uids, *_HEADER), b"", 0
        for number, (uid, start, line, octets, place, ours) in enumerate(rows):
            first = start + line - 1 - held_at  # from the line end before the header on
            if first < 0 or first + octets >= len(held):
                first, held_at = 0, start + line - 1
                held = self._file.read(_reach(rows, number) - held_at, held_at)
            header = held[first : first + octets + 1]
            found.append((uid, cut(header, place - line + 1, ours)[1:] if ours else header[1:]))
        return found

    def _rows_of(self, uids: Sequence[int], *names: str) -> list[tuple[int, ...]]:
        """UID and these columns of those that are there."""
        columns = self._record.columns
        if rows := self._side_by_side(uids):
            return list(zip(uids, *[getattr(columns, name)[rows] for name in names], strict=True))
        there = [(uid, row) for uid in uids if (row := self._row(uid)) >= 0]
        return [(uid, *[getattr(columns, name)[row] for name in names]) for uid, row in there]

    def texts(self, uids: Iterable[int]) -> Iterator[tuple[int, Text]]:
        keep_room()
        for some in self._slices(list(uids)):
            yield from self._undisturbed(lambda some=some: self._texts(some))  # type: ignore[misc]

    def _slices(self, uids: list[int]) -> Iterator[list[int]]:
        """UIDs of messages that are read under one lock: few, and not much."""
        self._columns("length")
        some: list[int] = []
        left, limit = SLICE_OCTETS, self._settings.text_octets
        for uid, octets in self._rows_of(uids, "length"):
            left -= min(octets, limit)
            if some and (left < 0 or len(some) == SLICE_MESSAGES):
                yield some
                some, left = [], SLICE_OCTETS
            some.append(uid)
        if some:
            yield some

    def _texts(self, uids: Sequence[int]) -> list[tuple[int, Text]]:
        """Those that are there, in one read if they lie side by side.  The file is as the record says."""
        found: list[tuple[int, Text]] = []
        rows, limit = self._rows_of(uids, *_TEXT), self._settings.text_octets
        held, held_at = self._around(rows)
        for uid, start, line, header, place, ours, octets in rows:
            if octets > limit:
                found.append((uid, self._in_file(uid, self._headers([uid])[0][1], octets - header)))
                continue
            data, first = held, start + line - held_at
            if first < 1 or first + octets > len(held):
                data, first = self._file.read(octets + 1, start + line - 1), 1
            if not ours:
                found.append((uid, data[first : first + octets]))
                continue
            body = first + header
            head = block.cut(data[first - 1 : body], place - line + 1, ours)  # from the line end before the header on
            found.append((uid, b"".join((memoryview(head)[1:], memoryview(data)[body : first + octets]))))
        return found

    def _around(self, rows: list[tuple[int, ...]]) -> tuple[bytes, int]:
        """What lies from the first of these to the last, and where; nothing, if that is much more than they are."""
        if len(rows) < 2:
            return b"", 0
        (_, start, *_), (_, last, line, *_, octets) = rows[0], rows[-1]
        around = last + line + octets - start
        if not 0 < around < 2 * min(SLICE_OCTETS, sum([row[-1] for row in rows])):
            return b"", 0
        return self._file.read(around, start), start

    def _body(self, uid: int, offset: int, octets: int) -> bytes:
        """A span of a body, wherever the message lies by now."""

        def read() -> bytes:
            row = self._there(uid)
            columns = self._record.columns
            body = columns.start[row] + columns.line[row] + columns.header[row]
            left = columns.length[row] - columns.header[row] - offset
            return self._file.read(min(octets, left), body + offset)

        return self._undisturbed(read)

    def remembered(self, kind: str, uids: Sequence[int]) -> list[bytes | None]:
        return self._memory.texts(kind, self._columns("digest", "octets"), uids)

    def remember(self, kind: str, pairs: Iterable[tuple[int, bytes]]) -> None:
        self._memory.keep(kind, self._columns("digest", "octets"), pairs)

    def remembered_of_all(self, kind: str) -> bytes | None:
        columns = self._columns("digest", "octets", "date")
        return self._memory.of_all(kind, columns) if columns.uid == self._view.uids else None

    def remember_of_all(self, kind: str, text: bytes) -> None:
        columns = self._columns("digest", "octets", "date")
        if columns.uid == self._view.uids:
            self._memory.keep_of_all(kind, columns, text)

    # --- the text index ----------------------------------------------------------------

    def _filed_texts(self) -> Filed | None:
        """None where there is no text index, or the mailbox has no name for good."""
        if self._filed is None and self._record.object_id and (texts := self._index.full_text) is not None:
            from mailcore.store.textindex import Filed

            self._filed = Filed(texts)
        return self._filed

    def without(self, form: str, strings: Sequence[str]) -> set[int]:
        filed, columns = self._filed_texts(), self._columns("digest", "octets")
        return filed.without(f"{self._record.object_id} {form}", columns, strings) if filed else set()

    def unlearned(self, form: str, uids: Iterable[int]) -> set[int]:
        filed, columns = self._filed_texts(), self._columns("digest", "octets")
        return filed.unknown(f"{self._record.object_id} {form}", columns, uids) if filed else set()

    def learn(self, form: str, documents: list[tuple[int, str]]) -> bool:
        filed, columns = self._filed_texts(), self._columns("digest", "octets")
        if filed is None:
            return False
        return filed.learn(f"{self._record.object_id} {form}", columns, documents, self._index.messages())

    # --- counts ------------------------------------------------------------------------

    @property
    def recent(self) -> int:
        return self._view.count_recent()

    @property
    def unseen(self) -> int:
        if not self._facts.verified and not self._missing:
            self._look(True)
        counts = self._counted()
        return counts[UNSEEN] if counts else self._told_flags().translate(_UNSEEN).count(1)

    @property
    def first_unseen(self) -> int | None:
        counts = self._counted()
        if counts:
            return counts[FIRST_UNSEEN] or None
        return self._told_flags().translate(_UNSEEN).find(1) + 1 or None

    def _told_flags(self) -> bytes:
        """Of the view; where others saved meanwhile it looks at mod-sequences too, so they are of the same record."""
        return self._view.flags(self._columns("modseq", *TOLD))

    def _counted(self) -> Sequence[int]:
        """What the record says of its columns, if the view has the same messages."""
        return self._record.counts if self._view.uids == self._record.columns.uid else ()

    def _settle_memory(self, all_: bool = False) -> None:
        if self._memory.waits:
            self._memory.settle(self._columns("digest", "octets"), all_)

    def hold(self, arrivals: bool) -> None:
        self._view.holds = arrivals

    def news(self, expunges: bool = True) -> News:
        self._settle_memory()
        for _ in range(TRIES):
            try:
                return self._view.tell(self._record, expunges)
            except Stale:
                self._look_anew()
        raise DiskError(detail="the index changes faster than it can be read")


def _reach(rows: list[tuple[int, ...]], number: int) -> int:
    """Where the header of a row ends, or the last of those that follow, one near the other."""
    _, begin, line, octets, *_ = rows[number]
    end = begin + line + octets
    for _, start, line, octets, *_ in rows[number + 1 :]:
        if not 0 <= start - end <= GAP_OCTETS or start + line + octets - begin > SLICE_OCTETS:
            break
        end = start + line + octets
    return end
