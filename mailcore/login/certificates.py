"""What is known of TLS without loading any of it: which port speaks it, and where the certificate lies.

What lives here: stat(2) and services(5), cheap enough for every greeting.  What does not:
reading a key (tls.py).

The files are UW's: `imapd-ADDRESS.pem` for the address that was called, else `imapd.pem` (and
ipop3d the same), in the first directory that has one of them.  `imapd-NAME.pem` is for clients
that ask for NAME (SNI), `imapd-rsa.pem` or `imapd-ecdsa.pem` a second certificate for clients
that cannot use the kind of key of the first.  The key is in the file of the same name in
`private/` or `../private/`, else in the certificate's own.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mailcore.login.accounts import Peer
    from mailcore.settings import Settings

DIRECTORIES = ("/etc/ssl/certs", "/etc/pki/tls/certs", "/usr/share/ssl/certs", "/usr/local/certs")
PORTS = {"imap": (143, 993, ("imaps", "simap")), "pop3": (110, 995, ("pop3s", "spop3"))}  # clear, TLS, its names
_numbers: dict[str, int] = {}  # of names in services(5)
KINDS = ("rsa", "ecdsa")  # of a second certificate


def at_once(service: Any, settings: Settings, port: int) -> bool:
    """TLS from the first octet: by settings, by the port's name in services(5), or by our own name (UW)."""
    if service.name not in PORTS:
        return False
    if settings.tls or str(port) in settings.tls_ports.split():
        return True
    clear, sealed, names = PORTS[service.name]
    if port == clear:
        return False
    if port == sealed or (port and any(_number(name) == port for name in names)):
        return True
    return os.path.basename(sys.argv[0]).startswith("s")


def _number(name: str) -> int:
    """The port of a name in services(5), which is read once; 0 if there is none."""
    if name not in _numbers:
        import _socket

        try:
            _numbers[name] = _socket.getservbyname(name, "tcp")
        except OSError:
            _numbers[name] = 0
    return _numbers[name]


def offered(service: Any, settings: Settings, peer: Peer) -> bool:
    """STARTTLS would work: there is a certificate, and a socket to use it on."""
    return service.name in PORTS and peer.kind != "pipe" and bool(find(service.program, settings, peer.local_address))


def find(program: str, settings: Settings, address: str = "") -> str:
    """The certificate file for the address that was called; "" if there is none."""
    return next((path for path in candidates(program, settings, address) if os.access(path, os.R_OK)), "")


def candidates(program: str, settings: Settings, address: str = "") -> list[str]:
    """Where `find` looks, in this order."""
    if settings.tls_certificate:
        return [settings.tls_certificate]
    names = [f"{program}-{address}.pem"] * bool(address) + [f"{program}.pem"]
    return [f"{directory}/{name}" for directory in directories(settings) for name in names]


def directories(settings: Settings) -> tuple[str, ...]:
    return (settings.tls_directory,) if settings.tls_directory else DIRECTORIES


def key_of(certificate: str, settings: Settings) -> str:
    """The file that holds the private key of a certificate file."""
    if settings.tls_key and certificate == settings.tls_certificate:
        return str(settings.tls_key)
    directory, name = os.path.split(certificate)
    for path in (f"{directory}/private/{name}", f"{os.path.dirname(directory)}/private/{name}"):
        if os.path.exists(path):
            return path
    return certificate


def others(program: str, certificate: str, limit: int) -> dict[str, str]:
    """`PROGRAM-NAME.pem` beside the certificate, by NAME (a host name, an address or one of KINDS)."""
    found = {}
    directory = os.path.dirname(certificate)
    with os.scandir(directory) as entries:
        for entry in entries:
            name = entry.name.removeprefix(f"{program}-").removesuffix(".pem")
            if len(name) + len(program) + 5 == len(entry.name) and is_name(name):
                found[name.lower()] = f"{directory}/{entry.name}"
            if len(found) >= limit:
                break
    return found


def is_name(name: str) -> bool:
    """Letters, digits, dots, hyphens and colons: a host name or an address, never a path."""
    return 0 < len(name) < 256 and name.isascii() and all(letter.isalnum() or letter in ".-:" for letter in name)
