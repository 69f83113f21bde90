"""The PROXY protocol, versions 1 and 2: a proxy says in front of everything whose connection this is.

What lives here: taking exactly the header off a socket, and what it means.  It runs in the gatekeeper
after it is locked in, because these are bytes from a network; what it found is told to the monitor,
which checks it again.  What does not: whose header is believed (access.py).

Not one octet behind the header is read: what follows may be a TLS handshake.
"""

from __future__ import annotations

import _socket
import select
from time import monotonic

from mailcore.errors import Hangup
from mailcore.login.networks import pack, written

V1_START = b"PROXY "
V1_OCTETS = 107  # with its CR LF
V2_START = b"\r\n\r\n\0\r\nQUIT\n"
V2_FIXED_OCTETS = 16
V2_OCTETS = 536
SHORTEST_OCTETS = 15  # "PROXY UNKNOWN" CR LF; every header has so many
FAMILIES = {0x11: 4, 0x21: 16}  # TCP over IPv4, over IPv6: octets of an address
LOCAL_COMMAND, PROXY_COMMAND = 0x20, 0x21
LOOK_MILLISECONDS = 10
TLV_SSL = 0x20  # PP2_TYPE_SSL
CLIENT_SSL = 0x01  # PP2_CLIENT_SSL: the client came to the proxy by TLS


class BadHeader(Hangup):
    """The header is missing, late or wrong: the connection ends without a word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason=f"PROXY header {reason}")


class Origin:
    """Where a connection comes from, in a proxy's words; address "" when it speaks for itself."""

    __slots__ = ("address", "port", "secure")

    def __init__(self, address: str = "", port: int = 0, secure: bool = False) -> None:
        self.address = address
        self.port = port
        self.secure = secure


# --- from the socket -----------------------------------------------------------------------


def take(sock: _socket.socket, seconds: float, required: bool) -> Origin | None:
    """The header at the start of a connection; None if there is none and none is required."""
    until = monotonic() + seconds
    try:
        if not required and not _announced(sock, until):
            return None
        return _take(sock, until)
    except OSError as error:
        raise BadHeader(f"not received, {error.strerror}") from None


def _announced(sock: _socket.socket, until: float) -> bool:
    """Does the client begin like a header?  Nothing is taken from it."""
    while _ready(sock, until):
        said = sock.recv(SHORTEST_OCTETS, _socket.MSG_PEEK)
        if said.startswith((V1_START, V2_START)) or monotonic() > until:
            return True
        if not said or not (V1_START.startswith(said) or V2_START.startswith(said)):
            return False
        select.poll().poll(LOOK_MILLISECONDS)  # it began like one: see what comes
    return False


def _take(sock: _socket.socket, until: float) -> Origin:
    head = _exactly(sock, SHORTEST_OCTETS, until)
    if head.startswith(V2_START):
        head += _exactly(sock, V2_FIXED_OCTETS - SHORTEST_OCTETS, until)
        octets = int.from_bytes(head[14:16], "big")
        if V2_FIXED_OCTETS + octets > V2_OCTETS:
            raise BadHeader("too long")
        return read_v2(head + _exactly(sock, octets, until))
    if not head.startswith(V1_START):
        raise BadHeader("missing")
    while not head.endswith(b"\r\n"):
        if len(head) == V1_OCTETS:
            raise BadHeader("too long")
        head += _exactly(sock, 1, until)
    return read_v1(head)


def _exactly(sock: _socket.socket, octets: int, until: float) -> bytes:
    data = b""
    while len(data) < octets:
        if not _ready(sock, until):
            raise BadHeader("late")
        piece = sock.recv(octets - len(data))
        if not piece:
            raise BadHeader("missing" if not data else "cut off")
        data += piece
    return data


def _ready(sock: _socket.socket, until: float) -> bool:
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(max(0, int((until - monotonic()) * 1000))))


# --- what it means -------------------------------------------------------------------------


def read_v1(header: bytes) -> Origin:
    """`PROXY TCP4 source destination port port` CR LF; the one place after UNKNOWN that is not read."""
    words = header.removesuffix(b"\r\n").split(b" ")
    if len(header) > V1_OCTETS or b"\n" in header[:-2] or words[0] != V1_START.strip() or len(words) < 2:
        raise BadHeader("wrong")
    if words[1] == b"UNKNOWN":
        return Origin()
    octets = {b"TCP4": 4, b"TCP6": 16}.get(words[1])
    if octets is None or len(words) != 6:
        raise BadHeader("wrong")
    source, _ = (_address(word, octets) for word in words[2:4])
    port, _ = (_port(word) for word in words[4:])
    return Origin(source, port)


def _address(word: bytes, octets: int) -> str:
    text = word.decode("ascii", "replace")
    packed = pack(text)
    if packed is None or (":" in text) != (octets == 16):
        raise BadHeader("wrong")
    return written(packed)


def _port(word: bytes) -> int:
    number = int(word) if word.isdigit() and len(word) <= 5 else -1
    if not 0 <= number <= 65535 or (word.startswith(b"0") and word != b"0"):
        raise BadHeader("wrong")
    return number


def read_v2(header: bytes) -> Origin:
    """Fixed part, addresses, TLVs."""
    command, family = header[12], header[13]
    if command == LOCAL_COMMAND:
        return Origin()  # whatever follows is not for us
    if command != PROXY_COMMAND:
        raise BadHeader("wrong")
    octets = FAMILIES.get(family)
    if octets is None:
        return Origin()  # a family that is not ours: as if it spoke for itself
    body = header[V2_FIXED_OCTETS:]
    if len(body) < 2 * octets + 4:
        raise BadHeader("cut off")
    packed = pack(written(body[:octets]))
    port = int.from_bytes(body[2 * octets : 2 * octets + 2], "big")
    return Origin(written(packed or body[:octets]), port, _came_by_tls(body[2 * octets + 4 :]))


def _came_by_tls(tlvs: bytes) -> bool:
    """Walk the TLVs; each must end where it says."""
    secure = False
    while tlvs:
        length = int.from_bytes(tlvs[1:3], "big")
        if len(tlvs) < 3 + length:
            raise BadHeader("wrong")
        value, kind = tlvs[3 : 3 + length], tlvs[0]
        if kind == TLV_SSL:
            if len(value) < 5:
                raise BadHeader("wrong")
            secure = bool(value[0] & CLIENT_SSL)
        tlvs = tlvs[3 + length :]
    return secure
