"""What a message is made of: its MIME parts and where they lie (RFC 2045, RFC 2046, RFC 3501 §6.4.5).

What lives here: the tree of parts as spans of the text, with what their headers say.  What
does not: how IMAP shows it (envelope.py) and decoding (decode.py).

A multipart is cut at its own boundary first and its parts are looked at afterwards, so that
an outer boundary ends whatever is open inside it.  Boundaries are looked for with find, at
the speed of C; what stands in Python runs once for a part.  All that a sender can make
expensive is limited: depth, parts, parameters, lines that only look like boundaries, and the
octets that are searched again at each depth.  What lies beyond a limit stays in one opaque part.

Nothing is an error.  A part without a Content-Type, or with one nobody can read, has the
default of its place; content fields count without a MIME-Version too, as in UW.
"""

from __future__ import annotations

import re

from mailcore.message import crlf
from mailcore.message.headers import end_of_header, unfolded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.message.crlf import Text

    Param = tuple[bytes, bytes]
    Span = tuple[int, int]

DEPTH = 100  # at most, whatever is asked for: others walk through the parts by recursion
HEADER_OCTETS = 1024 * 1024  # a part's header is looked at so far
PARAMETERS = 1000  # of one field
LANGUAGES = 100
NEAR_MISSES = 100_000  # lines of one message that begin like a boundary and are none
RESEARCHED = 16  # times the text: all octets searched at all depths together (and 16 MiB more)

# What a type alone means (as UW says it); any other type's is UNKNOWN.
_SUBTYPES = {
    b"TEXT": b"PLAIN",
    b"MULTIPART": b"MIXED",
    b"MESSAGE": b"RFC822",
    b"APPLICATION": b"OCTET-STREAM",
    b"AUDIO": b"BASIC",
}
NO_VALUE = b"MISSING_PARAMETER_VALUE"  # UW's mark, which filters know
_PLAIN = (b"TEXT", b"PLAIN")
_ENCLOSED = (b"MESSAGE", b"RFC822")

_CONTENT = re.compile(
    rb"(?i)\ncontent-(type|transfer-encoding|disposition|id|description|md5|language|location)[ \t]*+:"
    rb"([^\n]*+(?:\n[ \t][^\n]*+)*+)"
)
_TYPE = re.compile(rb"[\s\0]*+([^\s\0/;=]++)[\s\0]*+(?:/[\s\0]*+([^\s\0;]++))?")
_WORD = re.compile(rb"[\s\0]*+([^\s\0;]++)")
_PARAM = re.compile(
    rb';[\s\0]*+([^\s\0;="]++)[\s\0]*+(?:=[\s\0]*+(?:"((?:[^"\\]++|\\.)*+)(?:"|\\?\Z)|([^;"]*+)))?', re.S
)
_OUTSIDE = re.compile(rb'(?:[^"()\\]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|\\.)++|[()\\]', re.S)
_INSIDE = re.compile(rb"(?:[^()\\]++|\\.)++|[()\\]", re.S)
_CONTINUED = re.compile(rb"([^*]++)\*(0|[1-9][0-9]{0,2})(\*?)\Z")
_NO_ATTRIBUTE_CHAR = re.compile(rb"[^!#$&+\-.0-9A-Z^_`a-z{|}~]")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.S)


class Part:
    """A message, or a part of one; indices count in the text that `structure` was given."""

    __slots__ = (
        *("type", "subtype", "params", "id", "description", "encoding", "md5", "disposition", "language", "location"),
        *("header_start", "header_end", "body_end", "octets", "lines", "parts", "message", "header"),
    )

    def __init__(self, header_start: int, header_end: int, body_end: int) -> None:
        self.type, self.subtype = _PLAIN
        self.params: list[Param] = []
        self.id: bytes | None = None
        self.description: bytes | None = None
        self.encoding = b"7BIT"
        self.md5: bytes | None = None
        self.disposition: tuple[bytes, list[Param]] | None = None
        self.language: list[bytes] | None = None
        self.location: bytes | None = None
        self.header_start = header_start
        self.header_end = header_end  # and start of the body
        self.body_end = body_end
        self.octets = 0  # of the body, in its wire form
        self.lines = 0  # of the body: BODY tells them of text and enclosed messages
        self.parts: list[Part] = []
        self.message: Part | None = None  # what a message/rfc822 encloses,
        self.header = b""  # and the header of such a one: its ENVELOPE is shown


class _Survey:
    """One run over a message: what is still to be looked at, and what may still be spent."""

    __slots__ = ("depth", "measured", "near_misses", "octets", "parts", "text", "waiting")

    def __init__(self, text: Text, depth: int, parts: int, measured: bool) -> None:
        self.text = text
        self.measured = measured
        self.depth = min(depth, DEPTH)
        self.parts = parts - 1
        self.near_misses = NEAR_MISSES
        self.octets = 16 * 1024 * 1024 + RESEARCHED * len(text)
        self.waiting: list[tuple[Part, int]] = []  # parts not looked into yet, and how deep they are

    def open(self, start: int, end: int, depth: int, default: tuple[bytes, bytes]) -> Part:
        """The part in text[start:end], its header read; its inside waits."""
        header_end = end_of_header(self.text, start, end)
        part = Part(start, header_end, end)
        part.type, part.subtype = default
        if header_end - start > 2:
            _read_header(part, self.text[start : min(header_end, start + HEADER_OCTETS)])
        self.waiting.append((part, depth))
        return part

    def look_into(self, part: Part, depth: int) -> None:
        """Find what `part` consists of."""
        if part.type == b"MULTIPART" or (part.type, part.subtype) == _ENCLOSED:
            self.octets -= part.body_end - part.header_end
            if depth >= self.depth or self.octets < 0 or self.parts <= 0:
                _seal(part)
            elif part.type == b"MULTIPART":
                self.cut(part, depth + 1)
            else:
                self.parts -= 1
                part.message = inner = self.open(part.header_end, part.body_end, depth + 1, _PLAIN)
                inner.header = self.text[inner.header_start : min(inner.header_end, inner.header_start + HEADER_OCTETS)]
        if part.type == b"TEXT":
            _name_charset(part, self.text)
        if self.measured:
            part.octets, part.lines = crlf.measure(self.text, part.header_end, part.body_end)

    def cut(self, part: Part, depth: int) -> None:
        """Make the parts of a multipart; at least one, as BODY cannot show none (RFC 3501 §9 body-type-mpart)."""
        boundary = next((value for name, value in part.params if name == b"BOUNDARY"), b"").rstrip()
        spans = self.spans(part.header_end, part.body_end, boundary) if boundary else []
        default = _ENCLOSED if part.subtype == b"DIGEST" else _PLAIN
        if not spans:
            spans, default = [(part.body_end, part.body_end)], _PLAIN
        self.parts -= len(spans)
        part.parts = [self.open(start, end, depth, default) for start, end in spans]

    def spans(self, start: int, end: int, boundary: bytes) -> list[Span]:
        """Where the parts between the boundary's lines lie (RFC 2046 §5.1.1).

        A line counts if nothing but blanks follows the boundary, so that one boundary may
        begin like another.  The line end before it is part of it.
        """
        text, found, opened = self.text, [], -1
        needle = b"\n--" + boundary
        at = max(start - 1, 0)
        while (at := text.find(needle, at, end)) >= 0:
            after = at + len(needle)
            line_end = text.find(b"\n", after, end)
            line_end = end if line_end < 0 else line_end
            rest = text[after:line_end].rstrip() if line_end > after else b""
            if rest and rest != b"--":
                self.near_misses -= 1
                if self.near_misses < 0:
                    break
                at = after
                continue
            if opened >= 0:
                found.append((opened, max(at - (text[at - 1 : at] == b"\r"), opened)))
            if rest:
                return found
            opened, at = min(line_end + 1, end), line_end
            if len(found) + 1 >= self.parts:
                break
        if opened >= 0:
            found.append((opened, end))
        return found


def structure(text: Text, depth: int = 100, parts: int = 10_000, measured: bool = True) -> Part:
    """The message in `text`, and all that is inside it; who does not need `octets` and `lines` saves time."""
    survey = _Survey(text, depth, parts, measured)
    root = survey.open(0, len(text), 0, _PLAIN)
    while survey.waiting:
        survey.look_into(*survey.waiting.pop())
    return root


def part(root: Part, numbers: list[int]) -> Part | None:
    """The part that a section's numbers name (RFC 3501 §6.4.5); None if there is none.

    A message that is no multipart has one part, its body: the Part is then that message
    itself (the root, or the `message` of a message/rfc822), of which the body is meant.
    """
    here, whole = root, True  # whole: a message, of which a number can mean the body
    for number in numbers:
        if not whole and here.message is not None:
            here, whole = here.message, True
        if here.parts:
            if number > len(here.parts) or number < 1:
                return None
            here = here.parts[number - 1]
        elif number != 1 or not whole:
            return None
        whole = False
    return here


# --- fields ----------------------------------------------------------------------------


def _read_header(part: Part, header: bytes) -> None:
    """Take what the content fields say; of two of one name the first counts."""
    seen = set()
    for name, value in _CONTENT.findall(b"\n" + header):
        name = name.lower()
        if name not in seen:
            seen.add(name)
            _FIELDS[name](part, unfolded(value))


def _type(part: Part, value: bytes) -> None:
    value = _without_comments(value)
    found = _TYPE.match(value)
    if found:
        part.type = found[1].upper()
        part.subtype = found[2].upper() if found[2] else _SUBTYPES.get(part.type, b"UNKNOWN")
        part.params = _parameters(value, found.end())


def _encoding(part: Part, value: bytes) -> None:
    found = _WORD.match(_without_comments(value))
    if found:
        part.encoding = found[1].upper()


def _disposition(part: Part, value: bytes) -> None:
    value = _without_comments(value)
    found = _WORD.match(value)
    if found:
        part.disposition = found[1].upper(), _parameters(value, found.end())


def _id(part: Part, value: bytes) -> None:
    part.id = value


def _description(part: Part, value: bytes) -> None:
    part.description = value


def _md5(part: Part, value: bytes) -> None:
    part.md5 = value


def _language(part: Part, value: bytes) -> None:
    tags = _without_comments(value).upper().split(b",", LANGUAGES)[:LANGUAGES]
    part.language = [tag.strip() for tag in tags if tag.strip()] or None


def _location(part: Part, value: bytes) -> None:
    part.location = value


_FIELDS = {
    b"type": _type,
    b"transfer-encoding": _encoding,
    b"disposition": _disposition,
    b"id": _id,
    b"description": _description,
    b"md5": _md5,
    b"language": _language,
    b"location": _location,
}


def _parameters(value: bytes, start: int) -> list[Param]:
    """`;name=value` from `start` on: names in capitals, values as they are meant (RFC 2045 §5.1).

    What RFC 2231 cut up (`NAME*0*`) is joined.
    """
    params: list[Param] = []
    for found in _PARAM.finditer(value, start):
        name, quoted, plain = found.groups()
        if quoted is None:
            quoted = plain.strip() if plain else b""
        elif b"\\" in quoted:
            quoted = _QUOTED_PAIR.sub(rb"\1", quoted)
        if not quoted and found[2] is None:
            quoted = NO_VALUE
        params.append((name.upper(), quoted))
        if len(params) >= PARAMETERS:
            break
    return _joined(params) if b"*" in value else params


def _joined(params: list[Param]) -> list[Param]:
    """Continued parameters as one each, in the place of the first piece (RFC 2231 §3, RFC 9051 appendix E).

    What is still encoded is called `NAME*`, charset and language before it (§4.1).  Pieces behind a
    gap stay as they are.
    """
    runs: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in params:
        if found := _CONTINUED.match(name):
            runs.setdefault(found[1], {}).setdefault(int(found[2]), (value, bool(found[3])))
    whole = {name: _unbroken(run) for name, run in runs.items()}
    joined = []
    for name, value in params:
        found = _CONTINUED.match(name)
        pieces = whole[found[1]] if found else []
        if found is None or int(found[2]) >= len(pieces):
            joined.append((name, value))
        elif int(found[2]) == 0:
            joined.append(_whole(found[1], pieces))
    return joined


def _unbroken(run: dict[int, tuple[bytes, bool]]) -> list[tuple[bytes, bool]]:
    pieces: list[tuple[bytes, bool]] = []
    while len(pieces) in run:
        pieces.append(run[len(pieces)])
    return pieces


def _whole(name: bytes, pieces: list[tuple[bytes, bool]]) -> Param:
    if not any(encoded for _, encoded in pieces):
        return name, b"".join(value for value, _ in pieces)
    start = b"" if pieces[0][1] else b"''"  # no charset, no language
    return name + b"*", start + b"".join(value if encoded else _percent(value) for value, encoded in pieces)


def _percent(value: bytes) -> bytes:
    """In the encoding of the pieces around it."""
    return _NO_ATTRIBUTE_CHAR.sub(lambda found: b"%%%02X" % found[0][0], value)


def _without_comments(value: bytes) -> bytes:
    """A blank in place of each comment, which may nest (RFC 822 §3.4.3), but not in quotes."""
    if b"(" not in value:
        return value
    kept, depth, at = [], 0, 0
    while found := (_INSIDE if depth else _OUTSIDE).match(value, at):
        piece, at = found[0], found.end()
        if piece == b"(":
            depth += 1
        elif piece == b")":
            depth = max(depth - 1, 0)
            kept.append(b" ")
        elif not depth:
            kept.append(piece)
    return b"".join(kept)


# --- bodies ----------------------------------------------------------------------------


def _seal(part: Part) -> None:
    """Beyond a limit: octets that nobody looks into."""
    part.type, part.subtype = b"APPLICATION", b"OCTET-STREAM"
    part.params = []


def _name_charset(part: Part, text: Text) -> None:
    """Text without parameters gets the charset that its octets show, as UW does (RFC 2045 §5.2)."""
    if part.params:
        return
    charset = b"US-ASCII"
    start = part.header_end
    while start < part.body_end:
        piece = text[start : min(start + crlf.PIECE_OCTETS, part.body_end)]
        if not piece:
            break
        if b"\x1b$" in piece:
            charset = b"ISO-2022-KR" if b"\x1b$)C" in piece else b"ISO-2022-JP"
            break
        if not piece.isascii():
            charset = b"X-UNKNOWN"
            break
        start += len(piece)
    part.params = [(b"CHARSET", charset)]
