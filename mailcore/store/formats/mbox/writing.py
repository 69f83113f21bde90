"""Brings a record into the file: in place where it fits, else by a plan through the journal.

What lives here: choosing between the two.  What does not: locks, stamps and the index (box.py),
plans (rewrite.py) and their performance (journal.py).
"""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter

from mailcore import log
from mailcore.store import files
from mailcore.store.columns import different
from mailcore.store.formats.mbox import block, identity, journal, rewrite
from mailcore.store.formats.mbox.flags import VISIBLE
from mailcore.store.formats.mbox.scan import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailcore.store.formats.mbox.facts import Facts
    from mailcore.store.formats.mbox.mailfile import MailFile
    from mailcore.store.index import Record

    Patches = list[tuple[int, int, bytes]]  # row, offset, bytes of the same length as those there

_VISIBLE = bytes(bits & VISIBLE for bits in range(256))  # for bytes.translate


class Writing:
    """One change of a file.  The exclusive lock is held, and `record` follows one that agrees with the file."""

    __slots__ = ("facts", "file", "gone", "record", "whole")

    def __init__(self, file: MailFile, record: Record, facts: Facts) -> None:
        self.file = file
        self.record = record  # becomes what the file is then
        self.facts = facts  # likewise
        self.gone: set[int] = set()  # rows to be removed
        self.whole = False  # write everything anew, to have an X-IMAPbase

    def write(self, rows: Sequence[int], sync: bool) -> None:
        """Bring the flags of `rows` and the removal of `gone` into the file."""
        size = self.file.stamp()[1]
        patches, begin = self._in_place(rows)
        if begin is not None:
            self._anew(begin, size)
        with files.Judge("mail file"):
            former = [(row, offset, files.read(self.file.fd, len(data), offset)) for row, offset, data in patches]
            torn = [new for old, new in zip(former, patches, strict=True) if _may_tear(old[2], new)]
            for plan in _plans(torn):
                self.file.perform(plan)
            try:
                self._put(patches)
                self.put_base()
                if patches and sync:
                    files.sync(self.file.fd)
            except OSError:
                self._put(former)  # or the next try would find nothing to write, and have it synced
                raise

    def _put(self, patches: Patches) -> None:
        for _, offset, data in patches:
            self.file.write(data, offset)

    def _in_place(self, rows: Sequence[int]) -> tuple[Patches, int | None]:
        """Writes of the same length, and the offset from which the file has to be written anew."""
        columns = self.record.columns
        words = identity.Words(self.record)
        starts = [columns.start[row] for row in self.gone]
        if self.whole and len(columns):
            starts.append(min(columns.start))
        patches = []
        known: dict[tuple[int, int, int], bytes | None] = {}  # most messages get the same lines before X-UID
        for row in rows:
            octets = columns.block_octets[row]
            if octets == NEVER or row in self.gone:
                continue
            key = columns.flags[row], columns.words[row], octets
            if key not in known:
                known[key] = block.write_start(key[0], words.names(key[1]), octets) if 0 < octets < NEVER else None
            data = known[key]
            if data is None:
                starts.append(columns.start[row])
            else:
                patches.append((row, columns.start[row] + columns.block[row], data + block.uid_line(columns.uid[row])))
        begin = min(starts, default=None)
        if begin is not None:
            patches = [patch for patch in patches if patch[1] < begin]  # the others are written anew
        for row, _, _ in patches:
            columns.filed[row], columns.filed_words[row] = columns.flags[row], columns.words[row]
        return patches, begin

    def _anew(self, begin: int, size: int) -> None:
        """Write the file anew from offset `begin` on."""
        record, facts = self.record, self.facts
        columns = record.columns
        order = columns.file_order()
        place = bisect_left(order, begin, key=columns.start.__getitem__)
        change = rewrite.Change(columns, size, identity.Words(record).names, self.file.read)
        change.removed = self.gone
        if not facts.internal_end:
            names = [name.encode() for name in record.keywords]
            change.base = block.write_base(record.uid_validity, record.uid_next - 1, names)
        plan, record.columns = change.planned(place, order)
        self.file.perform(plan)
        if place or facts.internal_end:
            return
        facts.no_base()
        if change.base_offset >= 0:
            facts.base_offset, facts.base_octets = change.base_offset, len(change.base or b"")
            facts.base_says(record)

    def put_base(self) -> None:
        """Write the X-IMAPbase line in its place, if it is another now.

        The index has what it says, so it may be late: an error here is no error of the command.
        """
        data = self.base()
        try:
            if data is not None:
                self.file.write(data, self.facts.base_offset)
                self.facts.base_says(self.record)  # keywords as good as it can, see unbased
        except OSError as error:
            log.error(f"{log.clean(self.file.path)}: {error.strerror}")

    def base(self) -> bytes | None:
        """The X-IMAPbase line as it should be; None if it is so, or has no place."""
        record, facts = self.record, self.facts
        if facts.base_offset < 0 or facts.base_is_right(record):
            return None
        name = b"X-IMAP" if facts.internal_end else b"X-IMAPbase"
        keywords = [keyword.encode() for keyword in record.keywords]
        last, room = record.uid_next - 1, facts.base_octets
        data = block.write_base(record.uid_validity, last, keywords, room, name)
        return data or block.write_base(record.uid_validity, last, [], room, name)  # until it is written anew


def _may_tear(old: bytes, patch: tuple[int, int, bytes]) -> bool:
    """Could a power cut leave half of a line of it, which then says neither the old nor the new?"""
    _, offset, data = patch
    edge = journal.SECTOR_OCTETS - offset % journal.SECTOR_OCTETS
    if edge >= len(data):
        return False
    start, end = data.rfind(b"\n", 0, edge) + 1, data.find(b"\n", edge)
    if old[start:edge] == data[start:edge] or old[edge:end] == data[edge:end]:
        return False
    halves = old[start:edge] + data[edge:end], data[start:edge] + old[edge:end]
    return not all(block.is_between(old[start:end], half, data[start:end]) for half in halves)


def _plans(patches: Patches) -> Iterator[rewrite.Plan]:
    """Patches for the journal, those near each other in one plan."""
    end = -1
    plan: rewrite.Plan | None = None
    for _, offset, data in sorted(patches, key=itemgetter(1)):
        if plan is None or offset - end > files.COPY_OCTETS:
            if plan is not None:
                yield plan
            plan = rewrite.Plan(offset, offset)
        elif end < offset:
            plan.pieces.append((end, offset))
        plan.pieces.append(data)
        plan.old_end = end = offset + len(data)
    if plan is not None:
        yield plan


def unfiled(record: Record) -> list[int]:
    """Rows that the file does not say as we do."""
    columns = record.columns
    rows = {*different(columns.flags, columns.filed), *different(columns.words, columns.filed_words)}
    return sorted(row for row in rows if columns.block_octets[row] != NEVER)


def knows_alone(record: Record) -> bool:
    """The record has flags that the file has not, or none where the file has some."""
    columns = record.columns
    told, filed = (column.tobytes().translate(_VISIBLE) for column in (columns.flags, columns.filed))
    return told != filed or columns.words != columns.filed_words


def noted(record: Record) -> list[int]:
    """Those of them for which the file has a place."""
    return [row for row in unfiled(record) if 0 < record.columns.block_octets[row] < NEVER]


def unbased(record: Record, facts: Facts) -> bool:
    """X-IMAPbase is missing or wrong, and cannot be put right in its place.

    UW and alpine forget keywords that it does not name, so a line that is too short counts as wrong.
    """
    columns = record.columns
    return maybe_unbased(record, facts) and columns.block_octets[columns.file_order()[0]] != NEVER


def maybe_unbased(record: Record, facts: Facts) -> bool:
    """The same, but for a first message that nothing can be put into."""
    columns = record.columns
    if facts.internal_end or not len(columns) or (facts.base_offset < 0 and facts.base_is_right(record)):
        return False
    if facts.base_offset >= 0:
        names = [keyword.encode() for keyword in record.keywords]
        if block.write_base(record.uid_validity, record.uid_next - 1, names, facts.base_octets) is not None:
            return False
    return True
