"""Addresses to listen on, and the sockets for them."""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BACKLOG = 512


class BadAddress(Exception):
    """Not an address to listen on; the text says why."""


def split(address: str) -> tuple[str, int]:
    """`HOST:PORT`, `[IPV6]:PORT` or `:PORT` (any address)."""
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise BadAddress(f"{address}: HOST:PORT is wanted")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadAddress(f"{address}: an IPv6 address stands in brackets, [{host}]:{port}")
    return host, int(port)


def open_sockets(address: str) -> list[_socket.socket]:
    """A listening socket for each address that HOST has."""
    host, port = split(address)
    try:
        found = _socket.getaddrinfo(host or None, port, 0, _socket.SOCK_STREAM, 0, _socket.AI_PASSIVE)
        socks = [_open_socket(family, where) for family, _, _, _, where in dict.fromkeys(found)]
    except OSError as error:
        raise BadAddress(f"{address}: {error.strerror or error}") from None
    return socks


def _open_socket(family: int, where: Any) -> _socket.socket:
    sock = _socket.socket(family, _socket.SOCK_STREAM, 0)
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    if family == _socket.AF_INET6:
        sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
    sock.bind(where)
    sock.listen(BACKLOG)
    return sock
