"""The arguments of a POP3 command (RFC 1939 §3: a keyword, then arguments after single spaces).

What lives here: cutting a line into keyword and arguments, and reading numbers.  A POP3
line has no quoting, so an argument is what stands between two spaces.
"""

from __future__ import annotations

from mailcore.errors import Mistake

NUMBER_DIGITS = 10  # no message number and no line count needs more; int() of more is not free


class Args:
    """What stands after the keyword."""

    __slots__ = ("_left",)

    def __init__(self, text: bytes) -> None:
        self._left = text

    def __bool__(self) -> bool:
        return bool(self._left.strip())

    def word(self, missing: str) -> bytes:
        """The next argument; `missing` is the complaint when there is none."""
        word, _, self._left = self._left.lstrip(b" ").partition(b" ")
        if not word:
            raise Mistake(missing)
        return word

    def number(self, missing: str) -> int:
        """The next argument as a number, `missing` also when it is none."""
        word = self.word(missing)
        if not word.isdigit() or len(word) > NUMBER_DIGITS:
            raise Mistake(missing)
        return int(word)

    def rest(self, missing: str) -> bytes:
        """All that is left, spaces and all: a password may have them (RFC 1939 §7 PASS)."""
        rest, self._left = self._left, b""
        if not rest:
            raise Mistake(missing)
        return rest

    def end(self) -> None:
        """No more arguments."""
        if self:
            raise Mistake("Too many arguments")


def cut(line: bytes) -> tuple[str, Args]:
    """Keyword (upper case) and arguments; a keyword that is no ASCII word matches no command."""
    keyword, _, rest = line.partition(b" ")
    return keyword.decode("ascii", "replace").upper(), Args(rest)
