"""FETCH: what is asked of messages, and the answers (RFC 3501 §6.4.5, §7.4.2).

What lives here: the grammar of FETCH items, the table FETCH_ATT, and what each item reads from
a message.  What does not: quoting (responses.py) and MIME (mailcore.message).

An item is parsed into an `Item`: its name in the answer, and `value`, which makes the data for
one message.  An item that needs no message text also has `column`, which writes it for many
messages at once; where all items have one, answers are made block by block.  Small pieces of
a message are held; large ones travel in chunks and are never in memory whole.
"""

from __future__ import annotations

from itertools import chain

from imapd import modseq
from imapd.message import Message, lasting, limits, read
from imapd.responses import Block, Done, Fetch, Literal, Name, Ready, UidFetch, data, flag, literal, pieces, string
from imapd.sequence import DIGITS, within
from mailcore import log
from mailcore.errors import Expunged, Hangup, MailError, Mistake, Refusal
from mailcore.message import crlf, dates, envelope, headers, mime
from mailcore.store.mailbox import RECENT, SEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Any

    from imapd.responses import Data, Untagged
    from imapd.sequence import Place
    from imapd.sequence import Span as Numbers
    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.message.crlf import Text
    from mailcore.store.mailbox import Mailbox

    Span = tuple[Text, int, int]  # a text, and where in it something starts and ends
    Column = Callable[[Mailbox, Sequence[int]], list[bytes]]
    Modifier = Callable[[list[Place]], list[Place]]
    First = Callable[[], Iterator[Untagged]]

BLOCK_MESSAGES = 500  # answered in one piece, where no text is read
HELD_OCTETS = 128 * 1024  # more than this of a message travels in chunks
FIELDS_REMEMBERED = 30  # a set of more fields is no client's usual one
ADDRESSES_KEPT = 4000  # fields of addresses that are kept as they are written,
ADDRESSES_OCTETS = 200  # and how long they may be
_kept: crlf.Measured | None = None
FLAG_ORDER = ("\\Recent", "\\Seen", "\\Deleted", "\\Flagged", "\\Answered", "\\Draft")  # as UW told them


class Large(Exception):
    """What is asked of a message is too much to be held for many of them."""


class Item:
    """One thing asked of each message.

    `sees` is true of those that set \\Seen (RFC 3501 §6.4.5).  `kind` is the name under which a
    mailbox may remember the answer, "" if it may not; `whole` says that the body is read for it.
    `fields` writes the data where it is made of the header alone.
    """

    __slots__ = ("column", "fields", "kind", "label", "sees", "value", "whole")

    def __init__(
        self,
        label: bytes,
        value: Callable[[Message], Data],
        column: Column | None = None,
        sees: bool = False,
        kind: str = "",
        whole: bool = False,
        fields: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.label = Ready(label)
        self.fields = fields
        self.value = value
        self.column = column
        self.sees = sees
        self.kind = kind
        self.whole = whole

    def written(self, message: Message) -> bytes:
        """The data in one piece.  Raises Large."""
        value = self.value(message)
        if type(value) is Literal:
            raise Large
        return data(value)


# --- what a mailbox knows without reading messages -----------------------------------


class FlagLists(dict[frozenset[str], bytes]):
    """How each set of flags is written, in UW's order, keywords as the mailbox came to know them."""

    def __init__(self, keywords: Sequence[str], recent: bool = True) -> None:
        super().__init__()
        self._hidden = frozenset() if recent else frozenset((RECENT,))  # IMAP4rev2 has no \\Recent
        self._order = {name: rank for rank, name in enumerate((*FLAG_ORDER, *keywords))}

    def __missing__(self, flags: frozenset[str]) -> bytes:
        last = len(self._order)
        ordered = sorted(flags - self._hidden, key=lambda name: (self._order.get(name, last), name))
        self[flags] = written = b"(%b)" % b" ".join(map(flag, ordered))
        return written


def _flags(message: Message) -> Ready:
    return Ready(FlagLists(message.box.keywords)[message.box.flags(message.uid)])


def _flags_column(box: Mailbox, uids: Sequence[int]) -> list[bytes]:
    written = FlagLists(box.keywords)
    return list(map(written.__getitem__, box.flags_of(uids)))


def _rev2_flags(message: Message) -> Ready:
    return Ready(FlagLists(message.box.keywords, recent=False)[message.box.flags(message.uid)])


def _rev2_flags_column(box: Mailbox, uids: Sequence[int]) -> list[bytes]:
    written = FlagLists(box.keywords, recent=False)
    return list(map(written.__getitem__, box.flags_of(uids)))


class Days(dict[tuple[int, int], tuple[bytes, bytes]]):
    """What stands before and after the time on a day of a zone: mail comes many a day."""

    def __missing__(self, day: tuple[int, int]) -> tuple[bytes, bytes]:
        midnight = dates.internal_date(day[0] * 86400 - day[1] * 60, day[1])
        date, _, rest = midnight.partition(b"00:00:00")
        self[day] = found = date, rest
        return found


def _date(message: Message) -> Ready:
    return Ready(b'"%b"' % dates.internal_date(*message.box.internal_date(message.uid)))


def _date_column(box: Mailbox, uids: Sequence[int]) -> list[bytes]:
    days = Days()
    column = []
    for seconds, zone in box.dates_of(uids):
        day, second = divmod(seconds + zone * 60, 86400)
        date, rest = days[day, zone]
        column.append(b'"%b%02d:%02d:%02d%b"' % (date, second // 3600, second // 60 % 60, second % 60, rest))
    return column


def _size_column(box: Mailbox, uids: Sequence[int]) -> list[bytes]:
    return [b"%d" % octets for octets in box.octets_of(uids)]


FLAGS = Item(b"FLAGS", _flags, _flags_column)
REV2_FLAGS = Item(b"FLAGS", _rev2_flags, _rev2_flags_column)  # RFC 9051 §2.3.2
INTERNALDATE = Item(b"INTERNALDATE", _date, _date_column)
def _modseq(message: Message) -> Ready:
    return Ready(b"(%d)" % message.box.modseq(message.uid))


MODSEQ = Item(b"MODSEQ", _modseq, lambda box, uids: [b"(%d)" % number for number in box.modseqs_of(uids)])
SIZE = Item(b"RFC822.SIZE", lambda message: message.box.octets(message.uid), _size_column)
UID = Item(b"UID", lambda message: message.uid, lambda box, uids: [b"%d" % uid for uid in uids])

# --- what is read from the header and the structure ----------------------------------


def written(value: tuple[Data, ...]) -> Ready:
    """A value of envelope.py: NIL, numbers, strings, and lists of them in parentheses."""
    return Ready(_listed(value))


def _listed(values: Sequence[Data]) -> bytes:
    return b"(%b)" % b" ".join([string(item) if type(item) is bytes else _OTHERS[type(item)](item) for item in values])


_OTHERS: dict[type, Callable[[Data], bytes]] = {
    type(None): lambda _: b"NIL",
    int: lambda number: b"%d" % number,
    tuple: _listed,
    envelope.Run: lambda run: b"".join(map(_listed, run)),  # nothing between them (RFC 3501 §9 1*address, 1*body)
}



class AddressLists(dict[bytes, bytes]):
    """How what a field of addresses says is written; many messages come from, and go to, the same people."""

    def __missing__(self, value: bytes) -> bytes:
        found = envelope.addresses(value)
        text = b"NIL" if found is None else _listed(found)
        if len(value) <= ADDRESSES_OCTETS:
            if len(self) >= ADDRESSES_KEPT:
                self.clear()
            self[value] = text
        return text


_people = AddressLists()


def _envelope(message: Message) -> Ready:
    """What `written(envelope.envelope(header))` would be."""
    date, subject, sender, really, reply, to, cc, bcc, answered, id_ = envelope.said(message.short_header)
    author = _people[sender or b""]
    others = [_people[field] if field else b"NIL" for field in (really, reply, to, cc, bcc)]
    actual, answers = [author if written == b"NIL" else written for written in others[:2]]
    return Ready(b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _nstring(date), _nstring(subject), author, actual, answers, *others[2:], _nstring(answered), _nstring(id_)
    ))  # fmt: skip


def _nstring(value: bytes | None) -> bytes:
    return b"NIL" if value is None else string(value)


ENVELOPE = Item(b"ENVELOPE", _envelope, kind="envelope")
BODY = Item(b"BODY", lambda message: written(envelope.body(message.structure, False)), kind="body", whole=True)
BODYSTRUCTURE = Item(
    b"BODYSTRUCTURE",
    lambda message: written(envelope.body(message.structure, True)),
    kind="bodystructure",
    whole=True,
)

# --- sections (RFC 3501 §6.4.5) ------------------------------------------------------


class Section:
    """What stands between the brackets: a part, and what of it.

    `numbers` leads to a part, [] is the message itself; `text` is "", "HEADER", "TEXT",
    "MIME", "HEADER.FIELDS" or "HEADER.FIELDS.NOT"; `names` belongs to the last two.
    """

    __slots__ = ("names", "numbers", "text")

    def __init__(self, numbers: Sequence[int] = (), text: str = "", names: Sequence[bytes] = ()) -> None:
        self.numbers = list(numbers)
        self.text = text
        self.names = list(names)

    def label(self) -> bytes:
        """As it is told in answers: upper case, as UW."""
        words = [".".join([*map(str, self.numbers), *filter(None, [self.text])]).encode()]
        if self.names:
            words.append(data([Name(name.upper()) for name in self.names]))
        return b" ".join(words)

    def kind(self) -> str:
        """The name under which a mailbox may remember it: fields, if they are of the message as such."""
        names = sorted({name.upper() for name in self.names})
        if self.numbers or self.text != "HEADER.FIELDS" or len(names) > FIELDS_REMEMBERED:
            return ""
        return "fields " + b" ".join(names).decode() if all(map(lasting, names)) else ""

    def writer(self) -> Callable[[bytes], bytes]:
        """What makes the data, where `kind` says something, of a header."""
        pick = headers.picker(self.names)
        return lambda header: literal(crlf.wire_form(pick(header)))

    def span(self, message: Message) -> Span | None:
        """Where it lies; None if there is no such part, or it has no such thing."""
        if not self.numbers and not self.text:
            return message.text, 0, len(message.text)
        if not self.numbers and self.text.startswith("HEADER"):
            return self._fields(message.header)  # the body need not be read
        found = self._part(message) if self.numbers else (0, message.body_start, len(message.text))
        if found is None:
            return None
        start, body, end = found
        if self.text == "TEXT":
            return message.text, body, end
        if self.text == "MIME":
            return message.text, start, body
        if self.text:
            return self._fields(message.text[start:body])
        return message.text, start, end

    def _part(self, message: Message) -> tuple[int, int, int] | None:
        """Where the part, its body, and its end lie, as `text` looks at it."""
        part = mime.part(message.outline, self.numbers)
        if part is None:
            return None
        if not self.text:
            return part.header_end, part.header_end, part.body_end
        if self.text == "MIME":
            if self._only_part(message, part):
                return None
            return part.header_start, part.header_end, part.body_end
        if part.message is None:  # only an enclosed message has a header and a text
            return None
        return part.message.header_start, part.message.header_end, part.message.body_end

    def _only_part(self, message: Message, part: mime.Part) -> bool:
        """Part 1 of a message that is no multipart: its header is the message's, not its own (as UW)."""
        above = mime.part(message.outline, self.numbers[:-1]) if len(self.numbers) > 1 else message.outline
        return above is not None and part in (above, above.message)

    def _fields(self, header: bytes) -> Span:
        if self.text == "HEADER.FIELDS":
            header = headers.only(header, self.names)
        elif self.text == "HEADER.FIELDS.NOT":
            header = headers.without(header, self.names)
        return header, 0, len(header)


class Partial:
    """<offset.octets>: at most so many octets from there on (RFC 3501 §6.4.5)."""

    __slots__ = ("octets", "offset")

    def __init__(self, offset: int, octets: int) -> None:
        self.offset = offset
        self.octets = octets

    def label(self) -> bytes:
        return b"<%d>" % self.offset


def content(span: Span | None, partial: Partial | None = None) -> bytes | Literal:
    """The octets of a span in their wire form, or a part of them."""
    if span is None:
        return b""
    text, start, end = span
    if partial is not None and partial.offset + partial.octets <= HELD_OCTETS:
        end = min(end, start + partial.offset + partial.octets)  # the wire form is never shorter
    if end - start <= HELD_OCTETS:
        form = crlf.wire_form(text[start:end])
        return form if partial is None else form[partial.offset : partial.offset + partial.octets]
    measured = _measure(text, start, end)
    if partial is None:
        return Literal(measured.octets, _unbroken(measured.chunks()))
    octets = min(partial.octets, max(measured.octets - partial.offset, 0))
    return Literal(octets, _unbroken(measured.chunks(partial.offset, octets)))


def _measure(text: Text, start: int, end: int) -> crlf.Measured:
    """The span measured last is kept, for a client that fetches it piece by piece."""
    global _kept
    kept = _kept
    if kept is None or kept.text is not text or (kept.start, kept.end) != (start, end):
        _kept = kept = crlf.Measured(text, start, end)
    return kept


def _unbroken(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Chunks of a literal whose length is already told: when they fail there is nothing left to say."""
    try:
        yield from chunks
    except MailError as error:
        raise Hangup(reason=f"a message could not be read to its end: {error.text}") from error


# --- grammar (RFC 3501 §9 fetch-att) -------------------------------------------------


def whole(label: bytes, text: str, sees: bool) -> Item:
    """RFC822, RFC822.HEADER and RFC822.TEXT: old names of sections."""
    wanted = Section(text=text)
    return Item(label, lambda message: content(wanted.span(message)), sees=sees, whole=text != "HEADER")


def _sections(args: Args, sees: bool) -> Item:
    """section ["<" number "." nz-number ">"] after BODY or BODY.PEEK."""
    wanted = section(args.need(b"["))
    args.need(b"]")
    partial = partly(args)
    label = b"BODY[%b]%b" % (wanted.label(), partial.label() if partial else b"")
    kind = "" if sees or partial else wanted.kind()
    whole = bool(wanted.numbers) or not wanted.text.startswith("HEADER")
    fields = wanted.writer() if kind else None
    return Item(
        label, lambda message: content(wanted.span(message), partial), sees=sees, kind=kind, whole=whole, fields=fields
    )


def partly(args: Args) -> Partial | None:
    """["<" number64 "." nz-number64 ">"] (RFC 9051 §9 partial)."""
    if not args.skip(b"<"):
        return None
    offset = args.number64()
    octets = args.need(b".").number64()
    if not octets:
        raise Mistake("Zero is not allowed here")
    args.need(b">")
    return Partial(offset, octets)


def section(args: Args) -> Section:
    """section-spec: [section-part] ["." section-text], or section-msgtext."""
    numbers: list[int] = []
    if args.peek(b"]"):
        return Section()
    while any(map(args.peek, DIGITS)):
        numbers.append(args.nz_number())
        if not args.skip(b"."):
            return Section(numbers)
    text = args.keyword()
    if text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        return Section(numbers, text, args.space().many(args.astring))
    if text in ("HEADER", "TEXT") or (text == "MIME" and numbers):
        return Section(numbers, text)
    raise Mistake("Unknown section")


def _body(args: Args) -> Item:
    return _sections(args, sees=True) if args.peek(b"[") else BODY


# RFC 3501 §9 fetch-att; the function gets what follows the name.
FETCH_ATT: dict[str, Callable[[Args], Item]] = {
    "BODY": _body,
    "BODY.PEEK": lambda args: _sections(args, sees=False),
    "BODYSTRUCTURE": lambda args: BODYSTRUCTURE,
    "ENVELOPE": lambda args: ENVELOPE,
    "FLAGS": lambda args: FLAGS,
    "INTERNALDATE": lambda args: INTERNALDATE,
    "RFC822": lambda args: whole(b"RFC822", "", sees=True),
    "RFC822.HEADER": lambda args: whole(b"RFC822.HEADER", "HEADER", sees=False),
    "RFC822.SIZE": lambda args: SIZE,
    "RFC822.TEXT": lambda args: whole(b"RFC822.TEXT", "TEXT", sees=True),
    "UID": lambda args: UID,
}

MACROS = {  # RFC 3501 §6.4.5; alone, never in a list
    "ALL": (FLAGS, INTERNALDATE, SIZE, ENVELOPE),
    "FAST": (FLAGS, INTERNALDATE, SIZE),
    "FULL": (FLAGS, INTERNALDATE, SIZE, ENVELOPE, BODY),
}


class Asked:
    """What a FETCH asks for.

    `named` are the UIDs that it names, there or not (by UID only), `since` a mod-sequence, and
    `first` is told before all answers.
    """

    __slots__ = ("first", "items", "named", "places", "since")

    def __init__(self, items: list[Item], places: list[Place], named: list[Numbers]) -> None:
        self.items = items
        self.places = places
        self.named = named
        self.since: int | None = None
        self.first: First | None = None


# RFC 4466 §2.1 fetch-modifier; what follows the name is parsed by the function, whose value picks
# from the places of the messages that are asked for
FETCH_MODIFIER: dict[str, Callable[[Session, Args, Asked], Modifier]] = {}


def modified(session: Session, args: Args, asked: Asked) -> None:
    """[SP "(" fetch-modifiers ")"]: which of the messages are meant after all."""
    if args.skip(b" ("):
        modifiers = [_modifier(session, args, asked)]
        while args.skip(b" "):
            modifiers.append(_modifier(session, args, asked))
        args.need(b")")
        for modifier in modifiers:
            asked.places = modifier(asked.places)


def _modifier(session: Session, args: Args, asked: Asked) -> Modifier:
    name = args.keyword()
    if name not in FETCH_MODIFIER:
        raise Mistake(f"Unknown modifier {name}")
    return FETCH_MODIFIER[name](session, args, asked)


def fetch_items(args: Args) -> list[Item]:
    """A macro, one item, or a list of them; what is asked twice is told once."""
    if args.peek(b"("):
        items = args.many(lambda: fetch_att(args, args.keyword()))
    else:
        name = args.keyword()
        items = list(MACROS[name]) if name in MACROS else [fetch_att(args, name)]
    return list({item.label: item for item in items}.values())


def fetch_att(args: Args, name: str) -> Item:
    if name not in FETCH_ATT:
        raise Mistake(f"Unknown item {name}")
    return FETCH_ATT[name](args)


# --- answers -------------------------------------------------------------------------


class Answers:
    """The FETCH answers of one command.

    `gone` are the UIDs of messages that are no more: nothing is told of them.
    """

    __slots__ = ("box", "by_uid", "flags", "gone", "items", "seen", "settings", "with_modseq")

    def __init__(self, session: Session, items: Sequence[Item]) -> None:
        self.box: Mailbox = session.box
        self.settings = session.settings
        self.by_uid = modseq.numberless(session)
        self.flags = REV2_FLAGS if session.rev2 else FLAGS
        wanted = [item for item in items if item is not UID or not self.by_uid]
        self.items = [self.flags if item is FLAGS else item for item in wanted]
        self.with_modseq = modseq.noted(session) and self.box.highest_modseq > 0
        self.gone: set[int] = set()
        self.seen: frozenset[int] = frozenset()  # those whose \\Seen we set

    def see(self, uids: Sequence[int]) -> None:
        """Set \\Seen where an item asks for it, on all messages at once.

        Mail can still be read when that fails: the disk is full, the mailbox is locked.
        """
        if self.box.readonly or not any(item.sees for item in self.items):
            return
        unseen = [uid for uid in uids if not self._is_seen(uid)]
        try:
            gone = self.box.store(unseen, "+", [SEEN]) if unseen else []
        except MailError as error:
            log.warning(f"\\Seen could not be set: {error.text} {error.detail}")
            return
        self.seen = frozenset(unseen).difference(gone)

    def _is_seen(self, uid: int) -> bool:
        try:
            return SEEN in self.box.flags(uid)
        except Expunged:
            return True

    def told(self, places: Sequence[Place]) -> Iterator[Fetch | Ready | Block]:
        """Answers for these slices of the mailbox."""
        if not all(item.column or item.kind for item in self.items):
            for start, stop in places:
                yield from gathered(self._read(start, stop))
            return
        for start, stop in places:
            for first in range(start, stop, BLOCK_MESSAGES):
                yield from self._block(first, min(first + BLOCK_MESSAGES, stop))

    def _read(self, start: int, stop: int) -> Iterator[Fetch]:
        """The answers for a slice, its messages read many at a time."""
        uids = self.box.uids[start:stop]
        number_of = dict(zip(uids, range(start + 1, stop + 1), strict=True))
        whole = any(item.whole for item in self.items)
        for message in read(self.box, [uid for uid in uids if uid not in self.gone], self.settings, whole):
            if fetch := self._answer(number_of.pop(message.uid), message):
                yield fetch
        self.gone.update(number_of)

    def _one(self, index: int) -> Iterator[Fetch]:
        """The answer for one message."""
        uid = self.box.uids[index]
        if uid not in self.gone and (fetch := self._answer(index + 1, Message(self.box, uid, self.settings))):
            yield fetch

    def _answer(self, number: int, message: Message) -> Fetch | None:
        """One answer, whole before it is said; None if the message is gone."""
        uid = message.uid
        try:
            pairs = [(item.label, item.value(message)) for item in self.items]
            if uid in self.seen and self.flags not in self.items:
                pairs.append((self.flags.label, self.flags.value(message)))
            if uid in self.seen and self.with_modseq and MODSEQ not in self.items:
                pairs.append((MODSEQ.label, MODSEQ.value(message)))
        except Expunged:
            self.gone.add(uid)
            return None
        return UidFetch(uid, pairs) if self.by_uid else Fetch(number, pairs)

    def _block(self, start: int, stop: int) -> Iterator[Fetch | Ready]:
        """The answers for a slice in one piece of bytes; one by one if a message is gone."""
        uids = self.box.uids[start:stop]
        try:
            if self.gone and not self.gone.isdisjoint(uids):
                raise Expunged
            remembered = self._remembered(uids)
            written = [
                uids if item is UID else item.column(self.box, uids) if item.column else remembered[number]
                for number, item in enumerate(self.items)
            ]
        except (Expunged, Large):
            for index in range(start, stop):
                yield from self._one(index)
            return
        yield Ready(self._lines(uids if self.by_uid else range(start + 1, stop + 1), written))

    def _lines(self, numbers: Sequence[int], written: Sequence[Sequence[Any]]) -> bytes:
        """Answers with what was written of each item; what all messages have in common is written once."""
        labels, told = [], [numbers]
        for item, column in zip(self.items, written, strict=True):
            label = item.label.replace(b"%", b"%%")
            if item is UID:
                labels.append(label + b" %d")
                told.append(column)
            elif column.count(column[0]) == len(column):
                labels.append(label + b" " + column[0].replace(b"%", b"%%"))
            else:
                labels.append(label + b" %b")
                told.append(column)
        line = b"* %d " + (b"UIDFETCH" if self.by_uid else b"FETCH") + b" (" + b" ".join(labels) + b")\r\n"
        return line * len(numbers) % tuple(chain.from_iterable(zip(*told, strict=True)))

    def _remembered(self, uids: Sequence[int]) -> dict[int, list[bytes]]:
        """The data of each item that may be remembered, by its number; Expunged if a message is gone."""
        kinds = {
            number: item.kind + limits(self.settings, item.whole)
            for number, item in enumerate(self.items)
            if item.kind
        }
        found = {number: self.box.remembered(kind, uids) for number, kind in kinds.items()}
        if any(None in texts for texts in found.values()):
            missing = {place for texts in found.values() for place, text in enumerate(texts) if text is None}
            self._make(uids, sorted(missing), found, kinds)
            if any(None in texts for texts in found.values()):
                raise Expunged
        return found  # type: ignore[return-value]

    def _make(
        self, uids: Sequence[int], places: Sequence[int], found: dict[int, list[bytes | None]], kinds: dict[int, str]
    ) -> None:
        """Make what is missing, each message read once, and let the mailbox remember it."""
        place_of = {uids[place]: place for place in places}
        made: list[tuple[int, list[tuple[int, bytes]]]] = [(number, []) for number in found]
        items = [self.items[number] for number in found]
        whole, alone = any(item.whole for item in items), all(item.fields for item in items)
        messages: Iterator[Any] = read(self.box, list(place_of), self.settings, whole)
        sources = self.box.headers(place_of) if alone else ((message.uid, message) for message in messages)
        makes: list[Any] = [item.fields if alone else item.written for item in items]
        work = [(found[number], make, pairs) for make, (number, pairs) in zip(makes, made, strict=True)]
        for uid, source in sources:
            place = place_of[uid]
            for texts, make, pairs in work:
                if texts[place] is None:
                    text = texts[place] = make(source)
                    if len(text) > HELD_OCTETS:
                        raise Large
                    pairs.append((uid, text))
        for number, pairs in made:
            self.box.remember(kinds[number], pairs)


def gathered(fetches: Iterator[Fetch]) -> Iterator[Fetch | Block]:
    """Answers of small messages many at a time; all that came before an error is said before it."""
    held: list[bytes] = []
    octets = 0
    try:
        for fetch in fetches:
            found = pieces(fetch)
            if found is not None:
                held += found
                octets += sum(map(len, found))
            if held and (found is None or octets >= HELD_OCTETS):
                yield Block(held)
                held, octets = [], 0
            if found is None:
                yield fetch
    except MailError:
        if held:
            yield Block(held)
        raise
    if held:
        yield Block(held)


def answers(session: Session, asked: Asked, by_uid: bool) -> Talk:
    """Tell the items of these messages; say so in the end if some are gone (RFC 2180 §4.1)."""
    if MODSEQ in asked.items:
        modseq.kept(session.box)
        modseq.note(session)
    answers = Answers(session, asked.items)
    answers.see(within(session.box.uids, asked.places))
    if asked.first is not None:
        yield from asked.first()
    yield from answers.told(asked.places)
    return verdict(answers.gone, by_uid)


def verdict(gone: Collection[int], by_uid: bool) -> Done | None:
    """What the tagged line says of messages that are no more.

    A UID that does not exist is no error (RFC 3501 §6.4.8); a message number that should
    exist is one (RFC 2180 §4.1.2, RFC 5530 EXPUNGEISSUED).
    """
    if not gone:
        return None
    if by_uid:
        return Done("Some of the messages no longer exist", "EXPUNGEISSUED")
    raise Refusal("Some of the messages no longer exist", "EXPUNGEISSUED")
