"""Flags between their names and the bits and sets of keywords that columns hold.

What lives here: that translation, and what STORE does to rows.  What does not: the letters in
a file (block.py).
"""

from __future__ import annotations

from mailcore.store.formats.mbox import block
from mailcore.store.mailbox import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

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
    record: Record, words: Words, rows: list[int], change: str, bits: int, mask: int
) -> list[int]:
    """Change flags of rows in a record; the rows that are others now."""
    columns = record.columns
    sets: dict[int, int] = {}
    changed = []
    for row in rows:
        old, old_set = columns.flags[row], columns.words[row]
        if change == "+":
            new = old | bits
        elif change == "-":
            new = old & ~bits
        else:
            new = old & ~VISIBLE | bits
        if old_set not in sets:
            had = record.word_sets[old_set]
            sets[old_set] = words.number(had | mask if change == "+" else had & ~mask if change == "-" else mask)
        new_set = sets[old_set]
        if new != old or new_set != old_set:
            columns.flags[row], columns.words[row] = new, new_set
            changed.append(row)
    return changed
