"""The not authenticated state (RFC 3501 §6.2): who are you?

What lives here: LOGIN and AUTHENTICATE as a talk with the client.  What does not: passwords.
Whether one is right only the monitor knows, and the OK is said by the process that has become
the user (session.py).
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64

from imapd.anytime import command as anytime
from imapd.extensions import id  # noqa: F401  adds to anytime, and must be here before the doors are locked
from imapd.responses import Continue
from mailcore.commands import State
from mailcore.errors import Mistake, Refusal
from mailcore.login import sasl
from mailcore.login.channel import Question

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.login.channel import Verdict

command = State("NOT AUTHENTICATED", anytime)

SERVER_FIRST = ("LOGIN",)  # speaks first, but takes an initial response all the same: clients send it


@command("LOGIN")
def login(session: Session, args: Args) -> Talk:
    """User name and password (RFC 3501 §6.2.3)."""
    user = args.space().astring()
    password = args.space().astring()
    args.end()
    if not sasl.plaintext_allowed(session.settings, session.peer):
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
        raise Refusal("That mechanism is not offered here", "PRIVACYREQUIRED")
    verdict = yield from _exchange(session, name, initial)
    yield from session.let_in(verdict, name)


def _exchange(session: Session, name: str, initial: bytes | None) -> Generator[Any, Any, Verdict]:
    """Challenges and responses in base64, until the mechanism has its verdict."""
    mechanism = sasl.MECHANISMS[name](session.settings, session.peer)
    reply: object = None
    while True:
        try:
            step = mechanism.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if not isinstance(step, bytes):
            reply = yield step  # a question for the monitor
        elif initial is None:
            reply = _response((yield Continue(b2a_base64(step, newline=False))))
        elif step and name not in SERVER_FIRST:
            raise Mistake("No initial response with this mechanism")
        else:
            reply, initial = _response(b"" if initial == b"=" else initial), None


def _response(line: bytes) -> bytes:
    if line == b"*":
        raise Mistake("Authentication cancelled")
    try:
        return a2b_base64(line, strict_mode=True) if line else b""
    except NotBase64:
        raise Mistake("Invalid base64") from None
