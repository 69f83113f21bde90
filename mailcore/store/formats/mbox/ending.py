"""The end of a mailbox: what comes after all that is known of it.

What lives here: what can be done with the last rows of a record (Index.end), which cost the same
however many are before them.  What does not: locks, reading and writing of the file.

Rows are in the order of UIDs, which need not be that of the file.  But messages that lie one behind the
other up to the end of the file leave no room for another between them or after them.
"""

from __future__ import annotations

from mailcore.store.formats.mbox import identity
from mailcore.store.formats.mbox.writing import maybe_unbased, unfiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.store.columns import Columns
    from mailcore.store.formats.mbox.facts import Facts
    from mailcore.store.formats.mbox.scan import Scan
    from mailcore.store.index import Record

BLANK_OCTETS = 2  # the empty line between two messages, or what there is of it


def adjoin(columns: Columns, row: int, size: int) -> bool:
    """Do the messages from `row` on lie one behind the other, up to the end of a file of that size?"""
    end = columns.start[row]
    for start, line, length in zip(columns.start[row:], columns.line[row:], columns.length[row:], strict=True):
        if not 0 <= start - end <= BLANK_OCTETS:
            return False
        end = start + line + length
    return 0 <= size - end <= BLANK_OCTETS


def last_start(columns: Columns, size: int) -> int:
    """Where the last message of a file of that size starts, 0 if that is not the one with the highest UID."""
    return columns.start[-1] if adjoin(columns, len(columns) - 1, size) else 0


def grown(end: Record, tail: Scan, trust: str) -> tuple[Record, bool] | None:
    """What a scan from the last message on makes of it, as identity.merge_tail."""
    return identity.merge_tail(end, tail, len(end.columns) - 1, trust)


def new_rows(end: Record, facts: Facts) -> list[int]:
    """The rows that the file does not say as we do, if they are messages at its end and nothing else is to be done."""
    columns, rows = end.columns, unfiled(end)
    first = len(columns) - len(rows)
    if not rows or not first or rows[0] != first or maybe_unbased(end, facts):
        return []
    return rows if adjoin(columns, first, facts.size) else []
