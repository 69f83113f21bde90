"""SEARCHRES (RFC 5182): SEARCH RETURN (SAVE), and `$` for what it found.

What was found is kept as UIDs, so messages that are expunged meanwhile fall out by themselves
(§2.1).  In sets `$` is taken by selected.by_number and by_uid, in searches it is a key.
"""

from __future__ import annotations

from imapd.criteria import among
from imapd.results import SEARCH_RETURN_OPT, Option, named_by
from imapd.search import SEARCH_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imapd.results import Found
    from imapd.session import Session


def _save(session: Session, found: Found, wanted: Sequence[Option]) -> None:
    """Remember the result, or what MIN, MAX and PARTIAL pick of it (§2.4)."""
    session.saved = sorted(set(named_by(found, wanted)))


SEARCH_RETURN_OPT["SAVE"] = lambda session, args: Option("SAVE", act=_save)
SEARCH_KEY["$"] = lambda query: among(query.saved)
