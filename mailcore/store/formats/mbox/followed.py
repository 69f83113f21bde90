"""A mail file as one session follows it: a record of it, brought up to date under the locks.

What lives here: when to look at the file, and what to do with what is found.  What does not: its
messages (messages.py), changes of it (box.py), and the parts, which the package's docstring lists.

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
from array import array
from itertools import compress

from mailcore.errors import DiskError, InUse, MailError, NoSuchMailbox, ReadOnly
from mailcore.store import files
from mailcore.store.columns import NAMES, Stale, first_different
from mailcore.store.formats.mbox import block, ending, identity, survey
from mailcore.store.formats.mbox.facts import Facts
from mailcore.store.formats.mbox.mailfile import NOWHERE, MailFile
from mailcore.store.formats.mbox.view import View
from mailcore.store.index import Record
from mailcore.store.mailbox import Mailbox
from mailcore.store.remembered import Remembered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from mailcore.settings import Settings
    from mailcore.store.columns import Columns
    from mailcore.store.formats.mbox.mailfile import Stamp
    from mailcore.store.index import Index
    from mailcore.store.textindex import Filed

    _T = TypeVar("_T")

FEW = 1000  # so many messages are always looked at thoroughly
SOON_SECONDS = 2  # locks that are only nice to have are not waited for longer
TRIES = 20
AHEAD_TRIES = 8  # a mailbox that changes each time it was read ahead is read under the lock

# bytes.translate tables: a column of flag bits to a column of yes and no
_UNCLAIMED = bytes(not bits & block.OLD for bits in range(256))
_CLAIMED = bytes(bits | block.OLD for bits in range(256))
_UNSEEN = bytes(not bits & block.SEEN for bits in range(256))


class Current:
    """`with box._current(exclusive) as there:` the locks, with the record as the file is; its `columns` if wanted."""

    __slots__ = ("_box", "_columns", "_exclusive", "_seconds", "_thorough")

    def __init__(
        self, box: Followed, exclusive: bool, seconds: float | None, thorough: bool, columns: bool = True
    ) -> None:
        self._box = box
        self._columns = columns
        self._exclusive = exclusive
        self._seconds = seconds
        self._thorough = thorough
        self._columns = columns

    def __enter__(self) -> bool:
        box, file = self._box, self._box._file
        tries = AHEAD_TRIES
        while True:
            there = file.lock(self._exclusive, self._seconds)
            try:
                box._synchronise(there, self._thorough, brief=tries > 0)
                if not self._columns or box._record.columns.have():
                    return there
                file.unlock()
                box._facts.believed = 0
                continue
            except survey.Later:
                file.unlock()
            except BaseException:
                file.unlock()
                raise
            tries = tries - 1 if box._read_ahead(self._exclusive, self._seconds, self._thorough) else 0

    def __exit__(self, *_: object) -> None:
        self._box._file.unlock()


class Followed(Mailbox):
    """One session's record of an mbox, and what it knows of the file."""

    def __init__(
        self, path: str, name: str, settings: Settings, readonly: bool, inbox: bool, index: Index, user: str,
        visiting: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self.path = path
        self.inbox = inbox
        self._settings = settings
        self._index = index
        self._user = user or "MAILER-DAEMON"
        self._visiting = visiting
        self._file = MailFile(path, settings, not readonly, index.home)
        self._examined = readonly
        self._stamp = NOWHERE
        self._record = Record()
        self._words = identity.Words(self._record)
        self._kept = self._record  # what it was before the file was gone
        self._facts = Facts()
        # a record not adopted yet, whether it is not saved yet, and whether UIDs were given in it
        self._ahead: tuple[Record, bool, bool] | None = None
        self._memory = Remembered(index, path, settings.index_text_octets)
        self._filed: Filed | None = None  # in the text index, when that is first asked
        self._started = 0  # the start of the machine after which this was looked at for damage
        self._opened = False
        self._glanced = True  # of a mailbox that grew only the end was looked at, see _synchronise
        self._fresh = False  # there are messages of our own that no session has claimed
        self._missing = False
        self._view = View()
        self.uids = self._view.uids
        self._flag_sets: dict[tuple[int, int, bool], frozenset[str]] = {}

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
        thorough, self._glanced = self._glanced, False
        known = self._facts.believed and self._facts.verified >= thorough and not self._missing and not self._fresh
        if known and self._file.named_stamp() == self._stamp:
            return
        self._look(thorough, later=True)

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
                with Current(self, True, SOON_SECONDS, thorough, columns=False):
                    return
            except (InUse, ReadOnly):
                if later:
                    return
        else:
            self._file.wait_for_dot_lock(SOON_SECONDS)
        with Current(self, False, None, thorough, columns=False):
            pass

    def _current(self, columns: bool = True) -> Current:
        """All locks, and the record as the file is, every message looked at."""
        return Current(self, True, None, True, columns)

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
        except Stale:
            return True
        except MailError:
            if self._file.stamp() == stamp:
                raise  # it is not because somebody wrote meanwhile
            return True
        if compared is None or not compared[1]:
            return True
        record, claimed = self._claimed(compared[0])
        if self._file.stamp() == stamp and self._save(record, durable=compared[2]):
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
            except Stale:
                self._facts.believed = 0
        for _ in range(TRIES):
            try:
                with self._file.held(False) as there:
                    if self._missing if not there else self._agrees(False):
                        return read()
            except Stale:
                self._facts.believed = 0
            self._look()
            if not self._facts.believed:
                break
        with Current(self, False, None, False):  # a time that later writes may have, too (settled_stamp)
            return read()

    def _columns(self, *names: str) -> Columns:
        """The columns of the record, these in memory; of what the mailbox is now, if others changed it before."""
        for _ in range(TRIES):
            columns = self._record.columns
            if columns.have(names):
                return columns
            self._look_anew()
        raise DiskError(detail="the index changes faster than it can be read")

    def _look_anew(self) -> None:
        """What we know of the mailbox cannot be read any more: look what it is now."""
        self._facts.believed = 0
        self._look()

    def _agrees(self, thorough: bool) -> bool:
        """The file is as the record says.  A lock is held."""
        believed = self._facts.believed and self._facts.verified >= thorough and not self._missing
        believed = believed and not self._fresh
        return bool(believed) and self._file.stamp() == self._stamp

    def _synchronise(self, there: bool, thorough: bool = True, scanning: bool = True, brief: bool = True) -> bool:
        """Make the record what the file is; False if that needs a scan, which is not wanted.

        A lock is held, if there is a file.  Who is `brief` gets survey.Later rather than a long wait.

        After a delivery the end of the file tells what is new, but not whether somebody changed
        flags in place before it; who is `thorough` looks at every message's fields too.  An open is not:
        that is for the first command that follows, and for who writes.
        """
        if not there:
            self._lost()
            return True
        if self._agrees(thorough):
            return True
        for _ in range(TRIES):
            try:
                base = self._known()
                former, now = Facts(base.facts), self._file.stamp()
                if not scanning and former.stamp != now:
                    return False
                stamp, believed = self._file.settled_stamp(known=former.ino == now[0] and former.size < now[1])
                compared = self._compared(base, stamp, believed, thorough, scanning, brief)
                if compared is None:
                    return False
                record, changed, given = compared
                facts = Facts(record.facts)
                record, claimed = self._claimed(record)
                if changed or claimed:
                    if record is self._record:
                        record = identity.follower(record)
                    if not self._save(record, durable=given):
                        continue
                    record = self._whole(record)
            except Stale:
                continue
            self._adopt(record, facts)
            self._ahead = None
            self._missing = self._fresh = False
            self._view.recent.update(claimed)
            return True
        raise DiskError(detail="the index changes faster than it can be read")

    def _save(self, record: Record, durable: bool = False) -> bool:
        """Keep a record in the index, with what is asked of it most; False if somebody else saved before."""
        record.counts = _counts(record)
        return self._index.save(self.path, record, durable)

    def _whole(self, record: Record) -> Record:
        """The record that was saved, where `record` is only its last rows.  Raises Stale."""
        if not record.columns.before:
            return record
        whole = self._index.load(self.path)
        if whole is None or whole.generation != record.generation:
            raise Stale
        return whole

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
            thorough |= len(base.columns) <= FEW
            grown = self._grown(base, facts, stamp[1]) if brief and not thorough else None
            record, more = grown or self._found(base, facts, stamp[1], thorough, brief)
            given |= more or record.uid_validity != base.uid_validity
            facts = Facts(record.facts)
            facts.set_stamp(stamp, believed)
        facts.started = self._started
        record.facts = facts.words()
        return record, True, given

    def _known(self) -> Record:
        """What is known so far: by this session if the index says no more."""
        generation = self._index.generation(self.path)
        if self._missing and generation == self._kept.generation:
            return self._kept
        if self._ahead is not None and self._is_still(self._ahead[0], generation):
            return self._ahead[0]
        self._ahead = None
        if self._opened and self._is_still(self._record, generation):
            return self._record
        record = self._index.load(self.path)
        if record is None:
            known = self._opened and self._record.columns.read
            record = identity.follower(self._record) if known else Record()
            record.columns.own(*NAMES)  # whatever lies there
            record.uid_next = self._record.uid_next  # no UID is given twice
            record.generation = generation
        if record.uid_next > identity.ANEW_UID and not self._opened:
            record = identity.numbered_anew(record)
            self._ahead = record, True, True
            return record
        self._ahead = record, False, False
        return record

    def _is_still(self, record: Record, generation: int) -> bool:
        """There is nothing newer than this, of which nobody has the columns but we (if we have them)."""
        return generation == record.generation or (not self._index.lasting and record.columns.read)

    def _grown(self, base: Record, facts: Facts, size: int) -> tuple[Record, bool] | None:
        """The last rows of the record after a delivery, and whether UIDs were given; None if it was no mere delivery.

        Who has unsaved changes of a record, or \\Recent messages yet to claim, needs all of it.
        """
        unsaved = self._ahead is not None and base is self._ahead[0] and self._ahead[1]
        known = base.uid_validity and base.facts and base.highest_modseq and base.counts and not base.counts[UNCLAIMED]
        if unsaved or not known or facts.ino != self._file.stamp()[0] or size <= facts.size:
            return None
        columns = self._index.end(self.path, base)
        start = ending.last_start(columns, facts.size) if columns else 0
        if columns is None or not start:
            return None
        with files.Judge("mail file"):
            tail = survey.scanned(self._file, start, size, brief=True)
        grown = ending.grown(identity.end(base, columns), tail, self._trust) if tail else None
        if grown is not None:
            facts.verified = 0
            grown[0].facts = facts.words()
        return grown

    def _found(self, base: Record, facts: Facts, size: int, thorough: bool, brief: bool) -> tuple[Record, bool]:
        """Scan what is new of the file, or all; the record, and whether UIDs were given."""
        if not base.columns.have():
            raise Stale
        trust = identity.NEW if not base.uid_validity or not base.facts else self._trust
        fd = self._file.fd
        with files.Judge("mail file"):
            if facts.ino == os.fstat(fd).st_ino and size > facts.size and len(base.columns) and trust != identity.NEW:
                start = max(base.columns.start)
                row = base.columns.start.index(start)
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
        """Messages that no session saw before are \\Recent here, and nowhere else (RFC 3501 §2.3.2).

        Who only brings messages sees none.
        """
        if self._visiting or (record.counts and not record.counts[UNCLAIMED]):
            return record, []
        fresh = record.columns.flags.tobytes().translate(_UNCLAIMED)
        if not fresh.count(1):
            return record, []
        if not self.readonly:
            record = identity.follower(record)
        claimed = list(compress(record.columns.uid, fresh))
        if not self.readonly:
            record.columns.flags = array("B", record.columns.flags.tobytes().translate(_CLAIMED))
        if self.readonly:
            self._view.recent.update(claimed)
            return record, []
        return record, claimed

    def _adopt(self, record: Record, facts: Facts) -> None:
        """This is the mailbox now."""
        if self._opened and not self._visiting and record.uid_validity != self._record.uid_validity:
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
            facts = Facts()
            facts.started = self._started
            record.facts = facts.words()
            self._save(record, durable=True)
        self._kept = record
        self._adopt(identity.emptied(record), Facts())  # the index keeps the columns: the file may come back
        self._facts.believed = 0


UNSEEN, FIRST_UNSEEN, UNCLAIMED, FIRST_UNFILED = range(4)  # in Record.counts


def _counts(record: Record) -> Sequence[int]:
    """How many messages are not \\Seen, the number of the first of them, how many no session has claimed, and the
    number of the first of which the file may say less than we do."""
    now, before, since = _counted(record.columns), record.columns.before, record.since
    if not before or since is None:
        return now
    whole, part = since.counts, _counted(since.columns)  # what is before the last rows stays as it is
    firsts = [
        whole[what] if 0 < whole[what] <= before else now[what] and before + now[what]
        for what in (FIRST_UNSEEN, FIRST_UNFILED)
    ]
    unseen, unclaimed = (whole[what] - part[what] + now[what] for what in (UNSEEN, UNCLAIMED))
    return unseen, firsts[0], unclaimed, firsts[1]


def _counted(columns: Columns) -> Sequence[int]:
    bits = columns.flags.tobytes()
    unseen = bits.translate(_UNSEEN)
    pairs = (columns.flags, columns.filed), (columns.words, columns.filed_words)
    unfiled = [row for one, other in pairs if (row := first_different(one, other)) >= 0]
    return unseen.count(1), unseen.find(1) + 1, bits.translate(_UNCLAIMED).count(1), min(unfiled, default=-1) + 1
