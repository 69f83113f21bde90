"""The files by which the administrator, and a user's own programs, speak to who reads mail (UW).

What lives here: when one has changed, and what is in it.  What does not: how a client hears of it.
A fenced session sees that they change, and its steward opens them (territory.py).
"""

from __future__ import annotations

import os

from mailcore.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailcore.settings import Settings
    from mailcore.store.steward import Steward


def notice_paths(settings: Settings, home: str) -> tuple[str, ...]:
    """The administrator's file, the user's."""
    given: tuple[str, str] = (settings.alert_file, settings.user_alert_file)
    return tuple(home + path[1:] if path.startswith("~/") else path for path in given)


class NoticeFiles:
    """Opening them here."""

    __slots__ = ("paths",)

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def notice(self, number: int) -> int:
        """The descriptor of one."""
        return os.open(self.paths[number], files.FLAGS | os.O_RDONLY)


class Notices:
    """What one session has been told of."""

    __slots__ = ("_limit", "_paths", "_told", "file")

    def __init__(self, settings: Settings, home: str) -> None:
        self._paths = notice_paths(settings, home)
        self.file: NoticeFiles | Steward = NoticeFiles(self._paths)
        self._limit: int = settings.alert_octets
        self._told = [0] * len(self._paths)

    def fresh(self) -> list[bytes]:
        """The lines of those files that are newer than when they were last told."""
        lines: list[bytes] = []
        for number, path in enumerate(self._paths):
            try:
                changed = os.stat(path).st_mtime_ns if path else 0
                if changed > self._told[number]:
                    self._told[number] = changed
                    lines += self._lines(number)
            except OSError:
                continue  # not there, or not to be read
        return lines

    def _lines(self, number: int) -> list[bytes]:
        fd = self.file.notice(number)
        try:
            text = files.read(fd, self._limit, 0)
        finally:
            files.close(fd)
        return [line for line in (line.strip() for line in text.splitlines()) if line]
