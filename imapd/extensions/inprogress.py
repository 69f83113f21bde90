"""INPROGRESS (RFC 9585): what takes long says that it is not dead, and how far it is.

Those who work (mailcore/progress.py says where) know nothing of the client, and no handler can
yield while it waits for them; so this is said aside (Dialogue.aside), and only where it fits: not in
the middle of an answer, and not if the client would have to be waited for, as locks may be held.
"""

from __future__ import annotations

from time import monotonic

from imapd.responses import Status, encode
from mailcore import progress
from mailcore.errors import Ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from imapd.session import Session

    Aside = Callable[[bytes], bool]

NEVER = float("inf")
LARGEST = 0xFFFFFFFF


class Progress:
    """What one client hears of the command that runs."""

    __slots__ = ("_aside", "_done", "_goal", "_next", "_session")

    def __init__(self, session: Session, aside: Aside) -> None:
        self._session = session
        self._aside = aside
        self._done = self._goal = 0
        self._next = NEVER
        if session.settings.progress_seconds:
            progress.listener = self.tell

    def begin(self) -> None:
        """A command begins, or its client has just been heard."""
        self._done = self._goal = 0
        self._next = monotonic() + self._session.settings.progress_seconds

    def end(self) -> None:
        self._next = NEVER

    def tell(self, done: int, goal: int) -> None:
        """`done` of `goal`, if it is time to say something (mailcore.progress)."""
        if self._next == NEVER or (now := monotonic()) < self._next:
            return
        squeeze = self._session.squeeze
        if self._session.speaking or (squeeze is not None and squeeze.pending):
            return
        self._next = now + self._session.settings.progress_seconds
        line = b"".join(encode(Status("OK", "Still at it", self._code(done, goal))))
        try:
            if squeeze is None or not squeeze.begun:
                self._aside(line)
            elif self._aside(b""):
                self._aside(squeeze.say(line) + squeeze.flush())
        except Ending:
            self._next = NEVER  # the client is gone: that shows where it is waited for

    def _code(self, done: int, goal: int) -> str:
        """The numbers of one count: what another step of the work counts is another thing (RFC 9585 §4)."""
        tag = self._session.request.tag.decode("ascii")
        written = "NIL" if "]" in tag else f'"{tag}"'  # it would end the code
        if 0 < goal <= LARGEST and self._goal in (0, goal):
            self._goal, self._done = goal, max(self._done, min(done, goal - 1))
            return f"INPROGRESS ({written} {self._done} {self._goal})"
        return f"INPROGRESS ({written} NIL NIL)"
