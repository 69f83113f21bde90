"""LIST-MYRIGHTS (RFC 8440): MYRIGHTS behind each LIST answer."""

from __future__ import annotations

from imapd.extensions import acl
from imapd.listing import LIST_RETURN_OPT, Option
from imapd.responses import Name, Untagged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from imapd.listing import Entry
    from imapd.session import Session
    from imapd.syntax import Args


def _myrights(session: Session, args: Args) -> Option:
    def tell(entry: Entry) -> Iterator[Untagged]:
        rights = acl.known(session, entry.name) if entry.name else None
        if rights is not None:
            yield Untagged("MYRIGHTS", Name(entry.name.encode()), Name(rights.encode()))

    return Option(tell=tell)


LIST_RETURN_OPT["MYRIGHTS"] = _myrights
