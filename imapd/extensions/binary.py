"""BINARY (RFC 3516): parts without their transfer encoding, and how large they are then.

What has a NUL goes out as literal8.  Messages with NULs are not taken in, see incoming.py.
"""

from __future__ import annotations

from imapd.fetch import FETCH_ATT, Item, Section, partly
from imapd.responses import Literal, Literal8
from imapd.sequence import DIGITS
from mailcore.errors import Refusal
from mailcore.message import crlf, decode, mime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from imapd.fetch import Partial, Span
    from imapd.message import Message
    from imapd.responses import Data
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox

KNOWN = (b"7BIT", b"8BIT", b"BINARY", b"QUOTED-PRINTABLE", b"BASE64")


class Content:
    """A part, decoded: in one piece where it is small, else made anew each time it is asked for."""

    __slots__ = ("_data", "_encoding", "_span", "binary", "octets")

    def __init__(self, span: Span, encoding: bytes, held_octets: int) -> None:
        self._span = span
        self._encoding = encoding
        self._data: bytes | None = None
        if span[2] - span[1] <= held_octets:
            self._data = b"".join(self.chunks())
        self.octets = 0
        self.binary = False
        for chunk in self.chunks():
            self.octets += len(chunk)
            self.binary = self.binary or b"\0" in chunk

    def chunks(self) -> Iterator[bytes]:
        if self._data is not None:
            return iter((self._data,))
        return decode.transferred(crlf.chunks(*self._span), self._encoding)

    def told(self, partial: Partial | None) -> Data:
        """All of it or a part, as FETCH tells it."""
        start = min(partial.offset, self.octets) if partial else 0
        octets = min(partial.octets, self.octets - start) if partial else self.octets
        if not self.binary and self._data is not None:
            return self._data[start : start + octets]
        return (Literal8 if self.binary else Literal)(octets, _cut(self.chunks(), start, octets))


def _cut(chunks: Iterator[bytes], skip: int, octets: int) -> Iterator[bytes]:
    for chunk in chunks:
        piece = chunk[skip : skip + octets]
        skip = max(skip - len(chunk), 0)
        octets -= len(piece)
        if piece:
            yield piece
        if not octets:
            return


# The part decoded last: a client that fetches it piece by piece asks for it again and again.
_last: tuple[Mailbox, int, list[int], Content] | None = None


def content(message: Message, section: Section) -> Content | None:
    """The part that a section names; None if there is none (RFC 3516 §4.2: else [UNKNOWN-CTE])."""
    global _last
    if _last is not None and _last[:3] == (message.box, message.uid, section.numbers):
        message.box.flags(message.uid)  # raises Expunged
        return _last[3]
    span = section.span(message)
    if span is None:
        return None
    _last = None  # one is held, not two
    made = Content(span, _encoding(message, section), message.settings.text_octets)
    _last = message.box, message.uid, section.numbers, made
    return made


def _encoding(message: Message, section: Section) -> bytes:
    part = mime.part(message.structure, section.numbers) if section.numbers else None
    if part is None or part.parts:
        return b"BINARY"  # a whole message, or a multipart: only what is inside is encoded
    if part.encoding not in KNOWN:
        raise Refusal("The encoding of that part is not known here", "UNKNOWN-CTE")
    return part.encoding


# --- grammar (RFC 3516 §7) -----------------------------------------------------------


def _section(args: Args) -> Section:
    """section-binary."""
    numbers: list[int] = []
    args.need(b"[")
    while any(map(args.peek, DIGITS)):
        numbers.append(args.nz_number())
        if not args.skip(b"."):
            break
    args.need(b"]")
    return Section(numbers)


def _binary(args: Args, sees: bool) -> Item:
    section = _section(args)
    partial = partly(args)

    def value(message: Message) -> Data:
        found = content(message, section)
        return None if found is None else found.told(partial)

    return Item(b"BINARY[%b]%b" % (section.label(), partial.label() if partial else b""), value, sees=sees)


def _size(args: Args) -> Item:
    section = _section(args)

    def value(message: Message) -> int:
        found = content(message, section)
        return 0 if found is None else found.octets

    return Item(b"BINARY.SIZE[%b]" % section.label(), value)


FETCH_ATT |= {
    "BINARY": lambda args: _binary(args, sees=True),
    "BINARY.PEEK": lambda args: _binary(args, sees=False),
    "BINARY.SIZE": _size,
}
