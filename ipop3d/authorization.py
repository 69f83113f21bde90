"""The AUTHORIZATION state (RFC 1939 §4 and §7, RFC 5034): what may be said before login."""

from __future__ import annotations

from ipop3d.anytime import command as anytime
from ipop3d.responses import Lines, Ok, Prompt
from mailcore.commands import State
from mailcore.errors import Mistake, Refusal
from mailcore.login import access, forwarding, sasl
from mailcore.login.channel import NAME_OCTETS, Question

TYPE_CHECKING = False
if TYPE_CHECKING:

    from ipop3d.session import Session, Talk
    from ipop3d.syntax import Args

command = State("AUTHORIZATION", anytime)


@command("STLS")
def stls(session: Session, args: Args) -> Talk:
    """TLS from the next octet (RFC 2595 §4); this conversation ends, another one begins there."""
    args.end()
    if session.peer.secure:
        raise Refusal("Already in a TLS session")
    if not session.peer.starttls:
        raise Refusal("STLS failed: Server certificate not installed")
    session.over = session.tls_next = True
    yield Ok("Begin TLS negotiation now")


@command("USER")
def user(session: Session, args: Args) -> Talk:
    """Who wants to log in (RFC 1939 §7); the answer never tells whether there is such a user."""
    name = args.word("Missing username argument")
    args.end()
    yield from _may_speak_plain(session, name)
    session.user = name
    yield Ok("User name accepted, password please")


@command("PASS")
def pass_(session: Session, args: Args) -> Talk:
    """The password of that user (RFC 1939 §7): the whole rest of the line, spaces kept."""
    if not session.user:
        raise Mistake("USER comes first")
    name, session.user = session.user, b""
    password = args.rest("Missing password argument")
    yield from _may_speak_plain(session, name)
    session.let_in((yield Question("password", (name, password))), "LOGIN")


@command("APOP")
def apop(session: Session, args: Args) -> Talk:
    """User and digest of the greeting's stamp with his secret (RFC 1939 §7)."""
    name = args.word("Missing APOP argument")
    digest = args.word("Missing APOP argument")
    args.end()
    if not session.peer.stamp:
        raise Refusal("Not supported")
    session.user = b""
    session.let_in((yield Question("apop", (name, digest))), "APOP")


@command("AUTH")
def auth(session: Session, args: Args) -> Talk:
    """SASL (RFC 5034); alone, it lists the mechanisms as old clients ask it to."""
    offered = sasl.offered(session.settings, session.peer, "pop3")
    if not args:
        yield Ok("Supported authentication mechanisms:")
        yield Lines(name.encode() for name in offered)
        return
    name = args.word("Missing mechanism").decode("ascii", "replace").upper()
    initial = args.word("") if args else None
    args.end()
    if name not in offered:
        if name in sasl.CLEAR:
            yield Question("void", (b"", b"disabled"))
        raise Refusal("Bad authentication")
    session.let_in((yield from sasl.exchange(session.settings, session.peer, name, initial, Prompt)), name)


@command("XCLIENT")
def xclient(session: Session, args: Args) -> Talk:
    """A trusted front end names its client: ADDR= PORT= SESSION= TTL= (Dovecot; the words are Postfix's)."""
    if not access.is_trusted(session.settings, session.peer):
        raise Refusal("You are not from trusted IP")
    values = {}
    while args:
        name, equals, value = args.word("").partition(b"=")
        field = forwarding.XCLIENT_FIELDS.get(name.upper())
        if field is None or not equals:
            raise Mistake("Unknown XCLIENT attribute")
        values[field] = value
    claim = forwarding.Claim("XCLIENT", values)
    yield claim.question()
    claim.apply(session.peer)
    yield Ok("Updated")


@command("QUIT")
def quit_(session: Session, args: Args) -> Talk:
    """The end (RFC 1939 §4)."""
    args.end()
    session.over = True
    yield Ok("Sayonara")


def _may_speak_plain(session: Session, name: bytes) -> Talk:
    if not sasl.plaintext_allowed(session.settings, session.peer):
        yield Question("void", (name[:NAME_OCTETS], b"disabled"))
        raise Refusal("Passwords in clear only under TLS", "AUTH")
