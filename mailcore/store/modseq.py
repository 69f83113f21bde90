"""Mod-sequences: which messages changed after which (RFC 7162 §3.1).

What lives here: giving numbers to what a save changes, and what is kept of messages that are gone.
What does not: when something is saved (formats/) and where it lies (index.py).

A record remembers which record it follows, so nobody who changes a mailbox has to think of
mod-sequences: whatever differs when it is saved - by STORE or APPEND, or because mutt or Postfix
wrote into the file - gets one number that is higher than all before.  Numbers are the time in
microseconds, so they are higher too than those of an index that was lost.

Here also: when messages were saved (RFC 8514) and what a mailbox is called for good (RFC 8474).
"""

from __future__ import annotations

from _blake2 import blake2b
from array import array
from itertools import compress
from time import time, time_ns

from mailcore.store.columns import Columns, different

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailcore.store.index import Record

SHOWN = 0b0011111  # the flag bits that clients see
LAST = (1 << 63) - 1
GONE_OCTETS = 256 * 1024  # so much is kept of which messages are gone, as sets

_SHOWN = bytes(bits & SHOWN for bits in range(256))  # for bytes.translate


def stamp(path: str, record: Record) -> None:
    """Number what differs between `record` and the one it follows; may be done again.  Raises Stale."""
    before = record.since
    columns = record.columns
    known = before is not None and before.highest_modseq and before.uid_validity == record.uid_validity
    if before is None or not known:
        _first(path, record)
        return
    now = min(max(before.highest_modseq + 1, time_ns() // 1000), LAST)
    changed = _carried(before, record)
    if changed:
        columns.own("modseq")
    if changed and changed[-1] - changed[0] + 1 == len(changed):
        columns.modseq[changed[0] : changed[-1] + 1] = array("Q", [now]) * len(changed)
    else:
        for row in changed:
            columns.modseq[row] = now
    if not columns.same("saved", before.columns):
        _dated(columns)
    record.forgotten_modseq, record.object_id = before.forgotten_modseq, before.object_id
    record.highest_modseq = now if changed or record.gone else before.highest_modseq


def _first(path: str, record: Record) -> None:
    """A mailbox of which no numbers are known: all of it is new, and what was before is forgotten."""
    former = record.since.highest_modseq if record.since is not None else 0
    now = max(former + 1, record.highest_modseq, time_ns() // 1000)
    record.columns.own("modseq", "saved")
    record.columns.modseq[:] = array("Q", [now]) * len(record.columns)
    record.highest_modseq = record.forgotten_modseq = now
    record.gone = []
    name = f"{path}\n{record.uid_validity}".encode("utf-8", "surrogateescape")
    record.object_id = "F" + blake2b(name, digest_size=12).hexdigest()
    _dated(record.columns)


def _carried(before: Record, record: Record) -> Sequence[int]:
    """Take over the numbers of what is the same, note what is gone; the rows that are new or different."""
    old, new = before.columns, record.columns
    record.gone = []
    if old.uid != new.uid[: len(old)]:
        there = list(map(set(new.uid).__contains__, old.uid))
        record.gone = [uid for uid, kept in zip(old.uid, there, strict=True) if not kept]
        left = Columns()
        for name in ("uid", "flags", "words", "modseq", "saved"):
            getattr(left, name).extend(compress(getattr(old, name), there))
        old = left
    count = len(old.uid)
    if old.uid != new.uid[:count]:
        return range(len(new))  # new messages among old ones: that does not happen
    for name in ("modseq", "saved"):
        if not new.same(name, old):
            new.own(name)
            getattr(new, name)[:count] = getattr(old, name)
    shown, told = (columns.flags.tobytes()[:count].translate(_SHOWN) for columns in (new, old))
    changed = different(shown, told)
    same_words = record.word_sets[: len(before.word_sets)] == before.word_sets
    if not same_words or record.keywords[: len(before.keywords)] != before.keywords:
        return range(len(new))
    if words := different(new.words[:count], old.words):
        changed = sorted({*changed, *words})
    return changed if count == len(new) else [*changed, *range(count, len(new))]


def _dated(columns: Columns) -> None:
    """When each message came here: what we did not write ourselves has it in its separator."""
    saved, dates, now = columns.saved, columns.date, int(time())
    row = 0
    for _ in range(saved.count(0)):
        row = saved.index(0, row)
        saved[row] = min(dates[row], now) or 1
