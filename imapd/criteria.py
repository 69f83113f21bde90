"""What SEARCH can ask of a message: search keys, understood (RFC 3501 §6.4.4).

What lives here: how each key looks at a message, and keys made of keys.  What does not: their
grammar (search.py) and strings (mailcore.message.needle).

A `Key` knows how much it costs, `test`, which judges one message, and, if it can be done without
reading messages, `pick`, which picks from many UIDs at once; `bounds` says what is sure without
reading.  Keys side by side are asked in the order of their cost, so text is read only where nothing
cheaper said no.

A key about fields picks, too: by a text that is made of each header once and remembered, in the form
in which strings are compared (`StoredKey`).

BODY and TEXT look at text parts, at the headers of parts and at enclosed messages; never at what is
no text.
"""

from __future__ import annotations

from unicodedata import unidata_version

from imapd.message import lasting
from mailcore.message import dates, decode, headers
from mailcore.message.address import addresses
from mailcore.message.needle import Needle, capitals, plain, stored, unfolded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imapd.message import Message
    from mailcore.message.mime import Part
    from mailcore.store.mailbox import Mailbox

    Make = Callable[[bytes], bytes]
    Makers = dict[str, Make]  # by the kind under which a mailbox remembers what they make of a header
    Texts = dict[str, dict[int, bytes]]  # of each kind, by UID
    Test = Callable[[Message], bool]
    Narrow = Callable[[Mailbox, Sequence[int]], list[int]]
    Bounds = tuple[set[int], set[int]]

FREE, FLAG, COLUMN, HEADER, TEXT = 0, 1, 2, 20, 1000  # what a key costs, compared with the others

LARGE_OCTETS = 32 * 1024
WINDOW_OCTETS = 4 * 1024 * 1024  # a larger part is decoded and searched piece by piece
_SHALLOW = 20  # keys inside each other that still pick; deeper ones are asked message by message,
_KINDS = 16  # and so are keys about more kinds of fields: their texts are in memory together

_ENCODED = (b"\x1b", b"\0", b"~{", b"BASE64", b"UTF-7")  # where ASCII is not what it looks like


class Key:
    """One search key, understood.

    `makers` are what `pick` needs to have been made of headers: what makes each kind of text.  It is
    None where there is no `pick`, and {} where that needs nothing.
    """

    __slots__ = ("_narrow", "cost", "depth", "makers", "test")

    def __init__(
        self, cost: int, test: Test, narrow: Narrow | None = None, makers: Makers | None = None
    ) -> None:
        self.cost = cost
        self.depth = 0  # of keys in it
        self.makers = {} if narrow is not None else makers
        self.test = test
        self._narrow = narrow

    def pick(self, box: Mailbox, uids: Sequence[int], texts: Texts) -> list[int]:
        """Those of these that fit, in their order; `texts` are of all of them.  May raise Expunged."""
        return self._narrow(box, uids)  # type: ignore[misc]

    def bounds(self, box: Mailbox, uids: Sequence[int], form: str) -> Bounds:
        """Those of these that surely fit, and those that perhaps do, the sure ones among them.

        `form` is that of the texts which the text index knows (document.py).  May raise Expunged.
        """
        if self.makers != {}:
            return set(), set(uids)
        fit = set(self.pick(box, uids, {}))
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


class StoredKey(Key):
    """A key about fields of one name; `among` are those of some UIDs that fit by what `make` makes of a header.

    Of most headers `absent` tells soon that the key does not fit.
    """

    __slots__ = ("_among", "_kind")

    def __init__(
        self, kind: str, make: Make, among: Callable[[Sequence[int], dict[int, bytes]], list[int]],
        absent: Callable[[bytes], bool] | None = None,
    ) -> None:  # fmt: skip
        def test(message: Message) -> bool:
            header = message.short_header
            return not (absent and absent(header)) and bool(among((0,), {0: make(header)}))

        super().__init__(HEADER, test, makers={kind: make} if kind else None)
        self._among = among
        self._kind = kind

    def pick(self, box: Mailbox, uids: Sequence[int], texts: Texts) -> list[int]:
        return self._among(uids, texts[self._kind])


def sent(fits: Callable[[int], bool]) -> Key:
    """By the day of the Date field, in its own zone; a message without one does not fit."""

    def among(uids: Sequence[int], day_of: dict[int, bytes]) -> list[int]:
        fitting = {day for day in set(day_of.values()) if day and fits(int(day))}
        return [uid for uid in uids if day_of[uid] in fitting]

    return StoredKey("day", sent_day, among)


def sent_day(header: bytes) -> bytes:
    value = headers.value(header, b"Date")
    date = dates.rfc822(value) if value else None
    return b"%d" % dates.day(*date) if date else b""


def field(name: bytes, needle: Needle) -> Key:
    """A field of this name has the string; each one has the empty string (RFC 3501 §6.4.4 HEADER)."""
    return StoredKey(_kind("has", name), lambda header: values(header, name), needle.among, needle.absent)


def values(header: bytes, name: bytes) -> bytes:
    """A line for each field."""
    return b"".join([stored(value) for value in headers.values(header, name)])


def correspondent(name: bytes, needle: Needle) -> Key:
    """An address field has the string, as it is written or as its addresses read without comments."""
    return StoredKey(_kind("who", name), lambda header: people(header, name), needle.among)


def people(header: bytes, name: bytes) -> bytes:
    """A line for each field, and for each of its addresses where that may read otherwise."""
    found = []
    for value in headers.values(header, name):
        found.append(stored(value))
        if b"(" in value or b'"' in value or b" @" in value or b"@ " in value:
            found += [stored(_written(address)) for address in addresses(value)]
    return b"".join(found)


def _kind(what: str, name: bytes) -> str:
    """The name under which a mailbox may remember it, "" if it may not."""
    return f"{what} {name.upper().decode()} {unidata_version}" if lasting(name.upper()) else ""


def _written(address: object) -> bytes:
    """An address in its plainest form."""
    mailbox, host, name = (getattr(address, part) or b"" for part in ("mailbox", "host", "name"))
    return b"%b <%b@%b>" % (name, mailbox, host)


def usual() -> Makers:
    """What is made of the fields that are searched most."""
    anything = Needle(b"")
    keys = [correspondent(name, anything) for name in (b"From", b"To", b"Cc", b"Bcc")]
    keys += [field(b"Subject", anything), sent(bool)]
    return {kind: make for key in keys for kind, make in (key.makers or {}).items()}


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

    def __init__(self, kind: str, keys: Sequence[Key]) -> None:
        self.kind = kind
        self.keys = sorted(keys, key=lambda key: key.cost)
        self._test: Test | None = None
        depth = 1 + max(key.depth for key in keys)
        makers = {kind: make for key in keys for kind, make in (key.makers or {}).items()}
        picks = all(key.makers is not None for key in keys) and depth <= _SHALLOW and len(makers) <= _KINDS
        super().__init__(sum(key.cost for key in keys), self._fits, makers=makers if picks else None)
        self.depth = depth

    def _fits(self, message: Message) -> bool:
        if self._test is None:
            self._test = asked(self)
        return self._test(message)

    def pick(self, box: Mailbox, uids: Sequence[int], texts: Texts) -> list[int]:
        left = list(uids)
        if self.kind == "AND":
            for key in self.keys:
                left = key.pick(box, left, texts)
            return left
        for key in self.keys:  # OR, or NOT, which has one
            if found := frozenset(key.pick(box, left, texts)):
                left = [uid for uid in left if uid not in found]
        if self.kind == "NOT":
            return left
        out = frozenset(left)
        return [uid for uid in uids if uid not in out]

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
    return keys[0] if len(keys) == 1 else Compound("AND", _joined("AND", keys))


def neither(key: Key) -> Key:
    """NOT key."""
    return key.keys[0] if isinstance(key, Compound) and key.kind == "NOT" else Compound("NOT", [key])


def either(keys: Sequence[Key]) -> Key:
    """OR key key; and one of many, as an OR in an OR is the same."""
    return Compound("OR", _joined("OR", keys))


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
