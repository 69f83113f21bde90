"""Reading a mail file to know what is in it: what may be read while others wait, and what may not.

What lives here: the limits of what is read under a lock, the scan within them, and the look at
each message that is known.  What does not: the scan itself (scan.py), reading without a lock and
what becomes of it (followed.py).
"""

from __future__ import annotations

from mailcore.store import files
from mailcore.store.formats.mbox import block, identity
from mailcore.store.formats.mbox.scan import NEVER, scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.store.formats.mbox.mailfile import MailFile
    from mailcore.store.formats.mbox.scan import Scan
    from mailcore.store.index import Record

BRIEF_OCTETS = 16 * 1024 * 1024  # so much is read while others wait for the lock
BRIEF_MESSAGES = 5000  # so many are looked at


class Later(Exception):
    """This would take too long while others wait for the lock: read it without, then ask again."""


def scanned(file: MailFile, begin: int, end: int, brief: bool, pseudo: bool = True) -> Scan | None:
    """A scan; Later if that is long and the caller must be brief."""
    if brief and end - begin > BRIEF_OCTETS:
        raise Later
    return scan(file.fd, begin, end, pseudo)


def verified(file: MailFile, record: Record, brief: bool = False) -> bool:
    """Does the file have each message where it was, with the flags it had?"""
    columns = record.columns
    if brief and len(columns) > BRIEF_MESSAGES:
        raise Later
    words = identity.Words(record)
    expected: dict[tuple[int, int, int], bytes] = {}
    fd = file.fd
    read = files.read
    with files.Judge("mail file"):
        for uid, start, place, octets, *filed in zip(
            columns.uid, columns.start, columns.block, columns.block_octets, columns.filed, columns.filed_words,
            strict=True,
        ):  # fmt: skip
            if not 0 < octets < NEVER:
                if read(fd, 5, start) != b"From ":
                    return False
                continue
            key = octets, filed[0], filed[1]
            if key not in expected:
                expected[key] = block.write_start(filed[0], words.names(filed[1]), octets) or b""
            ours = expected[key] + block.uid_line(uid) if filed[0] & block.NUMBERED else expected[key]
            if read(fd, len(ours), start + place) != ours:
                return False
    return True
