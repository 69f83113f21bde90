"""CONDSTORE (RFC 7162 §3.1): what changed since, and changes only where nothing did.

Here is what tables can hold.  STORE's UNCHANGEDSINCE and the answers with MODSEQ are in selected.py,
fetch.py, news.py and results.py, as they are parts of what those say.
"""

from __future__ import annotations

from imapd import fetch, modseq
from imapd.authenticated import SELECT_PARAM, STATUS_ATT
from imapd.criteria import COLUMN, Key
from imapd.extensions.enable import ENABLE
from imapd.search import SEARCH_KEY
from imapd.sequence import of_uids, within
from mailcore.errors import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imapd.fetch import Asked, Modifier
    from imapd.search import Query
    from imapd.sequence import Place
    from imapd.session import Session
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox


def _changed_since(session: Session, args: Args, asked: Asked) -> Modifier:
    """CHANGEDSINCE as a FETCH modifier; it asks for MODSEQ too (§3.1.4.1)."""
    since = modseq.since(session, args)
    asked.since = since
    if fetch.MODSEQ not in asked.items:
        asked.items.append(fetch.MODSEQ)

    def changed(places: list[Place]) -> list[Place]:
        box = session.box
        return of_uids(box.changed_since(since, within(box.uids, places)), box.uids)

    return changed


def _key(query: Query) -> Key:
    """MODSEQ [entry-name entry-type] number (§3.1.5); all flags have one number, so the entry does not matter."""
    args = query.args.space()
    if args.peek(b'"') or args.peek(b"{"):
        if not args.string().lower().startswith(b"/flags/"):
            raise Mistake("Unknown entry")
        if args.space().keyword() not in ("PRIV", "SHARED", "ALL"):
            raise Mistake("Unknown entry type")
        args.space()
    least = args.mod_sequence()
    query.modseq = True

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        modseq.kept(box)
        return box.changed_since(least - 1, uids)

    return Key(COLUMN, lambda message: message.box.modseq(message.uid) >= least, narrow)


SELECT_PARAM["CONDSTORE"] = lambda session, args: modseq.note(session)
STATUS_ATT["HIGHESTMODSEQ"] = lambda box, settings: box.highest_modseq
ENABLE.add("CONDSTORE")
fetch.FETCH_ATT["MODSEQ"] = lambda args: fetch.MODSEQ
fetch.FETCH_MODIFIER["CHANGEDSINCE"] = _changed_since
SEARCH_KEY["MODSEQ"] = _key
