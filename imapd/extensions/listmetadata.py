"""LIST-METADATA (RFC 9590): values of METADATA behind each LIST answer."""

from __future__ import annotations

from imapd.extensions.metadata import entries_asked, notes
from imapd.listing import LIST_RETURN_OPT, Option
from imapd.responses import Name, Untagged
from mailcore.errors import BadName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from imapd.listing import Entry
    from imapd.session import Session
    from imapd.syntax import Args


def _metadata(session: Session, args: Args) -> Option:
    """METADATA SP "(" entry ... ")"; NIL is told of what has no value, nothing of what does not exist."""
    asked = entries_asked(args.space(), many=True)

    def tell(entry: Entry) -> Iterator[Untagged]:
        if not entry.name or "\\NonExistent" in entry.attributes:
            return
        try:
            known = notes(session, session.store.canonical(entry.name))
        except BadName:
            return
        pairs = [item for name in asked for item in (Name(name.encode()), known.get(name))]
        yield Untagged("METADATA", Name(entry.name.encode()), pairs)

    return Option(tell=tell)


LIST_RETURN_OPT["METADATA"] = _metadata
