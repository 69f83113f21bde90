"""Regular expressions that are compiled when they are first used.

What lives here: the stand-in for re.compile where a cold session may come to its end without the pattern.  re itself
costs 3 ms of a start, a pattern up to one half; a listener has all of them compiled (`compile_all`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator
    from typing import Any

IGNORE_CASE = 2  # re.IGNORECASE
METHODS = ("finditer", "fullmatch", "match", "search", "sub")

_waiting: list[Expression] = []


def compile_all() -> None:
    """Compile what there is so far."""
    while _waiting:
        _waiting[0].compiled()


class Expression:
    """A pattern of octets; the methods of the compiled one become its own at the first use."""

    if TYPE_CHECKING:
        finditer: Callable[..., Iterator[re.Match[bytes]]]
        fullmatch: Callable[..., re.Match[bytes] | None]
        match: Callable[..., re.Match[bytes] | None]
        search: Callable[..., re.Match[bytes] | None]
        sub: Callable[..., bytes]

    def __init__(self, pattern: bytes, flags: int = 0) -> None:
        self.pattern = pattern
        self.flags = flags
        _waiting.append(self)

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(name)
        return getattr(self.compiled(), name)

    def compiled(self) -> re.Pattern[bytes]:
        import re

        made = re.compile(self.pattern, self.flags)
        for name in METHODS:
            setattr(self, name, getattr(made, name))
        if self in _waiting:
            _waiting.remove(self)
        return made
