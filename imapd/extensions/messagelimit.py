"""MESSAGELIMIT (RFC 9738): one command is about so many messages at most.

Where it counts, portion.py is asked.  Here are the search keys by which a client goes on: UIDs below
the one that it was told (§3.2).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from imapd.criteria import FREE, Key
from imapd.search import SEARCH_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.search import Query


def _after(query: Query) -> Key:
    """UIDAFTER uniqueid."""
    uid = query.args.space().nz_number()
    return Key(FREE, lambda message: message.uid > uid, lambda box, uids: list(uids[bisect_right(uids, uid) :]))


def _before(query: Query) -> Key:
    """UIDBEFORE uniqueid."""
    uid = query.args.space().nz_number()
    return Key(FREE, lambda message: message.uid < uid, lambda box, uids: list(uids[: bisect_left(uids, uid)]))


SEARCH_KEY["UIDAFTER"] = _after
SEARCH_KEY["UIDBEFORE"] = _before
