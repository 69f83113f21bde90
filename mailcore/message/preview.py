"""The first words of a message, as a reader would see them (RFC 8970 §3.1).

What lives here: which part they stand in, and HTML without its marks.  What does not: MIME
(mime.py) and charsets (decode.py).  Encrypted mail, and mail without text, has none.
"""

from __future__ import annotations

import re

from mailcore.message import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.message.crlf import Text
    from mailcore.message.mime import Part

LETTERS = 200  # RFC 8970 §3.1
READ_OCTETS = 16 * 1024  # of the encoded text: enough for an HTML mail with its styles
HTML_OCTETS = 128 * 1024
PARTS = 1000  # looked at

_HIDDEN = re.compile(r"(?is)<(script|style|head|title)\b.*?(?:</\1\s*+>|\Z)|<!--.*?(?:-->|\Z)")
_MARK = re.compile(r"<[^<>]*+(?:>|\Z)")
_ENTITY = re.compile(r"&(#[xX][0-9a-fA-F]{1,6}|#[0-9]{1,7}|[a-zA-Z]{2,8});")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " ", "copy": "©", "euro": "€"}
_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0xAD, *range(0x200B, 0x2010), 0xFEFF), " ")


def preview(text: Text, root: Part) -> str:
    """At most LETTERS characters, on one line; "" where there is nothing to show."""
    part = _readable(root)
    if part is None:
        return ""
    html = part.subtype == b"HTML"
    octets = HTML_OCTETS if html else READ_OCTETS
    data = decode.transfer(text[part.header_end : min(part.body_end, part.header_end + octets)], part.encoding)
    name = next((value for key, value in part.params if key == b"CHARSET"), b"")
    words = decode.charset(data, name.decode("latin-1"))
    if html:
        words = _shown(words)
    return _line(words)[:LETTERS].rstrip()


def _readable(root: Part) -> Part | None:
    """The first text a reader would see: plain before HTML, but no attachment and nothing enclosed."""
    html = None
    waiting = [root]
    for _ in range(PARTS):
        if not waiting:
            break
        part = waiting.pop()
        if part.subtype in (b"ENCRYPTED", b"PKCS7-MIME", b"X-PKCS7-MIME"):
            return None
        waiting += reversed(part.parts)
        attached = part.disposition is not None and part.disposition[0] == b"ATTACHMENT"
        if part.type != b"TEXT" or attached or part.header_end >= part.body_end:
            continue
        if part.subtype == b"PLAIN":
            return part
        if part.subtype == b"HTML" and html is None:
            html = part
    return html


def _shown(html: str) -> str:
    """Without scripts, styles and marks; a mark is a blank."""
    return _ENTITY.sub(_letter, _MARK.sub(" ", _HIDDEN.sub(" ", html)))


def _letter(found: re.Match[str]) -> str:
    name = found[1]
    if not name.startswith("#"):
        return _ENTITIES.get(name.lower(), " ")
    code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    return chr(code) if 0x20 <= code < 0x110000 and not 0xD800 <= code < 0xE000 else " "


def _line(words: str) -> str:
    """White space and controls as one blank each; what cannot be UTF-8 as "?"."""
    line = " ".join(words.translate(_CONTROL).split())
    return line.encode("utf-8", "replace").decode()
