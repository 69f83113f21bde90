"""ENABLE: the client says which extensions it understands (RFC 5161)."""

from __future__ import annotations

from imapd.authenticated import command
from imapd.responses import Untagged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session, Talk
    from imapd.syntax import Args

# extensions that change what we say once they are enabled; each adds its own name
ENABLE: set[str] = set()


@command("ENABLE")
def enable(session: Session, args: Args) -> Talk:
    """Switch on what is known; other names are passed over (RFC 5161 §3.1)."""
    wanted = [args.space().keyword()]
    while not args.at_end():
        wanted.append(args.space().keyword())
    now = [name for name in dict.fromkeys(wanted) if name in ENABLE and name not in session.enabled]
    session.enabled.update(now)
    yield Untagged("ENABLED", *now)
