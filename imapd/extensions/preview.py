"""PREVIEW (RFC 8970): the first words of a message, for lists of messages on small screens."""

from __future__ import annotations

from imapd.fetch import FETCH_ATT, Item
from mailcore.errors import Mistake
from mailcore.message import preview

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.message import Message
    from imapd.syntax import Args

LAZY_OCTETS = 1024 * 1024  # a larger message is not read for a client that does not insist


def _preview(args: Args) -> Item:
    """PREVIEW [SP "(" "LAZY" ")"] (RFC 8970 §4)."""
    lazy = False
    if args.peek(b" ("):
        lazy = True
        if args.space().many(args.keyword) != ["LAZY"]:
            raise Mistake("Unknown modifier of PREVIEW")
    return Item(b"PREVIEW", _lazy if lazy else _told)


def _told(message: Message) -> bytes:
    return preview.preview(message.text, message.outline).encode()


def _lazy(message: Message) -> bytes | None:
    """NIL where it would take long: the client asks again, without LAZY (RFC 8970 §3.2)."""
    if message.box.octets(message.uid) > LAZY_OCTETS:
        return None
    return _told(message)


FETCH_ATT["PREVIEW"] = _preview
