"""How far something has come that takes long: who does it says so, and who wants to know listens.

A process talks with one client, so there is one listener.  It never raises, and costs next to
nothing: whoever works through many things calls `tick` for each of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

listener: Callable[[int, int], None] | None = None


def tick(done: int = 0, goal: int = 0) -> None:
    """So much is done of so much, in whatever unit; goal 0: there is no telling."""
    if listener is not None:
        listener(done, goal)
