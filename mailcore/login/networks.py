"""Addresses and networks, as settings and hosts.allow write them.

An address is packed to 4 octets (IPv4) or 16 (IPv6); a network is a packed address and a mask.
(ipaddress of the standard library costs more than the whole greeting.)
"""

from __future__ import annotations

import _socket

from mailcore.errors import BadSetting

TYPE_CHECKING = False
if TYPE_CHECKING:
    Network = tuple[bytes, int]


def pack(address: str) -> bytes | None:
    """An address in octets, an IPv4 one in IPv6's clothes as IPv4; None if it is none."""
    try:
        if ":" not in address:
            return _socket.inet_pton(_socket.AF_INET, address)
        packed = _socket.inet_pton(_socket.AF_INET6, address)
    except (OSError, ValueError):
        return None
    return packed[12:] if packed[:12] == bytes(10) + b"\xff\xff" else packed


def written(packed: bytes) -> str:
    """The address of 4 or 16 octets as text."""
    return _socket.inet_ntop(_socket.AF_INET if len(packed) == 4 else _socket.AF_INET6, packed)


def bits(mask: str, octets: int) -> int | None:
    """A mask, written as a length or (IPv4) as an address, for addresses of so many octets; None if it is none."""
    whole = octets * 8
    if mask.isascii() and mask.isdigit() and len(mask) <= 3 and int(mask) <= whole:
        return ((1 << int(mask)) - 1) << (whole - int(mask))
    packed = pack(mask) if octets == 4 else None
    return int.from_bytes(packed, "big") if packed is not None and len(packed) == 4 else None


def parse(name: str, text: str) -> list[Network]:
    """The networks in a setting (`10.0.0.0/8 192.0.2.7 fd00::/8`, blanks or commas between); BadSetting."""
    networks = []
    for word in text.replace(",", " ").split():
        net, slash, length = word.partition("/")
        packed = pack(net.removeprefix("[").removesuffix("]"))
        mask = bits(length if slash else str(len(packed) * 8), len(packed)) if packed is not None else None
        if packed is None or mask is None:
            raise BadSetting(f"{name}: {word} is no network")
        if int.from_bytes(packed, "big") & ~mask:
            raise BadSetting(f"{name}: {word} has bits beyond its mask")
        networks.append((packed, mask))
    return networks


def contain(networks: list[Network], address: str) -> bool:
    """Is the address in one of them?"""
    packed = pack(address)
    if packed is None:
        return False
    number = int.from_bytes(packed, "big")
    return any(len(net) == len(packed) and number & mask == int.from_bytes(net, "big") for net, mask in networks)


def neighbourhood(address: str) -> str:
    """Whom an address counts as: itself, or with IPv6 its /64, which is what one customer has."""
    packed = pack(address)
    if packed is None:
        return address
    return written(packed) if len(packed) == 4 else f"{written(packed[:8] + bytes(8))}/64"
