"""Flags between their names and the bits and sets of keywords that columns hold.

What lives here: that translation, and what STORE does to rows.  What does not: the letters in
a file (block.py).
"""

from __future__ import annotations

from array import array

from mailcore.store.columns import different
from mailcore.store.formats.mbox import block
from mailcore.store.mailbox import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailcore.store.formats.mbox.identity import Words
    from mailcore.store.index import Record

BITS = {
    SEEN.lower(): block.SEEN,
    ANSWERED.lower(): block.ANSWERED,
    FLAGGED.lower(): block.FLAGGED,
    DELETED.lower(): block.DELETED,
    DRAFT.lower(): block.DRAFT,
}
NAMES = {
    block.SEEN: SEEN,
    block.ANSWERED: ANSWERED,
    block.FLAGGED: FLAGGED,
    block.DELETED: DELETED,
    block.DRAFT: DRAFT,
}
VISIBLE = sum(NAMES)


def bits_and_mask(words: Words, flags: Iterable[str]) -> tuple[int, int]:
    """Flags as bits and a mask of keywords, which are added to the mailbox if they are new."""
    bits = mask = 0
    for flag in flags:
        if flag.startswith("\\"):
            bits |= BITS.get(flag.lower(), 0)
        else:
            mask |= words.bit(flag)
    return bits, mask


def change_rows(
    record: Record, words: Words, rows: Sequence[int], change: str, bits: int, mask: int
) -> Sequence[int]:
    """Change flags of rows in a record; the rows that are others now."""
    columns = record.columns
    table = bytes(_changed(old, change, bits, VISIBLE) for old in range(256))
    if isinstance(rows, range):
        return _change_run(record, words, rows, table, change, mask)
    sets: dict[int, int] = {}
    changed = []
    for row in rows:
        old, old_set = columns.flags[row], columns.words[row]
        if old_set not in sets:
            sets[old_set] = words.number(_changed(record.word_sets[old_set], change, mask))
        new, new_set = table[old], sets[old_set]
        if new != old or new_set != old_set:
            columns.flags[row], columns.words[row] = new, new_set
            changed.append(row)
    return changed


def _change_run(
    record: Record, words: Words, rows: range, table: bytes, change: str, mask: int
) -> Sequence[int]:
    """The same for all rows between two, without a look at each."""
    columns, run = record.columns, slice(rows.start, rows.stop)
    old, old_words = columns.flags[run].tobytes(), columns.words[run]
    new = old.translate(table)
    columns.flags[run] = array("B", new)
    changed = different(new, old)
    sets = {number: words.number(_changed(record.word_sets[number], change, mask)) for number in sorted(set(old_words))}
    if any(number != former for former, number in sets.items()):
        new_words = columns.words[run] = array("I", map(sets.__getitem__, old_words))
        changed = sorted({*changed, *different(new_words, old_words)})
    if isinstance(changed, range):
        return range(rows.start + changed.start, rows.start + changed.stop)
    return [rows.start + row for row in changed]


def _changed(old: int, change: str, some: int, all_: int = -1) -> int:
    """A set of bits after STORE: with some more, with some fewer, or with these and no others of `all_`."""
    if change == "+":
        return old | some
    return old & ~some if change == "-" else old & ~all_ | some
