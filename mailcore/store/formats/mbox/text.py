"""A message too large to be read in one piece.

What lives here: `FileText`, which looks like bytes to mailcore.message (len, find, slices)
and reads the file when asked.  What does not: locks; its mailbox reads for it and finds the
message again when the file was changed meanwhile.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PIECE_OCTETS = 256 * 1024


class FileText:
    """The header, in memory and without hidden fields, and a body that lies in a file."""

    __slots__ = ("_body", "_header", "_held", "_held_at", "_length")

    def __init__(self, header: bytes, body_octets: int, body: Callable[[int, int], bytes]) -> None:
        self._header = header
        self._length = len(header) + body_octets
        self._body = body  # (offset in the body, octets) → bytes
        self._held = b""  # the last piece read
        self._held_at = 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, span: slice) -> bytes:
        start, end, step = span.indices(self._length)
        if step != 1:
            raise ValueError("a text is cut into whole pieces")
        if end <= len(self._header):
            return self._header[start:end]
        first = max(0, start - len(self._header))
        return self._header[start:] + self._read(first, end - len(self._header))

    def _read(self, start: int, end: int) -> bytes:
        """A span of the body; small ones come from the piece around them."""
        if end <= start:
            return b""
        if end - start > PIECE_OCTETS:
            return self._body(start, end - start)
        if not (self._held_at <= start and end <= self._held_at + len(self._held)):
            octets = min(PIECE_OCTETS, self._length - len(self._header) - start)
            self._held, self._held_at = self._body(start, octets), start
        return self._held[start - self._held_at : end - self._held_at]

    def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:
        """As bytes.find, one piece after another."""
        start, end, _ = slice(start, end).indices(self._length)
        while start < end:
            piece_end = min(end, start + PIECE_OCTETS)
            found = self[start:piece_end].find(sub)
            if found >= 0:
                return start + found
            if piece_end == end:
                break
            start = piece_end - len(sub) + 1
        return -1
