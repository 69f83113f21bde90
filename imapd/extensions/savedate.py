"""SAVEDATE (RFC 8514): when a message came into this mailbox, whatever its INTERNALDATE says."""

from __future__ import annotations

from imapd.criteria import COLUMN, Key, everything
from imapd.fetch import FETCH_ATT, Item
from imapd.responses import Ready
from imapd.search import SEARCH_KEY
from mailcore.message import dates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imapd.search import Query
    from mailcore.store.mailbox import Mailbox


def _written(box: Mailbox, uid: int) -> bytes:
    return b'"%b"' % dates.internal_date(box.saved(uid), 0)


SAVEDATE = Item(
    b"SAVEDATE",
    lambda message: Ready(_written(message.box, message.uid)),
    lambda box, uids: [_written(box, uid) for uid in uids],
)


def _saved(query: Query, fits: Callable[[int, int], bool]) -> Key:
    """SP date: by the day, in UTC as it is told (§4.3)."""
    wanted = query.args.space().date()

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        return [uid for uid in uids if fits(dates.day(box.saved(uid), 0), wanted)]

    return Key(COLUMN, lambda message: fits(dates.day(message.box.saved(message.uid), 0), wanted), narrow)


FETCH_ATT["SAVEDATE"] = lambda args: SAVEDATE
SEARCH_KEY["SAVEDATESUPPORTED"] = lambda query: everything()
SEARCH_KEY["SAVEDBEFORE"] = lambda query: _saved(query, int.__lt__)
SEARCH_KEY["SAVEDON"] = lambda query: _saved(query, int.__eq__)
SEARCH_KEY["SAVEDSINCE"] = lambda query: _saved(query, int.__ge__)
