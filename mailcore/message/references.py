"""Which messages a message answers: Message-ID, References and In-Reply-To (RFC 5322 §3.6.4, RFC 5256 §3).

What lives here: reading ids.  What does not: threads (threads.py).

An id that is not one (no `@`, no brackets) is none.  Quotes in its left part do not count.
"""

from __future__ import annotations

import re

from mailcore.message import headers

IDS = 1000  # of one message; of more the last ones count, they are the nearest
FIELD_OCTETS = 256 * 1024  # and no longer part of a field is looked at

_ID = re.compile(rb'<[ \t]*+((?:"(?:[^"\\]++|\\.)*+"|[^<>"])++)>')
_QUOTE = re.compile(rb'\\(.)|"')


def message_id(header: bytes) -> bytes | None:
    """The id of a message; None if it has none."""
    found = _ids(header, b"Message-ID")
    return found[0] if found else None


def ancestors(header: bytes) -> list[bytes]:
    """Ids of the messages before it in its thread, the nearest last: of References, else one of In-Reply-To."""
    return _ids(header, b"References")[-IDS:] or _ids(header, b"In-Reply-To")[:1]


def _ids(header: bytes, name: bytes) -> list[bytes]:
    value = headers.value(header, name)
    if not value:
        return []
    found = [_plain(text) for text in _ID.findall(value[-FIELD_OCTETS:])]
    return [text for text in found if b"@" in text[1:-1]]


def _plain(text: bytes) -> bytes:
    """Without blanks, quotes and backslashes that change nothing."""
    if b'"' in text:
        text = _QUOTE.sub(rb"\1", text)
    if b" " in text or b"\t" in text:
        text = b"".join(text.split())
    return text
