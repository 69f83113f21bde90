"""SORT=DISPLAY (RFC 5957): sort by the names that clients show of senders and recipients."""

from __future__ import annotations

from imapd.extensions.sort import SORT_KEY, TextKey, written
from mailcore.message import sortkeys

SORT_KEY["DISPLAYFROM"] = TextKey("displayfrom", lambda header: written(sortkeys.display(header, b"From")))
SORT_KEY["DISPLAYTO"] = TextKey("displayto", lambda header: written(sortkeys.display(header, b"To")))
