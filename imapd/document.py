"""The text of a message as SEARCH sees it, for the text index.

What lives here: taking it out, decoded and in the form in which strings are compared, and handing
it over while a search reads messages.  What does not: the index (mailcore/store/textindex.py).

Everything in which criteria.py finds a string for TEXT or BODY has to be in the document: a string
that is in none of its pieces is not in the message.
"""

from __future__ import annotations

from unicodedata import unidata_version

from imapd.criteria import WINDOW_OCTETS, charset_of, pieces
from mailcore.errors import Expunged
from mailcore.message import decode
from mailcore.message.needle import field_text, part_text
from mailcore.store.mailbox import ANYTHING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from imapd.message import Message
    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox

VERSION = 1  # goes up with every change of what a document has in it
DOCUMENT_OCTETS = 1024 * 1024  # decoded text of a message; one with more is looked through each time
LEAST = 16  # messages that are worth it; fewer are quicker read than learned
WAITING_CHARACTERS = 16 * 1024 * 1024  # text that is handed over together


def form(settings: Settings) -> str:
    """What a document depends on besides its message."""
    return f"{VERSION} {unidata_version} {settings.header_octets} {settings.mime_depth} {settings.mime_parts}"


def document(message: Message) -> str:
    """All text that TEXT and BODY look into; ANYTHING if it is too much."""
    found = [field_text(message.short_header)]
    left = DOCUMENT_OCTETS - len(message.short_header)
    for header, part in pieces(message):
        if part is None:
            left -= len(header)
            found.append(field_text(header))
        elif part.body_end - part.header_end > WINDOW_OCTETS:
            return ANYTHING
        else:
            data = decode.transfer(message.text[part.header_end : part.body_end], part.encoding)
            left -= len(data)
            found.append(part_text(data, charset_of(part)))
        if left < 0:
            return ANYTHING
    return "\0".join(found)


class Learner:
    """Gives the text index of a mailbox what is read anyway, as far as the settings' step goes."""

    def __init__(self, box: Mailbox, uids: Sequence[int], settings: Settings, least: int = LEAST) -> None:
        self._box = box
        self._form = form(settings)
        wanted = box.unlearned(self._form, uids) if len(uids) >= least else set()
        self._wanted = wanted if len(wanted) >= least else set()
        self._left: int = settings.text_index_step_octets
        self._waiting: list[tuple[int, str]] = []
        self._characters = 0

    def listening(self, messages: Iterable[Message]) -> Iterator[Message]:
        """The same messages; each is learned when its user is done with it."""
        for message in messages:
            yield message
            if message.uid in self._wanted and self._left > 0:
                self._take(message)
        self._hand_over()

    def _take(self, message: Message) -> None:
        try:
            octets, text = len(message.text), document(message)
        except Expunged:
            return
        self._waiting.append((message.uid, text))
        self._left -= octets
        self._characters += len(text)
        if self._characters >= WAITING_CHARACTERS:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._waiting and not self._box.learn(self._form, self._waiting):
            self._wanted = set()
        self._waiting, self._characters = [], 0
