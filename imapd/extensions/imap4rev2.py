"""IMAP4rev2 (RFC 9051): what it has that no extension here brings, and the name to ENABLE.

A session that has enabled it hears no RECENT, no \\Recent and no UNSEEN code, gets ESEARCH for SEARCH,
CLOSED and LIST from SELECT, and names in UTF-8: Session.rev2 is asked where that is said.
What is deprecated (CHECK, LSUB, RFC822, SEARCH NEW ...) goes on working.
"""

from __future__ import annotations

from imapd.extensions.enable import ENABLE

ENABLE.add("IMAP4REV2")
