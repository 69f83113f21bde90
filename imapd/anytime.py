"""What may be said in every state (RFC 3501 §6.1)."""

from __future__ import annotations

from imapd.extensions import capabilities
from imapd.responses import Status, Untagged
from mailcore.commands import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session, Talk
    from imapd.syntax import Args

command = State("ANY")


@command("CAPABILITY")
def capability(session: Session, args: Args) -> Talk:
    """What this server can do, in this state (RFC 3501 §6.1.1)."""
    args.end()
    yield Untagged("CAPABILITY", *capabilities(session).split())


@command("NOOP")
def noop(session: Session, args: Args) -> None:
    """Nothing; the news come with every command (RFC 3501 §6.1.2)."""
    args.end()


@command("LOGOUT", silent=True)
def logout(session: Session, args: Args) -> Talk:
    """The end (RFC 3501 §6.1.3); what is marked deleted stays."""
    args.end()
    session.over = True
    yield Status("BYE", f"{session.host} IMAP4rev1 server terminating connection")
