r"""What imapd says, and the only file that turns it into bytes (RFC 3501 §7 and §9).

Handlers yield the values below; nobody else quotes.  `str` is ours: a word of the protocol,
sent as an atom.  `bytes` are theirs: they come from a client or from mail, and go out as a
string, a literal, or (a `Name`) as an astring.  So nothing a stranger wrote can pass for
a response.  Free text loses its controls here.

Also here: which response code (RFC 5530) an error has.
"""

from __future__ import annotations

from imapd.syntax import is_atom, utf7_decode
from mailcore import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Data = Any  # None | int | str | bytes | Flag | Name | Ready | Literal | list | tuple of these

QUOTED_OCTETS = 1000  # longer strings go as literals: some clients read lines into small buffers
TEXT_OCTETS = 500
FLUSH_OCTETS = 65536  # an answer is handed on when it is so long


# --- data ------------------------------------------------------------------------------


class Name(bytes):
    """A mailbox name or another astring: sent bare when it can be, as UW does."""


class Flag(str):
    r"""A flag, sent as it is (`\Seen`, `$Forwarded`); what an atom cannot hold is left out."""


class Ready(bytes):
    """Octets in their wire form, made by us (sets, sections, structures kept by an index)."""


class Literal:
    """A string of `octets` octets that comes in chunks; never held in one piece here."""

    __slots__ = ("chunks", "octets")

    def __init__(self, octets: int, chunks: Iterable[bytes]) -> None:
        self.octets = octets
        self.chunks = chunks


class Literal8(Literal):
    """The same for octets of any value, NUL among them (RFC 3516 §6)."""

    __slots__ = ()


# --- answers ---------------------------------------------------------------------------


class Untagged:
    """`* item item ...` (RFC 3501 §7.2-7.3): Untagged(3, "EXISTS")."""

    __slots__ = ("items",)

    def __init__(self, *items: Data) -> None:
        self.items = items


class Fetch:
    """`* number FETCH (name value ...)` (RFC 3501 §7.4.2); `items` are pairs.

    A name is a str or, with a section, Ready; a value is data or a Literal.
    """

    __slots__ = ("items", "number")

    def __init__(self, number: int, items: Iterable[tuple[str | Ready, Data]]) -> None:
        self.number = number
        self.items = items


class UidFetch(Fetch):
    """`* uid UIDFETCH (name value ...)` (RFC 9586 §3.3)."""

    __slots__ = ()


class Block:
    """Many answers in their wire form, in pieces."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces


class Status:
    """OK, NO, BAD, BYE or PREAUTH, untagged unless `tag` is given (RFC 3501 §7.1).

    `code` is a response code without its brackets.
    """

    __slots__ = ("code", "kind", "tag", "text")

    def __init__(self, kind: str, text: str, code: str = "", tag: bytes = b"") -> None:
        self.kind = kind
        self.text = text
        self.code = code
        self.tag = tag


class Continue:
    """`+ text` (RFC 3501 §7.5); the reply to its yield is the client's next line.

    `text` is our own words, or bytes in base64.
    """

    __slots__ = ("text",)

    def __init__(self, text: str | bytes = "") -> None:
        self.text = text


class Done:
    """What a handler returns to choose the text and code of its tagged OK."""

    __slots__ = ("code", "text")

    def __init__(self, text: str = "", code: str = "") -> None:
        self.text = text
        self.code = code


# --- errors ----------------------------------------------------------------------------

# RFC 5530 §3; an error that is not here is a plain NO.
ERROR_CODES: dict[type[errors.MailError], str] = {
    errors.NoSuchMailbox: "NONEXISTENT",
    errors.MailboxExists: "ALREADYEXISTS",
    errors.BadName: "CANNOT",
    errors.NotAMailbox: "CANNOT",
    errors.Damaged: "CORRUPTION",
    errors.NotSelectable: "CANNOT",
    errors.HasChildren: "HASCHILDREN",
    errors.NoPermission: "NOPERM",
    errors.ReadOnly: "READ-ONLY",
    errors.InUse: "INUSE",
    errors.OutOfSpace: "OVERQUOTA",
    errors.DiskError: "UNAVAILABLE",
    errors.Expunged: "EXPUNGEISSUED",
    errors.TooBig: "TOOBIG",
}


def judged(error: errors.MailError, name: str = "", trycreate: bool = False) -> Status:
    """BAD for what is not IMAP, NO for what cannot be done (RFC 3501 §7.1.2-7.1.3).

    With `trycreate` a missing mailbox is the client's to make (§6.3.11, §6.4.7).
    """
    if isinstance(error, errors.Mistake):
        code = "UIDREQUIRED" if isinstance(error, errors.UidRequired) else ""  # RFC 9586 §3.1
        return Status("BAD", f"{error.text}: {name}" if name else error.text, code)
    if isinstance(error, errors.Refusal):
        return Status("NO", error.text, error.code)
    if trycreate and isinstance(error, errors.NoSuchMailbox):
        return Status("NO", error.text, "TRYCREATE")
    return Status("NO", error.text, ERROR_CODES.get(type(error), ""))


# --- encoding --------------------------------------------------------------------------

_atoms: dict[str, bytes] = {}  # our own words, checked once
_flags: dict[str, bytes] = {}
_FLAGS_KEPT = 1000


def atom(word: str) -> bytes:
    """A word of ours.  One that an atom cannot hold is our own bug, and never goes out."""
    done = _atoms.get(word)
    if done is None:
        done = word.encode("utf-8", "replace")
        if not is_atom(done):
            raise errors.Broken(f"not an atom: {word!r}")
        _atoms[str(word)] = done
    return done


def flag(word: str) -> bytes:
    r"""A flag; `\*` too, for PERMANENTFLAGS (RFC 3501 §7.1)."""
    done = _flags.get(word)
    if done is None:
        slash, name = word.startswith("\\"), word.removeprefix("\\").encode("ascii", "replace")
        if word != "\\*" and not is_atom(name):
            name = bytes(octet for octet in name if is_atom(bytes((octet,)))) or b"unnamed"
        done = b"\\" * slash + name
        if len(_flags) < _FLAGS_KEPT:
            _flags[str(word)] = done
    return done


_UNQUOTABLE = bytes((*range(0x20), *range(0x7F, 256)))
# bytes.translate table: 0 for what cannot be quoted as it is
_PLAIN = bytes.maketrans(_UNQUOTABLE + b'"\\', bytes(len(_UNQUOTABLE) + 2))


def string(value: bytes) -> bytes:
    """Quoted if it can be, else a literal (RFC 3501 §4.3)."""
    if len(value) <= QUOTED_OCTETS and value.translate(_PLAIN).find(0) < 0:
        return b'"%b"' % value
    if b"\n" in value or len(value) > QUOTED_OCTETS or value.translate(None, _UNQUOTABLE) != value:
        return literal(value)
    if b'"' in value or b"\\" in value:
        value = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"%b"' % value


def literal(value: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(value), _without_nul(value))


def astring(value: bytes) -> bytes:
    """An atom if it is one, else a string; the word NIL is quoted."""
    return bytes(value) if is_atom(value) and value.upper() != b"NIL" else string(value)


def _without_nul(chunk: bytes) -> bytes:
    """NUL cannot be sent (RFC 3501 §9 CHAR8); 0x80 goes in its place, as UW does, so that sizes hold."""
    return chunk.replace(b"\0", b"\x80") if 0 in chunk else chunk


def data(value: Data, utf8: bool = False) -> bytes:
    """One data item (RFC 3501 §4), in one piece; a Literal cannot be inside."""
    encode_one = (_DATA_IN_UTF8 if utf8 else _DATA).get(type(value))
    if encode_one is None:
        raise errors.Broken(f"no IMAP data: {value!r}")
    return encode_one(value)


def _list(values: Iterable[Data]) -> bytes:
    return b"(%b)" % b" ".join([data(value) for value in values])


def _list_in_utf8(values: Iterable[Data]) -> bytes:
    return b"(%b)" % b" ".join([data(value, True) for value in values])


def _name_in_utf8(value: Name) -> bytes:
    """A mailbox's name for who reads UTF-8 (RFC 9051 §5.1); one that is no modified UTF-7 goes as it is."""
    try:
        name = utf7_decode(value.decode("ascii")).encode()
    except (UnicodeDecodeError, UnicodeEncodeError, errors.BadName):
        return astring(value)
    if name.isascii():
        return astring(name)
    return b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


_DATA: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"NIL",
    int: lambda value: b"%d" % value,
    str: atom,
    Flag: flag,
    Name: astring,
    Ready: bytes,
    bytes: string,
    list: _list,
    tuple: _list,
}
_DATA_IN_UTF8 = {**_DATA, Name: _name_in_utf8, list: _list_in_utf8, tuple: _list_in_utf8}


def clean(text: str) -> str:
    """Free text on one line: no controls, nothing but ASCII, never empty (RFC 3501 §9 text)."""
    kept = "".join(letter if " " <= letter <= "~" else "?" for letter in text[:TEXT_OCTETS]).strip() or "-"
    return kept + "." if kept.endswith("}") else kept  # some clients see a literal in any {n} at a line's end


def _status(value: Status) -> bytes:
    text = clean(value.text)
    if value.code:
        # a code may be longer than a text: capabilities, flags
        code = "".join(letter if " " <= letter <= "~" and letter != "]" else "?" for letter in value.code)
        text = f"[{code}] {text}"
    elif text.startswith("["):
        text = "- " + text  # or it would be read as a code
    return b"%b %b %b\r\n" % (value.tag or b"*", value.kind.encode(), text.encode("ascii"))


def _continue(value: Continue) -> bytes:
    if isinstance(value.text, bytes):
        return b"+ %b\r\n" % value.text
    return b"+ %b\r\n" % clean(value.text).encode("ascii")


def _untagged(value: Untagged, utf8: bool = False) -> bytes:
    return b"* %b\r\n" % b" ".join([data(item, utf8) for item in value.items])


def _fetch(value: Fetch) -> Iterator[bytes]:
    """Pieces of a FETCH; small ones come as one, so that an error in them harms nothing."""
    word = b"UIDFETCH" if type(value) is UidFetch else b"FETCH"
    held = [b"* %d %b (" % (value.number, word)]
    octets = 0
    between = b""
    for name, item in value.items:
        held.append(between + (name if isinstance(name, Ready) else atom(name)) + b" ")
        between = b" "
        if not isinstance(item, Literal):
            held.append(data(item))
            octets += len(held[-1])
            continue
        for piece in _literal(item):
            held.append(piece)
            octets += len(piece)
            if octets >= FLUSH_OCTETS:
                yield b"".join(held)
                held, octets = [], 0
    held.append(b")\r\n")
    yield b"".join(held)


def pieces(value: Fetch) -> list[bytes] | None:
    """A FETCH answer, to be said with others in a Block; None if there is a Literal in it."""
    word = b"UIDFETCH" if type(value) is UidFetch else b"FETCH"
    held = [b"* %d %b (" % (value.number, word)]
    between = b""
    for name, item in value.items:
        if isinstance(item, Literal):
            return None
        held.append(between + (name if isinstance(name, Ready) else atom(name)) + b" ")
        between = b" "
        if type(item) is bytes and b"\n" in item:
            held += b"{%d}\r\n" % len(item), _without_nul(item)
        else:
            held.append(data(item))
    held.append(b")\r\n")
    return held


def _literal(value: Literal) -> Iterator[bytes]:
    """Exactly as many octets as announced, or Broken: the client counts on it."""
    left, binary = value.octets, isinstance(value, Literal8)
    yield b"%b{%d}\r\n" % (b"~" * binary, left)
    for chunk in value.chunks:
        left -= len(chunk)
        if left < 0:
            break
        yield chunk if binary else _without_nul(chunk)
    if left:
        raise errors.Broken(f"a literal of {value.octets} octets is {-left} octets longer")


def encode(value: object, utf8: bool = False) -> Iterator[bytes]:
    """The bytes of one answer; `utf8`: the client reads names of mailboxes in UTF-8."""
    kind = type(value)
    if isinstance(value, Fetch):
        yield from _fetch(value)
    elif isinstance(value, Ready):
        yield bytes(value)
    elif kind is Block:
        yield b"".join(value.pieces)  # type: ignore[attr-defined]
    elif utf8 and kind is Untagged:
        yield _untagged(value, True)  # type: ignore[arg-type]
    elif kind in _ANSWERS:
        yield _ANSWERS[kind](value)
    else:
        raise errors.Broken(f"no answer: {value!r}")


_ANSWERS: dict[type, Callable[[Any], bytes]] = {
    Untagged: _untagged,
    Status: _status,
    Continue: _continue,
}
ANSWERS = frozenset((Untagged, Status, Fetch, UidFetch, Block, Ready))  # what a handler may yield to be said
