"""NAMESPACE: where whose mailboxes are (RFC 2342)."""

from __future__ import annotations

from imapd.authenticated import command
from imapd.responses import Untagged
from mailcore.store.spaces import SHARED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session, Talk
    from imapd.syntax import Args


@command("NAMESPACE")
def namespace(session: Session, args: Args) -> Talk:
    """A personal one without a prefix; others' and shared ones that the settings open and that exist (RFC 2342 §5)."""
    args.end()
    delimiter = session.store.delimiter.encode()
    shared = [[space.prefix.encode(), delimiter] for space in session.store.spaces if space.kind == SHARED]
    others = [[b"~", delimiter]] if session.settings.other_users_directory else None
    yield Untagged("NAMESPACE", [[b"", delimiter]], others, shared or None)
