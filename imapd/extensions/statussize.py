"""STATUS=SIZE (RFC 8438) and STATUS DELETED (RFC 9051 §6.3.11)."""

from __future__ import annotations

from imapd.authenticated import STATUS_ATT
from mailcore.store.mailbox import DELETED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox


def _size(box: Mailbox, settings: Settings) -> int:
    """All RFC822.SIZEs together."""
    return sum(map(box.octets, box.uids))


def _deleted(box: Mailbox, settings: Settings) -> int:
    return sum(DELETED in box.flags(uid) for uid in box.uids)


STATUS_ATT |= {"SIZE": _size, "DELETED": _deleted}
