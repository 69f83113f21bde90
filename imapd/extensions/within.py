"""WITHIN (RFC 5032): OLDER and YOUNGER than so many seconds, by the internal date."""

from __future__ import annotations

from time import time

from imapd.criteria import COLUMN, Key
from imapd.search import SEARCH_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imapd.search import Query
    from mailcore.store.mailbox import Mailbox


def _older(query: Query) -> Key:
    """OLDER interval: arrived that long ago or longer (§3)."""
    limit = int(time()) - query.args.space().nz_number()
    return _came(lambda seconds: seconds <= limit)


def _younger(query: Query) -> Key:
    """YOUNGER interval: arrived since."""
    limit = int(time()) - query.args.space().nz_number()
    return _came(lambda seconds: seconds >= limit)


def _came(fits: Callable[[int], bool]) -> Key:
    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        return [uid for uid in uids if fits(box.internal_date(uid)[0])]

    return Key(COLUMN, lambda message: fits(message.box.internal_date(message.uid)[0]), narrow)


SEARCH_KEY["OLDER"] = _older
SEARCH_KEY["YOUNGER"] = _younger
