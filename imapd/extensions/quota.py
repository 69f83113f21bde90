"""QUOTA (RFC 9208): how much mail there is, and how much may be.

Two roots: `mail`, the limit of quota_octets, and `disk`, the file system's own.  They are the
administrator's to set.
"""

from __future__ import annotations

from imapd.authenticated import command
from imapd.responses import Name, Untagged
from mailcore.errors import NoPermission, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session, Talk
    from imapd.syntax import Args

UNIT_OCTETS = 1024  # of STORAGE (RFC 9208 §5.1)


def _told(root: str, used: int, limit: int) -> Untagged:
    return Untagged("QUOTA", Name(root.encode()), ["STORAGE", -(-used // UNIT_OCTETS), limit // UNIT_OCTETS])


@command("GETQUOTA")
def getquota(session: Session, args: Args) -> Talk:
    """One quota root (RFC 9208 §4.1.2)."""
    root = args.space().astring().decode("latin-1")
    args.end()
    roots = session.store.quota.roots()
    if root not in roots:
        raise Refusal("No such quota root", "NONEXISTENT")
    yield _told(root, *roots[root])


@command("GETQUOTAROOT")
def getquotaroot(session: Session, args: Args) -> Talk:
    """The roots of a mailbox (RFC 9208 §4.1.3); a name that is not there yet has those it will have."""
    spelling = args.space().mailbox()
    args.end()
    name = session.store.canonical(spelling)
    roots = {} if session.store.space(name) else session.store.quota.roots()
    yield Untagged("QUOTAROOT", Name(spelling.encode()), *(Name(root.encode()) for root in roots))
    for root, (used, limit) in roots.items():
        yield _told(root, used, limit)


@command("SETQUOTA")
def setquota(session: Session, args: Args) -> None:
    """The administrator's (RFC 9208 §4.1.4; QUOTASET is not announced)."""
    args.space().astring()
    args.space().rest()
    raise NoPermission("Quotas are the administrator's to set")
