"""SASL mechanisms (RFC 4422), one generator each, in one table that both servers read.

A mechanism yields bytes (a challenge; b"" is the empty one that an initial response answers),
receives bytes (the response), yields a Question for the monitor, and returns its Verdict.
`exchange` adds what both protocols do alike: base64, cancelling, initial responses.

What does not live here: any secret.  These generators run in the gatekeeper.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64

from mailcore.errors import Goodbye, Mistake
from mailcore.login.access import plaintext_allowed
from mailcore.login.channel import NAME_OCTETS, NONCE_OCTETS, QUESTIONS, Question, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from mailcore.login.accounts import Peer
    from mailcore.settings import Settings

    Mechanism = Generator[Any, Any, Verdict]
    Line = Generator[Any, Any, bytes]

__all__ = ["CLEAR", "MECHANISMS", "exchange", "offered", "plaintext_allowed"]


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
    """EXTERNAL (RFC 4422 appendix A): whoever the client's certificate names, or who runs us on his own pipe.

    The answer is nothing, or his name.
    """
    acting = yield b""
    acting = b"" if acting == b"=" else acting
    if peer.certificate:
        verdict: Verdict = yield Question("certificate", (acting, peer.certificate))
    else:
        verdict = yield Question("external", (acting,))
    return verdict


def cram_md5(settings: Settings, peer: Peer) -> Mechanism:
    """CRAM-MD5: our stamp; user name, blank, its HMAC-MD5 in hexadecimal (RFC 2195 §2)."""
    stamp: Verdict = yield Question("stamp", ())
    user, _, digest = (yield stamp.data).rpartition(b" ")
    verdict: Verdict = yield Question("cram-md5", (user, digest))
    return verdict


def scram_with(mechanism: str, plus: bool = False) -> Callable[[Settings, Peer], Mechanism]:
    """SCRAM-SHA-1 or SCRAM-SHA-256 (RFC 5802, RFC 7677), with `plus` bound to the TLS connection."""

    def talk(settings: Settings, peer: Peer) -> Mechanism:
        from mailcore.login import scram  # here already, see prepare

        message = yield b""
        try:
            opening = scram.client_first(message, plus, peer.bindings)
        except scram.Wrong:
            return Verdict(False)
        user = opening.user if opening.acting in (b"", opening.user) else opening.acting + b"*" + opening.user
        if len(user) > NAME_OCTETS or len(opening.nonce) > NONCE_OCTETS:
            return Verdict(False)
        first: Verdict = yield Question("scram", (mechanism.encode(), user, opening.nonce))
        if not first.data:
            return first
        answer = yield first.data
        try:
            closing = scram.client_final(answer, opening, first.data, peer.bindings)
            proof = (opening.bare, closing.bare, closing.proof)
        except scram.Wrong:
            proof = (b"", b"", b"")  # wrong for the monitor too, which counts it
        verdict: Verdict = yield Question("scram-proof", proof)
        if verdict.right:
            yield scram.server_final(verdict.data)  # the client has nothing to add
        return verdict

    return talk


def prepare(peer: Peer) -> None:
    """Import what the mechanisms will need: locked in, a gatekeeper can import nothing."""
    if "verifiers" in peer.sources:
        import hmac  # noqa: F401

        from mailcore.login import scram  # noqa: F401


def anonymous(settings: Settings, peer: Peer) -> Mechanism:
    """ANONYMOUS: what the client says of itself is only for the log (RFC 4505 §2)."""
    verdict: Verdict = yield Question("anonymous", ((yield b""),))
    return verdict


# --- which of them, here and now -----------------------------------------------------------


def _with_verifiers(settings: Settings, peer: Peer, purpose: str) -> bool:
    return "verifiers" in peer.sources


def _with_binding(settings: Settings, peer: Peer, purpose: str) -> bool:
    return "verifiers" in peer.sources and bool(peer.bindings)


def _with_secrets(settings: Settings, peer: Peer, purpose: str) -> bool:
    return "secrets" in peer.sources


def _in_clear(settings: Settings, peer: Peer, purpose: str) -> bool:
    return plaintext_allowed(settings, peer)


def _with_himself(settings: Settings, peer: Peer, purpose: str) -> bool:
    """Whoever has a certificate; and the running user on his pipe, whom imapd greets with PREAUTH."""
    return bool(peer.certificate) or (bool(peer.user) and purpose == "pop3" and not settings.passwd_file)


def _for_anybody(settings: Settings, peer: Peer, purpose: str) -> bool:
    return "anonymous" in peer.sources


CLEAR = ("PLAIN", "LOGIN")  # they say the password itself
# in the order in which they are announced, strongest first: the conversation, and when it can work
MECHANISMS: dict[str, tuple[Callable[[Settings, Peer], Mechanism], Callable[[Settings, Peer, str], bool]]] = {
    "EXTERNAL": (external, _with_himself),
    "SCRAM-SHA-256-PLUS": (scram_with("SCRAM-SHA-256", plus=True), _with_binding),
    "SCRAM-SHA-1-PLUS": (scram_with("SCRAM-SHA-1", plus=True), _with_binding),
    "SCRAM-SHA-256": (scram_with("SCRAM-SHA-256"), _with_verifiers),
    "SCRAM-SHA-1": (scram_with("SCRAM-SHA-1"), _with_verifiers),
    "CRAM-MD5": (cram_md5, _with_secrets),
    "PLAIN": (plain, _in_clear),
    "LOGIN": (login, _in_clear),
    "ANONYMOUS": (anonymous, _for_anybody),
}


def offered(settings: Settings, peer: Peer, purpose: str) -> list[str]:
    """The mechanisms that would work for this client; `purpose` is "imap" or "pop3"."""
    return [name for name, (_, works) in MECHANISMS.items() if works(settings, peer, purpose)]


SERVER_FIRST = ("LOGIN",)  # speaks first, but takes an initial response all the same: clients send it


def exchange(
    settings: Settings, peer: Peer, name: str, initial: bytes | None, prompt: Callable[[bytes], object]
) -> Mechanism:
    """Challenges and responses in base64, until the mechanism has its verdict (RFC 3501 §6.2.2, RFC 5034 §4).

    `prompt` makes the server's own value for a challenge; its reply is the client's line.  An exchange that
    comes to no question about a user is told to the monitor too, for the log.
    """
    talk = MECHANISMS[name][0](settings, peer)
    reply: object = None
    judged = Verdict(False)  # the last one about a user
    tried = False
    while True:
        try:
            step = talk.send(reply)
        except StopIteration as end:
            if not tried:
                yield Question("void", (b"", b"failed"))
            return end.value  # type: ignore[no-any-return]
        if isinstance(step, Question):
            reply = judged = yield step
            tried = tried or not QUESTIONS[step.kind].challenge
            continue
        try:
            reply, initial = (yield from _heard(step, name, initial, prompt)), None
        except Mistake as mistake:
            if judged.right:  # he is proved, and says no: there is no way back
                raise Goodbye(mistake.text) from None
            yield Question("void", (b"", b"failed"))
            raise


def _heard(step: bytes, name: str, initial: bytes | None, prompt: Callable[[bytes], object]) -> Line:
    """The client's response to a challenge; its initial response, if there is one, answers the empty one."""
    if initial is None:
        return _response((yield prompt(b2a_base64(step, newline=False))))
    if step and name not in SERVER_FIRST:
        raise Mistake("No initial response with this mechanism")
    return _response(b"" if initial == b"=" else initial)


def _response(line: bytes) -> bytes:
    if line == b"*":
        raise Mistake("Authentication cancelled")
    try:
        return a2b_base64(line, strict_mode=True) if line else b""
    except NotBase64:
        raise Mistake("Invalid base64") from None
