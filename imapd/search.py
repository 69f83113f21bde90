"""SEARCH: which messages fit (RFC 3501 §6.4.4, §9 search-key).

What lives here: the grammar of search keys, the table SEARCH_KEY, and how each key looks at a
message.  What does not: decoding and folding of text (mailcore.message.decode).

A key is parsed into a `Key`: how much it costs, `test`, which judges one message, and, if it
can be done without reading messages, `narrow`, which picks from many UIDs at once.  Keys side
by side are asked in the order of their cost, so text is read only where nothing cheaper said
no.  Everything stays within one pass over the messages, and a message is read once.

A string matches as UW's did: as a part of the text, both decoded and in title case with the
accents taken off the letters (RFC 5051).  BODY and TEXT look at text parts, at the headers of
parts and at enclosed messages; never at what is no text.
"""

from __future__ import annotations

from imapd.message import Message
from imapd.sequence import DIGITS
from mailcore.errors import Expunged, Mistake, Refusal
from mailcore.message import dates, decode, headers
from mailcore.message.address import addresses
from mailcore.store.mailbox import ANSWERED, DELETED, DRAFT, FLAGGED, RECENT, SEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imapd.syntax import Args
    from mailcore.message.mime import Part
    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox

    Test = Callable[[Message], bool]
    Narrow = Callable[[Mailbox, Sequence[int]], list[int]]

FREE, FLAG, COLUMN, HEADER, TEXT = 0, 1, 2, 20, 1000  # what a key costs, compared with the others

WINDOW_OCTETS = 4 * 1024 * 1024  # a larger part is decoded and searched piece by piece
COMMON_CHARSETS = "US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252 KOI8-R ISO-2022-JP EUC-JP SHIFT_JIS GB18030 BIG5"
SUPERSETS = (b"us-ascii", b"utf-8", b"iso-8859-", b"windows-125", b"koi8-")  # octets below 128 are ASCII there

_UPPER = bytes.maketrans(b"\tabcdefghijklmnopqrstuvwxyz", b" ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ENCODED = (b"BASE64", b"QUOTED-PRINTABLE", b"\x1b", b"\0", b"UTF-7", b"HZ-GB")  # text that is not what it looks like


class Key:
    """One search key, understood."""

    __slots__ = ("cost", "test", "narrow")

    def __init__(self, cost: int, test: Test, narrow: Narrow | None = None) -> None:
        self.cost = cost
        self.test = test
        self.narrow = narrow


class Query:
    """What the keys of one SEARCH have in common."""

    __slots__ = ("args", "box", "settings", "charset", "depth")

    def __init__(self, args: Args, box: Mailbox, settings: Settings) -> None:
        self.args = args
        self.box = box
        self.settings = settings
        self.charset = ""
        self.depth = 0

    def needle(self) -> Needle:
        """SP astring, in the CHARSET of the command."""
        return Needle(self.args.space().astring(), self.charset)


# --- strings -------------------------------------------------------------------------


class Needle:
    """A string to look for: folded, and as octets if it is all ASCII.  A tab is as good as a blank."""

    __slots__ = ("folded", "octets")

    def __init__(self, string: bytes, charset: str = "") -> None:
        self.folded = _folded(decode.charset(string, charset or "utf-8"))
        self.octets = string.translate(_UPPER) if string.isascii() and _superset(charset.encode()) else None

    def in_field(self, value: bytes) -> bool:
        """Is it in a header field, or in a whole header (RFC 2047 words decoded)?"""
        value = _unfolded(value)
        if self.octets is not None and b"=?" not in value and value.isascii():
            return self.octets in value.translate(_UPPER)
        return self.folded in _folded(decode.words(value))

    def in_text(self, data: bytes, charset: bytes) -> bool:
        """Is it in text of this charset?"""
        if self.octets is not None and _superset(charset):
            if self.octets in data.translate(_UPPER):
                return True
            if data.isascii():
                return False
        return self.folded in _folded(decode.charset(data, charset.decode("ascii", "replace")))


def _folded(text: str) -> str:
    return decode.casemap(text.replace("\t", " "))


def _unfolded(text: bytes) -> bytes:
    """Fields on one line each (RFC 5322 §2.2.3)."""
    return text.replace(b"\r\n", b"\n").replace(b"\n ", b" ").replace(b"\n\t", b" ") if b"\n" in text else text


def _superset(charset: bytes) -> bool:
    return not charset or charset.lower().startswith(SUPERSETS)


# --- keys that need no message -------------------------------------------------------


def everything() -> Key:
    return Key(FREE, lambda message: True, lambda box, uids: list(uids))


def among(wanted: Iterable[int]) -> Key:
    """These UIDs."""
    chosen = frozenset(wanted)
    return Key(FREE, lambda message: message.uid in chosen, lambda box, uids: [uid for uid in uids if uid in chosen])


def flagged(flag: str, wanted: bool = True) -> Key:
    """Messages that have the flag, or have it not."""

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        return [uid for uid, flags in zip(uids, map(box.flags, uids), strict=True) if (flag in flags) is wanted]

    return Key(FLAG, lambda message: (flag in message.box.flags(message.uid)) is wanted, narrow)


def sized(fits: Callable[[int], bool]) -> Key:
    """By RFC822.SIZE."""

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        return [uid for uid, octets in zip(uids, map(box.octets, uids), strict=True) if fits(octets)]

    return Key(COLUMN, lambda message: fits(message.box.octets(message.uid)), narrow)


def arrived(fits: Callable[[int], bool]) -> Key:
    """By the day of the internal date, in its own zone (RFC 3501 §6.4.4: time and zone do not count)."""

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        return [uid for uid in uids if fits(dates.day(*box.internal_date(uid)))]

    return Key(COLUMN, lambda message: fits(dates.day(*message.box.internal_date(message.uid))), narrow)


# --- keys that need the header -------------------------------------------------------


def sent(fits: Callable[[int], bool]) -> Key:
    """By the day of the Date field, in its own zone; a message without one does not fit."""

    def test(message: Message) -> bool:
        value = headers.value(message.short_header, b"Date")
        date = dates.rfc822(value) if value else None
        return date is not None and fits(dates.day(*date))

    return Key(HEADER, test)


def field(name: bytes, needle: Needle) -> Key:
    """A field of this name has the string; each one has the empty string (RFC 3501 §6.4.4 HEADER)."""
    return Key(HEADER, lambda message: any(map(needle.in_field, headers.values(message.short_header, name))))


def correspondent(name: bytes, needle: Needle) -> Key:
    """An address field has the string, as it is written or as its addresses read without comments."""

    def fits(value: bytes) -> bool:
        if needle.in_field(value):
            return True
        if b"(" not in value and b'"' not in value and b" @" not in value and b"@ " not in value:
            return False
        return any(needle.in_field(_written(address)) for address in addresses(value))

    return Key(HEADER, lambda message: any(map(fits, headers.values(message.short_header, name))))


def _written(address: object) -> bytes:
    """An address in its plainest form."""
    mailbox, host, name = (getattr(address, part) or b"" for part in ("mailbox", "host", "name"))
    return b"%b <%b@%b>" % (name, mailbox, host)


# --- keys that need the text ---------------------------------------------------------


def body(needle: Needle) -> Key:
    """The string is in the body (RFC 3501 §6.4.4 BODY)."""
    return Key(TEXT, lambda message: _possible(message, needle) and _in_body(message, needle))


def text(needle: Needle) -> Key:
    """The string is in the header or in the body (RFC 3501 §6.4.4 TEXT)."""

    def test(message: Message) -> bool:
        return _possible(message, needle) and (needle.in_field(message.short_header) or _in_body(message, needle))

    return Key(TEXT, test)


def _possible(message: Message, needle: Needle) -> bool:
    """False if the string is surely nowhere in the message: one look at all of it, at the speed of C.

    That can be told of ASCII in which nothing is encoded.  A fold may lie inside the string
    where it has a blank.
    """
    raw = message.text
    if needle.octets is None or not isinstance(raw, bytes) or not raw.isascii():
        return True
    raw = raw.translate(_UPPER)
    if needle.octets in raw or any(map(raw.__contains__, _ENCODED)):
        return True
    if b"=?" in raw and (raw.find(b"=?", message.body_start) >= 0 or needle.in_field(message.short_header)):
        return True
    return b" " in needle.octets and needle.octets in _unfolded(raw)


def _in_body(message: Message, needle: Needle) -> bool:
    waiting = [message.structure]
    limit: int = message.settings.header_octets
    while waiting:
        part = waiting.pop()
        if part is not message.structure:
            header = message.text[part.header_start : min(part.header_end, part.header_start + limit)]
            if needle.in_field(header):
                return True
        if part.message is not None:
            waiting.append(part.message)
        elif part.parts:
            waiting.extend(reversed(part.parts))
        elif part.type.upper() == b"TEXT" and _in_part(message, part, needle):
            return True
    return False


def _in_part(message: Message, part: Part, needle: Needle) -> bool:
    charset = next((value for name, value in part.params if name.lower() == b"charset"), b"")
    rest = b""  # the end of the window before: a match may lie across
    for window in _windows(message, part.header_end, part.body_end):
        data = rest + decode.transfer(window, part.encoding)
        if needle.in_text(data, charset):
            return True
        rest = data[-4 * len(needle.folded) :] if needle.folded else b""
    return False


def _windows(message: Message, start: int, end: int) -> Iterator[bytes]:
    """The octets of a part, cut at line ends (an encoded line can be decoded by itself)."""
    while True:
        stop = min(start + WINDOW_OCTETS, end)
        window = message.text[start:stop]
        if stop < end:
            window = window[: window.rfind(b"\n") + 1] or window
        yield window
        start += len(window)
        if start >= end or not window:
            return


# --- keys of keys --------------------------------------------------------------------


def every(keys: Sequence[Key]) -> Key:
    """All of them (keys side by side, RFC 3501 §6.4.4); the cheap ones are asked first."""
    if len(keys) == 1:
        return keys[0]
    ordered = sorted(keys, key=lambda key: key.cost)
    narrow = None
    if all(key.narrow is not None for key in ordered):

        def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
            for key in ordered:
                uids = key.narrow(box, uids)  # type: ignore[misc]
            return list(uids)

    return Conjunction(sum(key.cost for key in ordered), ordered, narrow)


class Conjunction(Key):
    """Keys that must all fit; `keys` in the order of their cost."""

    __slots__ = ("keys",)

    def __init__(self, cost: int, keys: list[Key], narrow: Narrow | None) -> None:
        super().__init__(cost, lambda message: all(key.test(message) for key in keys), narrow)
        self.keys = keys


def neither(key: Key) -> Key:
    """NOT key."""
    narrow = None
    if (inner := key.narrow) is not None:

        def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
            out = frozenset(inner(box, uids))
            return [uid for uid in uids if uid not in out]

    return Key(key.cost, lambda message: not key.test(message), narrow)


def either(left: Key, right: Key) -> Key:
    """OR left right."""
    if right.cost < left.cost:
        left, right = right, left
    narrow = None
    if (first := left.narrow) is not None and (second := right.narrow) is not None:

        def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
            found = frozenset(first(box, uids)).union(second(box, uids))
            return [uid for uid in uids if uid in found]

    return Key(left.cost + right.cost, lambda message: left.test(message) or right.test(message), narrow)


# --- grammar -------------------------------------------------------------------------


def _before(day: int) -> Callable[[int], bool]:
    return lambda other: other < day


def _on(day: int) -> Callable[[int], bool]:
    return lambda other: other == day


def _since(day: int) -> Callable[[int], bool]:
    return lambda other: other >= day


def _keyword(query: Query, wanted: bool = True) -> Key:
    """KEYWORD flag-keyword; one that the mailbox does not know is on no message."""
    named = query.args.space().atom().decode("ascii", "replace")
    known = {keyword.lower(): keyword for keyword in query.box.keywords}
    return flagged(known.get(named.lower(), named), wanted)


def _not(query: Query) -> Key:
    query.args.space()
    return neither(search_key(query))


def _or(query: Query) -> Key:
    query.args.space()
    left = search_key(query)
    query.args.space()
    return either(left, search_key(query))


# RFC 3501 §9 search-key; what follows the name is parsed by the function
SEARCH_KEY: dict[str, Callable[[Query], Key]] = {
    "ALL": lambda query: everything(),
    "ANSWERED": lambda query: flagged(ANSWERED),
    "BCC": lambda query: correspondent(b"Bcc", query.needle()),
    "BEFORE": lambda query: arrived(_before(query.args.space().date())),
    "BODY": lambda query: body(query.needle()),
    "CC": lambda query: correspondent(b"Cc", query.needle()),
    "DELETED": lambda query: flagged(DELETED),
    "DRAFT": lambda query: flagged(DRAFT),
    "FLAGGED": lambda query: flagged(FLAGGED),
    "FROM": lambda query: correspondent(b"From", query.needle()),
    "HEADER": lambda query: field(query.args.space().astring(), query.needle()),
    "KEYWORD": _keyword,
    "LARGER": lambda query: sized(query.args.space().number().__lt__),
    "NEW": lambda query: every([flagged(RECENT), flagged(SEEN, False)]),
    "NOT": _not,
    "OLD": lambda query: flagged(RECENT, False),
    "ON": lambda query: arrived(_on(query.args.space().date())),
    "OR": _or,
    "RECENT": lambda query: flagged(RECENT),
    "SEEN": lambda query: flagged(SEEN),
    "SENTBEFORE": lambda query: sent(_before(query.args.space().date())),
    "SENTON": lambda query: sent(_on(query.args.space().date())),
    "SENTSINCE": lambda query: sent(_since(query.args.space().date())),
    "SINCE": lambda query: arrived(_since(query.args.space().date())),
    "SMALLER": lambda query: sized(query.args.space().number().__gt__),
    "SUBJECT": lambda query: field(b"Subject", query.needle()),
    "TEXT": lambda query: text(query.needle()),
    "TO": lambda query: correspondent(b"To", query.needle()),
    "UID": lambda query: among(query.args.space().sequence_set().uids(query.box.uids)),
    "UNANSWERED": lambda query: flagged(ANSWERED, False),
    "UNDELETED": lambda query: flagged(DELETED, False),
    "UNDRAFT": lambda query: flagged(DRAFT, False),
    "UNFLAGGED": lambda query: flagged(FLAGGED, False),
    "UNKEYWORD": lambda query: _keyword(query, False),
    "UNSEEN": lambda query: flagged(SEEN, False),
}


def search_key(query: Query) -> Key:
    """One search-key; how deep they lie in each other is limited (settings.nesting)."""
    query.depth += 1
    if query.depth > query.settings.nesting:
        raise Mistake("Keys nested too deep")
    args = query.args
    if args.skip(b"("):
        key = search_keys(query)
        args.need(b")")
    elif args.peek(b"*") or any(map(args.peek, DIGITS)):
        key = among(_numbered(query))
    else:
        name = args.keyword()
        if name not in SEARCH_KEY:
            raise Mistake(f"Unknown key {name}")
        key = SEARCH_KEY[name](query)
    query.depth -= 1
    return key


def search_keys(query: Query) -> Key:
    """One or more search-keys side by side."""
    keys = [search_key(query)]
    while query.args.peek(b" "):
        query.args.space()
        keys.append(search_key(query))
    return every(keys)


def _numbered(query: Query) -> list[int]:
    """The UIDs of a set of message numbers; numbers that no message has fit no message (as UW)."""
    uids = query.box.uids
    wanted = query.args.sequence_set()
    if not uids:
        return []
    return [uid for first, last in wanted.spans(len(uids)) for uid in uids[first - 1 : last]]


# --- the search ----------------------------------------------------------------------


def found(key: Key, box: Mailbox, settings: Settings) -> list[int]:
    """The UIDs that fit, ascending; a message that vanishes meanwhile fits nothing (RFC 2180 §4.4)."""
    uids: Sequence[int] = box.uids
    keys = key.keys if isinstance(key, Conjunction) else [key]
    for part in keys:
        if part.narrow is not None:
            uids = _narrowed(part, box, uids, settings)
    if dear := [part for part in keys if part.narrow is None]:
        rest = every(dear)
        uids = [uid for uid in uids if _fits(rest, Message(box, uid, settings))]
    return list(uids)


def _narrowed(key: Key, box: Mailbox, uids: Sequence[int], settings: Settings) -> list[int]:
    try:
        return key.narrow(box, uids)  # type: ignore[misc]
    except Expunged:
        return [uid for uid in uids if _fits(key, Message(box, uid, settings))]


def _fits(key: Key, message: Message) -> bool:
    try:
        return key.test(message)
    except Expunged:
        return False


def program(args: Args, box: Mailbox, settings: Settings) -> Key:
    """["CHARSET" SP astring SP] search-keys, to the end of the command (RFC 3501 §9 search)."""
    query = Query(args, box, settings)
    args.space()
    if args.skip(b"CHARSET "):
        query.charset = known(args.astring())
        args.space()
    key = search_keys(query)
    args.end()
    return key


def known(charset: bytes) -> str:
    """The name of a charset that we can decode, else NO [BADCHARSET (...)]."""
    name = charset.decode("ascii", "replace")
    if not decode.known_charset(name):
        raise Refusal("Unknown charset", f"BADCHARSET ({COMMON_CHARSETS})")
    return name
