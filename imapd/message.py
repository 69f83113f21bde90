"""One message of the selected mailbox, while a command reads it.

What lives here: reading each thing once, and only when it is asked for.  What does not: what
FETCH makes of it (fetch.py) and what SEARCH looks for in it (search.py).
"""

from __future__ import annotations

from mailcore.message import mime
from mailcore.message.headers import end_of_header
from mailcore.progress import tick
from mailcore.store.mailbox import FLEETING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mailcore.message.crlf import Text
    from mailcore.message.mime import Part
    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox

FIELD_NAME = frozenset(b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
NAME_OCTETS = 100  # no field that a client looks for has a longer name

# The structure read last, with whose it is: a client that fetches a part piece by piece asks
# for the same one again and again.
_kept: tuple[Mailbox, int, Part, bool] | None = None

# And the text of the last large message, at most settings.text_octets of it in memory, for the same reason.
LARGE_OCTETS = 128 * 1024
_text: tuple[Mailbox, int, Text] | None = None


class Message:
    """Expunged is raised where the message turns out to be gone."""

    __slots__ = ("box", "uid", "settings", "_text", "_header", "_body_start", "_measured", "_parts")

    def __init__(
        self, box: Mailbox, uid: int, settings: Settings, text: Text | None = None, header: bytes | None = None
    ) -> None:
        self.box = box
        self.uid = uid
        self.settings = settings
        self._text = text  # what was read of it already
        self._header = header
        self._body_start = -1
        self._parts: Part | None = None
        self._measured = False

    @property
    def text(self) -> Text:
        """All of it, as it is stored."""
        global _text
        if self._text is None and _text is not None and _text[:2] == (self.box, self.uid):
            self.box.flags(self.uid)  # raises Expunged
            self._text = _text[2]
        if self._text is None:
            _text = None  # one is held, not two
            self._text = self.box.text(self.uid)
            if len(self._text) > LARGE_OCTETS:
                _text = self.box, self.uid, self._text
        return self._text

    @property
    def body_start(self) -> int:
        """Where in `text` the header and its empty line end."""
        if self._body_start < 0:
            self._body_start = end_of_header(self.text)
        return self._body_start

    @property
    def header(self) -> bytes:
        """All of the header, without reading the body."""
        if self._header is None:
            self._header = self.box.header(self.uid) if self._text is None else self._text[: self.body_start]
        return self._header

    @property
    def short_header(self) -> bytes:
        """As much of the header as is looked into (settings.header_octets)."""
        limit: int = self.settings.header_octets
        return self.header[:limit]

    @property
    def outline(self) -> Part:
        """Its parts, not measured: enough to look into them, and to tell where they lie."""
        return self._parts or self._surveyed(measured=False)

    @property
    def structure(self) -> Part:
        """Its MIME parts, as indices into `text`."""
        return self._parts if self._parts and self._measured else self._surveyed(measured=True)

    def _surveyed(self, measured: bool) -> Part:
        global _kept
        if _kept is None or _kept[:2] != (self.box, self.uid) or _kept[3] < measured:
            depth, parts = self.settings.mime_depth, self.settings.mime_parts
            _kept = self.box, self.uid, mime.structure(self.text, depth, parts, measured), measured
        _, _, self._parts, self._measured = _kept
        return self._parts


def limits(settings: Settings, whole: bool) -> str:
    """The part of a text's kind that says how far a message was looked into for it."""
    return f" {settings.mime_depth} {settings.mime_parts}" if whole else f" {settings.header_octets}"


def kept(
    box: Mailbox, makers: dict[str, Callable[[bytes], bytes]], uids: Sequence[int], settings: Settings
) -> dict[str, list[bytes | None]]:
    """What each of `makers` makes of the headers of these (ascending), by its name, under which it is remembered.

    A header is read once, for all that was not remembered of it.  None for messages that are gone.
    """
    suffix = limits(settings, False)
    found = {kind: box.remembered(kind + suffix, uids) for kind in makers}
    if not any(None in texts for texts in found.values()):
        return found
    missing = {place for texts in found.values() for place, text in enumerate(texts) if text is None}
    place_of = {uids[place]: place for place in sorted(missing)}
    made: dict[str, list[tuple[int, bytes]]] = {kind: [] for kind in makers}
    limit: int = settings.header_octets
    for done, (uid, header) in enumerate(box.headers(list(place_of))):
        tick(done, len(place_of))
        place = place_of[uid]
        for kind, make in makers.items():
            if found[kind][place] is None:
                found[kind][place] = text = make(header[:limit])
                made[kind].append((uid, text))
    for kind, pairs in made.items():
        box.remember(kind + suffix, pairs)
    return found


def lasting(name: bytes) -> bool:
    """A field of this name (in capitals) may be remembered: it belongs to what makes a message that message."""
    known = FIELD_NAME.issuperset(name) and name not in FLEETING and not name.startswith(b"X-MOZILLA-")
    return known and len(name) <= NAME_OCTETS


def read(
    box: Mailbox, uids: Sequence[int], settings: Settings, whole: bool
) -> Iterator[Message]:
    """Many messages, their headers or (`whole`) their texts read ahead; those that are gone are left out."""
    if whole:
        for done, (uid, text) in enumerate(box.texts(uids)):
            tick(done, len(uids))
            yield Message(box, uid, settings, text=text)
    else:
        for done, (uid, header) in enumerate(box.headers(uids)):
            tick(done, len(uids))
            yield Message(box, uid, settings, header=header)
