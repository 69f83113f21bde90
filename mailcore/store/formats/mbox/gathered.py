"""Messages on their way from one mailbox to another.

What lives here: taking them out before the other mailbox is locked, so that no two locks are
ever held.  What does not: putting them in (box.py).
"""

from __future__ import annotations

import os

from mailcore.progress import tick
from mailcore.store import files
from mailcore.store.mailbox import RECENT, Incoming, Mailbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailcore.settings import Settings
    from mailcore.store.mailbox import Text


class Gathered:
    """Messages taken out of a mailbox before another is locked; large ones wait in a file without a name."""

    def __init__(self, box: Mailbox, uids: list[int], settings: Settings) -> None:
        self._box = box
        self._uids = uids
        self._settings = settings
        self._spool = -1
        self._end = 0

    def __enter__(self) -> list[Incoming]:
        try:
            with files.Judge("spool"):
                return self._messages()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self._spool >= 0:
            files.close(self._spool)
            self._spool = -1

    def _messages(self) -> list[Incoming]:
        box = self._box
        limit = self._settings.text_octets
        messages = []
        held = 0
        for done, uid in enumerate(self._uids):
            tick(done, len(self._uids))
            text = box.text(uid)
            flags = box.flags(uid) - {RECENT}
            date = box.internal_date(uid)
            content: bytes | Spooled
            if isinstance(text, bytes) and held + len(text) <= limit:
                content = text
                held += len(text)
            else:
                content = self._spooled(text)
            messages.append(Incoming(content, flags, date, verbatim=True))
        return messages

    def _spooled(self, text: Text) -> Spooled:
        if self._spool < 0:
            self._spool = os.open(self._settings.spool_directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        start = self._end
        for offset in range(0, len(text), files.COPY_OCTETS):
            data = text[offset : offset + files.COPY_OCTETS]
            files.write(self._spool, data, self._end)
            self._end += len(data)
        return Spooled(self._spool, start, self._end)


class Spooled:
    """A message that waits in a file; `Incoming` asks for its chunks."""

    __slots__ = ("_end", "_fd", "_start", "octets")

    def __init__(self, fd: int, start: int, end: int) -> None:
        self._fd, self._start, self._end = fd, start, end
        self.octets = end - start

    def chunks(self) -> Iterator[bytes]:
        for offset in range(self._start, self._end, files.COPY_OCTETS):
            yield files.read(self._fd, min(files.COPY_OCTETS, self._end - offset), offset)
