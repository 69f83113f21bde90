"""COMPRESS=DEFLATE (RFC 4978): from the OK on both directions are compressed (imapd/deflate.py)."""

from __future__ import annotations

from imapd import deflate
from imapd.authenticated import command
from mailcore.errors import Mistake, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session
    from imapd.syntax import Args


@command("COMPRESS")
def compress(session: Session, args: Args) -> None:
    """What the client has sent ahead is taken for compressed: it had to wait for the OK (RFC 4978 §3)."""
    if args.space().keyword() != "DEFLATE":
        raise Mistake("DEFLATE is all that there is")
    args.end()
    if session.squeeze is not None:
        raise Refusal("DEFLATE is active already", "COMPRESSIONACTIVE")
    session.squeeze = deflate.Squeeze(session.settings.inflate_ratio)
