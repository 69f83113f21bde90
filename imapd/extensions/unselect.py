"""UNSELECT (RFC 3691): leave the mailbox without removing anything."""

from __future__ import annotations

from imapd.selected import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session
    from imapd.syntax import Args


@command("UNSELECT", silent=True)
def unselect(session: Session, args: Args) -> None:
    """Leave the mailbox; nothing is expunged (RFC 3691 §2)."""
    args.end()
    session.deselect()
