"""OBJECTID (RFC 8474): names that stay: of a mailbox through RENAME, of a message through COPY and MOVE.

EMAILID is made of what the message is, so the same message has it in every mailbox.  THREADID is NIL:
we keep no threads (§5.2).
"""

from __future__ import annotations

from imapd.authenticated import STATUS_ATT
from imapd.criteria import COLUMN, Key
from imapd.fetch import FETCH_ATT, Item
from imapd.responses import Ready
from imapd.search import SEARCH_KEY
from mailcore.errors import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imapd.search import Query
    from mailcore.store.mailbox import Mailbox

OCTETS = 255  # the longest id (§7)

EMAILID = Item(
    b"EMAILID",
    lambda message: [message.box.email_id(message.uid)],
    lambda box, uids: [b"(%b)" % box.email_id(uid).encode() for uid in uids],
)
THREADID = Item(b"THREADID", lambda message: None, lambda box, uids: [b"NIL"] * len(uids))


def _object_id(query: Query) -> str:
    wanted = query.args.space().astring()
    if not 0 < len(wanted) <= OCTETS or not wanted.replace(b"-", b"").replace(b"_", b"").isalnum():
        raise Mistake("Bad object id")
    return wanted.decode("ascii", "replace")


def _email(query: Query) -> Key:
    """EMAILID objectid (§6)."""
    wanted = _object_id(query)

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        return [uid for uid in uids if box.email_id(uid) == wanted]

    return Key(COLUMN, lambda message: message.box.email_id(message.uid) == wanted, narrow)


def _thread(query: Query) -> Key:
    """THREADID objectid (§6): no message has one."""
    _object_id(query)
    return Key(COLUMN, lambda message: False, lambda box, uids: [])


STATUS_ATT["MAILBOXID"] = lambda box, settings: Ready(b"(%b)" % box.object_id.encode())
FETCH_ATT["EMAILID"] = lambda args: EMAILID
FETCH_ATT["THREADID"] = lambda args: THREADID
SEARCH_KEY["EMAILID"] = _email
SEARCH_KEY["THREADID"] = _thread
