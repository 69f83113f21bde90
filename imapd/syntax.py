"""The grammar of IMAP commands: one method for one rule (RFC 3501 §9).

What lives here: the character classes, `Args` - the arguments of one whole command - and
the names of mailboxes (modified UTF-7, RFC 3501 §5.1.3).  What does not: reading
(intake.py) and meaning (the states' files).

A method takes its rule from the front of what is left and returns its value, or raises
Mistake; nothing is ever given back.  No regular expressions: this runs before the greeting.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64

from mailcore.errors import BadName, Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from typing import TypeVar

    from imapd.sequence import SequenceSet

    Item = TypeVar("Item")

# --- character classes (RFC 3501 §9) ---------------------------------------------------

CTL = frozenset((*range(0x20), 0x7F))
CHAR = frozenset(range(1, 0x80))
LIST_WILDCARDS = frozenset(b"%*")
QUOTED_SPECIALS = frozenset(b'"\\')
RESP_SPECIALS = frozenset(b"]")
ATOM_SPECIALS = frozenset(b"(){ ") | CTL | LIST_WILDCARDS | QUOTED_SPECIALS | RESP_SPECIALS
ATOM_CHAR = CHAR - ATOM_SPECIALS
ASTRING_CHAR = ATOM_CHAR | RESP_SPECIALS
LIST_CHAR = ATOM_CHAR | LIST_WILDCARDS | RESP_SPECIALS
TAG_CHAR = ASTRING_CHAR - frozenset(b"+")
TEXT_CHAR = CHAR - frozenset(b"\r\n")
DIGIT = frozenset(b"0123456789")
KEYWORD_CHAR = ATOM_CHAR - frozenset(b"[")  # a FETCH item ends where its section begins
SEQUENCE_CHAR = DIGIT | frozenset(b":,*")

TAG_OCTETS = 100  # UW allowed 50, the RFC names no limit
NUMBER_DIGITS = 10  # no number of the grammar is longer; int() of more is not free
LARGEST_NUMBER = 0xFFFFFFFF
NUMBER64_DIGITS = 19
LARGEST_NUMBER64 = 0x7FFFFFFFFFFFFFFF

SYSTEM_FLAGS = {f"\\{name.upper()}": f"\\{name}" for name in ("Answered", "Flagged", "Deleted", "Seen", "Draft")}


def _outside(members: frozenset[int]) -> bytes:
    """A table for bytes.translate: b"." for members, a blank for everything else."""
    inside = bytes(members)
    outside = bytes(range(256)).translate(None, inside)
    return bytes.maketrans(inside + outside, b"." * len(inside) + b" " * len(outside))


_ATOM, _ASTRING, _LIST = _outside(ATOM_CHAR), _outside(ASTRING_CHAR), _outside(LIST_CHAR)
_KEYWORD, _DIGITS, _SEQUENCE = _outside(KEYWORD_CHAR), _outside(DIGIT), _outside(SEQUENCE_CHAR)
_NOT_TAG = bytes(sorted(set(range(256)) - TAG_CHAR))
_NOT_ATOM = bytes(sorted(set(range(256)) - ATOM_CHAR))
_NOT_TEXT = bytes(sorted(set(range(256)) - TEXT_CHAR))


def is_tag(word: bytes) -> bool:
    """1*<any ASTRING-CHAR except "+">, and not absurdly many."""
    return 0 < len(word) <= TAG_OCTETS and word.translate(None, _NOT_TAG) == word


def is_atom(word: bytes) -> bool:
    return bool(word) and word.translate(None, _NOT_ATOM) == word


class Args:
    """What stands after the command's name: text with `{n}` CRLF markers, and the literals.

    A literal is `bytes`, or what intake.py spooled because it is large (APPEND's message).
    """

    __slots__ = ("literals", "text", "utf8", "_at", "_end", "_maps", "_taken")

    def __init__(self, text: bytes, literals: Sequence[object] = (), utf8: bool = False) -> None:
        self.text = text
        self.utf8 = utf8  # quoted strings may have it, and names of mailboxes are in it (RFC 9051 §5.1)
        self.literals = literals
        self._at = 0
        self._end = len(text.rstrip(b" "))  # blanks at the end of a line are forgiven, as UW forgives them
        self._taken = 0  # literals used up
        self._maps: dict[bytes, bytes] = {}

    # --- where we are ------------------------------------------------------------------

    def fork(self) -> Args:
        """The same arguments from here on, to be read apart."""
        other = Args(self.text, self.literals, self.utf8)
        other._at, other._taken, other._maps = self._at, self._taken, self._maps
        return other

    def at_end(self) -> bool:
        """Nothing is left."""
        return self._at >= self._end

    def end(self) -> None:
        if not self.at_end():
            raise Mistake("Unexpected extra arguments")

    def peek(self, octets: bytes) -> bool:
        """True if these octets come next (a letter counts in both cases)."""
        return self.text[self._at : self._at + len(octets)].upper() == octets.upper()

    def skip(self, octets: bytes) -> bool:
        """Take these octets if they come next."""
        if not self.peek(octets):
            return False
        self._at += len(octets)
        return True

    def need(self, octets: bytes) -> Args:
        """Take these octets, which must come next."""
        if not self.skip(octets):
            raise Mistake(f"Missing {octets.decode()!r}" if octets != b" " else "Missing argument")
        return self

    def space(self) -> Args:
        """SP; returns the arguments themselves, so that a rule can follow: args.space().atom()."""
        return self.need(b" ")

    def rest(self) -> bytes:
        """All that is left, unparsed."""
        rest, self._at = self.text[self._at :], len(self.text)
        return rest

    def _run(self, table: bytes, missing: str) -> bytes:
        """As many octets as the class has in a row, at least one.

        The whole text is mapped once for a class: finding each end is then C work, and a
        long line costs no more than its length.
        """
        mapped = self._maps.get(table)
        if mapped is None:
            mapped = self._maps[table] = self.text.translate(table) + b" "
        start, self._at = self._at, mapped.find(b" ", self._at)
        if start == self._at:
            raise Mistake(missing)
        return self.text[start : self._at]

    # --- words -------------------------------------------------------------------------

    def atom(self) -> bytes:
        return self._run(_ATOM, "Missing atom")

    def keyword(self) -> str:
        """An atom that is a word of the protocol, in upper case; it ends before "["."""
        return self._run(_KEYWORD, "Missing atom").decode("ascii").upper()

    def number(self) -> int:
        """0 to 2^32-1."""
        digits = self._run(_DIGITS, "Missing number")
        if len(digits) > NUMBER_DIGITS or int(digits) > LARGEST_NUMBER:
            raise Mistake("Number too large")
        return int(digits)

    def number64(self) -> int:
        """0 to 2^63-1 (RFC 9051 §9)."""
        digits = self._run(_DIGITS, "Missing number")
        if len(digits) > NUMBER64_DIGITS or int(digits) > LARGEST_NUMBER64:
            raise Mistake("Number too large")
        return int(digits)

    def nz_number(self) -> int:
        """1 to 2^32-1, no zero in front."""
        if self.peek(b"0"):
            raise Mistake("Zero is not allowed here")
        return self.number()

    def mod_sequence(self) -> int:
        """0 to 2^63-1 (RFC 7162 §7 mod-sequence-valzer)."""
        digits = self._run(_DIGITS, "Missing mod-sequence")
        if len(digits) > 19 or int(digits) >> 63:
            raise Mistake("Number too large")
        return int(digits)

    def sequence_set(self) -> SequenceSet:
        from imapd.sequence import SequenceSet

        return SequenceSet.parse(self._run(_SEQUENCE, "Missing sequence set"))

    # --- strings -----------------------------------------------------------------------

    def astring(self) -> bytes:
        if self.peek(b'"') or self.peek(b"{"):
            return self.string()
        return self._run(_ASTRING, "Missing string")

    def string(self) -> bytes:
        """Quoted, or a literal; there is no NUL in either (RFC 3501 §9 CHAR8)."""
        if self.peek(b'"'):
            return self._quoted()
        value = self.literal()
        if not isinstance(value, bytes) or b"\0" in value:
            raise Mistake("Bad string")
        return value

    def nstring(self) -> bytes | None:
        if self.peek(b'"') or self.peek(b"{"):
            return self.string()
        if self.keyword() != "NIL":
            raise Mistake("Missing string or NIL")
        return None

    def literal(self) -> object:
        """The next literal: bytes, or a spooled message."""
        end = self.text.find(b"}\r\n", self._at)
        octets = self.text[self._at + 1 : end].removesuffix(b"+")
        if not self.peek(b"{") or end < 0 or not octets.isdigit() or self._taken >= len(self.literals):
            raise Mistake("Missing literal")
        self._at = end + 3
        self._taken += 1
        return self.literals[self._taken - 1]

    def _quoted(self) -> bytes:
        r"""DQUOTE *QUOTED-CHAR DQUOTE; only \" and \\ are escapes, 8-bit octets need a literal."""
        start = self._at + 1
        end = start
        while (end := self.text.find(b'"', end)) >= 0 and self._escaped(start, end):
            end += 1
        if end < 0:
            raise Mistake("Unterminated quoted string")
        value = self.text[start:end]
        if value.translate(None, _NOT_TEXT) != value and not (self.utf8 and _is_utf8_text(value)):
            raise Mistake("Bad character in quoted string")
        self._at = end + 1
        return _unescaped(value) if b"\\" in value else value

    def _escaped(self, start: int, end: int) -> bool:
        """An odd number of backslashes stands before `end`."""
        at = end
        while at > start and self.text[at - 1] == 0x5C:
            at -= 1
        return (end - at) % 2 == 1

    # --- mailboxes ---------------------------------------------------------------------

    def mailbox(self) -> str:
        """A mailbox name in its wire form; INBOX is INBOX in any case (RFC 3501 §5.1)."""
        name = self._name(self.astring())
        return "INBOX" if name.upper() == "INBOX" else name

    def list_mailbox(self) -> str:
        """A name that may have wildcards (RFC 3501 §6.3.8)."""
        if self.peek(b'"') or self.peek(b"{"):
            return self._name(self.string())
        return self._name(self._run(_LIST, "Missing mailbox pattern"))

    def _name(self, name: bytes) -> str:
        """Its wire form in IMAP4rev1, which is the one that mailboxes have here."""
        if not self.utf8:
            return _seven_bit(name)
        try:
            return utf7_encode(name.decode())
        except UnicodeDecodeError:
            raise BadName("Mailbox names are in UTF-8") from None

    # --- flags and dates ---------------------------------------------------------------

    def flag(self) -> str:
        r"""A keyword, or one of the five system flags in its own spelling.

        \Recent is the server's to give, and no other name with a backslash exists
        (RFC 3501 §2.3.2).
        """
        if not self.skip(b"\\"):
            return self.atom().decode("ascii")
        name = "\\" + self.atom().decode("ascii")
        if name.upper() not in SYSTEM_FLAGS:
            raise Mistake(f"Invalid system flag {name}")
        return SYSTEM_FLAGS[name.upper()]

    def flag_list(self) -> list[str]:
        """Flags in parentheses, maybe none."""
        self.need(b"(")
        if self.skip(b")"):
            return []
        return self._items(self.flag, b")")

    def flags(self) -> list[str]:
        """A list in parentheses, or the same without them (RFC 3501 §9 store-att-flags)."""
        return self.flag_list() if self.peek(b"(") else self._items(self.flag, b"")

    def date(self) -> int:
        """`1-Feb-1994`, quoted or not, as the ordinal of the day."""
        from mailcore.message import dates

        text = self._quoted() if self.peek(b'"') else self.atom()
        return _known(dates.imap_date, text)

    def date_time(self) -> tuple[int, int]:
        """`"17-Jul-1996 02:44:25 -0700"` as Unix seconds and minutes of zone."""
        from mailcore.message import dates

        if not self.peek(b'"'):
            raise Mistake("Missing date")
        return _known(dates.imap_date_time, self._quoted())

    # --- lists -------------------------------------------------------------------------

    def many(self, rule: Callable[[], Item], table: Container[Item] | None = None) -> list[Item]:
        """One or more of `rule` in parentheses, each found in `table` if there is one."""
        items = self.need(b"(")._items(rule, b")")
        for item in items:
            if table is not None and item not in table:
                raise Mistake(f"Unknown item {item}")
        return items

    def _items(self, rule: Callable[[], Item], closing: bytes) -> list[Item]:
        items = [rule()]
        while self.skip(b" "):
            items.append(rule())
        self.need(closing)
        return items


def _known(parse: Callable[[bytes], Item | None], text: bytes) -> Item:
    try:
        value = parse(text)
    except (ValueError, OverflowError):
        value = None
    if value is None:
        raise Mistake("Bad date")
    return value


def _unescaped(value: bytes) -> bytes:
    """Take the backslashes off; one before anything but `"` and itself is a Mistake."""
    pieces = value.split(b"\\\\")
    for piece in pieces:
        if piece.replace(b'\\"', b"").find(b"\\") >= 0:
            raise Mistake("Bad escape in quoted string")
    return b"\\".join(piece.replace(b'\\"', b'"') for piece in pieces)


def _is_utf8_text(value: bytes) -> bool:
    """UTF-8 without controls (RFC 9051 §9 QUOTED-CHAR)."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return not any(octet in value for octet in b"\0\r\n")


def _seven_bit(name: bytes) -> str:
    try:
        return name.decode("ascii")
    except UnicodeDecodeError:
        raise BadName("Mailbox names are 7-bit (modified UTF-7)") from None


# --- modified UTF-7 (RFC 3501 §5.1.3) --------------------------------------------------


def utf7_decode(name: str) -> str:
    """What a mailbox name says; BadName unless it is written in the one right way."""
    text = []
    for index, run in enumerate(name.split("&")):
        if index == 0:
            text.append(run)
            continue
        shifted, dash, direct = run.partition("-")
        if not dash:
            raise BadName("Unterminated modified UTF-7 in mailbox name")
        text.append((_utf16(shifted) if shifted else "&") + direct)
    decoded = "".join(text)
    if utf7_encode(decoded) != name:
        raise BadName("Mailbox name is not canonical modified UTF-7")
    return decoded


def utf7_encode(text: str) -> str:
    """The wire form of a mailbox name; the inverse of utf7_decode."""
    name: list[str] = []
    run = ""  # letters that wait to be written in base64
    for letter in text:
        if not " " <= letter <= "~":
            run += letter
            continue
        name.append(_shifted(run))
        run = ""
        name.append("&-" if letter == "&" else letter)
    return "".join(name) + _shifted(run)


def _shifted(run: str) -> str:
    if not run:
        return ""
    try:
        data = run.encode("utf-16-be")
    except UnicodeEncodeError:
        raise BadName("Bad modified UTF-7 in mailbox name") from None
    return "&" + b2a_base64(data, newline=False).decode().rstrip("=").replace("/", ",") + "-"


def _utf16(shifted: str) -> str:
    try:
        if "/" in shifted:
            raise ValueError
        padded = shifted.replace(",", "/") + "=" * (-len(shifted) % 4)
        return a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except (NotBase64, ValueError):
        raise BadName("Bad modified UTF-7 in mailbox name") from None


def storable(name: str) -> str:
    """The name, if a mailbox may be made with it: canonical, and nothing unprintable inside."""
    decoded = utf7_decode(name)
    if any(letter < " " or "\x7f" <= letter < "\xa0" or letter in "\u2028\u2029" for letter in decoded):
        raise BadName("Mailbox name with control characters")
    return name
