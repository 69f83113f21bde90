"""UIDONLY (RFC 9586): after ENABLE UIDONLY no message has a number, only a UID.

What numbers would be in is refused where they are read (selected.by_number, search.query); UIDFETCH and
VANISHED are told by fetch.py and news.py.
"""

from __future__ import annotations

from imapd.extensions.enable import ENABLE

ENABLE.add("UIDONLY")
