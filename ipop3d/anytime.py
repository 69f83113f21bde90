"""What may be said in every state (RFC 2449 §5)."""

from __future__ import annotations

from ipop3d.responses import Lines, Ok
from mailcore import VERSION
from mailcore.commands import State
from mailcore.login import access, sasl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipop3d.session import Session, Talk
    from ipop3d.syntax import Args

command = State("any")


@command("CAPA")
def capa(session: Session, args: Args) -> Talk:
    """What this server can do (RFC 2449 §5), in this state."""
    args.end()
    yield Ok("Capability list follows:")
    yield Lines(_capabilities(session))


def _capabilities(session: Session) -> Iterator[bytes]:
    """RFC 2449 §6; USER and SASL only where they would work."""
    yield from (b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"EXPIRE NEVER")
    if session.settings.pop3_login_delay_seconds:
        yield b"LOGIN-DELAY %d" % session.settings.pop3_login_delay_seconds
    if access.is_trusted(session.settings, session.peer):
        yield b"XCLIENT"
    if session.stranger and session.peer.starttls:
        yield b"STLS"
    if sasl.plaintext_allowed(session.settings, session.peer):
        yield b"USER"
    mechanisms = sasl.offered(session.settings, session.peer, "pop3")
    if mechanisms:
        yield b"SASL " + " ".join(mechanisms).encode()
    yield b"IMPLEMENTATION mailcore-" + VERSION.encode()
