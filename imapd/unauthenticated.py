"""The not authenticated state (RFC 3501 §6.2): who are you?

What lives here: LOGIN and AUTHENTICATE as a talk with the client.  What does not: passwords.
Whether one is right only the monitor knows, and the OK is said by the process that has become
the user (session.py).
"""

from __future__ import annotations

from imapd.anytime import command as anytime
from imapd.extensions import id  # noqa: F401  adds to anytime, and must be here before the doors are locked
from imapd.responses import Continue, Done
from mailcore.commands import State
from mailcore.errors import Mistake, Refusal
from mailcore.login import sasl
from mailcore.login.channel import NAME_OCTETS, Question

TYPE_CHECKING = False
if TYPE_CHECKING:

    from imapd.session import Session, Talk
    from imapd.syntax import Args

command = State("NOT AUTHENTICATED", anytime)


@command("STARTTLS")
def starttls(session: Session, args: Args) -> Done:
    """TLS from the next octet (RFC 3501 §6.2.1); this conversation ends, another one begins there."""
    args.end()
    if session.peer.secure:
        raise Mistake("TLS is there already")
    if not session.peer.starttls:
        raise Refusal("Server certificate not installed", "CONTACTADMIN")
    session.over = session.tls_next = True
    return Done("Begin TLS negotiation now")


@command("LOGIN")
def login(session: Session, args: Args) -> Talk:
    """User name and password (RFC 3501 §6.2.3)."""
    user = args.space().astring()
    password = args.space().astring()
    args.end()
    if user.lower() == b"anonymous" and "ANONYMOUS" in sasl.offered(session.settings, session.peer, "imap"):
        verdict = yield Question("anonymous", (b"",))  # as UW; but what stands for a password is not logged
        yield from session.let_in(verdict, "ANONYMOUS")
        return
    if not sasl.plaintext_allowed(session.settings, session.peer):
        yield Question("void", (user[:NAME_OCTETS], b"disabled"))
        raise Refusal("Passwords in clear only under TLS", "PRIVACYREQUIRED")
    verdict = yield Question("password", (user, password))
    yield from session.let_in(verdict, "LOGIN")


@command("AUTHENTICATE")
def authenticate(session: Session, args: Args) -> Talk:
    """SASL (RFC 3501 §6.2.2), maybe with an initial response (RFC 4959)."""
    name = args.space().keyword()
    initial = None if args.at_end() else args.space().rest().rstrip(b" ")
    if name not in sasl.MECHANISMS:
        raise Refusal("Unknown authentication mechanism", "CANNOT")
    if name not in sasl.offered(session.settings, session.peer, "imap"):
        if name not in sasl.CLEAR:
            raise Refusal("That mechanism is not offered here", "CANNOT")
        yield Question("void", (b"", b"disabled"))
        raise Refusal("That mechanism is not offered here", "PRIVACYREQUIRED")
    verdict = yield from sasl.exchange(session.settings, session.peer, name, initial, Continue)
    yield from session.let_in(verdict, name)
