"""Pace: how fast one address may guess, and how often one user may log in by POP3.

Guessing: each wrong password of an address counts, each penalty_forget_seconds that pass without one takes one
away; the answer to a wrong one waits longer the more there are: not at all for the first FREE, then 1, 2,
4, 8 seconds and so on, up to penalty_seconds.  Only wrong answers wait, so a colleague behind the same address is
let in at once; who hangs up early wins nothing, for his connection counts as one of his address until its
wait is over (caps.py).

Logging in: pop3_login_delay_seconds (RFC 2449 §6.5) must be over since the user's last login.
"""

from __future__ import annotations

from time import monotonic

from mailcore.login import ledger
from mailcore.login.access import spared
from mailcore.login.networks import neighbourhood

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.login.accounts import Peer
    from mailcore.settings import Settings

FAILURES, LOGINS = "failures", "logins"  # the ledgers
FREE = 3
MOST = 30  # failures that are counted, so that half an hour of peace is enough


def penalty(settings: Settings, peer: Peer) -> float:
    """Count a wrong password; how many seconds its answer waits on top of login_delay_seconds."""
    if not settings.penalty_seconds or not peer.address or spared(settings, peer):
        return 0.0
    row = ledger.change(
        settings, FAILURES, neighbourhood(peer.address), lambda row: min(_left(settings, row) + 1, MOST)
    )
    return seconds(_left(settings, row) + 1, settings.penalty_seconds)


def seconds(failures: int, most: float) -> float:
    """The wait after so many failures."""
    return min(2.0 ** min(failures - FREE - 1, 30), most) if failures > FREE else 0.0


def _left(settings: Settings, row: ledger.Row) -> int:
    """How many of the failures are not forgotten yet."""
    count, when = row
    return max(0, count - int(max(0.0, monotonic() - when) / max(settings.penalty_forget_seconds, 0.001)))


def too_soon(settings: Settings, user: str) -> bool:
    """Is the last POP3 login of this user less than pop3_login_delay_seconds ago?  If not, this is one."""
    delay = settings.pop3_login_delay_seconds
    if not delay:
        return False


    def early(row: ledger.Row) -> bool:
        return bool(row[0]) and monotonic() - row[1] < delay

    return early(ledger.change(settings, LOGINS, user, lambda row: None if early(row) else 1))
