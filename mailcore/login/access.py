"""Who is there, and what they may say in clear.

What lives here: looking at a descriptor (never reading from it) and the rule for passwords
without TLS.  hosts.allow, caps for an address and the PROXY protocol belong here too, before
any greeting; they come later.
"""

from __future__ import annotations

import _socket
import os
from stat import S_ISSOCK

from mailcore.login.accounts import Peer, running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.settings import Settings

_ORIGINS = ("SSH_CLIENT", "SSH_CONNECTION", "SSH2_CLIENT", "KRB5REMOTEADDR")  # set by sshd and its cousins


def is_socket(fd: int) -> bool:
    try:
        return S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def is_listening(fd: int) -> bool:
    """A socket that waits for connections, as inetd's `wait` and systemd's Accept=no hand over."""
    if not is_socket(fd):
        return False
    sock = _socket.socket(fileno=os.dup(fd))
    try:
        return bool(sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN))
    finally:
        sock.close()


def peer_of(fd: int) -> Peer:
    """The other end of a descriptor, as far as the kernel knows it."""
    if not is_socket(fd):
        return Peer("pipe", local=True, user=_user(), origin=_origin())
    sock = _socket.socket(fileno=os.dup(fd))
    try:
        if sock.family == _socket.AF_UNIX:
            return Peer("local", local=True, user=_user(), origin=_origin())
        return _inet_peer(sock)
    finally:
        sock.close()


def _inet_peer(sock: _socket.socket) -> Peer:
    try:
        address, port = sock.getpeername()[:2]
        local_port = sock.getsockname()[1]
    except (OSError, ValueError, IndexError, TypeError):
        return Peer("socket")  # gone already, or of a family we do not know
    address = address.partition("%")[0]
    if address.lower().startswith("::ffff:") and "." in address:
        address = address[7:]
    return Peer("socket", address, port, local_port, local=is_loopback(address))


def is_loopback(address: str) -> bool:
    """127.0.0.0/8 (RFC 1122 §3.2.1.3) or ::1 (RFC 4291 §2.5.3)."""
    return address == "::1" or (address.startswith("127.") and ":" not in address)


def plaintext_allowed(settings: Settings, peer: Peer) -> bool:
    """May a password be said here without hiding it: under TLS, within this machine, or by the settings."""
    return peer.secure or peer.local or not settings.disable_plaintext_auth


def _user() -> str:
    return running().name if os.geteuid() else ""


def _origin() -> str:
    """What sshd tells of a pipe's far end; only a word for the log, so only from our own user's environment."""
    if os.geteuid():
        for name in _ORIGINS:
            value = os.environ.get(name, "")
            if value:
                return f"{name}={value.split()[0]}"
    return ""
