"""The formats a mailbox may have, in the order in which they are asked.

What lives here: FORMATS, and nothing else.  A format is a module (or package) with
`probe(path) -> bool` (is the file or directory at `path` one of mine?) and `Box`, a Mailbox
made by `Box(path, name, settings, readonly, inbox, index, user, visiting)`; who is `visiting` only
brings messages (append), and sees none.
"""

from __future__ import annotations

from mailcore.store.formats import mbox

FORMATS = [mbox]
