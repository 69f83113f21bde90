"""LIST-EXTENDED (RFC 5258): what is subscribed, many patterns, and parents of what fits.

The grammar and the answers are in imapd/listing.py.
"""

from __future__ import annotations

from imapd.listing import LIST_RETURN_OPT, LIST_SELECT_BASE_OPT, LIST_SELECT_INDEPENDENT_OPT, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.listing import Entry
    from imapd.session import Session
    from imapd.syntax import Args


def _subscribed(session: Session, args: Args) -> Option:
    """Mark what is on the list (RFC 5258 §3.4)."""
    store = session.store
    names = store.subscribed()

    def mark(entry: Entry) -> None:
        if "\\Subscribed" not in entry.attributes and entry.name and store.canonical(entry.name) in names:
            entry.attributes.append("\\Subscribed")

    return Option(mark)


LIST_SELECT_BASE_OPT["SUBSCRIBED"] = lambda session: session.store.subscribed()
LIST_SELECT_INDEPENDENT_OPT.add("REMOTE")  # there are no remote mailboxes here (RFC 5258 §3.1)
LIST_RETURN_OPT |= {
    "SUBSCRIBED": _subscribed,
    "CHILDREN": lambda session, args: Option(),  # they are always told (RFC 3348)
}
