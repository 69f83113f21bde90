"""The header of a message or of a part: where it ends, and its fields (RFC 5322 §2.2).

What lives here: cutting.  What does not: the meaning of a field (address.py, dates.py,
mime.py) and encoded words (decode.py).

A header is bytes: the lines, ending in LF or CR LF, and mostly the empty line after them.
Nothing in it can be wrong: a line that is no field is passed over by those who look for
fields, and kept by those who take fields away.  Every pattern is possessive, so each octet
is looked at a fixed number of times whatever a sender thinks up.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mailcore.message.crlf import Text

WINDOW_OCTETS = 4096  # most headers are shorter
PATTERNS_KEPT = 64  # each client asks for the same few sets of fields again and again

# A name, what follows it, and the lines folded onto it; or a line that is no field.
_FIELD = re.compile(rb"(?:([!-9;-~]++)[ \t]*+:[^\n]*+\n?+(?:[ \t][^\n]*+\n?+)*+|[^\n]++\n?+|\n)")
_VALUE = rb"(?i)\n%b[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)"
_WHOLE = rb"(?i)\n(%b[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+)"
_patterns: dict[tuple[tuple[bytes, ...], bool], re.Pattern[bytes]] = {}


def end_of_header(text: Text, start: int = 0, end: int | None = None) -> int:
    """The index just after the empty line that ends the header at `start`; `end` if none does."""
    end = len(text) if end is None else end
    first = text[start : min(start + 2, end)]
    if first[:1] == b"\n":
        return start + 1
    if first == b"\r\n":
        return start + 2
    window = WINDOW_OCTETS
    while start < end:  # in growing windows: one of the two may be far away in the body, or nowhere
        stop = min(start + window, end)
        bare = text.find(b"\n\n", start, stop)
        full = text.find(b"\n\r\n", start, stop if bare < 0 else bare + 1)
        if full >= 0:
            return full + 3
        if bare >= 0:
            return bare + 2
        if stop == end:
            break
        start = stop - 2
        window *= 4
    return end


def fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each field: its name as written, and its lines as written, folding and line ends included."""
    for found in _FIELD.finditer(header):
        name = found[1]
        if name:
            yield name, found[0]


def value(header: bytes, name: bytes) -> bytes | None:
    """What the first field of that name says, unfolded (RFC 5322 §2.2.3) and stripped; None without one."""
    found = _pattern((name,)).search(b"\n" + header)
    return unfolded(found[1]) if found else None


def values(header: bytes, name: bytes) -> list[bytes]:
    """What every field of that name says, in their order."""
    return [unfolded(found) for found in _pattern((name,)).findall(b"\n" + header)]


def only(header: bytes, names: Iterable[bytes]) -> bytes:
    """The fields of these names, in the order of the message, and an empty line (RFC 3501 §6.4.5)."""
    return picker(names)(header)


def picker(names: Iterable[bytes]) -> Callable[[bytes], bytes]:
    """`only` of these names, for many headers."""
    findall = _pattern(tuple(names), whole=True).findall

    def pick(header: bytes) -> bytes:
        found = findall(b"\n" + header)
        if not found:
            return _ended(b"", header)
        if 13 in header or header.endswith(found[-1]):
            lines = b"\n".join(found)
            return _ended(lines if header.endswith(found[-1]) else lines + b"\n", header)
        found.append(b"\n")  # after a line end, the empty line
        return b"\n".join(found)

    return pick


def without(header: bytes, names: Iterable[bytes]) -> bytes:
    """The header without the fields of these names, and an empty line (RFC 3501 §6.4.5)."""
    rest = _pattern(tuple(names)).sub(b"", b"\n" + header)[1:]
    if rest[-2:] == b"\n\n":
        rest = rest[:-1]
    elif rest[-3:] == b"\n\r\n" or rest == b"\r\n":
        rest = rest[:-2]
    elif rest == b"\n":
        rest = b""
    return _ended(rest, header)


def unfolded(value: bytes) -> bytes:
    """A field's value on one line, without the white space around it."""
    if b"\n" in value or b"\r" in value:
        value = value.replace(b"\n", b"").replace(b"\r", b"")
    return value.strip(b" \t")


def _pattern(names: tuple[bytes, ...], whole: bool = False) -> re.Pattern[bytes]:
    """What finds these fields after a LF; group 1 is the value, or the `whole` field.  Kept, as compiling is slow."""
    pattern = _patterns.get((names, whole))
    if pattern is None:
        if len(_patterns) >= PATTERNS_KEPT:
            _patterns.clear()
        some = list(dict.fromkeys(name.lower() for name in names if name))
        first = b"".join(sorted({re.escape(name[:1]) for name in some}))  # soon seen, and most lines are others
        wanted = b"(?=[%b])(?:%b)" % (first, b"|".join(map(re.escape, some))) if some else b"(?!)"
        text = _WHOLE if whole else _VALUE
        pattern = _patterns[names, whole] = re.compile(text % wanted)
    return pattern


def _ended(kept: bytes, header: bytes) -> bytes:
    """`kept` with its last line ended and an empty line after it, in the header's own line ends."""
    line_end = b"\n"
    if header.find(b"\r", 0, 1000) >= 0 and b"\r\n" in header[:1000]:
        line_end = b"\r\n"
    if kept and not kept.endswith(b"\n"):
        kept += line_end
    return kept + line_end
