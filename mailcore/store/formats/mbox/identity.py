"""Which message is which, and who is believed.

What lives here: matching what a scan found with what the index knows, giving UIDs, merging
flags.  What does not: reading files (scan.py) and writing them (rewrite.py).  Values in,
values out.

A known message is found again by its digest, duplicates in their order, wherever another
program has put it; so UIDs and UIDVALIDITY stay when mutt, sed or a restore rewrite the file.
Its flags are what we last said, and on top each flag that somebody changed in the file since
we last read or wrote it there.

A message that is not known:
    in a mailbox never seen before   it is believed (UW's, mutt's, Dovecot's fields are taken
                                     over), its X-UID too if the file has an X-IMAPbase and the
                                     numbers ascend up to the last one named there;
    in the user's own folders        its flags are believed, its UID never;
    in INBOX                         nothing is: strangers wrote it.
(A single forged mail in an INBOX that was never opened cannot be told from UW's own.)
"""

from __future__ import annotations

from array import array
from time import time

from mailcore.errors import DiskError
from mailcore.expressions import Expression
from mailcore.store.columns import NAMES, Columns
from mailcore.store.formats.mbox import block
from mailcore.store.formats.mbox.scan import NEVER
from mailcore.store.index import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailcore.store.formats.mbox.scan import Scan

NEW, FOLDER, INBOX = "new", "folder", "inbox"  # what is believed, see above
LAST_UID = 1 << 31  # a file's word is taken up to here, so that half the numbers are left
ANEW_UID = 0xF0000000  # who opens a mailbox that has come so far numbers it anew
END_UID = 0xFFFFFFFF  # UIDNEXT must be a number of 32 bits, too (RFC 3501 §9 nz-number)
LAST_VALIDITY = 0xFFFF0000  # so that a higher one can follow
UNSCANNED = ("uid", "flags", "words", "filed_words", "modseq", "saved")  # columns that a scan leaves empty
KEYWORDS_FROM_FILE = 1000  # more names than that, a file does not bring along

_TAKEN = bytes(bits | block.NUMBERED for bits in range(256))
_KEYWORD = Expression(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,255}")  # RFC 3501 §9 atom


class Words:
    """The keywords of a mailbox and the sets of them that messages have."""

    __slots__ = ("_by_name", "_by_mask", "_record")

    def __init__(self, record: Record) -> None:
        self._record = record
        self._by_name = {name.lower(): number for number, name in enumerate(record.keywords)}
        self._by_mask = {mask: number for number, mask in enumerate(record.word_sets)}

    def known(self, name: str) -> int:
        """The number of a keyword, -1 if the mailbox does not have it."""
        return self._by_name.get(name.lower(), -1)

    def bit(self, name: str) -> int:
        """The bit of a keyword, which is added if need be."""
        number = self._by_name.get(name.lower())
        if number is None:
            number = self._by_name[name.lower()] = len(self._record.keywords)
            self._record.keywords.append(name)
        return 1 << number

    def number(self, mask: int) -> int:
        """The number of a set of keywords."""
        number = self._by_mask.get(mask)
        if number is None:
            number = self._by_mask[mask] = len(self._record.word_sets)
            self._record.word_sets.append(mask)
        return number

    def mask_of(self, names: Iterable[bytes]) -> int:
        """What a file's X-Keywords say; impossible names do not count."""
        mask = 0
        for name in names:
            if _KEYWORD.fullmatch(name):
                text = name.decode("ascii")
                if self.known(text) >= 0 or len(self._record.keywords) < KEYWORDS_FROM_FILE:
                    mask |= self.bit(text)
        return mask

    def names(self, number: int) -> list[bytes]:
        """The names of a set."""
        mask = self._record.word_sets[number]
        return [name.encode() for bit, name in enumerate(self._record.keywords) if mask >> bit & 1]


def merge(base: Record, found: Scan, trust: str) -> tuple[Record, bool]:
    """The mailbox as a scan of all of it shows it; True if UIDs were given."""
    record = _follower(base)
    if trust == NEW:
        _take_over(record, found)
    words = Words(record)
    columns = found.columns
    if not len(base.columns) and not found.base and len(columns) < END_UID - record.uid_next:
        _all_unknown(record, words, columns, found, trust)
        return record, len(columns) > 0
    rows = _matches(base.columns, found)
    for name in UNSCANNED:
        getattr(columns, name).frombytes(bytes(getattr(columns, name).itemsize * len(rows)))
    given = False
    last, end = 0, record.uid_next
    for place, row in enumerate(rows):
        if row >= 0:
            _known(record, words, place, row, base.columns, columns, found)
            continue
        uid = found.uids[place] if trust == NEW and found.base else 0
        if not last < uid < end:
            uid = 0
        given |= not uid
        last = max(last, uid)
        _unknown(record, words, place, columns, found, trust, uid)
    record.columns = _by_uid(columns)
    return record, given


def merge_tail(
    base: Record, found: Scan, row: int, trust: str, mine: list[tuple[int, int, int]] | None = None
) -> tuple[Record, bool] | None:
    """The same when only the end was scanned, from known message `row` on (-1: there is none).

    `mine` are UID, flags and set of keywords of the new messages if we wrote them ourselves; `base` becomes
    the record then.  None if this is not the end of the mailbox that we know.
    """
    tail = found.columns
    skip = 1 if row >= 0 else 0
    if len(tail) < skip or (skip and tail.digest[0] != base.columns.digest[row]):
        return None
    if mine is not None and len(tail) - skip != len(mine):
        return None
    record = follower(base) if mine is None else base
    words = Words(record)
    for name in UNSCANNED:
        column = getattr(tail, name)
        column.frombytes(bytes(column.itemsize * len(tail)))
    for place in range(skip, len(tail)):
        if mine is None:
            _unknown(record, words, place, tail, found, trust, 0)
        else:
            _mine(tail, place, mine[place - skip])
    if skip:
        _known(record, words, 0, row, base.columns, tail, found)
    record.columns.own(*NAMES)
    for name in NAMES:
        column, more = getattr(record.columns, name), getattr(tail, name)
        if skip:
            column[row] = more[0]
        column.extend(more[skip:])
    return record, len(tail) > skip


def _mine(columns: Columns, place: int, facts: tuple[int, int, int]) -> None:
    """A message that we have just written."""
    uid, flags, words = facts
    columns.uid[place] = uid
    columns.flags[place] = columns.filed[place] = flags | block.NUMBERED
    columns.words[place] = columns.filed_words[place] = words
    columns.saved[place] = int(time())


def _follower(base: Record) -> Record:
    """A record that comes after `base`, without columns."""
    record = Record()
    record.since = base.since or base
    record.highest_modseq, record.forgotten_modseq = base.highest_modseq, base.forgotten_modseq
    record.object_id = base.object_id
    record.generation = base.generation
    record.uid_validity, record.uid_next = base.uid_validity, base.uid_next
    record.facts = list(base.facts)
    record.keywords, record.word_sets = list(base.keywords), list(base.word_sets)
    return record


def follower(base: Record) -> Record:
    """A record to change, equal to `base`."""
    record = _follower(base)
    record.columns = base.columns.copy()
    return record


def end(base: Record, columns: Columns) -> Record:
    """The same, of its last rows only."""
    record = _follower(base)
    record.since, record.counts, record.columns = None, base.counts, columns
    return record


def emptied(base: Record) -> Record:
    """The same without messages."""
    return _follower(base)


def numbered_anew(base: Record) -> Record:
    """The same mailbox with UIDs from 1 on and a higher UIDVALIDITY: there are none left (RFC 3501 §2.3.1.1)."""
    record = follower(base)
    columns = record.columns
    record.uid_validity = new_validity(record.uid_validity)
    record.uid_next = len(columns) + 1
    columns.own("uid")
    columns.uid[:] = array("I", range(1, len(columns) + 1))
    columns.filed[:] = array("B", [bits & ~block.NUMBERED for bits in columns.filed])
    return record


def new_validity(former: int) -> int:
    """A UIDVALIDITY above a former one (RFC 3501 §2.3.1.1)."""
    return max(int(time()) & 0xFFFFFFFF, former + 1)


def _take_over(record: Record, found: Scan) -> None:
    """A mailbox never seen: its own numbering if it has a sound one."""
    if found.base and found.base[1] <= LAST_UID and record.uid_validity < found.base[0] <= LAST_VALIDITY:
        record.uid_validity, last, names = found.base
        record.uid_next = max(record.uid_next, last + 1)
        Words(record).mask_of(names)
    else:
        found.base = None
        record.uid_validity = new_validity(record.uid_validity)


def _matches(known: Columns, found: Scan) -> list[int]:
    """For each message found the row that it was, -1 for a new one.

    Of several that are the same the one whose UID the file names; then the first that is left.
    """
    digests = found.columns.digest
    if not len(known):
        return [-1] * len(digests)
    rows: dict[int, list[int]] = {}
    for row in reversed(known.file_order()):
        rows.setdefault(known.digest[row], []).append(row)
    matches = [-1] * len(digests)
    several = []  # places of messages that are in the mailbox more than once
    for place, digest in enumerate(digests):
        same = rows.get(digest, [])
        if len(same) > 1:
            several.append(place)
        elif same:
            matches[place] = same.pop()
    named = {(digest, known.uid[row]): row for digest in {digests[place] for place in several} for row in rows[digest]}
    for place in several:
        matches[place] = named.pop((digests[place], found.uids[place]), -1)
    taken = set(matches)
    for place in several:
        same = rows[digests[place]]
        while matches[place] < 0 and same:
            row = same.pop()
            matches[place] = -1 if row in taken else row
    return matches


def _known(
    record: Record, words: Words, place: int, row: int, known: Columns, columns: Columns, found: Scan
) -> None:
    """A message that we know: flags are ours, and on top what was changed in the file."""
    columns.uid[place] = uid = known.uid[row]
    before, now = known.filed[row] & ~block.NUMBERED, columns.filed[place]
    changed = before ^ now
    columns.flags[place] = known.flags[row] & ~changed | now & changed
    filed, mine = known.filed_words[row], known.words[row]
    if known.filed[row] & block.NUMBERED:
        names = found.words.get(place, ())
        mask = words.mask_of(names) if names else 0
        if mask != record.word_sets[filed]:
            changed = mask ^ record.word_sets[filed]
            mine = words.number(record.word_sets[mine] & ~changed | mask & changed)
            filed = words.number(mask)
    columns.words[place], columns.filed_words[place] = mine, filed
    if found.uids[place] == uid and 0 < columns.block_octets[place] < NEVER:
        columns.filed[place] = now | block.NUMBERED


def _unknown(
    record: Record, words: Words, place: int, columns: Columns, found: Scan, trust: str, uid: int
) -> None:
    """A message that we do not know."""
    believed = trust != INBOX
    columns.flags[place] = (columns.filed[place] if believed else 0) | block.NUMBERED
    names = found.words.get(place, ())
    if believed and names:
        columns.words[place] = columns.filed_words[place] = words.number(words.mask_of(names))
    if uid:
        if 0 < columns.block_octets[place] < NEVER:
            columns.filed[place] |= block.NUMBERED
    else:
        uid = next_uid(record)
    columns.uid[place] = uid


def _all_unknown(record: Record, words: Words, columns: Columns, found: Scan, trust: str) -> None:
    """The same for all of a mailbox, numbered as they lie in it."""
    count, first, believed = len(columns), record.uid_next, trust != INBOX
    columns.uid.extend(range(first, first + count))
    record.uid_next += count
    columns.flags.frombytes(columns.filed.tobytes().translate(_TAKEN) if believed else bytes([block.NUMBERED]) * count)
    for name in UNSCANNED[2:]:
        getattr(columns, name).frombytes(bytes(getattr(columns, name).itemsize * count))
    for row, names in found.words.items() if believed else ():
        columns.words[row] = columns.filed_words[row] = words.number(words.mask_of(names))
    record.columns = columns


def next_uid(record: Record) -> int:
    """A UID for a new message."""
    if record.uid_next >= END_UID:
        raise DiskError("Mailbox has no numbers left for new messages, select it again")
    record.uid_next += 1
    return record.uid_next - 1


def _by_uid(columns: Columns) -> Columns:
    """The rows in ascending order of UID, whatever their order in the file."""
    before = 0
    for uid in columns.uid:
        if uid < before:
            return columns.picked(sorted(range(len(columns)), key=columns.uid.__getitem__))
        before = uid
    return columns
