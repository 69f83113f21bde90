"""Alert files and the shutdown file, as UW had them.

What lives here: when a client hears of them.  They are looked at once a minute at most, and at
the first command.  A file that appears where /etc/nologin is asks those who are here to go.
"""

from __future__ import annotations

import os
from time import monotonic

from imapd.responses import Status
from mailcore.errors import Goodbye

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailcore.settings import Settings
    from mailcore.store.notices import Notices

LOOK_SECONDS = 60  # UW: ALERTTIMER
SHUTDOWN_SECONDS = 60  # UW: SHUTDOWNTIMER


def closed(settings: Settings) -> bool:
    """Nobody may come in now."""
    return bool(settings.nologin_file) and os.path.lexists(settings.nologin_file)


class Alerts:
    """What one client has been told."""

    __slots__ = ("_closing", "_look", "_notices", "_settings")

    def __init__(self, settings: Settings, notices: Notices) -> None:
        self._settings = settings
        self._notices = notices
        self._look = 0.0  # when to look again
        self._closing = 0.0  # since when the shutdown file is there

    def told(self, now: float | None = None) -> Iterator[Status]:
        """What is new; Goodbye a minute after a shutdown was announced."""
        now = monotonic() if now is None else now
        if now < self._look:
            return
        self._look = now + LOOK_SECONDS
        for line in self._notices.fresh():
            yield Status("OK", line.decode("ascii", "replace"), "ALERT")
        if not closed(self._settings):
            self._closing = 0.0
        elif not self._closing:
            self._closing = now
            yield Status("OK", "Server shutting down shortly", "ALERT")
        elif now - self._closing >= SHUTDOWN_SECONDS:
            raise Goodbye("Server shutting down")
