"""QRESYNC (RFC 7162 §3.2): a client that was here before hears only what is different now.

VANISHED in place of EXPUNGE is told by news.py.
"""

from __future__ import annotations

from bisect import bisect_left

from imapd import fetch, modseq
from imapd.authenticated import SELECT_PARAM
from imapd.extensions.enable import ENABLE
from imapd.responses import Ready, Untagged
from imapd.sequence import compact, of_uids
from mailcore.errors import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imapd.fetch import Asked, Modifier
    from imapd.sequence import Place, Span
    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox


class Cache:
    """What a client has kept of a mailbox: qresync-param (RFC 7162 §7)."""

    __slots__ = ("modseq", "pairs", "spans", "uid_validity")

    def __init__(self, args: Args) -> None:
        self.uid_validity = args.need(b" (").nz_number()
        self.modseq = args.space().mod_sequence()
        self.spans: list[Span] | None = None  # the UIDs it knows; None: all there were
        self.pairs: list[tuple[int, int]] = []  # some message numbers and their UIDs
        if not self.modseq:
            raise Mistake("Zero is not allowed here")
        if args.skip(b" ") and not args.peek(b"("):
            self.spans = _known(args)
            args.skip(b" ")
        if args.skip(b"("):
            numbers = [number for span in _known(args) for number in _few(span)]
            args.space()
            uids = [uid for span in _known(args) for uid in _few(span)]
            if len(numbers) != len(uids):
                raise Mistake("As many UIDs as message numbers are needed")
            self.pairs = list(zip(numbers, uids, strict=True))
            args.need(b")")
        args.need(b")")

    def matched(self, uids: Sequence[int]) -> int:
        """Up to this UID nothing is gone: it still has the number that the client knows (§3.2.5.2)."""
        return max((uid for number, uid in self.pairs if number <= len(uids) and uids[number - 1] == uid), default=0)


PAIRS = 10_000  # a client sends some dozens


def _few(span: Span) -> range:
    if span[1] - span[0] > PAIRS:
        raise Mistake("Too many message numbers")
    return range(span[0], span[1] + 1)


def _known(args: Args) -> list[Span]:
    """A set without `*` (known-uids, known-sequence-set)."""
    known = args.sequence_set()
    if any(0 in span for span in known.ranges):
        raise Mistake("No * in what is known")
    return known.spans(0)


def _select(session: Session, args: Args) -> object:
    """QRESYNC as a parameter of SELECT (§3.2.5); a BAD before ENABLE."""
    if not modseq.quick(session):
        raise Mistake("QRESYNC is not enabled")
    cache = Cache(args)

    def told() -> Talk:
        box = session.box
        if box.uid_validity != cache.uid_validity or not box.highest_modseq:
            return None
        spans = cache.spans if cache.spans is not None else [(1, max(box.uid_next - 1, 1))]
        yield from vanished(box, cache.modseq, spans, cache.matched(box.uids))
        uids = [uid for uid in box.changed_since(cache.modseq, box.uids) if _within(spans, uid)]
        items = [fetch.UID, fetch.FLAGS, fetch.MODSEQ]
        yield from fetch.Answers(session, items).told(of_uids(uids, box.uids))
        return None

    return told


def vanished(box: Mailbox, since: int, spans: list[Span], matched: int = 0) -> Iterator[Untagged]:
    """VANISHED (EARLIER): which of these UIDs went after `since` (§3.2.10.1).

    Where that is forgotten all that are not there are told, from `matched` on (§3.2.5.2).
    """
    gone = box.vanished_since(since)
    if gone is not None:
        gone_set = compact([uid for uid in gone if _within(spans, uid)])
    else:
        gone_set = _missing(box.uids, [(max(first, matched + 1), min(last, box.uid_next - 1)) for first, last in spans])
    if gone_set:
        yield Untagged("VANISHED", ["EARLIER"], Ready(gone_set))


def _within(spans: list[Span], uid: int) -> bool:
    """Whether a UID is in ascending spans."""
    place = bisect_left(spans, (uid + 1,))
    return place > 0 and uid <= spans[place - 1][1]


def _missing(uids: Sequence[int], spans: list[Span]) -> bytes:
    """The numbers in these spans that are no UIDs, as a set; a span is as quick as its messages."""
    pieces = []
    for first, last in spans:
        index = bisect_left(uids, first)
        while first <= last:
            there = uids[index] if index < len(uids) else last + 1
            if there > first:
                end = min(there - 1, last)
                pieces.append(b"%d:%d" % (first, end) if first < end else b"%d" % first)
            first, index = there + 1, index + 1
    return b",".join(pieces)


def _fetched(session: Session, args: Args, asked: Asked) -> Modifier:
    """VANISHED as a FETCH modifier (§3.2.6)."""
    if not modseq.quick(session) or not session.request.name.startswith("UID"):
        raise Mistake("VANISHED is for UID FETCH after ENABLE QRESYNC")

    def first() -> Iterator[Untagged]:
        if asked.since is None:
            raise Mistake("VANISHED without CHANGEDSINCE")
        yield from vanished(session.box, asked.since, asked.named)

    def same(places: list[Place]) -> list[Place]:
        if asked.since is None:
            raise Mistake("VANISHED without CHANGEDSINCE")
        return places

    asked.first = first
    return same


ENABLE.add("QRESYNC")
SELECT_PARAM["QRESYNC"] = _select
fetch.FETCH_MODIFIER["VANISHED"] = _fetched
