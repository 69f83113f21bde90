"""SORT (RFC 5256), with RETURN as ESORT has it (RFC 5267 §3): messages in another order.

Keys compare by i;unicode-casemap (I18NLEVEL=1).  What they are made of is read from the headers in
one pass; what a mailbox knows by itself (size, date of arrival) costs no reading.
"""

from __future__ import annotations

from array import array

from imapd import results, search
from imapd.message import kept
from imapd.selected import command, uid_command
from mailcore.errors import Expunged, Mistake
from mailcore.message import sortkeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox

    Value = Callable[["Order", int, bytes], Any]  # of a UID, and what was made of its header

NO_DATE = -(1 << 63)


class SortKey:
    """One thing to sort by: `value`; where it needs a header, `make` makes a text of that, known as `kind`."""

    __slots__ = ("kind", "make", "value")

    def __init__(self, value: Value, kind: str = "", make: Callable[[bytes], bytes] = bytes) -> None:
        self.kind = kind
        self.make = make
        self.value = value

    def column(self, order: Order, uids: Sequence[int], texts: Sequence[bytes | None]) -> Iterable[Any]:
        """What these are sorted by, None for who is gone."""
        return [
            None if text is None else _or_gone(self.value, order, uid, text)
            for uid, text in zip(uids, texts, strict=True)
        ]


class TextKey(SortKey):
    """A key that compares as its text does."""

    __slots__ = ()

    def __init__(self, kind: str, make: Callable[[bytes], bytes]) -> None:
        super().__init__(lambda order, uid, text: text, kind, make)

    def column(self, order: Order, uids: Sequence[int], texts: Sequence[bytes | None]) -> Iterable[Any]:
        return texts


class SubjectKey(TextKey):
    """The base subject, without the octet that says whether it is a reply's."""

    __slots__ = ()

    def column(self, order: Order, uids: Sequence[int], texts: Sequence[bytes | None]) -> Iterable[Any]:
        return [text and text[1:] for text in texts]


class FactKey(SortKey):
    """What a mailbox knows by itself, of many messages or of one."""

    __slots__ = ("_of_many",)

    def __init__(
        self, of_many: Callable[[Mailbox, Sequence[int]], Iterable[Any]], of_one: Callable[[Mailbox, int], Any]
    ) -> None:
        super().__init__(lambda order, uid, text: of_one(order.box, uid))
        self._of_many = of_many

    def column(self, order: Order, uids: Sequence[int], texts: Sequence[bytes | None]) -> Iterable[Any]:
        try:
            return self._of_many(order.box, uids)
        except Expunged:
            return super().column(order, uids, texts)


class DateKey(SortKey):
    """When messages were sent."""

    __slots__ = ()

    def column(self, order: Order, uids: Sequence[int], texts: Sequence[bytes | None]) -> Iterable[Any]:
        return sent(order.box, uids, texts)


def _or_gone(value: Value, order: Order, uid: int, text: bytes) -> Any:
    try:
        return value(order, uid, text)
    except Expunged:
        return None


def sent(box: Mailbox, uids: Sequence[int], texts: Sequence[bytes | None]) -> list[int | None]:
    """Their Date fields, packed in `texts`, else the internal date (RFC 5256 §2.2); None for who is gone."""
    dates: list[int | None] = list(array("q", b"".join([text or bytes(8) for text in texts])))
    if NO_DATE in dates:
        for place, date in enumerate(dates):
            if date == NO_DATE:
                try:
                    dates[place] = box.internal_date(uids[place])[0]
                except Expunged:
                    dates[place] = None
    if None in texts:
        dates = [None if text is None else date for text, date in zip(texts, dates, strict=True)]
    return dates


def packed_date(header: bytes) -> bytes:
    seconds = sortkeys.sent(header)
    return array("q", [NO_DATE if seconds is None else seconds]).tobytes()


def written(key: str) -> bytes:
    """A key as octets, which are in the order of its letters."""
    return key.encode("utf-8", "surrogatepass")


def base_subject(header: bytes) -> bytes:
    """Whether it is a reply's, in one octet, and the base subject."""
    subject, reply = sortkeys.base_subject(header)
    return (b"1" if reply else b"0") + written(subject)


# RFC 5256 §5 sort-key
SORT_KEY: dict[str, SortKey] = {
    "ARRIVAL": FactKey(
        lambda box, uids: [seconds for seconds, _ in box.dates_of(uids)], lambda box, uid: box.internal_date(uid)[0]
    ),
    "CC": TextKey("cc", lambda header: written(sortkeys.mailbox(header, b"Cc"))),
    "DATE": DateKey(lambda order, uid, text: 0, "sent", packed_date),
    "FROM": TextKey("from", lambda header: written(sortkeys.mailbox(header, b"From"))),
    "SIZE": FactKey(lambda box, uids: box.octets_of(uids), lambda box, uid: box.octets(uid)),
    "SUBJECT": SubjectKey("subject", base_subject),
    "TO": TextKey("to", lambda header: written(sortkeys.mailbox(header, b"To"))),
}


class Order:
    """What a client wants messages sorted by.  Values once made are kept for the next time."""

    __slots__ = ("_known", "box", "criteria", "found", "scores", "settings")

    def __init__(self, box: Mailbox, criteria: Sequence[tuple[SortKey, bool]], settings: Settings) -> None:
        self.box: Mailbox = box
        self.criteria = criteria  # with whether it is reversed
        self.settings = settings
        self.found: results.Found  # what is sorted
        self.scores: dict[int, int] | None = None  # of its messages (RFC 6203)
        self._known: list[dict[int, Any]] = [{} for _ in criteria]  # a column for each criterion

    def sorted(self, uids: Sequence[int]) -> list[int]:
        """`uids`, which are in the order of the mailbox; equal ones stay so (RFC 5256 §3)."""
        known = self._known[0]
        self._learn([uid for uid in uids if uid not in known])
        ordered = [uid for uid in uids if uid in known]
        for column, (_, reverse) in zip(reversed(self._known), reversed(self.criteria), strict=True):
            ordered.sort(key=column.__getitem__, reverse=reverse)
        return ordered

    def _learn(self, uids: Sequence[int]) -> None:
        """Make the values of these; who is gone gets none."""
        keys = [key for key, _ in self.criteria]
        texts = kept(self.box, {key.kind: key.make for key in keys if key.kind}, uids, self.settings)
        columns = [list(key.column(self, uids, texts.get(key.kind) or [b""] * len(uids))) for key in keys]
        some = [column for column in columns if None in column]
        gone = {uid for column in some for uid, value in zip(uids, column, strict=True) if value is None}
        for known, column in zip(self._known, columns, strict=True):
            known.update(zip(uids, column, strict=True))
            for uid in gone:
                del known[uid]


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
    return Order(session.box, list(criteria.values()), session.settings)


@command("SORT", numbers=True)
def sort(session: Session, args: Args) -> Talk:
    """Numbers of the messages that fit, sorted (RFC 5256 §3)."""
    return (yield from _sort(session, args, by_uid=False))


@uid_command("SORT")
def uid_sort(session: Session, args: Args) -> Talk:
    """UIDs of the messages that fit, sorted (RFC 5256 §3)."""
    return (yield from _sort(session, args, by_uid=True))


def _sort(session: Session, args: Args, by_uid: bool) -> Talk:
    box, settings = session.box, session.settings
    wanted = results.options(session, args)

    def find() -> results.Found:
        order = sort_criteria(session, args)
        query = search.query(session, args, by_uid)
        key = search.charset_program(query)
        order.found = results.Found(box, by_uid, lambda uids: search.found(key, box, settings, uids), query)
        order.found.sort(order.sorted)
        return order.found

    return (yield from results.told(session, "SORT", wanted, find))
