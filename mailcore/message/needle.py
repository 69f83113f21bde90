"""A string that is looked for in messages (RFC 3501 §6.4.4).

What lives here: the string in the forms in which it is compared, and whether it is in a field or in
text.  What does not: which fields and which parts are looked into (imapd/criteria.py).

A string matches as UW's did: as a part of the text, both decoded and without regard to case
(casemap.py).  White space is as good as a blank: a tab, a fold of a header, the end of a line.  The
octets as they lie in the file are looked at first; decoding is for what that cannot decide.
"""

from __future__ import annotations

from mailcore.message import decode
from mailcore.message.casemap import casemap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SUPERSETS = (b"us-ascii", b"utf-8", b"iso-8859-", b"windows-125", b"koi8-")  # octets below 128 are ASCII there

_UPPER = bytes.maketrans(b"\t\nabcdefghijklmnopqrstuvwxyz", b"  ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Needle:
    """A string to look for: folded, and as octets if it is all ASCII.

    `probe` is its longest word: text without it need not be looked at again.  `parts` are the needles
    that all must be somewhere in a message in which this one is.
    """

    __slots__ = ("_line", "folded", "octets", "parts", "probe")

    def __init__(self, string: bytes, charset: str = "") -> None:
        self.folded = _folded(decode.charset(string, charset or "utf-8"))
        self.octets = self.folded.encode() if self.folded.isascii() else None
        self.probe = max((self.octets or b"").split(), key=len, default=b"")
        self.parts: tuple[Needle, ...] = (self,)
        self._line = _utf8(self.folded) or b"\n"  # a line end is in each

    def in_field(self, value: bytes) -> bool:
        """Is it in a header field, or in a whole header (RFC 2047 words decoded)?"""
        value = unfolded(value)
        if b"=?" not in value and value.isascii():
            return self.octets is not None and self.octets in capitals(value)
        lines = value.split(b"\n")
        encoded = [line for line in lines if b"=?" in line or not line.isascii()]
        if self.folded in _folded(decode.words(b"\n".join(encoded))):
            return True
        if self.octets is None or len(encoded) == len(lines):
            return False
        return self.octets in capitals(b"\n".join([line for line in lines if b"=?" not in line and line.isascii()]))

    def among(self, uids: Sequence[int], lines_of: dict[int, bytes]) -> list[int]:
        """Those of these that have it in one of their lines, which `stored` made."""
        line = self._line
        return [uid for uid in uids if line in lines_of[uid]]

    def absent(self, header: bytes) -> bool:
        """True where one look at all of a header tells that the string is in none of its fields."""
        if self.octets is None or not header.isascii() or b"=?" in header:
            return False
        return self.probe not in capitals(header)

    def in_text(self, data: bytes, charset: bytes) -> bool:
        """Is it in text of this charset?"""
        if self.octets is not None and superset(charset):
            if self.octets in plain(data):
                return True
            if data.isascii():
                return False
        return self.folded in _folded(decode.charset(data, charset.decode("ascii", "replace")))


# --- text to look into -----------------------------------------------------------------


def stored(value: bytes) -> bytes:
    """A header field as a line that has each string which `in_field` finds there, and its line end."""
    value = unfolded(value)
    if b"=?" not in value and value.isascii():
        return capitals(value) + b"\n"
    return _utf8(_folded(decode.words(value))) + b"\n"


def field_text(value: bytes) -> str:
    """A header field, or a whole header, as text that has each string which `in_field` finds there."""
    value = unfolded(value)
    if b"=?" not in value and value.isascii():
        return capitals(value).decode()
    lines = value.split(b"\n")
    encoded = [line for line in lines if b"=?" in line or not line.isascii()]
    plain_ones = [line for line in lines if b"=?" not in line and line.isascii()]
    return _folded(decode.words(b"\n".join(encoded))) + "\0" + capitals(b"\n".join(plain_ones)).decode()


def part_text(data: bytes, charset: bytes) -> str:
    """The same for `in_text`."""
    if data.isascii() and superset(charset):
        return plain(data).decode()
    return _folded(decode.charset(data, charset.decode("ascii", "replace")))


def capitals(data: bytes) -> bytes:
    """ASCII text in capitals; white space is a blank."""
    return data.translate(_UPPER)


def plain(data: bytes) -> bytes:
    """ASCII text in capitals, its lines joined by single blanks (RFC 3676 leaves one before the line end)."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if b" \n" in data:
        data = data.replace(b" \n", b"\n")
    return capitals(data)


def _folded(text: str) -> str:
    """The same of any text, in the form in which it is compared."""
    for line_end in ("\r\n", " \n", "\n", "\t"):
        if line_end in text:
            text = text.replace(line_end, "\n" if len(line_end) > 1 else " ")
    return casemap(text)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def unfolded(text: bytes) -> bytes:
    """Fields on one line each (RFC 5322 §2.2.3)."""
    return text.replace(b"\r\n", b"\n").replace(b"\n ", b" ").replace(b"\n\t", b" ") if b"\n" in text else text


def superset(charset: bytes) -> bool:
    """Is ASCII itself in this charset, and nothing else in the octets of ASCII?"""
    return not charset or charset.lower().startswith(SUPERSETS)
