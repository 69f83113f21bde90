"""Who is there, who may come in, and what they may say in clear.

What lives here: looking at a descriptor (never reading from it), what happens before any greeting
(hosts.allow, the cap of an address), what a front end may say of its client, and the rule for
passwords without TLS.  The work is done by wrappers.py, caps.py and pace.py.
"""

from __future__ import annotations

import _socket
import os
import sys
from stat import S_ISSOCK

from mailcore import log
from mailcore.login import networks
from mailcore.login.accounts import Peer, running
from mailcore.login.channel import Forged, Question, Verdict, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mailcore.settings import Settings

MOST_LENT = 64  # sockets of a super-server
NO_SLOT = -1  # in place of a descriptor that counts a connection (caps.py)
_ORIGINS = ("SSH_CLIENT", "SSH_CONNECTION", "SSH2_CLIENT", "KRB5REMOTEADDR")  # set by sshd and its cousins


def is_socket(fd: int) -> bool:
    try:
        return S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def lent_sockets() -> list[int]:
    """The listening sockets of a super-server: stdin, or those that systemd tells us of (sd_listen_fds(3))."""
    if is_listening(0):
        return [0]
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = os.environ.get("LISTEN_FDS", "")
    lent = min(int(count), MOST_LENT) if count.isdecimal() else 0
    return [fd for fd in range(3, 3 + lent) if is_listening(fd)]


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
            return Peer("local", local=True, user=_user() if _is_ours(sock) else "", origin=_origin())
        return _inet_peer(sock)
    finally:
        sock.close()


def _inet_peer(sock: _socket.socket) -> Peer:
    try:
        address, port = sock.getpeername()[:2]
        local_address, local_port = sock.getsockname()[:2]
    except (OSError, ValueError, IndexError, TypeError):
        return Peer("socket")  # gone already, or of a family we do not know
    address = _plain(address)
    peer = Peer("socket", address, port, local_port, local=is_loopback(address))
    peer.local_address = _plain(local_address)
    return peer


def _plain(address: str) -> str:
    """Without a scope, and IPv4 as IPv4."""
    address = address.partition("%")[0]
    return address[7:] if address.lower().startswith("::ffff:") and "." in address else address


def is_loopback(address: str) -> bool:
    """127.0.0.0/8 (RFC 1122 §3.2.1.3) or ::1 (RFC 4291 §2.5.3)."""
    return address == "::1" or (address.startswith("127.") and ":" not in address)


def spared(settings: Settings, peer: Peer) -> bool:
    """Is the client this machine itself, and not one that a front end here speaks for?"""
    return settings.spare_local and is_loopback(peer.address)


def plaintext_allowed(settings: Settings, peer: Peer) -> bool:
    """May a password be said here without hiding it: under TLS (a trusted proxy's too), within this machine, or
    by the settings."""
    return peer.secure or peer.local or peer.offloaded or not settings.disable_plaintext_auth


# --- before the greeting -------------------------------------------------------------------


class TurnedAway(Exception):
    """This client may not come in; `text` is what it hears, "" is nothing at all."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text


def check(settings: Settings) -> None:
    """BadSetting if a network is written wrongly: better heard at the start than by the first client."""
    for name in ("proxy_networks", "trusted_networks"):
        networks.parse(name, getattr(settings, name))


class NameWanted(Exception):
    """A rule asks for a host name, which may take long to find."""


def receive(service: Any, settings: Settings, peer: Peer, patient: bool = True) -> int:
    """May this client hear our greeting?  TurnedAway if not.  Asked again when a front end names its client.

    Returns the descriptor that counts it (caps.py), or NO_SLOT.  Who is not `patient` gets NameWanted.
    """
    if peer.kind != "socket":
        return NO_SLOT
    _ask_wrappers(service, settings, peer, patient)
    if not settings.address_sessions or not peer.address or spared(settings, peer):
        return NO_SLOT
    if is_proxy(settings, peer) or is_trusted(settings, peer) or _speaks_for_itself(settings, peer):
        return NO_SLOT  # a front end has as many connections as it has clients
    from mailcore.login import caps

    try:
        return caps.take(settings, f"address {networks.neighbourhood(peer.address)}", settings.address_sessions)
    except caps.Full:
        _log_in_time(service)
        log.warning(f"too many connections from {peer.address}")
        raise TurnedAway("Too many connections from your address") from None


def _ask_wrappers(service: Any, settings: Settings, peer: Peer, patient: bool) -> None:
    """hosts.allow and hosts.deny; without them this is two stats."""
    paths = (settings.hosts_allow, settings.hosts_deny)
    if not any(os.path.lexists(path) for path in paths if path):
        return
    import sys

    from mailcore.login import names, wrappers

    _log_in_time(service)

    def name_of(address: str) -> str:
        if not patient:
            raise NameWanted
        return names.of(address, settings)

    client, server = (
        wrappers.Host(address, name_of)
        for address in (peer.address, peer.local_address)
    )
    daemons = tuple(dict.fromkeys((os.path.basename(sys.argv[0] or service.program), service.program)))
    request = wrappers.Request(daemons, client, server)
    if not wrappers.permits(*paths, request):
        known = f"{log.clean(client.known_name)} ({client.address})" if client.known_name else client.address
        log.at(request.severity, f"refused connect from {known}")
        raise TurnedAway


def _log_in_time(service: Any) -> None:
    log.open_log(service.program)


# --- front ends ----------------------------------------------------------------------------


def is_proxy(settings: Settings, peer: Peer) -> bool:
    """May a PROXY header come on this connection, and has none come yet?"""
    return _within(settings, "proxy_networks", peer) and not peer.via and not peer.greeted


def is_trusted(settings: Settings, peer: Peer) -> bool:
    """May this client say by ID or XCLIENT whom it speaks for?  Once."""
    return _within(settings, "trusted_networks", peer) and not {"ID", "XCLIENT"}.intersection(peer.via.split())


def _speaks_for_itself(settings: Settings, peer: Peer) -> bool:
    """A proxy that sent a header without an address: a health check."""
    return peer.via == f"PROXY {peer.address}"


def _within(settings: Settings, name: str, peer: Peer) -> bool:
    text = getattr(settings, name)
    return bool(text) and peer.kind == "socket" and networks.contain(networks.parse(name, text), peer.address)


def forwarded(by: str, address: str, port: int, secure: bool = False, session: str = "") -> Question:
    """What the gatekeeper asks the monitor to believe."""
    words = (address, str(port), str(int(secure)), by, session)
    return Question("forwarded", tuple(word.encode("ascii") for word in words))


def believe(settings: Settings, peer: Peer, fields: list[bytes]) -> None:
    """The monitor's side: only from whom the settings trust, and only what is an address; Forged."""
    address, _, secure, by, session = (field.decode("ascii", "replace") for field in fields)
    trusted = {"PROXY": is_proxy, "ID": is_trusted, "XCLIENT": is_trusted}.get(by)
    if trusted is None or not trusted(settings, peer) or secure not in ("0", "1"):
        raise Forged("gatekeeper: a client that nobody may name")
    packed = networks.pack(address)
    if packed is None and (address or by != "PROXY"):
        raise Forged("gatekeeper: a client without an address")
    apply(peer, by, networks.written(packed) if packed else "", number(fields[1], 65535), secure == "1")
    log.debug(f"connection from {peer.address} via {peer.via} session={log.clean(session) or '-'}")


def apply(peer: Peer, by: str, address: str, port: int, secure: bool = False) -> None:
    """From now on the client is where the front end says.

    A proxy passes on what the client said, so its own place tells nothing of who listened on the
    way; a webmail that logs in itself has kept the password to itself so far.
    """
    peer.comes_from(address, port, by)
    if by == "PROXY":
        peer.local = False
        peer.offloaded = secure


# --- after the password --------------------------------------------------------------------


def crowd(service: Any, settings: Settings, user: str) -> Verdict | int:
    """Why this user, whose password was right, cannot come in now; if he can, the descriptor that counts him."""
    from mailcore.login import caps, pace

    if service.name == "poppassd":
        return NO_SLOT  # whoever changes his password gets no session
    try:
        slot = caps.take(settings, f"user {user}", settings.user_sessions)
    except caps.Full:
        return Verdict(False, code="SESSIONS", text="Too many sessions of this user")
    if service.name == "pop3" and pace.too_soon(settings, user):
        if slot != NO_SLOT:
            os.close(slot)
        seconds = settings.pop3_login_delay_seconds
        return Verdict(False, code="LOGIN-DELAY", text=f"Logins must be {seconds} seconds apart")
    return slot


def _is_ours(sock: _socket.socket) -> bool:
    """The other end is this user's, or root's (unix(7), SO_PEERCRED)."""
    credentials = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)  # pid, uid, gid
    return int.from_bytes(credentials[4:8], sys.byteorder) in (0, os.geteuid())


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
