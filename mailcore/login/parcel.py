"""Parcels: what goes from one of our processes to another together with descriptors.

What lives here: one packet with its descriptors on a UNIX SEQPACKET socket, its fields, and a peer as
fields.  What does not: what is asked by it (keykeeper.py, standby.py).
"""

from __future__ import annotations

import _socket
import sys

from mailcore.login.accounts import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# what is found in the handshake is of use only before the login
_TOLD = tuple(name for name in Peer.__slots__ if name not in ("bindings", "certificate"))


class Cut(ValueError):
    """Not what `packed` made."""


def packed(fields: Iterable[bytes]) -> bytes:
    """Fields of any length as one packet."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def unpacked(data: bytes) -> list[bytes]:
    """The fields again, or Cut."""
    fields, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or at + 4 > len(data):
            raise Cut("a field longer than its packet")
        fields.append(data[at + 4 : end])
        at = end
    return fields


def send(sock: _socket.socket, data: bytes, fds: Sequence[int]) -> None:
    """One packet; OSError when nobody is there, or takes nothing now."""
    rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if fds else []
    sock.sendmsg([data], ancillary, _socket.MSG_NOSIGNAL | _socket.MSG_DONTWAIT)


def receive(sock: _socket.socket, octets: int, most: int) -> tuple[bytes, list[int]]:
    """A packet and the descriptors with it; a packet that was cut is none."""
    data, gifts, flags, _ = sock.recvmsg(octets, _socket.CMSG_SPACE(4 * most), _socket.MSG_CMSG_CLOEXEC)
    fds = [
        int.from_bytes(gift[at : at + 4], sys.byteorder)
        for level, kind, gift in gifts
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for at in range(0, len(gift), 4)
    ]
    return b"" if flags & _socket.MSG_TRUNC else data, fds


def facts(peer: Peer) -> list[bytes]:
    """What is known of a peer."""
    return [_written(getattr(peer, name)) for name in _TOLD]


def peer_of(known: Iterable[bytes]) -> Peer:
    """The peer of such facts."""
    peer = Peer("")
    for name, value in zip(_TOLD, known, strict=True):
        setattr(peer, name, _read(value, type(getattr(peer, name))))
    return peer


def _written(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return b"%d" % value
    text = " ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
    return text.encode("utf-8", "surrogateescape")


def _read(value: bytes, kind: type) -> object:
    text = value.decode("utf-8", "surrogateescape")
    if kind is bytes:
        return value
    if kind is frozenset:
        return frozenset(text.split())
    return kind(int(text)) if kind in (bool, int) else text
