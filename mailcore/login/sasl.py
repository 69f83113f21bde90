"""SASL mechanisms (RFC 4422), one generator each, in one table that both servers read.

A mechanism yields bytes (a challenge; b"" is the empty one that an initial response answers),
receives bytes (the response), yields a Question for the monitor, and returns its Verdict.
`exchange` adds what both protocols do alike: base64, cancelling, initial responses.

What does not live here: any secret.  These generators run in the gatekeeper.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64

from mailcore.errors import Mistake
from mailcore.login.access import plaintext_allowed
from mailcore.login.channel import Question, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from mailcore.login.accounts import Peer
    from mailcore.settings import Settings

    Mechanism = Generator[Any, Any, Verdict]

__all__ = ["MECHANISMS", "exchange", "offered", "plaintext_allowed"]


def plain(settings: Settings, peer: Peer) -> Mechanism:
    """PLAIN: authzid NUL authcid NUL password (RFC 4616 §2).

    Acting for another user is asked as UW writes it, `user*admin`.
    """
    parts = (yield b"").split(b"\0")
    if len(parts) != 3 or not parts[1]:
        return Verdict(False)
    acting, user, password = parts
    if acting and acting != user:
        user = acting + b"*" + user
    verdict: Verdict = yield Question("password", (user, password))
    return verdict


def login(settings: Settings, peer: Peer) -> Mechanism:
    """LOGIN: two prompts, never standardised; their odd ends are what UW always sent."""
    user = yield b"User Name\0"
    password = yield b"Password\0"
    verdict: Verdict = yield Question("password", (user, password))
    return verdict


def external(settings: Settings, peer: Peer) -> Mechanism:
    """EXTERNAL: whoever runs us on his own pipe (RFC 4422 appendix A); the answer is nothing or his name."""
    acting = yield b""
    verdict: Verdict = yield Question("external", (b"" if acting == b"=" else acting,))
    return verdict


# in the order in which they are announced
MECHANISMS: dict[str, Callable[[Settings, Peer], Mechanism]] = {
    "EXTERNAL": external,
    "PLAIN": plain,
    "LOGIN": login,
}


def offered(settings: Settings, peer: Peer, purpose: str) -> list[str]:
    """The mechanisms that would work for this client; `purpose` is "imap" or "pop3"."""
    names = []
    if peer.user and purpose == "pop3" and not settings.passwd_file:
        names.append("EXTERNAL")  # imapd greets such a user with PREAUTH
    if plaintext_allowed(settings, peer):
        names += ["PLAIN", "LOGIN"]
    return names


SERVER_FIRST = ("LOGIN",)  # speaks first, but takes an initial response all the same: clients send it


def exchange(
    settings: Settings, peer: Peer, name: str, initial: bytes | None, prompt: Callable[[bytes], object]
) -> Mechanism:
    """Challenges and responses in base64, until the mechanism has its verdict (RFC 3501 §6.2.2, RFC 5034 §4).

    `prompt` makes the server's own value for a challenge; its reply is the client's line.
    """
    mechanism = MECHANISMS[name](settings, peer)
    reply: object = None
    while True:
        try:
            step = mechanism.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if not isinstance(step, bytes):
            reply = yield step  # a question for the monitor
        elif initial is None:
            reply = _response((yield prompt(b2a_base64(step, newline=False))))
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
