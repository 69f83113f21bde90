"""What SEARCH can ask of a message: search keys, understood (RFC 3501 §6.4.4).

What lives here: how each key looks at a message, and keys made of keys.  What does not: their
grammar (search.py) and strings (mailcore.message.needle).

A `Key` knows how much it costs, `test`, which judges one message, and, if it can be done without
reading messages, `narrow`, which picks from many UIDs at once; `bounds` says what is sure without
reading.  Keys side by side are asked in the order of their cost, so text is read only where nothing
cheaper said no.

BODY and TEXT look at text parts, at the headers of parts and at enclosed messages; never at what is
no text.
"""

from __future__ import annotations

from mailcore.message import dates, decode, headers
from mailcore.message.address import addresses
from mailcore.message.needle import capitals, plain, unfolded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imapd.message import Message
    from mailcore.message.mime import Part
    from mailcore.message.needle import Needle
    from mailcore.store.mailbox import Mailbox

    Test = Callable[[Message], bool]
    Narrow = Callable[[Mailbox, Sequence[int]], list[int]]
    Bounds = tuple[set[int], set[int]]

FREE, FLAG, COLUMN, HEADER, TEXT = 0, 1, 2, 20, 1000  # what a key costs, compared with the others

LARGE_OCTETS = 32 * 1024
WINDOW_OCTETS = 4 * 1024 * 1024  # a larger part is decoded and searched piece by piece
_SHALLOW = 20  # keys inside each other that still narrow; deeper ones are asked message by message

_ENCODED = (b"\x1b", b"\0", b"~{", b"BASE64", b"UTF-7")  # where ASCII is not what it looks like


class Key:
    """One search key, understood; `names` are the fields that it looks at, None: it may be any."""

    __slots__ = ("cost", "depth", "names", "narrow", "test")

    def __init__(
        self, cost: int, test: Test, narrow: Narrow | None = None, names: Iterable[bytes] | None = None
    ) -> None:
        self.cost = cost
        unknown = names is None and cost >= HEADER
        self.names = None if unknown else frozenset(name.upper() for name in names or ())
        self.depth = 0  # of keys in it
        self.narrow = narrow
        self.test = test

    def bounds(self, box: Mailbox, uids: Sequence[int], form: str) -> Bounds:
        """Those of these that surely fit, and those that perhaps do, the sure ones among them.

        `form` is that of the texts which the text index knows (document.py).  May raise Expunged.
        """
        if self.narrow is None:
            return set(), set(uids)
        fit = set(self.narrow(box, uids))
        return fit, fit


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
        return [uid for uid, flags in zip(uids, box.flags_of(uids), strict=True) if (flag in flags) is wanted]

    return Key(FLAG, lambda message: (flag in message.box.flags(message.uid)) is wanted, narrow)


def sized(fits: Callable[[int], bool]) -> Key:
    """By RFC822.SIZE."""

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        return [uid for uid, octets in zip(uids, box.octets_of(uids), strict=True) if fits(octets)]

    return Key(COLUMN, lambda message: fits(message.box.octets(message.uid)), narrow)


def arrived(fits: Callable[[int], bool]) -> Key:
    """By the day of the internal date, in its own zone (RFC 3501 §6.4.4: time and zone do not count)."""

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        return [uid for uid, date in zip(uids, box.dates_of(uids), strict=True) if fits(dates.day(*date))]

    return Key(COLUMN, lambda message: fits(dates.day(*message.box.internal_date(message.uid))), narrow)


# --- keys that need the header -------------------------------------------------------


def sent(fits: Callable[[int], bool]) -> Key:
    """By the day of the Date field, in its own zone; a message without one does not fit."""

    def test(message: Message) -> bool:
        value = headers.value(message.short_header, b"Date")
        date = dates.rfc822(value) if value else None
        return date is not None and fits(dates.day(*date))

    return Key(HEADER, test, names=(b"Date",))


def field(name: bytes, needle: Needle) -> Key:
    """A field of this name has the string; each one has the empty string (RFC 3501 §6.4.4 HEADER)."""

    def test(message: Message) -> bool:
        header = message.short_header
        return not needle.absent(header) and any(map(needle.in_field, headers.values(header, name)))

    return Key(HEADER, test, names=(name,))


def correspondent(name: bytes, needle: Needle) -> Key:
    """An address field has the string, as it is written or as its addresses read without comments."""

    def fits(value: bytes) -> bool:
        if needle.in_field(value):
            return True
        if b"(" not in value and b'"' not in value and b" @" not in value and b"@ " not in value:
            return False
        return any(needle.in_field(_written(address)) for address in addresses(value))

    return Key(HEADER, lambda message: any(map(fits, headers.values(message.short_header, name))), names=(name,))


def _written(address: object) -> bytes:
    """An address in its plainest form."""
    mailbox, host, name = (getattr(address, part) or b"" for part in ("mailbox", "host", "name"))
    return b"%b <%b@%b>" % (name, mailbox, host)


# --- keys that need the text ---------------------------------------------------------


class TextKey(Key):
    """A key about text: of most messages the text index knows that they do not fit."""

    __slots__ = ("_needle",)

    def __init__(self, needle: Needle, test: Test) -> None:
        super().__init__(TEXT, test)
        self._needle = needle

    def bounds(self, box: Mailbox, uids: Sequence[int], form: str) -> Bounds:
        return set(), set(uids) - box.without(form, [part.folded for part in self._needle.parts])


def body(needle: Needle) -> Key:
    """The string is in the body (RFC 3501 §6.4.4 BODY)."""
    return TextKey(needle, lambda message: _possible(message, needle) and _in_body(message, needle))


def text(needle: Needle) -> Key:
    """The string is in the header or in the body (RFC 3501 §6.4.4 TEXT)."""

    def test(message: Message) -> bool:
        return _possible(message, needle) and (needle.in_field(message.short_header) or _in_body(message, needle))

    return TextKey(needle, test)


def _possible(message: Message, needle: Needle) -> bool:
    return all(_maybe(message, part) for part in needle.parts)


def _maybe(message: Message, needle: Needle) -> bool:
    """False if the string is surely nowhere in the message: one look at all of it, at the speed of C.

    That can be told of ASCII in which nothing is encoded but quoted-printable text: decoding all
    of the message leaves every such part readable.  A fold may lie inside the string where it
    has a blank.
    """
    raw = message.text
    if needle.octets is None or not isinstance(raw, bytes) or not raw.isascii():
        return True
    if len(raw) > LARGE_OCTETS and b"multipart" in message.short_header.lower():
        return True  # mostly no text: finding the parts is quicker
    looked = capitals(raw)
    if needle.probe in looked and _on_one_line(raw, needle.octets):
        return True
    if any(map(looked.__contains__, _ENCODED)):
        return True
    if b"=?" in looked and (raw.find(b"=?", message.body_start) >= 0 or needle.in_field(message.short_header)):
        return True
    if b"QUOTED-PRINTABLE" not in looked:
        return False
    decoded = decode.transfer(raw, b"QUOTED-PRINTABLE")
    return not decoded.isascii() or (needle.probe in capitals(decoded) and _on_one_line(decoded, needle.octets))


def _on_one_line(text: bytes, octets: bytes) -> bool:
    """Are these in the text, in which a line or a field may go on after a line end?"""
    return octets in plain(text) or (b" " in octets and octets in plain(unfolded(text)))


def _in_body(message: Message, needle: Needle) -> bool:
    for header, part in pieces(message):
        if needle.in_field(header) if part is None else _in_part(message, part, needle):
            return True
    return False


def pieces(message: Message) -> Iterator[tuple[bytes, Part | None]]:
    """What of a body is looked into, in its order: headers of parts, and parts that are text."""
    root = message.outline
    waiting = [root]
    limit: int = message.settings.header_octets
    while waiting:
        part = waiting.pop()
        if part is not root:
            yield message.text[part.header_start : min(part.header_end, part.header_start + limit)], None
        if part.message is not None:
            waiting.append(part.message)
        elif part.parts:
            waiting.extend(reversed(part.parts))
        elif part.type.upper() == b"TEXT":
            yield b"", part


def charset_of(part: Part) -> bytes:
    return next((value for name, value in part.params if name.lower() == b"charset"), b"")


def _in_part(message: Message, part: Part, needle: Needle) -> bool:
    charset = charset_of(part)
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


class Compound(Key):
    """A key made of keys, `keys` in the order of their cost; `kind` is "AND", "OR" or "NOT"."""

    __slots__ = ("_test", "keys", "kind")

    def __init__(self, kind: str, keys: Sequence[Key], narrow: Narrow) -> None:
        self.kind = kind
        self.keys = sorted(keys, key=lambda key: key.cost)
        self._test: Test | None = None
        shallow = all(key.narrow is not None and key.depth < _SHALLOW for key in keys)
        known = [key.names for key in keys if key.names is not None]
        names = frozenset().union(*known)
        super().__init__(sum(key.cost for key in keys), self._fits, narrow if shallow else None, names)
        if len(known) < len(keys):
            self.names = None
        self.depth = 1 + max(key.depth for key in keys)

    def _fits(self, message: Message) -> bool:
        if self._test is None:
            self._test = asked(self)
        return self._test(message)

    def bounds(self, box: Mailbox, uids: Sequence[int], form: str) -> Bounds:
        if self.depth > _SHALLOW:
            return set(), set(uids)
        sure, perhaps = zip(*[key.bounds(box, uids, form) for key in self.keys], strict=True)
        if self.kind == "AND":
            return set.intersection(*sure), set.intersection(*perhaps)
        if self.kind == "OR":
            return set.union(*sure), set.union(*perhaps)
        return set(uids) - perhaps[0], set(uids) - sure[0]


def every(keys: Sequence[Key]) -> Key:
    """All of them (keys side by side, RFC 3501 §6.4.4)."""
    if len(keys) == 1:
        return keys[0]
    flat = _joined("AND", keys)
    ordered = sorted(flat, key=lambda key: key.cost)

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        for key in ordered:
            uids = key.narrow(box, uids)  # type: ignore[misc]
        return list(uids)

    return Compound("AND", flat, narrow)


def neither(key: Key) -> Key:
    """NOT key."""
    if isinstance(key, Compound) and key.kind == "NOT":
        return key.keys[0]

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        out = frozenset(key.narrow(box, uids))  # type: ignore[misc]
        return [uid for uid in uids if uid not in out]

    return Compound("NOT", [key], narrow)


def either(keys: Sequence[Key]) -> Key:
    """OR key key; and one of many, as an OR in an OR is the same."""
    flat = _joined("OR", keys)

    def narrow(box: Mailbox, uids: Sequence[int]) -> list[int]:
        found = frozenset().union(*(key.narrow(box, uids) for key in flat))  # type: ignore[misc]
        return [uid for uid in uids if uid in found]

    return Compound("OR", flat, narrow)


def _joined(kind: str, keys: Sequence[Key]) -> list[Key]:
    """Keys, those of the same kind opened: they mean the same and lie less deep."""
    flat: list[Key] = []
    for key in keys:
        if isinstance(key, Compound) and key.kind == kind:
            flat += key.keys
        else:
            flat.append(key)
    return flat


# --- asking --------------------------------------------------------------------------

_YES, _NO = -1, -2


def asked(key: Key) -> Test:
    """A key as one question, asked without recursion, however deep its keys lie in each other."""
    if not isinstance(key, Compound):
        return key.test
    steps = _steps(key)

    def fits(message: Message) -> bool:
        at = 0
        while at >= 0:
            test, yes, no = steps[at]
            at = yes if test(message) else no
        return at == _YES

    return fits


def _steps(key: Key) -> list[tuple[Test, int, int]]:
    """The tests in a row, each with where to go on if it fits, and if not."""
    steps: list[tuple[Test, int, int]] = []
    place = {_YES: _YES, _NO: _NO}  # of each label in `steps`
    labels = iter(range(1 << 62))
    waiting = [(key, next(labels), _YES, _NO)]
    while waiting:
        key, label, yes, no = waiting.pop()
        if not isinstance(key, Compound):
            place[label] = len(steps)
            steps.append((key.test, yes, no))
        elif key.kind == "NOT":
            waiting.append((key.keys[0], label, no, yes))
        else:
            own = [label, *(next(labels) for _ in key.keys[1:])]
            after = [*own[1:], yes if key.kind == "AND" else no]
            for inner, mine, then in reversed(list(zip(key.keys, own, after, strict=True))):
                waiting.append((inner, mine, then, no) if key.kind == "AND" else (inner, mine, yes, then))
    return [(test, place[yes], place[no]) for test, yes, no in steps]
