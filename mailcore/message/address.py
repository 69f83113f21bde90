"""Addresses in header fields (RFC 5322 §3.4), as an ENVELOPE shows them (RFC 3501 §7.4.2).

What lives here: reading address lists, also broken ones.  What does not: decoding of the
names in them (decode.py: servers send them as they are).

A list is read one mailbox at a time.  The usual shapes (`a@b`, `Name <a@b>`, `"Name" <a@b>`)
are cut by one pattern; anything else (comments, groups, routes, folded words, mistakes) is
read word by word up to the next comma.  What cannot be an address is not dropped: clients
see it with a host that says so, the names of which are UW's, so that filters that know
them go on working.  A mistake costs only what stands before the next comma.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    # name, route, mailbox, host, as RFC 3501 §7.4.2 orders them
    Fields = tuple[bytes | None, bytes | None, bytes | None, bytes | None]

ADDRESSES = 10_000  # more in one field are not looked at: no human writes to so many
TOKENS = 50_000  # read word by word in one field; the usual shapes do not count

NO_HOST = b".MISSING-HOST-NAME."
BAD_HOST = b".SYNTAX-ERROR."
NO_MAILBOX = b"INVALID_ADDRESS"
TRAILING = b"UNEXPECTED_DATA_AFTER_ADDRESS"
END_OF_GROUP: Fields = (None, None, None, None)

# One mailbox of a usual shape and the comma (or the end) after it.
_USUAL = re.compile(
    rb"""[ \t,]*+(?:
        (?:"([^"\\]*+)"[ \t]*+|([^"\\()<>@,:;\[\]\x00-\x1f]*+))
        <([^\x00-\x20"\\()<>@,:;\[\]]++)@([^\x00-\x20"\\()<>@,:;\[\]]++)>
      | ([^\x00-\x20"\\()<>@,:;\[\]]++)@([^\x00-\x20"\\()<>@,:;\[\]]++)
    )[ \t]*+(?:,|\Z)""",
    re.X,
)
_NOTHING = re.compile(rb"[\x00-\x20,;]*+")  # between mailboxes, outside of groups
# One word or special character, with the white space before it.  The first knows quotes; the
# second is for the rest of a value in which one is never closed.
_ATOM = rb'([\x00-\x20\x7f]*+)(?:([^\x00-\x20\x7f()<>@,:;\\"\[\]]++|\[[^\[\]\\]*+\])|'
_TOKEN = re.compile(_ATOM + rb'"((?:[^"\\]++|\\.)*+)"|(.)|\Z)', re.S)
_TOKEN_UNQUOTED = re.compile(_ATOM + rb"((?!))|(.)|\Z)", re.S)
_COMMENT_PIECE = re.compile(rb"(?:[^()\\]++|\\.)*+", re.S)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.S)


class Address:
    """One mailbox; or, without a host, the start (mailbox: the group's name) or end of a group."""

    __slots__ = ("host", "mailbox", "name", "route")

    def __init__(self, name: bytes | None, route: bytes | None, mailbox: bytes | None, host: bytes | None) -> None:
        self.name = name
        self.route = route
        self.mailbox = mailbox
        self.host = host


def addresses(value: bytes) -> list[Address]:
    """The addresses of an unfolded field, in order."""
    return [Address(*fields) for fields in address_fields(value)]


def address_fields(value: bytes) -> list[Fields]:
    """The same as plain tuples: name, route, mailbox, host."""
    found: list[Fields] = []
    reader: _Reader | None = None
    match, at, end = _USUAL.match, 0, len(value)
    while at < end and len(found) < ADDRESSES:
        usual = match(value, at)
        if usual is None:
            reader = reader or _Reader(value)
            at = reader.item(at, found)
            continue
        quoted, phrase, mailbox, host, plain, plain_host = usual.groups()
        if plain:
            found.append((None, None, plain, plain_host))
        else:
            found.append((_one_line(quoted or phrase or b""), None, mailbox, host))
        at = usual.end()
    if reader and reader.in_group:
        found.append(END_OF_GROUP)
    return found


def _one_line(phrase: bytes) -> bytes | None:
    """A name with single blanks; None for an empty one."""
    if b"  " in phrase or b"\t" in phrase:
        phrase = b" ".join(phrase.split())
    return phrase.strip() or None


class _Reader:
    """Reads what is not of a usual shape: tokens of one value, and whether a group is open."""

    __slots__ = ("comment", "in_group", "left", "next", "special", "spaced", "token", "value", "word")

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.in_group = False
        self.token = _TOKEN
        self.left = TOKENS
        self.next = 0  # index after the token just read
        self.comment = b""  # the first one of this item
        self.word: bytes | None = None  # the token just read: a word,
        self.special = b""  # or a special character, b"" at the end
        self.spaced = False  # white space or a comment stood before it

    def read(self) -> None:
        """Go on to the next token; comments and stray quotes are passed over."""
        self.spaced = False
        while True:
            found = self.token.match(self.value, self.next)
            self.left -= 1
            if found is None or self.left < 0:  # the pattern takes anything
                self.word, self.special, self.next = None, b"", len(self.value)
                return
            blank, atom, quoted, special = found.groups()
            self.next = found.end()
            self.spaced = self.spaced or bool(blank)
            self.word, self.special = atom, special or b""
            if quoted is not None:
                self.word = _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted
            elif special == b"(":
                self._skip_comment()
                continue
            elif special == b'"':  # never closed, and so is none after it
                self.token = _TOKEN_UNQUOTED
                continue
            return

    def _skip_comment(self) -> None:
        """Pass over a comment, whose parentheses nest; keep the item's first one."""
        start, depth, at = self.next, 1, self.next
        while depth:
            piece = _COMMENT_PIECE.match(self.value, at)
            at = piece.end() + 1 if piece else at + 1
            parenthesis = self.value[at - 1 : at]
            self.left -= 1
            if parenthesis == b"(":
                depth += 1
            elif parenthesis == b")":
                depth -= 1
            if self.left < 0 or parenthesis not in (b"(", b")"):  # never closed; a backslash may be the last octet
                at = len(self.value) + 1
                break
        self.next = min(at, len(self.value))
        self.spaced = True
        if not self.comment:
            self.comment = _QUOTED_PAIR.sub(rb"\1", self.value[start : at - 1]).strip(b" \t")

    def item(self, at: int, found: list[Fields]) -> int:
        """Read one mailbox, start or end of a group at `at`; the index after it and its separator."""
        nothing = None if self.in_group else _NOTHING.match(self.value, at)
        self.next, self.comment = nothing.end() if nothing else at, b""
        words = self.words(b"<,;:")
        if self.special == b":":
            self.open_group(words, found)
            return self.next
        if self.special == b"<":
            self.angle(words, found)
        elif words:
            self.bare(words, found)
        while not self.at_separator():
            self.read()
        if self.special == b";" and self.in_group:
            found.append(END_OF_GROUP)
            self.in_group = False
        return self.next

    def words(self, stops: bytes) -> list[tuple[bytes, bool]]:
        """Words and `@` up to one of `stops` or the end, each with whether it stands apart."""
        words: list[tuple[bytes, bool]] = []
        while True:
            self.read()
            if self.word is not None:
                words.append((self.word, self.spaced))
            elif self.special == b"@":
                words.append(_AT)
            elif not self.special or self.special in stops:
                return words

    def open_group(self, words: list[tuple[bytes, bool]], found: list[Fields]) -> None:
        """`name:`; a group in a group ends the first one."""
        if self.in_group:
            found.append(END_OF_GROUP)
        found.append((None, None, _phrase(words) or b"", None))
        self.in_group = True

    def bare(self, words: list[tuple[bytes, bool]], found: list[Fields]) -> None:
        """`a@b`, or what is meant to be."""
        name, mailbox, host, rest = _address(words)
        found.append((name or self.comment or None, None, mailbox, host))
        if rest:
            found.append((None, None, TRAILING, BAD_HOST))

    def angle(self, words: list[tuple[bytes, bool]], found: list[Fields]) -> None:
        """`Name <a@b>` or `<@route:a@b>`, from after the `<`; the name may look like an address."""
        name = _phrase(words)
        inside = self.words(b">,;:")
        route = None
        if inside and inside[0] is _AT:
            while self.special == b",":  # the hosts of a route
                inside += [(b",", False), *self.words(b">,;:")]
            if self.special == b":":
                route = b"".join(b"@" if word is _AT else word[0] for word in inside)
                inside = self.words(b">,;")
        _, mailbox, host, rest = _address(inside) if inside else (None, NO_MAILBOX, BAD_HOST, False)
        if self.special == b">":
            rest = self.ends_badly() or rest
        found.append((name or self.comment or None, route, mailbox, host))
        if rest:
            found.append((None, None, TRAILING, BAD_HOST))

    def ends_badly(self) -> bool:
        """Is there more than comments (or one `>` too many) before the next separator?"""
        while self.word is None and self.special == b">":
            self.read()
        return not self.at_separator()

    def at_separator(self) -> bool:
        """Does the token just read end an item?"""
        return self.word is None and self.special in (b",", b";", b"")


_AT = (b"@", False)  # compared by identity: a quoted word may read "@" too


def _phrase(words: list[tuple[bytes, bool]]) -> bytes:
    """Words of a name, with a blank where there was white space."""
    return b"".join(b" " + word if spaced else word for word, spaced in words).strip(b" ")


def _address(words: list[tuple[bytes, bool]]) -> tuple[bytes | None, bytes, bytes, bool]:
    """Name, mailbox, host, and whether something is left over, of `[name] mailbox@host`."""
    at = next((index for index, word in enumerate(words) if word is _AT), -1)
    if at < 0:
        return None, _phrase(words), NO_HOST, False
    first = at - 1 if at else 0
    while 0 < first < at and _joined(words, first):
        first -= 1
    mailbox = b"".join(word for word, _ in words[first:at])
    last = at + 1
    while last < len(words) and words[last] is not _AT and (last == at + 1 or _joined(words, last)):
        last += 1
    host = b"".join(word for word, _ in words[at + 1 : last])
    if not mailbox:
        return None, NO_MAILBOX, host or BAD_HOST, last < len(words)
    return _phrase(words[:first]) or None, mailbox, host or BAD_HOST, last < len(words)


def _joined(words: list[tuple[bytes, bool]], index: int) -> bool:
    """Does this word go on the one before it: nothing between them, or a dot (RFC 5322 §4.4)?"""
    word, spaced = words[index]
    return not spaced or word.startswith(b".") or words[index - 1][0].endswith(b".")
