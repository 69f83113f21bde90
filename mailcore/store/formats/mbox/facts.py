"""What the index keeps of an mbox beside the columns.

What lives here: `Facts`, to words and back.  What does not: the columns (store/columns.py).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.store.formats.mbox.mailfile import Stamp
    from mailcore.store.formats.mbox.scan import Scan
    from mailcore.store.index import Record

NAMES = (
    "ino", "size", "mtime_ns",  # the file as it was when the columns were made
    "believed",  # 1: a file that looks the same is the same
    "verified",  # 1: every message was looked at, not only the end
    "base_offset", "base_octets",  # X-IMAPbase (or X-IMAP) line that can be changed in place; -1: none
    "base_validity", "base_last", "base_keywords",  # what it says, keywords as a count
    "internal_start", "internal_end",  # span of UW's internal-data message; both 0: none
    "started",  # the start of the machine after which it was looked at for damage (torn.py)
)  # fmt: skip


class Facts:
    """Numbers about the file; the names are above."""

    __slots__ = NAMES

    if TYPE_CHECKING:
        ino: int
        size: int
        mtime_ns: int
        believed: int
        verified: int
        base_offset: int
        base_octets: int
        base_validity: int
        base_last: int
        base_keywords: int
        internal_start: int
        internal_end: int
        started: int

    def __init__(self, words: list[str] | None = None) -> None:
        numbers = [int(word) for word in words] if words and len(words) == len(NAMES) else [0] * len(NAMES)
        for name, number in zip(NAMES, numbers, strict=True):
            setattr(self, name, number)
        if not words:
            self.base_offset = -1

    def words(self) -> list[str]:
        return [str(getattr(self, name)) for name in NAMES]

    @property
    def stamp(self) -> Stamp:
        return self.ino, self.size, self.mtime_ns

    def set_stamp(self, stamp: Stamp, believed: bool) -> None:
        self.ino, self.size, self.mtime_ns = stamp
        self.believed = int(believed)

    def set_base(self, found: Scan, keywords: list[str]) -> None:
        """Take what a scan of the file's start found."""
        self.base_offset, self.base_octets = found.base_offset, found.base_octets
        self.internal_start, self.internal_end = found.internal or (0, 0)
        self.base_validity = self.base_last = self.base_keywords = 0
        if found.base is not None:
            self.base_validity, self.base_last, names = found.base
            same = [name.encode() for name in keywords[: len(names)]] == list(names)
            self.base_keywords = len(names) if same else -1

    def base_is_right(self, record: Record) -> bool:
        """X-IMAPbase in the file says what it should."""
        says = self.base_validity, self.base_last, self.base_keywords
        return says == (record.uid_validity, record.uid_next - 1, len(record.keywords))

    def base_says(self, record: Record) -> None:
        """X-IMAPbase was written for this record."""
        self.base_validity, self.base_last = record.uid_validity, record.uid_next - 1
        self.base_keywords = len(record.keywords)

    def no_base(self) -> None:
        self.base_offset = -1
        self.base_octets = self.base_validity = self.base_last = self.base_keywords = 0
