"""IMAP4rev2 (RFC 9051): what it has that no extension here brings, and the name to ENABLE.

A session that has enabled it hears no RECENT, no \\Recent and no UNSEEN code, gets ESEARCH for SEARCH,
CLOSED and LIST from SELECT, and names in UTF-8: Session.rev2 is asked where that is said.
What is deprecated (CHECK, LSUB, RFC822, SEARCH NEW ...) goes on working.
"""

from __future__ import annotations

from imapd.authenticated import STATUS_ATT
from imapd.extensions.enable import ENABLE
from mailcore.store.mailbox import DELETED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.store.mailbox import Mailbox


def _deleted(box: Mailbox) -> int:
    return sum(DELETED in flags for flags in map(box.flags, box.uids))


ENABLE.add("IMAP4REV2")
STATUS_ATT["SIZE"] = lambda box: sum(map(box.octets, box.uids))  # RFC 9051 §6.3.11, RFC 8438
STATUS_ATT["DELETED"] = _deleted
