"""Who a client is and where it comes from.

What lives here: `Account` (a user who may own a session) and `Peer` (the other end), and the
accounts of the system's user data base.  What does not: passwords (passwords.py, pam.py) and
finding out who the peer is (access.py).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd


class Account:
    """A user as a session needs one; `location` "" is settings.mail_location."""

    __slots__ = ("name", "uid", "gid", "home", "location")

    def __init__(self, name: str, uid: int = -1, gid: int = -1, home: str = "", location: str = "") -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.home = home
        self.location = location


class Peer:
    """The other end of the conversation.

    kind     "socket" (TCP), "local" (a UNIX socket) or "pipe" (a pipe, a file, a terminal)
    address  the client's IP address, "" when there is none
    local_address  the address that it called, "" when there is none
    local    nothing said here passes a network
    secure   under TLS (the monitor's word: it started a gatekeeper that speaks nothing else)
    starttls there is a certificate and no TLS yet
    greeted  has heard our greeting in clear: from a listener, or before it said STARTTLS
    user     the ordinary user who started us for himself on a pipe or UNIX socket, else ""
    bindings    channel bindings of the TLS connection by their names (RFC 5056), {} in clear
    via         who told us the address, when the kernel did not: "PROXY 10.0.0.1"
    offloaded   the client's TLS ended at a proxy that we trust
    certificate the client's certificate (DER) that our authorities vouch for, b"" if there is none
    sources     what this host can verify him by, beside passwords (sources.py)
    stamp       what APOP's digest is made of, said in the greeting; b"" without APOP
    """

    __slots__ = (
        "kind", "address", "port", "local_port", "local", "secure", "user", "origin",
        "bindings", "certificate", "local_address", "starttls", "greeted", "via", "offloaded", "sources", "stamp",
    )  # fmt: skip

    def __init__(
        self,
        kind: str,
        address: str = "",
        port: int = 0,
        local_port: int = 0,
        local: bool = False,
        secure: bool = False,
        user: str = "",
        origin: str = "",
    ) -> None:
        self.kind = kind
        self.address = address
        self.port = port
        self.local_port = local_port
        self.local = local
        self.secure = secure
        self.user = user
        self.origin = origin  # what ssh says of a pipe's far end, for the log
        self.bindings: dict[str, bytes] = {}
        self.certificate = b""
        self.sources: frozenset[str] = frozenset()
        self.stamp = b""
        self.local_address = ""  # our own end's
        self.starttls = False
        self.greeted = False
        self.via = ""
        self.offloaded = False

    def comes_from(self, address: str, port: int, by: str) -> None:
        """Take the word of `by` (PROXY, ID or XCLIENT) for where the client is."""
        self.via = f"{self.via} {by} {self.address}".lstrip()
        if address:
            self.address, self.port = address, port

    @property
    def host(self) -> str:
        """The host field of a log line: `[ADDRESS]` as UW writes it and fail2ban reads it."""
        if self.address:
            return f"[{self.address}]"
        return self.origin or "UNKNOWN"


def named(name: str) -> Account | None:
    """The system's account of that name; with capitals also in lower case, as UW did."""
    import pwd

    for spelling in dict.fromkeys((name, name.lower())):
        try:
            return _account(pwd.getpwnam(spelling))
        except (KeyError, ValueError, UnicodeError):
            continue
    return None


def running() -> Account:
    """Whoever runs this process; a HOME that is a directory counts more than the data base (UW)."""
    import pwd

    uid = os.getuid()
    try:
        account = _account(pwd.getpwuid(uid))
    except KeyError:
        account = Account(str(uid), uid, os.getgid(), "/")
    home = os.environ.get("HOME", "")
    if os.path.isabs(home) and os.path.isdir(home):
        account.home = home
    return account


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)
