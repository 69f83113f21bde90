"""The hidden fields: where an mbox keeps flags, keywords, UIDs and UIDVALIDITY.

What lives here: reading any program's Status, X-Status, X-Keywords, X-UID, X-IMAPbase and
X-IMAP fields, taking them out of a header, and writing ours.  What does not: whether to
believe them (identity.py).  Bytes in, values out; no files.

Ours is a block of four lines of fixed width at the end of the header, in the spelling of
UW, alpine, mutt and Dovecot, so that a change of flags is one write of the same length:

    Status: RO          two letters
    X-Status: F         four
    X-Keywords: a b     as wide as it was made, blanks at the end
    X-UID: 17           ten

The first message has, before the four, `X-IMAPbase: VALIDITY LAST keywords…`, both numbers
of ten digits.  (UW's internal-data message has X-IMAP in its place.)  As every line keeps its
width, a write torn by a power cut leaves each line a line.
"""

from __future__ import annotations

from mailcore.expressions import IGNORE_CASE, Expression

# bits of a message's flags as columns hold them
SEEN, ANSWERED, FLAGGED, DELETED, DRAFT, OLD = 1, 2, 4, 8, 16, 32
ODD = 0xFFFFFFFF  # in place of a block's size: hidden fields not in our form, or more of them
NUMBERED = 128  # the file says the UID that we say, in a block of ours

_LETTERS = {ord("R"): SEEN, ord("O"): OLD, ord("D"): DELETED, ord("F"): FLAGGED, ord("A"): ANSWERED, ord("T"): DRAFT}

# Both are used on a header with a line end put before it, and start with one: re then looks
# for that octet at the speed of memchr.
HIDDEN = Expression(
    rb"\n(X-IMAPbase|X-IMAP|X-Status|X-Keywords|X-UID|Status)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", IGNORE_CASE
)
# what other programs write anew when they rewrite a mailbox says nothing about a message's identity
_PASSING = Expression(
    rb"\n(?:X-IMAPbase|X-IMAP|X-Status|X-Keywords|X-UID|Status|Content-Length|Lines|X-Mozilla-[A-Za-z0-9-]*+)"
    rb"[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+",
    IGNORE_CASE,
)
# most headers have no hidden field: find out fast
_MAYBE = Expression(rb"\n(?:[Ss][Tt]|[Xx]-(?:[Ss][Tt]|[Kk][Ee]|[Uu][Ii]|[Ii][Mm]))")
# finds nothing in a header that neither we nor others have written into
TOUCHED = Expression(
    rb"\n(?:[Ss][Tt]|[Xx]-(?:[Ss][Tt]|[Kk][Ee]|[Uu][Ii]|[Ii][Mm]|[Mm][Oo])"
    rb"|[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee]|[Ll][Ii][Nn])"
)
_OURS = Expression(
    rb"\nStatus: ([RO ]{2})\nX-Status: ([DFAT ]{4})\nX-Keywords:( [^\n\r]*)\nX-UID: (\d[\d ]{9})(?=\n)"
)
_BASE = Expression(rb"\nX-IMAP(?:base)?: (\d{10}) (\d{10})( [^\n\r]*)?(?=\n)")
_DONT_DELETE = b"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA"
_SUBJECT = Expression(rb"\nSubject[ \t]*:[ \t]*([^\r\n]*)", IGNORE_CASE)
_TRAVELLED = Expression(rb"\n(?:Received|Return-Path|Delivered-To|X-Original-To)[ \t]*:", IGNORE_CASE)

KEYWORD_ROOM = 24  # octets kept for keywords in a new block
BASE_ROOM = 120  # octets kept for keywords in a new X-IMAPbase
UID_OCTETS = 18  # the last line of a block
FIXED_OCTETS = 11 + 15 + 13 + UID_OCTETS  # a block with no room for keywords
PLACE_OCTETS = 960 * 1024  # in a longer header our block goes to the start, in sight of every scan


class Hidden:
    """What the hidden fields of one header say, and where ours lie in it."""

    __slots__ = ("base", "base_offset", "base_octets", "bits", "internal", "offset", "octets", "plain", "uid", "words")

    def __init__(self) -> None:
        self.bits = 0
        self.words: tuple[bytes, ...] = ()
        self.uid = 0
        self.base: tuple[int, int, tuple[bytes, ...]] | None = None  # validity, last uid, keywords
        self.base_offset = -1  # of the line in the header, if it can be changed in place
        self.base_octets = 0
        self.offset = -1  # of our block in the header
        self.octets = 0
        self.internal = False  # UW's internal-data message
        self.plain = True  # there is no hidden field at all


NOTHING = Hidden()


def read(header: bytes) -> Hidden:
    """The hidden fields of a header that starts with the line end before its first line.

    Offsets count from that line end, that is from the header's first octet plus one.
    """
    if _MAYBE.search(header) is None:
        return NOTHING
    hidden = Hidden()
    fields = 0
    for field in HIDDEN.finditer(header):
        fields += 1
        _take(hidden, field.group(1).lower(), field.group(2))
    if not fields:
        return NOTHING
    hidden.plain = False
    ours = _OURS.search(header)
    base = _BASE.search(header)
    if ours is not None and fields == (5 if base is not None and base.end() == ours.start() else 4):
        hidden.offset = ours.start() + 1
        hidden.octets = ours.end() - ours.start()
    if hidden.base is not None:
        hidden.internal = _is_internal(header)
        if base is not None:
            hidden.base_offset = base.start() + 1
            hidden.base_octets = base.end() - base.start()
    return hidden


def _take(hidden: Hidden, name: bytes, value: bytes) -> None:
    if name in (b"status", b"x-status"):
        hidden.bits |= _letters(value)
    elif name == b"x-keywords":
        hidden.words += tuple(value.split())
    elif name == b"x-uid":
        hidden.uid = hidden.uid or _number(value.strip())
    elif hidden.base is None:
        parts = value.split()
        if len(parts) >= 2 and (validity := _number(parts[0])) and parts[1].isdigit():
            hidden.base = (validity, _number(parts[1]), tuple(parts[2:]))


def _letters(text: bytes) -> int:
    bits = 0
    for letter in text:
        bits |= _LETTERS.get(letter, 0)
    return bits


def _number(text: bytes) -> int:
    """A number of 32 bits; 0 for anything else."""
    if text.isdigit() and len(text) <= 10 and (number := int(text)) < 1 << 32:
        return number
    return 0


def _is_internal(header: bytes) -> bool:
    """Is this UW's internal-data message, and not a mail that somebody sent to look like it?"""
    subject = _SUBJECT.search(header)
    return subject is not None and subject.group(1).startswith(_DONT_DELETE) and _TRAVELLED.search(header) is None


def strip(header: bytes) -> bytes:
    """A header, started by a line end, without its hidden fields (and with that line end)."""
    if _MAYBE.search(header) is None:
        return header
    return HIDDEN.sub(b"", header)


def cut(header: bytes, place: int, octets: int) -> bytes:
    """The same where a block of ours of so many octets is known to lie, which then is all there is to take out."""
    end = place + octets
    begun = octets and header[place - 1 : place + 8] == b"\nStatus: "
    ended = header[end - UID_OCTETS : end - 11] == b"X-UID: " and header[end - 1 : end] == b"\n"
    if not begun or not ended or header.find(b"\nX-IMAP") >= 0:
        return strip(header)
    return header[:place] + header[end:]


def place(header: bytes) -> int:
    """Where a block goes in a header that is started by a line end."""
    if len(header) <= PLACE_OCTETS:
        if header.endswith(b"\n\n"):
            return len(header) - 1
        if header.endswith(b"\n\r\n"):
            return len(header) - 2
    return 1


def identity(header: bytes) -> bytes:
    """What of a header makes a message that message: no hidden field, no line ends' form, no counts."""
    if TOUCHED.search(header) is not None:
        header = _PASSING.sub(b"", header)
    return header.replace(b"\r", b"").rstrip(b"\n")


def write(bits: int, words: list[bytes], uid: int, octets: int = 0) -> bytes | None:
    """A block; of exactly `octets` if they are given, None if it does not fit."""
    start = write_start(bits, words, octets)
    return None if start is None else start + uid_line(uid)


def write_start(bits: int, words: list[bytes], octets: int = 0) -> bytes | None:
    """A block without its last line, which says the UID."""
    status = (b"R" if bits & SEEN else b"") + (b"O" if bits & OLD else b"")
    letters = b"".join(
        letter for bit, letter in ((DELETED, b"D"), (FLAGGED, b"F"), (ANSWERED, b"A"), (DRAFT, b"T")) if bits & bit
    )
    names = b" ".join(words)
    if octets:
        room = octets - FIXED_OCTETS
        if len(names) > room:
            return None
    else:
        room = KEYWORD_ROOM if len(names) <= KEYWORD_ROOM else 2 * len(names)
    lines = b"Status: %b\nX-Status: %b\nX-Keywords: %b\n"
    return lines % (status.ljust(2), letters.ljust(4), names.ljust(room))


def uid_line(uid: int) -> bytes:
    """The last line of a block."""
    return b"X-UID: %-10d\n" % uid


def is_between(old: bytes, line: bytes, new: bytes) -> bool:
    """Does a line that was written in half say each flag as the old or as the new one does?

    \\Recent counts for nothing: a message may be recent once more.
    """
    if not line.startswith((b"Status: ", b"X-Status: ")):
        return False
    was, bits, shall = (_letters(text[text.index(b" ") :]) & ~OLD for text in (old, line, new))
    return not (bits & ~(was | shall) or was & shall & ~bits)


def write_base(
    validity: int, last: int, words: list[bytes], octets: int = 0, name: bytes = b"X-IMAPbase"
) -> bytes | None:
    """An X-IMAPbase (or X-IMAP) line; of exactly `octets` if they are given, None if it does not fit."""
    line = b" ".join((b"%b: %010d %010d" % (name, validity, last), *words))
    if octets:
        return line.ljust(octets - 1) + b"\n" if len(line) < octets else None
    room = BASE_ROOM if sum(map(len, words)) + len(words) <= BASE_ROOM // 2 else 2 * len(line)
    return line.ljust(len(line) + room) + b"\n"
