"""LIST-STATUS (RFC 5819): the counts of each mailbox behind its LIST answer."""

from __future__ import annotations

from imapd.authenticated import STATUS_ATT, counted
from imapd.listing import LIST_RETURN_OPT, Option
from imapd.responses import Status
from mailcore.errors import MailError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from imapd.listing import Entry
    from imapd.responses import Untagged
    from imapd.session import Session
    from imapd.syntax import Args


def _status(session: Session, args: Args) -> Option:
    """STATUS SP "(" status-att ... ")"; of what cannot be opened nothing is told (RFC 5819 §2)."""
    wanted = args.space().many(args.keyword, STATUS_ATT)

    def tell(entry: Entry) -> Iterator[Untagged | Status]:
        if not entry.selectable:
            return
        try:
            yield counted(session, entry.name, wanted)
        except MailError as error:
            yield Status("NO", f"{error.text}: {entry.name}")

    return Option(tell=tell)


LIST_RETURN_OPT["STATUS"] = _status
