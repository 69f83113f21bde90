"""How a message that comes in is laid down in an mbox.

What lives here: line ends, quoting, and our block in its header.  What does not: writing it
(journal.py does, from `chunks`).

CRLF becomes LF.  A line that starts with "From " gets a ">" before it (uw-behaviour 6.7), so
that no program takes it for a separator.  Hidden fields that the message brings along become
X-Original-….  A message without the empty line after its header gets one.  Everything else,
NUL and bare CR too, stays as it came.
"""

from __future__ import annotations

from mailcore.store.formats.mbox import block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailcore.store.mailbox import Incoming

_PIECE = 5  # a line end and "From" may end one chunk, the blank start the next


class Stored:
    """A message between its separator line and the empty line after it, both with it."""

    __slots__ = ("block", "message", "separator")

    def __init__(self, message: Incoming, separator: bytes, hidden: bytes) -> None:
        self.message = message
        self.separator = separator
        self.block = hidden

    def chunks(self) -> Iterator[bytes]:
        """What goes into the file."""
        yield self.separator
        pieces = _lines(self.message.chunks())
        if not self.message.verbatim:
            pieces = _quoted(pieces)
        last = b"\n"
        for piece in self._with_block(pieces):
            if piece:
                last = piece[-1:]
                yield piece
        yield b"\n" if last == b"\n" else b"\n\n"

    def __repr__(self) -> str:
        return f"<message {self.separator!r} {self.block!r}>"

    def _with_block(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The header is looked at in one piece, the body goes through."""
        held = b"\n"
        end = -1
        for piece in pieces:
            held += piece
            end = held.find(b"\n\n", max(0, len(held) - len(piece) - 1), block.PLACE_OCTETS)
            if end >= 0 or len(held) > block.PLACE_OCTETS:
                break
        head, rest = (held[: end + 1], held[end + 1 :]) if end >= 0 else (held, b"")
        if end < 0 and len(held) > block.PLACE_OCTETS:
            yield self.block + self._own(held)[1:]  # no header of anybody's: ours goes first
        else:
            if not head.endswith(b"\n"):
                head += b"\n"
            yield self._own(head)[1:] + self.block + (rest or b"\n")
        yield from pieces

    def _own(self, head: bytes) -> bytes:
        if self.message.verbatim:
            return block.strip(head)
        return block.HIDDEN.sub(rb"\nX-Original-\1:\2", head)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """With LF for CRLF, also where a chunk ends between the two."""
    held = b""
    for chunk in chunks:
        data = held + chunk
        held = b"\r" if data.endswith(b"\r") else b""
        yield (data[:-1] if held else data).replace(b"\r\n", b"\n")
    yield held


def _quoted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """With ">" before each line that starts with "From "."""
    held = b"\n"  # as if a line had ended before the first
    first = True
    for chunk in chunks:
        data = held + chunk
        keep = 0
        for count in range(1, min(_PIECE, len(data)) + 1):
            if b"\nFrom".startswith(data[-count:]):
                keep = count
        out, held = (data[:-keep], data[-keep:]) if keep else (data, b"")
        out = out.replace(b"\nFrom ", b"\n>From ")
        if first and out:
            out, first = out[1:], False
        yield out
    yield held[1:] if first else held
