"""A Mailbox that is an mbox file.

What lives here: one session's view of the file, and the order in which things are done.  What
does not: the parts; the package's docstring lists them.

The file is the truth, the index remembers what a scan would find; both agree when the file's
inode, size and mtime are those in the index.  If not, the end is scanned (a delivery) or all
of it, and identity.py says what is what.  New UIDs are in the index, on the disk, before
anybody hears of them; into the file they go with the next change of it: at once if that is
cheap (padded fields, or little behind them), at the latest when the session closes.

A session holds a record (the mailbox as it is) and a view (uids, as its client knows it);
`news` carries the view after the record.  Locks are held for one operation, never longer.

What takes long to read is read without any lock (survey.py): the stamp is taken under the
locks, then the file is read and the record made; under the locks again the stamp tells whether
that record is true.  If mail came meanwhile, only that is left to read.  A message is fetched
without a lock too: what was read is good if the stamp is the same after it.
"""

from __future__ import annotations

import os
from time import time

from mailcore import log
from mailcore.errors import DiskError, Expunged, InUse, MailError, NoSuchMailbox, ReadOnly
from mailcore.store import files
from mailcore.store.formats.mbox import block, fromline, identity, journal, rewrite, survey
from mailcore.store.formats.mbox.facts import Facts
from mailcore.store.formats.mbox.flags import NAMES, VISIBLE, bits_and_mask, change_rows
from mailcore.store.formats.mbox.gathered import Gathered
from mailcore.store.formats.mbox.mailfile import NOWHERE, MailFile
from mailcore.store.formats.mbox.scan import NEVER, NULS, scan
from mailcore.store.formats.mbox.stored import Stored
from mailcore.store.formats.mbox.text import FileText
from mailcore.store.formats.mbox.view import View, row_of
from mailcore.store.formats.mbox.writing import Writing, unbased, unfiled
from mailcore.store.index import Record
from mailcore.store.mailbox import (
    RECENT,
    Incoming,
    Mailbox,
    News,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    from mailcore.settings import Settings
    from mailcore.store.formats.mbox.mailfile import Stamp
    from mailcore.store.index import Index
    from mailcore.store.mailbox import Text

    _T = TypeVar("_T")

LAZY_OCTETS = 4 * 1024 * 1024  # so much is rewritten at open; more waits for a change or the close
FEW = 1000  # so many messages are always looked at thoroughly
SOON_SECONDS = 2  # locks that are only nice to have are not waited for longer
TRIES = 20
AHEAD_TRIES = 8  # a mailbox that changes each time it was read ahead is read under the lock
SLICE_MESSAGES = 100  # so many are read under one lock,
SLICE_OCTETS = 4 * 1024 * 1024  # or so much of them

# bytes.translate tables: a column of flag bits to a column of yes and no
_UNSEEN = bytes(not bits & block.SEEN for bits in range(256))
_UNCLAIMED = bytes(not bits & block.OLD for bits in range(256))
_DELETED = bytes(bool(bits & block.DELETED) for bits in range(256))


class Current:
    """`with box._current(exclusive) as there:` the locks, with the record as the file is."""

    __slots__ = ("_box", "_exclusive", "_seconds", "_thorough")

    def __init__(self, box: Box, exclusive: bool, seconds: float | None, thorough: bool) -> None:
        self._box = box
        self._exclusive = exclusive
        self._seconds = seconds
        self._thorough = thorough

    def __enter__(self) -> bool:
        box, file = self._box, self._box._file
        tries = AHEAD_TRIES
        while True:
            there = file.lock(self._exclusive, self._seconds)
            try:
                box._synchronise(there, self._thorough, brief=tries > 0)
                return there
            except survey.Later:
                file.unlock()
            except BaseException:
                file.unlock()
                raise
            tries = tries - 1 if box._read_ahead(self._exclusive, self._seconds, self._thorough) else 0

    def __exit__(self, *_: object) -> None:
        self._box._file.unlock()


class Box(Mailbox):
    """One session's view of an mbox."""

    def __init__(
        self, path: str, name: str, settings: Settings, readonly: bool, inbox: bool, index: Index, user: str
    ) -> None:
        self.name = name
        self.path = path
        self.inbox = inbox
        self._settings = settings
        self._index = index
        self._user = user or "MAILER-DAEMON"
        self._file = MailFile(path, settings, not readonly, index.home)
        self._examined = readonly
        self._stamp = NOWHERE
        self._record = Record()
        self._words = identity.Words(self._record)
        self._kept = self._record  # what it was before the file was gone
        self._facts = Facts()
        # a record not adopted yet, whether it is not saved yet, and whether UIDs were given in it
        self._ahead: tuple[Record, bool, bool] | None = None
        self._opened = False
        self._fresh = False  # there are messages of our own that no session has claimed
        self._missing = False
        self._view = View()
        self.uids = self._view.uids
        self._flag_sets: dict[tuple[int, int, bool], frozenset[str]] = {}
        try:
            self._look(True)
            self._opened = True
            self._settle_soon()
            self.news()
        except BaseException:
            self._file.close()
            raise

    # --- what the mailbox is -----------------------------------------------------------

    @property
    def readonly(self) -> bool:  # type: ignore[override]
        """EXAMINE, no permission to write, or no place for a journal."""
        return self._examined or not self._file.writable

    @property
    def uid_validity(self) -> int:  # type: ignore[override]
        return self._record.uid_validity

    @property
    def uid_next(self) -> int:  # type: ignore[override]
        return self._record.uid_next

    @property
    def keywords(self) -> list[str]:  # type: ignore[override]
        return self._record.keywords

    def paths_to_watch(self) -> list[str]:
        return [self.path]

    # --- looking at the file -----------------------------------------------------------

    def refresh(self) -> None:
        if self._facts.believed and not self._missing and not self._fresh and self._file.named_stamp() == self._stamp:
            return
        self._look(later=True)

    def _look(self, thorough: bool = False, later: bool = False) -> None:
        """Bring the record up to date, `later` if others have the file now and that will do.

        A shared lock will do to find that nothing changed, or that another session of ours knows
        what did.  A scan takes all locks if it can have them soon: some agents deliver under a
        dot lock alone, and half a mail must not be taken for a mail.
        """
        self._known()  # from the index, before anybody has to wait
        with self._file.held(False) as there:
            if self._synchronise(there, thorough, scanning=False):
                return
        if self._file.writable:
            try:
                with Current(self, True, SOON_SECONDS, thorough):
                    return
            except (InUse, ReadOnly):
                if later:
                    return
        else:
            self._file.wait_for_dot_lock(SOON_SECONDS)
        with Current(self, False, None, thorough):
            pass

    def _current(self) -> Current:
        """All locks, and the record as the file is, every message looked at."""
        return Current(self, True, None, True)

    def _read_ahead(self, exclusive: bool, seconds: float | None, thorough: bool) -> bool:
        """Make the record of the file as it is now, and read for it without a lock; False: not possible here."""
        with self._file.held(exclusive, seconds) as there:
            if not there:
                return True
            stamp, believed = self._file.settled_stamp()
        if not believed:
            return self._file.wait_for_settling()
        try:
            compared = self._compared(self._known(), stamp, True, thorough)
        except MailError:
            if self._file.stamp() == stamp:
                raise  # it is not because somebody wrote meanwhile
            return True
        if compared is None or not compared[1]:
            return True
        record, claimed = self._claimed(compared[0])
        if self._file.stamp() == stamp and self._index.save(self.path, record, durable=compared[2]):
            self._view.recent.update(claimed)
            self._ahead = record, False, False
        else:
            self._ahead = compared
        return True

    def _undisturbed(self, read: Callable[[], _T]) -> _T:
        """What `read` finds while the file is as the record says."""
        if self._facts.believed and not self._missing:
            try:
                found = read()
                if self._file.named_stamp() == self._stamp:
                    return found  # it was so before and after, and no lock was needed
            except DiskError:
                pass
        for _ in range(TRIES):
            with self._file.held(False) as there:
                if self._missing if not there else self._agrees(False):
                    return read()
            self._look()
            if not self._facts.believed:
                break
        with Current(self, False, None, False):  # a time that later writes may have, too (settled_stamp)
            return read()

    def _agrees(self, thorough: bool) -> bool:
        """The file is as the record says.  A lock is held."""
        believed = self._facts.believed and self._facts.verified >= thorough and not self._missing
        believed = believed and not self._fresh
        return bool(believed) and self._file.stamp() == self._stamp

    def _synchronise(self, there: bool, thorough: bool = True, scanning: bool = True, brief: bool = True) -> bool:
        """Make the record what the file is; False if that needs a scan, which is not wanted.

        A lock is held, if there is a file.  Who is `brief` gets survey.Later rather than a long wait.

        After a delivery the end of the file tells what is new, but not whether somebody changed
        flags in place before it; who is `thorough` looks at every message's fields too.
        """
        if not there:
            self._lost()
            return True
        if self._agrees(thorough):
            return True
        for _ in range(TRIES):
            base = self._known()
            stamp, believed = self._file.settled_stamp()
            compared = self._compared(base, stamp, believed, thorough, scanning, brief)
            if compared is None:
                return False
            record, changed, given = compared
            facts = Facts(record.facts)
            record, claimed = self._claimed(record)
            if changed or claimed:
                if record is self._record:
                    record = identity.follower(record)
                if not self._index.save(self.path, record, durable=given):
                    continue
            self._adopt(record, facts)
            self._ahead = None
            self._missing = self._fresh = False
            self._view.recent.update(claimed)
            return True
        raise DiskError(detail="the index changes faster than it can be read")

    def _compared(
        self, base: Record, stamp: Stamp, believed: bool, thorough: bool, scanning: bool = True, brief: bool = False
    ) -> tuple[Record, bool, bool] | None:
        """The record of the file with that stamp, whether it is not saved yet, and whether UIDs were given.

        None if it takes a scan, which is not wanted.
        """
        facts = Facts(base.facts)
        record, changed, given = base, False, False
        if self._ahead is not None and base is self._ahead[0]:
            _, changed, given = self._ahead
        same = facts.believed and facts.stamp == stamp and base.uid_validity
        if same and facts.verified >= thorough:
            return record, changed, given
        if same and not scanning and len(base.columns) > survey.BRIEF_MESSAGES:
            return None
        if same and survey.verified(self._file, base, brief):
            facts.verified = 1
            record = identity.follower(base)
        elif not scanning:
            return None
        else:
            record, more = self._found(base, facts, stamp[1], thorough or len(base.columns) <= FEW, brief)
            given |= more or record.uid_validity != base.uid_validity
            facts = Facts(record.facts)
            facts.set_stamp(stamp, believed)
        record.facts = facts.words()
        return record, True, given

    def _known(self) -> Record:
        """What is known so far: by this session if the index says no more."""
        generation = self._index.generation(self.path)
        if self._missing and generation == self._kept.generation:
            return self._kept
        if self._ahead is not None and (generation == self._ahead[0].generation or not self._index.lasting):
            return self._ahead[0]
        self._ahead = None
        if self._opened and (generation == self._record.generation or not self._index.lasting):
            return self._record
        record = self._index.load(self.path)
        if record is None:
            record = identity.follower(self._record) if self._opened else Record()
            record.generation = generation
        if record.uid_next > identity.ANEW_UID and not self._opened:
            record = identity.numbered_anew(record)
            self._ahead = record, True, True
            return record
        self._ahead = record, False, False
        return record

    def _found(self, base: Record, facts: Facts, size: int, thorough: bool, brief: bool) -> tuple[Record, bool]:
        """Scan what is new of the file, or all; the record, and whether UIDs were given."""
        trust = identity.NEW if not base.uid_validity or not base.facts else self._trust
        fd = self._file.fd
        with files.Judge("mail file"):
            if facts.ino == os.fstat(fd).st_ino and size > facts.size and len(base.columns) and trust != identity.NEW:
                row = max(range(len(base.columns)), key=base.columns.start.__getitem__)
                start = base.columns.start[row]
                tail = survey.scanned(self._file, start, size, brief) if start else None
                merged = identity.merge_tail(base, tail, row, trust) if tail else None
                if merged is not None and (not thorough or survey.verified(self._file, base, brief)):
                    facts.verified = int(thorough)
                    merged[0].facts = facts.words()
                    return merged
            if self._ahead is not None and base is self._ahead[0] and self._ahead[1]:
                self._ahead = None  # the file was another when that was read: compare with what was before
                base = self._known()
                trust = identity.NEW if not base.uid_validity or not base.facts else self._trust
            pseudo = trust != identity.INBOX or facts.internal_end > 0  # strangers' mail may look like that
            found = survey.scanned(self._file, 0, size, brief, pseudo)
        if found is None:
            raise DiskError(detail="mail file changes while it is read")
        record, given = identity.merge(base, found, trust)
        facts.set_base(found, record.keywords)
        facts.verified = 1
        record.facts = facts.words()
        return record, given

    @property
    def _trust(self) -> str:
        return identity.INBOX if self.inbox else identity.FOLDER

    def _claimed(self, record: Record) -> tuple[Record, list[int]]:
        """Messages that no session saw before are \\Recent here, and nowhere else (RFC 3501 §2.3.2)."""
        fresh = record.columns.flags.tobytes().translate(_UNCLAIMED)
        row = fresh.find(1)
        if row < 0:
            return record, []
        if not self.readonly:
            record = identity.follower(record)
        claimed = []
        while row >= 0:
            claimed.append(record.columns.uid[row])
            if not self.readonly:
                record.columns.flags[row] |= block.OLD
            row = fresh.find(1, row + 1)
        if self.readonly:
            self._view.recent.update(claimed)
            return record, []
        return record, claimed

    def _adopt(self, record: Record, facts: Facts) -> None:
        """This is the mailbox now."""
        if self._opened and record.uid_validity != self._record.uid_validity:
            raise DiskError("Mailbox has been numbered anew, select it again")
        if record is not self._record:
            before = self._record
            self._record = record
            self._words = identity.Words(record)
            self._flag_sets.clear()
            if record.word_sets[: len(before.word_sets)] != before.word_sets:
                self._view.forget_words()
        self._facts = facts
        self._stamp = facts.stamp

    def _lost(self) -> None:
        """There is no file: INBOX is empty then, other mailboxes are gone."""
        if not self._opened and not self.inbox:
            raise NoSuchMailbox
        if self._missing:
            return
        record = self._known()
        self._missing = True
        self._ahead = None
        if not record.uid_validity:
            record.uid_validity = identity.new_validity(0)
            record.facts = Facts().words()
            self._index.save(self.path, record, durable=True)
        self._kept = record
        empty = identity.follower(record)  # the index keeps the columns: the file may come back
        empty.columns.cut(0)
        self._adopt(empty, Facts())
        self._facts.believed = 0

    # --- one message -------------------------------------------------------------------

    def _row(self, uid: int) -> int:
        return row_of(self._record.columns, uid)

    def _there(self, uid: int) -> int:
        row = self._row(uid)
        if row < 0:
            raise Expunged
        return row

    def flags(self, uid: int) -> frozenset[str]:
        row = self._row(uid)
        words = 0
        if row >= 0:
            bits, words = self._record.columns.flags[row], self._record.columns.words[row]
        elif (bits := self._view.told_flags(uid)) < 0:
            raise Expunged
        key = bits & VISIBLE, words, uid in self._view.recent
        flags = self._flag_sets.get(key)
        if flags is None:
            names = [name for bit, name in NAMES.items() if bits & bit]
            names += [name.decode() for name in self._words.names(words)]
            flags = self._flag_sets[key] = frozenset([*names, RECENT] if key[2] else names)
        return flags

    def octets(self, uid: int) -> int:
        return self._record.columns.octets[self._there(uid)]

    def internal_date(self, uid: int) -> tuple[int, int]:
        row = self._there(uid)
        return self._record.columns.date[row], self._record.columns.zone[row]

    def header(self, uid: int) -> bytes:
        return self._parts(uid, False)[0]

    def text(self, uid: int) -> Text:
        header, body, body_octets = self._parts(uid, True)
        if len(body) == body_octets:
            return header + body
        return self._in_file(uid, header, body_octets)

    def _in_file(self, uid: int, header: bytes, body_octets: int) -> FileText:
        return FileText(header, body_octets, lambda offset, octets: self._body(uid, offset, octets))

    def headers(self, uids: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        for some in self._slices(uids, False):
            for uid, header, _, _ in self._undisturbed(lambda some=some: self._read(some, False)):  # type: ignore[misc]
                yield uid, header

    def texts(self, uids: Iterable[int]) -> Iterator[tuple[int, Text]]:
        for some in self._slices(uids, True):
            for uid, header, body, octets in self._undisturbed(lambda some=some: self._read(some, True)):  # type: ignore[misc]
                yield uid, header + body if len(body) == octets else self._in_file(uid, header, octets)

    def _slices(self, uids: Iterable[int], with_body: bool) -> Iterator[list[int]]:
        """UIDs of messages that are read under one lock: few, and not much."""
        some: list[int] = []
        left = SLICE_OCTETS
        for uid in uids:
            row = self._row(uid)
            if row >= 0 and with_body:
                left -= min(self._record.columns.length[row], self._settings.text_octets)
            if some and (left < 0 or len(some) == SLICE_MESSAGES):
                yield some
                some, left = [], SLICE_OCTETS
            some.append(uid)
        if some:
            yield some

    def _read(self, uids: Iterable[int], with_body: bool) -> list[tuple[int, bytes, bytes, int]]:
        """Those that are there, each as `_parts` has it.  The file is as the record says."""
        return [(uid, *self._stored(row, with_body)) for uid in uids if (row := self._row(uid)) >= 0]

    def _parts(self, uid: int, with_body: bool) -> tuple[bytes, bytes, int]:
        """Header without hidden fields, body (b"" if it is too large or not wanted), octets of the body."""
        return self._undisturbed(lambda: self._stored(self._there(uid), with_body))

    def _stored(self, row: int, with_body: bool) -> tuple[bytes, bytes, int]:
        columns = self._record.columns
        header = columns.header[row]
        body_octets = columns.length[row] - header
        small = with_body and body_octets + header <= self._settings.text_octets
        start = columns.start[row] + columns.line[row] - 1  # at the line end before the header
        data = self._file.read(1 + header + (body_octets if small else 0), start)
        return block.strip(data[: header + 1])[1:], data[header + 1 :], body_octets

    def _body(self, uid: int, offset: int, octets: int) -> bytes:
        """A span of a body, wherever the message lies by now."""

        def read() -> bytes:
            row = self._there(uid)
            columns = self._record.columns
            body = columns.start[row] + columns.line[row] + columns.header[row]
            left = columns.length[row] - columns.header[row] - offset
            return self._file.read(min(octets, left), body + offset)

        return self._undisturbed(read)

    # --- counts ------------------------------------------------------------------------

    @property
    def recent(self) -> int:
        return self._view.count_recent()

    @property
    def unseen(self) -> int:
        return self._view.flags(self._record.columns).translate(_UNSEEN).count(1)

    @property
    def first_unseen(self) -> int | None:
        return self._view.flags(self._record.columns).translate(_UNSEEN).find(1) + 1 or None

    def news(self, expunges: bool = True) -> News:
        return self._view.tell(self._record, expunges)

    # --- flags -------------------------------------------------------------------------

    def store(self, uids: Iterable[int], change: str, flags: Iterable[str]) -> list[int]:
        self._must_write()
        wanted = list(uids)
        with self._current():
            record = identity.follower(self._record)
            words = identity.Words(record)
            bits, mask = bits_and_mask(words, flags)
            rows = [row for uid in wanted if (row := self._row(uid)) >= 0]
            changed = change_rows(record, words, rows, change, bits, mask)
            if changed:
                self._write(record, changed)
            gone = [uid for uid in wanted if self._row(uid) < 0]
        self._view.knows(self._record.columns, changed)
        return gone

    # --- writing -----------------------------------------------------------------------

    def _must_write(self) -> None:
        if self.readonly:
            raise ReadOnly

    def _write(
        self, record: Record, rows: list[int], removed: Iterable[int] = (), sync: bool = True, whole: bool = False
    ) -> None:
        """Bring `rows` of `record` into the file and take `removed` out of it, then adopt the record.

        The exclusive lock is held and the record follows one that agrees with the file.
        """
        before = self._file.stamp()
        facts = Facts(record.facts)
        writing = Writing(self._file, record, facts)
        writing.gone.update(removed)
        writing.whole = whole
        try:
            writing.write(rows, sync and self._settings.fsync)
        except BaseException:
            self._facts.believed = 0  # whatever was done: look before the next step
            raise
        facts.set_stamp(*self._file.wrote(before))
        record.facts = facts.words()
        saved = self._index.save(self.path, record)
        self._adopt(record, facts)
        if not saved:
            self._facts.believed = 0

    def _settle_soon(self) -> None:
        """At open: write what is cheap to write, or what would be lost otherwise."""
        if self.readonly:
            return
        columns = self._record.columns
        rows = unfiled(self._record)
        odd = [columns.start[row] for row in rows if not 0 < columns.block_octets[row] < NEVER]
        if unbased(self._record, self._facts):
            odd.append(0)
        if (rows or odd) and (not odd or self._facts.size - min(odd) <= LAZY_OCTETS or not self._index.lasting):
            self._settle(False)

    def _settle(self, sync: bool) -> None:
        """Bring everything into the file, if it can be locked soon."""
        try:
            with Current(self, True, SOON_SECONDS, True) as there:
                rows, whole = unfiled(self._record), unbased(self._record, self._facts)
                if there and (rows or whole or self._stale_base()):
                    self._write(identity.follower(self._record), rows, sync=sync, whole=whole)
        except MailError as error:
            log.warning(f"{log.clean(self.path)} not brought up to date: {error.detail or error.text}")

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
        while True:
            with self._current() as there:
                if there:
                    return self._append(messages)
            if not self.inbox:
                raise NoSuchMailbox
            self._file.make()

    def _append(self, messages: list[Incoming]) -> list[int]:
        """Add messages at the end.  The exclusive lock is held and the record agrees with the file."""
        before = self._file.stamp()
        size = before[1]
        record = identity.follower(self._record)
        facts = Facts(record.facts)
        order = record.columns.file_order()
        last = order[-1] if len(order) else -1
        plan = rewrite.Plan(size, size)
        plan.pieces.append(self._separation(size))
        mine = self._laid_down(plan, record, messages, not len(order) and not facts.internal_end)
        try:
            end = journal.perform(self._file.fd, self.path, plan, self._index.home)
            begin = record.columns.start[last] if last >= 0 else facts.internal_end and size
            found = scan(self._file.fd, begin, end)
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
        saved = self._index.save(self.path, record, durable=True)
        self._adopt(record, facts)
        if not saved:
            self._facts.believed = 0
        self._fresh = True
        return [uid for uid, _, _ in mine]

    def _separation(self, size: int) -> bytes:
        """What is missing at the end of the file before a separator."""
        if not size:
            return b""
        tail = self._file.read(min(size, len(NULS)), size - min(size, len(NULS)))
        if tail.endswith((b"\n\n", b"\n\r\n", NULS)):
            return b""  # NULs that a crash left: who delivers next puts nothing between, see scan.py
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
        pairs = self.copy(uids, target)
        self._remove({old for old, _ in pairs}, False, moved=True)
        return pairs

    # --- the end -----------------------------------------------------------------------

    def close(self) -> None:
        self._fresh = False  # the next session claims them
        settled = self.readonly or self._missing or not self._opened
        if not settled and (unfiled(self._record) or unbased(self._record, self._facts) or self._stale_base()):
            self._settle(True)
        self._opened = False
        self._file.close()


def _places(marks: bytes) -> Iterator[int]:
    """Where there is a one."""
    place = marks.find(1)
    while place >= 0:
        yield place
        place = marks.find(1, place + 1)
