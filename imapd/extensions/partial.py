"""PARTIAL (RFC 9394): a window of a search's result, and of the messages of a FETCH.

A window counts from 1, or with minus signs from the end; it is told as it was asked for.
"""

from __future__ import annotations

from imapd.fetch import FETCH_MODIFIER
from imapd.responses import Ready
from imapd.results import SEARCH_RETURN_OPT, Option
from mailcore.errors import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.fetch import Asked, Modifier
    from imapd.responses import Data
    from imapd.results import Found
    from imapd.sequence import Place
    from imapd.session import Session
    from imapd.syntax import Args


class Window:
    """partial-range: the first and the last of some things in a row (RFC 9394 §4)."""

    __slots__ = ("backwards", "first", "last", "written")

    def __init__(self, args: Args) -> None:
        self.backwards = args.space().skip(b"-")
        one = args.nz_number()
        if args.need(b":").skip(b"-") is not self.backwards:
            raise Mistake("Both ends of a window count from the same side")
        other = args.nz_number()
        sign = b"-" if self.backwards else b""
        self.written = Ready(b"%b%d:%b%d" % (sign, one, sign, other))
        self.first, self.last = min(one, other), max(one, other)

    def place(self, count: int) -> Place:
        """Where it lies in `count` things; empty where there are none so far."""
        if self.backwards:
            return max(count - self.last, 0), max(count - self.first + 1, 0)
        return min(self.first - 1, count), min(self.last, count)

    def of(self, uids: list[int]) -> list[int]:
        start, stop = self.place(len(uids))
        return uids[start:stop]


def _partial(session: Session, args: Args) -> Option:
    """PARTIAL as a result option (RFC 9394 §3.1, RFC 5267 §4.4)."""
    window = Window(args)

    def told(found: Found) -> list[Data]:
        inside = window.of(found.uids)
        return ["PARTIAL", [window.written, found.set_of(inside) if inside else None]]

    return Option("PARTIAL", told, window.of)


def _fetched(session: Session, args: Args, asked: Asked) -> Modifier:
    """PARTIAL as a FETCH modifier (RFC 9394 §3.3): a window of the messages that there are."""
    if not session.request.name.startswith("UID"):
        raise Mistake("PARTIAL is for UID FETCH")
    window = Window(args)

    def within(places: list[Place]) -> list[Place]:
        first, last = window.place(sum(stop - start for start, stop in places))
        kept = []
        passed = 0  # messages in the places before this one
        for start, stop in places:
            inside = start + max(first - passed, 0), min(stop, start + last - passed)
            if inside[0] < inside[1]:
                kept.append(inside)
            passed += stop - start
        return kept

    return within


SEARCH_RETURN_OPT["PARTIAL"] = _partial
FETCH_MODIFIER["PARTIAL"] = _fetched
