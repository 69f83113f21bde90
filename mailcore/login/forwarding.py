"""What a trusted front end says of its client: IMAP ID's `x-…` fields and POP3's XCLIENT, in Dovecot's words.

What lives here: reading the values, in the gatekeeper.  What does not: who is trusted (access.py).
"""

from __future__ import annotations

from mailcore.errors import Goodbye, Mistake
from mailcore.login import access
from mailcore.login.networks import pack, written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.login.accounts import Peer
    from mailcore.login.channel import Question

ADDRESS_OCTETS = 45
SESSION_OCTETS = 64
TTL_MOST = 255

# what a field of either protocol is
ID_FIELDS = {
    b"x-originating-ip": "address", b"x-originating-port": "port", b"x-session-id": "session",
    b"x-connected-ip": "our address", b"x-connected-port": "our port", b"x-proxy-ttl": "ttl",
}  # fmt: skip
XCLIENT_FIELDS = {
    b"ADDR": "address", b"PORT": "port", b"SESSION": "session", b"TTL": "ttl",
    b"DESTADDR": "our address", b"DESTPORT": "our port", b"PROTO": "text", b"FORWARD": "text",
}  # fmt: skip


class Claim:
    """The client's place as a front end tells it, every value checked."""

    __slots__ = ("by", "address", "port", "session")

    def __init__(self, by: str, values: dict[str, bytes]) -> None:
        """Mistake for a value that is none; Goodbye when the front ends run in a circle."""
        self.by = by
        self.address = _address(values.get("address", b""))
        self.port = _number("port", values.get("port", b"0"), 65535)
        self.session = _session(values.get("session", b""))
        if "our address" in values:
            _address(values["our address"])
        _number("port", values.get("our port", b"0"), 65535)
        if "ttl" in values and _number("TTL", values["ttl"], TTL_MOST) == 0:
            raise Goodbye("Proxying loops", f"Proxying loops, {by} with TTL 0")

    def question(self) -> Question:
        return access.forwarded(self.by, self.address, self.port, session=self.session)

    def apply(self, peer: Peer) -> None:
        access.apply(peer, self.by, self.address, self.port)


def _address(value: bytes) -> str:
    text = value[: ADDRESS_OCTETS + 1].decode("ascii", "replace")
    packed = pack(text[5:] if text[:5].upper() == "IPV6:" else text)
    if packed is None:
        raise Mistake("Not an IP address")
    return written(packed)


def _number(what: str, value: bytes, most: int) -> int:
    if not value.isdigit() or len(value) > 5 or int(value) > most:
        raise Mistake(f"Not a {what}")
    return int(value)


def _session(value: bytes) -> str:
    if len(value) > SESSION_OCTETS or not all(0x20 < octet < 0x7F for octet in value):
        raise Mistake("Not a session name")
    return value.decode("ascii")
