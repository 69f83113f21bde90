"""NAMESPACE: where whose mailboxes are (RFC 2342)."""

from __future__ import annotations

from imapd.authenticated import command
from imapd.responses import Untagged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session, Talk
    from imapd.syntax import Args


@command("NAMESPACE")
def namespace(session: Session, args: Args) -> Talk:
    """One personal namespace without a prefix; nothing of other users, nothing shared (RFC 2342 §5)."""
    args.end()
    yield Untagged("NAMESPACE", [[b"", session.store.delimiter.encode()]], None, None)
