"""UIDPLUS (RFC 4315): UID EXPUNGE.  COPYUID and APPENDUID are told by COPY and APPEND themselves."""

from __future__ import annotations

from imapd.selected import by_uid, expunged, uid_command
from imapd.sequence import within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.responses import Done
    from imapd.session import Session
    from imapd.syntax import Args


@uid_command("EXPUNGE", writes=True)
def uid_expunge(session: Session, args: Args) -> Done:
    """Remove what is \\Deleted among these (RFC 4315 §2.1)."""
    places = by_uid(session, args)
    args.end()
    chosen = within(session.box.uids, places)
    return expunged(session, session.box.expunge(chosen) if chosen else [])
