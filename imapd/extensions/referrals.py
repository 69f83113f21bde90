"""LOGIN-REFERRALS and MAILBOX-REFERRALS (RFC 2221, 2193), as UW had them.

Nothing here is anywhere else, so no referral is ever given; clients that say they understand them
say RLIST and RLSUB.
"""

from __future__ import annotations

from imapd import listing
from imapd.authenticated import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session, Talk
    from imapd.syntax import Args


@command("RLIST")
def rlist(session: Session, args: Args) -> Talk:
    """LIST with remote mailboxes, of which there are none (RFC 2193 §5.1)."""
    yield from listing.list_(session, args)


@command("RLSUB")
def rlsub(session: Session, args: Args) -> Talk:
    """LSUB with remote mailboxes, of which there are none (RFC 2193 §5.2)."""
    yield from listing.lsub(session, args)
