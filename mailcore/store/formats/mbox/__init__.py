"""The mbox format: one file, a "From " line before each message (RFC 4155 calls it the default).

    fromline.py   the separator's grammar: bytes in, date and sender out
    scan.py       one pass over a file: spans, sizes, digests, hidden fields
    block.py      the hidden fields in which flags and UIDs lie in the file
    rewrite.py    pure: what is and what shall be, to a plan
    journal.py    performs a plan so that a crash at any moment loses nothing
    box.py        the Mailbox on top
"""

from __future__ import annotations

from mailcore.store.formats.mbox.box import Box
from mailcore.store.formats.mbox.scan import probe

__all__ = ["Box", "probe"]
