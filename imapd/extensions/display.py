"""SORT=DISPLAY (RFC 5957): sort by the names that clients show of senders and recipients."""

from __future__ import annotations

from imapd.extensions.sort import SORT_KEY, SortKey
from mailcore.message import sortkeys

SORT_KEY["DISPLAYFROM"] = SortKey(lambda order, uid, header: sortkeys.display(header, b"From"))
SORT_KEY["DISPLAYTO"] = SortKey(lambda order, uid, header: sortkeys.display(header, b"To"))
