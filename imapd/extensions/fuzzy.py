"""SEARCH=FUZZY (RFC 6203), as little of it as is honest: the words of a string, in any order.

A field or a part that has all the words fits; one that has the string itself is more relevant.
Anything but a string is matched as without FUZZY (§5 leaves that to us).
"""

from __future__ import annotations

from imapd.extensions.sort import SORT_KEY, SortKey
from imapd.results import SEARCH_RETURN_OPT, Option
from imapd.search import OPENING, Opened
from mailcore.errors import Mistake
from mailcore.message.needle import Needle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imapd.extensions.sort import Order
    from imapd.responses import Data
    from imapd.results import Found
    from imapd.search import Query
    from imapd.session import Session
    from imapd.syntax import Args

EXACT, LOOSE = 100, 50  # relevancy (§4)


class FuzzyNeedle(Needle):
    """A string of which the words count; while it is `strict`, it counts as a whole."""

    __slots__ = ("strict",)

    def __init__(self, string: bytes, charset: str = "") -> None:
        super().__init__(string, charset)
        self.parts = tuple(Needle(word.encode()) for word in self.folded.split()) or (Needle(b""),)
        self.strict = False

    def in_field(self, value: bytes) -> bool:
        if self.strict:
            return super().in_field(value)
        return all(word.in_field(value) for word in self.parts)

    def among(self, uids: Sequence[int], lines_of: dict[int, bytes]) -> list[int]:
        if self.strict:
            return super().among(uids, lines_of)
        for word in self.parts:
            uids = word.among(uids, lines_of)
        if len(self.parts) == 1:
            return list(uids)
        return [uid for uid in uids if any(map(self._in_line, lines_of[uid].split(b"\n")))]

    def _in_line(self, line: bytes) -> bool:
        """All words in one line: the message has them, but may have them in several."""
        return all(word.among((0,), {0: line}) for word in self.parts)

    def in_text(self, data: bytes, charset: bytes) -> bool:
        if self.strict:
            return super().in_text(data, charset)
        return all(word.in_text(data, charset) for word in self.parts)


def _fuzzy(query: Query) -> Opened:
    """FUZZY search-key (§3)."""
    outside = query.needle_of
    needles = query.fuzzy = [] if query.fuzzy is None else query.fuzzy

    def loose(string: bytes, charset: str) -> Needle:
        needles.append(FuzzyNeedle(string, charset))
        return needles[-1]

    def ended() -> None:
        query.needle_of = outside

    query.needle_of = loose
    return Opened(1, lambda keys: keys[0], ended)


def scores(found: Found) -> dict[int, int]:
    """How relevant each message is (§4); a Mistake where nothing is fuzzy."""
    if found.fuzzy is None:
        raise Mistake("RELEVANCY is for FUZZY searches")
    strict = set(found.uids)
    if found.fuzzy:
        for needle in found.fuzzy:
            needle.strict = True  # type: ignore[attr-defined]
        strict = set(found.search(sorted(strict)))
        for needle in found.fuzzy:
            needle.strict = False  # type: ignore[attr-defined]
    return {uid: EXACT if uid in strict else LOOSE for uid in found.uids}


def _relevancy(session: Session, args: Args) -> Option:
    """RELEVANCY as a result option (§4): a score for each message, in the order of the result."""

    def told(found: Found) -> list[Data]:
        score = scores(found)
        return ["RELEVANCY", [score[uid] for uid in found.uids]]

    return Option("RELEVANCY", told)


def _score(order: Order, uid: int, text: bytes) -> int:
    """The most relevant first (§6)."""
    if order.scores is None:
        order.scores = scores(order.found)
    return -order.scores.get(uid, 0)


OPENING["FUZZY"] = _fuzzy
SEARCH_RETURN_OPT["RELEVANCY"] = _relevancy
SORT_KEY["RELEVANCY"] = SortKey(_score)
