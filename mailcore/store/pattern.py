"""LIST patterns: `*` matches anything, `%` anything but the delimiter (RFC 3501 §6.3.8).

What lives here: matching, in time linear in the name.  What does not: names and directories.
"""

from __future__ import annotations

DELIMITER = "/"


class Pattern:
    """A LIST pattern (RFC 3501 §6.3.8) as a set of positions, one bit each.

    Bit n of a state: the first n characters of the pattern may have been used up.  One
    character of a name moves all bits at once, so the cost is linear in the name however
    many wildcards there are, and the state after `directory/` says whether anything below
    can still match.
    """

    __slots__ = ("_end", "_literal", "_one_level", "_wild", "start")

    def __init__(self, text: str) -> None:
        text = _plain(text)
        self._literal: dict[str, int] = {}
        self._wild = self._one_level = 0
        for index, letter in enumerate(text):
            if letter in "*%":
                self._wild |= 1 << index
                if letter == "%":
                    self._one_level |= 1 << index
            else:
                self._literal[letter] = self._literal.get(letter, 0) | 1 << index
        self._end = 1 << len(text)
        self.start = self._skip(1)

    def _skip(self, state: int) -> int:
        """A wildcard may match nothing; two are never neighbours (`_plain`)."""
        return state | (state & self._wild) << 1

    def advance(self, state: int, text: str) -> int:
        """The state after `text`; 0: nothing that starts so can match."""
        for letter in text:
            stay = state & self._wild
            if letter == DELIMITER:
                stay &= ~self._one_level
            state = self._skip((state & self._literal.get(letter, 0)) << 1 | stay)
            if not state:
                break
        return state

    def accepts(self, state: int, component: str) -> bool:
        """Whether `component`, which holds no delimiter, ends a match."""
        if state & self._wild & self._end >> 1:
            return True  # the pattern's last character is a wildcard, and it has begun
        return self.ends(self.advance(state, component))

    def ends(self, state: int) -> bool:
        return bool(state & self._end)

    def matches(self, name: str) -> bool:
        return self.ends(self.advance(self.start, name))


def _plain(text: str) -> str:
    """The same pattern with each run of wildcards made one."""
    out: list[str] = []
    for letter in text:
        if letter in "*%" and out and out[-1] in "*%":
            if letter == "*":
                out[-1] = "*"
        else:
            out.append(letter)
    return "".join(out)
