"""What FETCH says of a message's make-up: ENVELOPE, BODY, BODYSTRUCTURE (RFC 3501 §7.4.2, §9).

What lives here: values in the order of the grammar.  What does not: reading the header
(headers.py, address.py, mime.py) and quoting (imapd/responses.py).

None is NIL, bytes is a string, int a number, a tuple is in parentheses; and where the grammar
has `1*address` and `1*body`, with no space between them, the values come in a Run.
"""

from __future__ import annotations

import re

from mailcore.message.address import address_fields
from mailcore.message.headers import unfolded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mailcore.message.mime import Part

    Data = Any  # None | int | bytes | Run | tuple of these
    Envelope = tuple[Data, ...]

_FIELD = re.compile(
    rb"(?i)\n(?=[bcdfimrst])(date|subject|from|sender|reply-to|to|cc|bcc|in-reply-to|message-id)[ \t]*+:"
    rb"([^\n]*+(?:\n[ \t][^\n]*+)*+)"
)


class Run(list):  # type: ignore[type-arg]
    """Values that follow each other with nothing between them and no parentheses around them."""

    __slots__ = ()


def said(header: bytes) -> list[bytes | None]:
    """What the fields of an envelope say, in the order of NAMES; None for those that are not there.

    Unfolded and not decoded.  Of two fields of one name the first counts, but the addresses of all do.
    """
    found: dict[bytes, bytes] = {}
    more: dict[bytes, list[bytes]] = {}  # address fields that come again
    for name, value in _FIELD.findall(b"\n" + header):
        name = name.lower()
        if name not in found:
            found[name] = unfolded(value)
        elif name in _ADDRESS_FIELDS:
            more.setdefault(name, [found[name]]).append(unfolded(value))
    for name, values in more.items():
        found[name] = b", ".join(values)
    return list(map(found.get, NAMES))


def envelope(header: bytes) -> Envelope:
    """date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id.

    A string that is there but empty is "", not NIL.
    """
    date, subject, sender, really, reply, to, cc, bcc, answered, id_ = said(header)
    author = addresses(sender)
    return (
        date,
        subject,
        author,
        addresses(really) or author,
        addresses(reply) or author,
        addresses(to),
        addresses(cc),
        addresses(bcc),
        answered,
        id_,
    )


NAMES = (
    b"date", b"subject", b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"in-reply-to", b"message-id"
)  # fmt: skip
_ADDRESS_FIELDS = frozenset((b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"))


def addresses(value: bytes | None) -> Data:
    """(1*address), or NIL for none."""
    found = address_fields(value) if value else None
    return (Run(found),) if found else None


def body(part: Part, extended: bool) -> Envelope:
    """BODYSTRUCTURE, or without the extension data BODY, of a part and all inside it."""
    if part.parts:
        start: Envelope = (Run([body(child, extended) for child in part.parts]), part.subtype)
        return start + (_params(part.params), *_extension(part)) if extended else start
    start = (
        *(part.type, part.subtype, _params(part.params)),
        *(part.id, part.description, part.encoding, part.octets),
    )
    if part.message is not None:
        start += (envelope(part.message.header), body(part.message, extended), part.lines)
    elif part.type == b"TEXT":
        start += (part.lines,)
    return start + (part.md5, *_extension(part)) if extended else start


def _extension(part: Part) -> Envelope:
    """disposition, language, location (RFC 3501 §9 body-ext-1part, body-ext-mpart)."""
    shown = None
    if part.disposition is not None:
        shown = part.disposition[0], _params(part.disposition[1])
    language: Data = part.language
    if language is not None:
        language = language[0] if len(language) == 1 else tuple(language)
    return shown, language, part.location


def _params(params: list[tuple[bytes, bytes]]) -> Data:
    """(name value name value ...), or NIL for none."""
    return tuple(word for param in params for word in param) or None
