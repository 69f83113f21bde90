"""UIDBATCHES (RFC 10022): UIDs that part a mailbox into batches of so many messages.

Batch 1 has the newest messages.  A batch is told as the highest and the lowest UID that belong to it; one ends
where the next begins, and the last ends at 1, so that a UID which is in use later belongs to exactly one.
"""

from __future__ import annotations

from imapd.responses import Ready, Untagged
from imapd.selected import command
from mailcore.errors import Mistake, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imapd.session import Session, Talk
    from imapd.syntax import Args

LEAST = 500  # messages of a batch; less would be no relief for anybody


@command("UIDBATCHES")
def uidbatches(session: Session, args: Args) -> Talk:
    """UIDBATCHES size [first:last], batches counted from 1 (RFC 10022 §3.1).

    How many are asked for is not limited (a server may answer NO [TOOMANY]): telling them costs us nothing.
    """
    size = args.space().nz_number()
    wanted = None if args.at_end() else _batch_range(args)
    args.end()
    if size < LEAST:
        raise Refusal(f"A batch has {LEAST} messages at least", "TOOFEW")
    told = b",".join(b"%d:%d" % batch for batch in batches(session.box.uids, size, wanted))
    yield Untagged("UIDBATCHES", ["TAG", session.request.tag], *([Ready(told)] if told else []))


def _batch_range(args: Args) -> tuple[int, int]:
    first = args.space().nz_number()
    last = args.need(b":").nz_number()
    if first > last:
        raise Mistake("The first batch comes first")
    return first, last


def batches(uids: Sequence[int], size: int, wanted: tuple[int, int] | None) -> Iterator[tuple[int, int]]:
    """The highest and the lowest UID of each batch, from the newest on."""
    first, last = wanted or (1, len(uids))
    for end in range(len(uids) - (first - 1) * size, max(0, len(uids) - last * size), -size):
        start = end - size  # of the batch's messages, in the view
        yield uids[end - 1], uids[start - 1] + 1 if start > 0 else 1
