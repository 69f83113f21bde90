"""SORT (RFC 5256), with RETURN as ESORT has it (RFC 5267 §3): messages in another order.

Keys compare by i;unicode-casemap (I18NLEVEL=1).  What they are made of is read from the headers in
one pass; what a mailbox knows by itself (size, date of arrival) costs no reading.
"""

from __future__ import annotations

from imapd import results, search
from imapd.selected import command, uid_command
from mailcore.errors import Expunged, Mistake
from mailcore.message import sortkeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox

    Value = Callable[[Any, int, bytes], Any]  # of an Order, a UID and its header


class SortKey:
    """One thing to sort by; `header` is true where the header must be read for it."""

    __slots__ = ("header", "value")

    def __init__(self, value: Value, header: bool = True) -> None:
        self.value = value
        self.header = header


def sent(box: Mailbox, uid: int, header: bytes) -> int:
    """The Date field, else the internal date (RFC 5256 §2.2)."""
    seconds = sortkeys.sent(header)
    return box.internal_date(uid)[0] if seconds is None else seconds


# RFC 5256 §5 sort-key
SORT_KEY = {
    "ARRIVAL": SortKey(lambda order, uid, header: order.box.internal_date(uid)[0], header=False),
    "CC": SortKey(lambda order, uid, header: sortkeys.mailbox(header, b"Cc")),
    "DATE": SortKey(lambda order, uid, header: sent(order.box, uid, header)),
    "FROM": SortKey(lambda order, uid, header: sortkeys.mailbox(header, b"From")),
    "SIZE": SortKey(lambda order, uid, header: order.box.octets(uid), header=False),
    "SUBJECT": SortKey(lambda order, uid, header: sortkeys.base_subject(header)[0]),
    "TO": SortKey(lambda order, uid, header: sortkeys.mailbox(header, b"To")),
}


class Order:
    """What a client wants messages sorted by.  Values once made are kept for the next time."""

    __slots__ = ("_known", "box", "criteria", "found", "limit", "scores")

    def __init__(self, box: Mailbox, criteria: Sequence[tuple[SortKey, bool]], header_octets: int) -> None:
        self.box = box
        self.criteria = criteria  # with whether it is reversed
        self.limit = header_octets
        self.found: results.Found  # what is sorted
        self.scores: dict[int, int] | None = None  # of its messages (RFC 6203)
        self._known: dict[int, tuple[Any, ...]] = {}

    def sorted(self, uids: Sequence[int]) -> list[int]:
        """`uids`, which are in the order of the mailbox; equal ones stay so (RFC 5256 §3)."""
        self._learn([uid for uid in uids if uid not in self._known])
        ordered = [uid for uid in uids if uid in self._known]
        for index in range(len(self.criteria) - 1, -1, -1):
            column = {uid: values[index] for uid, values in self._known.items()}
            ordered.sort(key=column.__getitem__, reverse=self.criteria[index][1])
        return ordered

    def _learn(self, uids: Sequence[int]) -> None:
        """Make the values of these; who is gone gets none."""
        keys = [key for key, _ in self.criteria]
        pairs = self.box.headers(uids) if any(key.header for key in keys) else ((uid, b"") for uid in uids)
        for uid, header in pairs:
            try:
                self._known[uid] = tuple([key.value(self, uid, header[: self.limit]) for key in keys])
            except Expunged:
                continue


def sort_criteria(session: Session, args: Args) -> Order:
    """SP "(" sort-criterion *(SP sort-criterion) ")"; a key that comes again changes nothing."""
    criteria: dict[str, tuple[SortKey, bool]] = {}

    def criterion() -> None:
        reverse = args.skip(b"REVERSE ")
        name = args.keyword()
        if name not in SORT_KEY:
            raise Mistake(f"Unknown sort key {name}")
        criteria.setdefault(name, (SORT_KEY[name], reverse))

    args.space().many(criterion)
    return Order(session.box, list(criteria.values()), session.settings.header_octets)


@command("SORT", numbers=True)
def sort(session: Session, args: Args) -> Talk:
    """Numbers of the messages that fit, sorted (RFC 5256 §3)."""
    yield from _sort(session, args, by_uid=False)


@uid_command("SORT")
def uid_sort(session: Session, args: Args) -> Talk:
    """UIDs of the messages that fit, sorted (RFC 5256 §3)."""
    yield from _sort(session, args, by_uid=True)


def _sort(session: Session, args: Args, by_uid: bool) -> Talk:
    box, settings = session.box, session.settings
    wanted = results.options(session, args)

    def find() -> results.Found:
        order = sort_criteria(session, args)
        query = search.Query(args, box, settings, session.saved)
        key = search.charset_program(query)
        order.found = results.Found(box, by_uid, lambda uids: search.found(key, box, settings, uids), query.fuzzy)
        order.found.sort(order.sorted)
        return order.found

    yield from results.told(session, "SORT", wanted, find)
