"""A Mailbox that is an mbox file.

What lives here: opening, changing and closing it.  What does not: the record of the file
(followed.py), its messages (messages.py), and the parts; the package's docstring lists them.
"""

from __future__ import annotations

import os
from array import array
from time import time

from mailcore import log
from mailcore.errors import DiskError, MailError, NoPermission, NoSuchMailbox, ReadOnly
from mailcore.store import files
from mailcore.store.columns import NAMES, Stale
from mailcore.store.formats.mbox import block, ending, fromline, identity, journal, rewrite, torn
from mailcore.store.formats.mbox.facts import Facts
from mailcore.store.formats.mbox.flags import bits_and_mask, change_rows
from mailcore.store.formats.mbox.followed import FIRST_UNFILED, SOON_SECONDS, Current
from mailcore.store.formats.mbox.gathered import Gathered
from mailcore.store.formats.mbox.messages import Messages
from mailcore.store.formats.mbox.numbered import Numbered
from mailcore.store.formats.mbox.scan import NEVER, scan
from mailcore.store.formats.mbox.stored import Stored
from mailcore.store.formats.mbox.writing import Writing, knows_alone, maybe_unbased, noted, unbased, unfiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mailcore.settings import Settings
    from mailcore.store.index import Index, Record
    from mailcore.store.mailbox import Incoming, Mailbox

LAZY_OCTETS = 4 * 1024 * 1024  # so much is rewritten at open; more waits for a change or the close

# bytes.translate table: a column of flag bits to a column of yes and no
_DELETED = bytes(bool(bits & block.DELETED) for bits in range(256))


class Box(Messages, Numbered):
    """One session's view of an mbox."""

    def __init__(
        self, path: str, name: str, settings: Settings, readonly: bool, inbox: bool, index: Index, user: str,
        visiting: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(path, name, settings, readonly, inbox, index, user, visiting)
        try:
            self._heal()
            self._look()
            self._opened = True
            if not visiting:
                self._settle_soon()
                self.news()
        except BaseException:
            self._file.close()
            raise

    def _heal(self) -> None:
        """Once after each start of the machine: part what a crash tore from what came after it (torn.py)."""
        base = self._known()
        facts = Facts(base.facts)
        self._started = facts.started
        started = torn.started()
        if started in (0, facts.started) or not self._index.lasting:
            return
        with self._file.held(False) as there:
            size = self._file.stamp()[1] if there else 0
        known = facts.size if base.facts else size
        try:
            with files.Judge("mail file"):
                if there and torn.ends(self._file.fd, known, size):
                    self._file.apart(lambda fd: torn.part(fd, self.path, known, self._index.home))
        except (NoPermission, DiskError, NoSuchMailbox) as error:
            log.error(f"{log.clean(self.path)}: {error.detail or error.text}")
            return
        self._started = facts.started = started
        if base.facts and base.columns.have():
            record = identity.follower(base)
            record.facts = facts.words()
            self._save(record)

    # --- flags -------------------------------------------------------------------------

    def store(
        self, uids: Iterable[int], change: str, flags: Iterable[str], unchanged_since: int | None = None
    ) -> list[int]:
        self._must_write()
        wanted, flags = uids if isinstance(uids, array) else list(uids), list(flags)
        few = len(wanted) <= self._settings.flags_at_once
        while True:
            with self._current(columns=few):
                try:
                    changed, failed = self._store(wanted, change, flags, unchanged_since)
                    break
                except Stale:
                    self._facts.believed = 0
        try:
            self._view.knows(self._record.columns, changed)
        except Stale:
            pass  # then it is news
        return failed

    def _store(
        self, uids: Sequence[int], change: str, flags: Iterable[str], unchanged_since: int | None
    ) -> tuple[Sequence[int], list[int]]:
        """The rows that changed and the UIDs that failed.  Raises Stale, and has done nothing then."""
        record = identity.follower(self._record)
        words = identity.Words(record)
        bits, mask = bits_and_mask(words, flags)
        rows, failed = self._rows(uids)
        if unchanged_since is not None:
            numbers = record.columns.modseq
            failed += [record.columns.uid[row] for row in rows if numbers[row] > unchanged_since]
            rows = [row for row in rows if numbers[row] <= unchanged_since]
        changed = change_rows(record, words, rows, change, bits, mask)
        if changed and (len(changed) <= self._settings.flags_at_once or not self._note(record)):
            if not record.columns.have():
                raise Stale
            self._write(record, changed)
        return changed, failed

    def _rows(self, uids: Sequence[int]) -> tuple[Sequence[int], list[int]]:
        """The rows of these, and those that are gone."""
        run = self._side_by_side(uids)
        if run is not None:
            return range(run.start, run.stop), []
        rows = [(uid, self._row(uid)) for uid in uids]
        return [row for _, row in rows if row >= 0], [uid for uid, row in rows if row < 0]

    def _note(self, record: Record) -> bool:
        """Keep flags in the index, on the disk, for the file to get them later; False: the index cannot keep them.

        All locks are held.  The file gets a new time, by which other sessions are told.
        """
        if not self._index.lasting:
            return False
        facts = Facts(record.facts)
        facts.set_stamp(*self._file.wrote(self._file.stamp()))
        record.facts = facts.words()
        if not self._save(record, durable=self._settings.fsync) or not self._index.lasting:
            return False
        self._adopt(record, facts)
        return True

    def checkpoint(self) -> None:
        if self._is_over() or self._is_filed():
            return
        self._columns(*NAMES)
        if noted(self._record):
            self._settle(True, noted)

    # --- writing -----------------------------------------------------------------------

    def _must_write(self) -> None:
        if self.readonly:
            raise ReadOnly

    def _write(
        self, record: Record, rows: Sequence[int], removed: Iterable[int] = (), sync: bool = True, whole: bool = False
    ) -> None:
        """Bring `rows` of `record` into the file and take `removed` out of it, then adopt the record.

        The exclusive lock is held and the record follows one that agrees with the file.  Where the index
        alone knew flags, it may not say that the file has them before that is so on the disk, nor say
        afterwards that it has not: what then differs is taken for the change of another program.
        """
        before = self._file.stamp()
        facts = Facts(record.facts)
        alone = knows_alone(record.since or self._record)
        writing = Writing(self._file, record, facts)
        writing.gone.update(removed)
        writing.whole = whole
        try:
            writing.write(rows, (sync or alone) and self._settings.fsync)
        except BaseException:
            self._facts.believed = 0  # whatever was done: look before the next step
            raise
        facts.set_stamp(*self._file.wrote(before))
        record.facts = facts.words()
        saved = self._save(record, durable=alone and self._settings.fsync)
        try:
            self._adopt(self._whole(record), facts)
        except Stale:
            saved = False
        if not saved:
            self._facts.believed = 0

    def _settle_soon(self) -> None:
        """At open: write what is cheap to write, or what would be lost otherwise.

        New mail of a large mailbox waits for the close: the index has its UIDs.
        """
        if self.readonly or self._is_filed() or (not self._facts.verified and self._index.lasting):
            return
        columns = self._columns(*NAMES)
        rows = unfiled(self._record)
        odd = [columns.start[row] for row in rows if not 0 < columns.block_octets[row] < NEVER]
        if unbased(self._record, self._facts):
            odd.append(0)
        if (rows or odd) and (not odd or self._facts.size - min(odd) <= LAZY_OCTETS or not self._index.lasting):
            self._settle(False)

    def _is_over(self) -> bool:
        """There is nothing that we could write."""
        return self.readonly or self._missing or not self._opened

    def _is_filed(self) -> bool:
        """The file says all that the record does, as far as that can be known without its columns."""
        counts = self._record.counts
        return bool(counts) and not counts[FIRST_UNFILED] and not maybe_unbased(self._record, self._facts)

    def _settle(self, sync: bool, some: Callable[[Record], list[int]] | None = None) -> None:
        """Bring everything into the file, or the flags of `some`, if it can be locked soon.

        Where that is new mail only, nobody's change of other messages can be lost by it, and they are not looked at.
        """
        try:
            if some is None and self._settle_end(sync):
                return
            thorough = not self._facts.verified and not self._only_new()
            with Current(self, True, SOON_SECONDS, thorough) as there:
                if not there or not (self._facts.verified or self._only_new()):
                    return
                rows, whole = (some or unfiled)(self._record), not some and unbased(self._record, self._facts)
                if rows or whole or self._stale_base():
                    self._write(identity.follower(self._record), rows, sync=sync, whole=whole)
        except MailError as error:
            log.warning(f"{log.clean(self.path)} not brought up to date: {error.detail or error.text}")

    def _settle_end(self, sync: bool) -> bool:
        """The same for new mail at the end of the file; False if that is not all, or somebody changed the mailbox."""
        counts = self._record.counts
        if not counts or not counts[FIRST_UNFILED] or self._record.since is not None:
            return False
        with self._file.held(True, SOON_SECONDS) as there:
            columns = self._index.end(self.path, self._record) if there and self._agrees(False) else None
            if columns is None or counts[FIRST_UNFILED] <= columns.before or not self._base_is_there():
                return False
            end = identity.end(self._record, columns)
            if rows := ending.new_rows(end, self._facts):
                self._write(identity.follower(end), rows, sync=sync)
            return bool(rows)

    def _only_new(self) -> bool:
        """What the file does not say lies behind all that it says, and X-IMAPbase is where it was.

        The file is locked, or the answer a guess.
        """
        columns, rows = self._columns(*NAMES), unfiled(self._record)
        first = len(columns) - len(rows)
        if not first or (rows and rows[0] != first) or unbased(self._record, self._facts):
            return False
        known = max(columns.start[:first])
        return all(start > known for start in columns.start[first:]) and self._base_is_there()

    def _base_is_there(self) -> bool:
        offset, octets = self._facts.base_offset, self._facts.base_octets
        if offset < 0:
            return True
        line = files.read(self._file.fd, octets + 1, offset - 1)
        return line.startswith(b"\nX-IMAP") and line.find(b"\n", 1) == octets

    def _stale_base(self) -> bool:
        return self._facts.base_offset >= 0 and not self._facts.base_is_right(self._record)

    # --- expunge -----------------------------------------------------------------------

    def expunge(self, uids: Iterable[int] | None = None) -> list[int]:
        return self._remove(None if uids is None else set(uids), True)

    def remove(self, uids: Iterable[int]) -> list[int]:
        return self._remove(set(uids), False)

    def _remove(self, uids: set[int] | None, deleted: bool, moved: bool = False) -> list[int]:
        self._must_write()
        with self._current():
            columns = self._record.columns
            rows: Iterable[int] = range(len(columns))
            if deleted:
                rows = _places(columns.flags.tobytes().translate(_DELETED))
            if uids is not None:
                rows = [row for row in rows if columns.uid[row] in uids]
            gone = list(rows)
            removed = [columns.uid[row] for row in gone]
            if gone and self._settings.expunged_days and not moved:
                from mailcore.store.formats.mbox.removed import Removed

                Removed(self._index.home, self.path, self._settings).keep(self._file.fd, columns, self._words, gone)
            if gone:
                self._write(identity.follower(self._record), [], gone)
        return removed

    # --- append, copy ------------------------------------------------------------------

    def append(self, messages: list[Incoming]) -> list[int]:
        self._must_write()
        if not messages:
            return []
        if self.room is not None:
            self.room(sum(message.octets for message in messages))
        while True:
            with self._current(columns=False) as there:
                try:
                    if there:
                        return self._append(messages)
                except Stale:
                    self._facts.believed = 0
                    continue
            if not self.inbox:
                raise NoSuchMailbox
            self._file.make()

    def _append(self, messages: list[Incoming]) -> list[int]:
        """Add messages at the end.  The exclusive lock is held and the record agrees with the file.

        Raises Stale, and has done nothing then.
        """
        before = self._file.stamp()
        size = before[1]
        plan = rewrite.Plan(size, size)
        separation = self._separation(size)
        plan.pieces.append(separation)
        record = identity.follower(self._last_rows(separation))
        facts = Facts(record.facts)
        last, begin = self._last(record) if separation else (-1, size)
        empty = not len(record.columns) and not facts.internal_end
        if empty:
            begin = 0
        mine = self._laid_down(plan, record, messages, empty)
        base = Writing(self._file, record, facts).base()
        if base and facts.base_offset + len(base) <= size - journal.PREFIX_OCTETS:
            plan.beside.append((facts.base_offset, base))
            facts.base_says(record)
        try:
            found = scan(self._file.fd, begin, self._file.perform(plan))
            merged = identity.merge_tail(record, found, last, self._trust, mine) if found else None
            if found is None or merged is None:
                raise DiskError(detail="what was appended is not what is found there")
            record = merged[0]
            if begin == 0:
                facts.verified = 1
                facts.set_base(found, record.keywords)
            Writing(self._file, record, facts).put_base()
        except BaseException:
            self._facts.believed = 0
            raise
        facts.set_stamp(*self._file.wrote(before, new_mail=True))
        record.facts = facts.words()
        saved = self._save(record, durable=True)
        try:
            self._adopt(self._whole(record), facts)
        except Stale:
            saved = False
        if not saved:
            self._facts.believed = 0
        self._fresh = not self._visiting
        return [uid for uid, _, _ in mine]

    def _last_rows(self, separation: bytes) -> Record:
        """What of the record is needed to add to it: all, where the message before is changed too.  Raises Stale."""
        record = self._record
        if not separation and record.counts and record.highest_modseq and record.since is None:
            columns = self._index.end(self.path, record)
            if columns is not None:
                return identity.end(record, columns)
        if not record.columns.have():
            raise Stale
        return record

    @staticmethod
    def _last(record: Record) -> tuple[int, int]:
        """The row of the message that is the last in the file, and where it starts; -1 and 0 if there is none."""
        start = max(record.columns.start, default=0)
        return (record.columns.start.index(start) if len(record.columns) else -1), start

    def _separation(self, size: int) -> bytes:
        """What is missing at the end of the file before a separator."""
        if not size:
            return b""
        tail = self._file.read(min(size, 3), size - min(size, 3))
        if tail.endswith((b"\n\n", b"\n\r\n")):
            return b""
        return b"\n" if tail.endswith(b"\n") else b"\n\n"

    def _laid_down(
        self, plan: rewrite.Plan, record: Record, messages: list[Incoming], first: bool
    ) -> list[tuple[int, int, int]]:
        """Put messages into a plan; their UIDs, flag bits and sets of keywords."""
        words = identity.Words(record)
        sets = [bits_and_mask(words, message.flags) for message in messages]
        uids = [identity.next_uid(record) for _ in messages]
        mine = []
        for uid, message, (bits, mask) in zip(uids, messages, sets, strict=True):
            number = words.number(mask)
            hidden = block.write(bits, words.names(number), uid) or b""
            if first:
                names = [name.encode() for name in record.keywords]
                hidden = (block.write_base(record.uid_validity, record.uid_next - 1, names) or b"") + hidden
                first = False
            seconds, zone = message.date or (int(time()), fromline.local_zone(int(time())))
            sender = f"{self._user}@{self._settings.host_name or os.uname().nodename}"
            plan.pieces.append(Stored(message, fromline.write(sender, seconds, zone), hidden))
            mine.append((uid, bits, number))
        return mine

    def copy(self, uids: Iterable[int], target: Mailbox) -> list[tuple[int, int]]:
        wanted = list(uids)
        with Gathered(self, wanted, self._settings) as messages:
            return list(zip(wanted, target.append(messages), strict=True))

    def move(self, uids: Iterable[int], target: Mailbox) -> list[tuple[int, int]]:
        pairs = self.copy_to_move(uids, target)
        self._remove({old for old, _ in pairs}, False, moved=True)
        return pairs

    # --- the end -----------------------------------------------------------------------

    def close(self) -> None:
        self._fresh = False  # the next session claims them
        self._settle_memory(all_=True)
        if not self._is_over() and (self._stale_base() or not self._is_filed()):
            self._settle(True)
        self._opened = False
        self._file.close()


def _places(marks: bytes) -> Iterator[int]:
    """Where there is a one."""
    place = marks.find(1)
    while place >= 0:
        yield place
        place = marks.find(1, place + 1)
