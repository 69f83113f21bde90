"""The mbox format: one file, a "From " line before each message (RFC 4155 calls it the default).

    fromline.py   the separator's grammar: bytes in, date and sender out
    scan.py       one pass over a file: spans, sizes, digests, hidden fields
    block.py      the hidden fields in which flags and UIDs lie in the file
    survey.py     what of it may be read while others wait for the lock
    ending.py     what can be done with the last rows of a record
    rewrite.py    pure: what is and what shall be, to a plan
    journal.py    performs a plan so that a crash at any moment loses nothing
    torn.py       what a crash of the machine left of other programs' mail
    followed.py   the record of a file, kept true; messages.py what is asked of its messages
    box.py        the Mailbox on top: the changes
"""

from __future__ import annotations

from mailcore.errors import ReadOnly
from mailcore.store.formats.mbox.box import Box
from mailcore.store.formats.mbox.mailfile import MailFile
from mailcore.store.formats.mbox.scan import probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.settings import Settings

__all__ = ["Box", "held", "probe"]


class held:  # noqa: N801  said as a verb
    """All locks of a mailbox, for who removes or renames its file; no change of it is left half done."""

    __slots__ = ("_file",)

    def __init__(self, path: str, settings: Settings, home: str) -> None:
        self._file = MailFile(path, settings, True, home)

    def __enter__(self) -> None:
        try:
            self._file.lock(True)
        except ReadOnly:
            pass  # its owner forbade writing, not removing
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        self._file.unlock()
        self._file.close()
