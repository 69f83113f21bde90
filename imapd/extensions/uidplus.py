"""UIDPLUS (RFC 4315): UID EXPUNGE.  COPYUID and APPENDUID are told by COPY and APPEND themselves."""

from __future__ import annotations

from imapd import portion, search
from imapd.criteria import flagged
from imapd.responses import Done
from imapd.selected import by_uid, expunged, uid_command
from imapd.sequence import within
from mailcore.store.mailbox import DELETED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session
    from imapd.syntax import Args


@uid_command("EXPUNGE", writes=True)
def uid_expunge(session: Session, args: Args) -> Done:
    """Remove what is \\Deleted among these (RFC 4315 §2.1)."""
    places = by_uid(session, args)
    args.end()
    box = session.box
    chosen = within(box.uids, places)
    if session.settings.message_limit:  # only those count that are \\Deleted
        chosen, code = portion.uids(session, search.found(flagged(DELETED), box, session.settings, chosen))
        if code:
            box.expunge(chosen)
            return Done(portion.TEXT, code)
    return expunged(session, box.expunge(chosen) if chosen else [])
