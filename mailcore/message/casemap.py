"""i;unicode-casemap: the form in which two texts are the same whatever their case (RFC 5051).

What lives here: the mapping of letters.  What does not: decoding (decode.py).

Each letter becomes the one it has in a title, and falls apart into what it is made of (§2).  Where
Unicode's title case is a single letter the RFC means that one: `ß` stays what it is, as in UW.
Syllables of Hangul stay whole (UnicodeData names no parts of them), so that one is not found in another.
"""

from __future__ import annotations

import re
from unicodedata import normalize

LETTERS_KEPT = 10_000  # no language uses more; who sends all of Unicode pays each time


class _Letters(dict[int, str]):
    """What each letter becomes, found when it is first met."""

    def __missing__(self, code: int) -> str:
        if len(self) >= LETTERS_KEPT:
            self.clear()
        self[code] = found = _letter(chr(code))
        return found


def _letter(letter: str) -> str:
    title = letter.title()
    if len(title) != 1:
        title = letter
    return title if "\uac00" <= title <= "\ud7a3" else normalize("NFKD", title)


_letters = _Letters()
_UPPER = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_FOREIGN = re.compile(rb"[\x80-\xff]++(?:[\x00-\x7f]{1,8}[\x80-\xff]++)*+")  # in UTF-8, with what ASCII is between


def casemap(text: str) -> str:
    """`text` as it is compared; texts in this form sort as their UTF-8 does.

    Most text is ASCII with a few letters that are not: only those are looked at one by one.
    """
    if text.isascii():
        return text.upper()
    octets = text.encode("utf-8", "surrogatepass").translate(_UPPER)
    return _FOREIGN.sub(_mapped, octets).decode("utf-8", "surrogatepass")


def _mapped(found: re.Match[bytes]) -> bytes:
    return found[0].decode("utf-8", "surrogatepass").translate(_letters).encode("utf-8", "surrogatepass")
