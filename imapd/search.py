"""SEARCH: which messages fit (RFC 3501 §6.4.4, §9 search-key).

What lives here: the grammar of search keys, the tables SEARCH_KEY and OPENING, and the search
through a mailbox.  What does not: how a key looks at a message (criteria.py) and how the answer is
told (results.py).

Keys are read and asked without recursion.  Everything stays within one pass over the messages for
each kind of cost, and a message is read once in each.
"""

from __future__ import annotations

from imapd import document, modseq
from imapd import message as messages
from imapd.criteria import (
    TEXT,
    Compound,
    among,
    arrived,
    asked,
    body,
    correspondent,
    either,
    every,
    everything,
    field,
    flagged,
    neither,
    sent,
    sized,
    text,
)
from imapd.sequence import DIGITS
from mailcore.errors import Expunged, Mistake, Refusal, UidRequired
from mailcore.message import decode
from mailcore.message.needle import Needle
from mailcore.store.mailbox import ANSWERED, DELETED, DRAFT, FLAGGED, RECENT, SEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from imapd.criteria import Key, Test, Texts
    from imapd.message import Message
    from imapd.session import Session
    from imapd.syntax import Args
    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox

COMMON_CHARSETS = "US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252 KOI8-R ISO-2022-JP EUC-JP SHIFT_JIS GB18030 BIG5"


class Query:
    """What the keys of one SEARCH have in common.

    `saved` is what `$` means (RFC 5182), `needle_of` makes of a string what is looked for, and
    `fuzzy` are the needles that need not match exactly, None without a FUZZY key (RFC 6203).
    """

    __slots__ = ("args", "box", "charset", "charsets", "fuzzy", "modseq", "needle_of", "numbers", "saved", "settings")

    def __init__(
        self, args: Args, box: Mailbox, settings: Settings, saved: Sequence[int] = (), numbers: bool = True
    ) -> None:
        self.args = args
        self.box = box
        self.settings = settings
        self.saved = saved
        self.numbers = numbers  # messages may be meant by number
        self.charset = ""
        self.charsets = True  # the client may name one
        self.needle_of: Callable[[bytes, str], Needle] = Needle
        self.fuzzy: list[Needle] | None = None
        self.modseq = False  # one of the keys is MODSEQ: the answer tells the highest (RFC 7162 §3.1.5)

    def needle(self) -> Needle:
        """SP astring, in the CHARSET of the command."""
        return self.needle_of(self.args.space().astring(), self.charset)


def query(session: Session, args: Args, by_uid: bool) -> Query:
    """A search in the selected mailbox, for numbers or UIDs."""
    numbers = not modseq.numberless(session)
    if not (by_uid or numbers):
        raise UidRequired
    query = Query(args, session.box, session.settings, session.saved, numbers)
    query.charsets = charsets(session)
    return query


def charsets(session: Session) -> bool:
    """Whoever enabled UTF8=ACCEPT speaks UTF-8 and names no charset in SEARCH (RFC 9755 §3)."""
    return "UTF8=ACCEPT" not in session.enabled


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


def _uids(query: Query) -> Key:
    """UID sequence-set."""
    if query.args.space().skip(b"$"):
        return among(query.saved)
    return among(query.args.sequence_set().uids(query.box.uids))


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
    "LARGER": lambda query: sized(query.args.space().number64().__lt__),
    "NEW": lambda query: every([flagged(RECENT), flagged(SEEN, False)]),
    "OLD": lambda query: flagged(RECENT, False),
    "ON": lambda query: arrived(_on(query.args.space().date())),
    "RECENT": lambda query: flagged(RECENT),
    "SEEN": lambda query: flagged(SEEN),
    "SENTBEFORE": lambda query: sent(_before(query.args.space().date())),
    "SENTON": lambda query: sent(_on(query.args.space().date())),
    "SENTSINCE": lambda query: sent(_since(query.args.space().date())),
    "SINCE": lambda query: arrived(_since(query.args.space().date())),
    "SMALLER": lambda query: sized(query.args.space().number64().__gt__),
    "SUBJECT": lambda query: field(b"Subject", query.needle()),
    "TEXT": lambda query: text(query.needle()),
    "TO": lambda query: correspondent(b"To", query.needle()),
    "UID": _uids,
    "UNANSWERED": lambda query: flagged(ANSWERED, False),
    "UNDELETED": lambda query: flagged(DELETED, False),
    "UNDRAFT": lambda query: flagged(DRAFT, False),
    "UNFLAGGED": lambda query: flagged(FLAGGED, False),
    "UNKEYWORD": lambda query: _keyword(query, False),
    "UNSEEN": lambda query: flagged(SEEN, False),
}


class Opened:
    """A key of keys that is being read: `keys` so far, of `count`, or (0) of as many as there are."""

    __slots__ = ("count", "ended", "keys", "made")

    def __init__(self, count: int, made: Callable[[list[Key]], Key], ended: Callable[[], None] | None = None) -> None:
        self.count = count
        self.made = made
        self.ended = ended  # called when it is whole
        self.keys: list[Key] = []


# Keys that are followed by keys
OPENING: dict[str, Callable[[Query], Opened]] = {
    "NOT": lambda query: Opened(1, lambda keys: neither(keys[0])),
    "OR": lambda query: Opened(2, either),
}


def search_keys(query: Query) -> Key:
    """One or more search-keys side by side; how deep they lie in each other is limited (settings.nesting)."""
    waiting = [Opened(0, every)]
    while True:
        key = _begun(query, waiting)
        if key is None:
            if len(waiting) > query.settings.nesting:
                raise Mistake("Keys nested too deep")
            continue
        while not _continues(query, waiting[-1], key):
            whole = waiting.pop()
            key = whole.made(whole.keys)
            if whole.ended:
                whole.ended()
            if not waiting:
                return key
            if not whole.count:
                query.args.need(b")")


def _begun(query: Query, waiting: list[Opened]) -> Key | None:
    """One search-key, or None if its own keys must be read first.

    An OR in an OR is one more key in the same list: clients make long chains of them.
    """
    args = query.args
    if args.skip(b"("):
        waiting.append(Opened(0, every))
        return None
    if args.peek(b"*") or any(map(args.peek, DIGITS)):
        return among(_numbered(query))
    name = args.keyword()
    if name in OPENING:
        args.space()
        if name == "OR" and waiting[-1].made is either:
            waiting[-1].count += 1
        else:
            waiting.append(OPENING[name](query))
        return None
    if name not in SEARCH_KEY:
        raise Mistake(f"Unknown key {name}")
    return SEARCH_KEY[name](query)


def _continues(query: Query, opened: Opened, key: Key) -> bool:
    """Take a key that was read; True if another one of the same list follows."""
    opened.keys.append(key)
    if opened.count == len(opened.keys) or (not opened.count and not query.args.peek(b" ")):
        return False
    query.args.space()
    return True


def _numbered(query: Query) -> list[int]:
    """The UIDs of a set of message numbers; numbers that no message has fit no message (as UW)."""
    uids = query.box.uids
    wanted = query.args.sequence_set()
    if not query.numbers:
        raise UidRequired
    if not uids:
        return []
    return [uid for first, last in wanted.spans(len(uids)) for uid in uids[first - 1 : last]]


def program(query: Query) -> Key:
    """["CHARSET" SP astring SP] search-keys, to the end of the command (RFC 3501 §9 search)."""
    args = query.args
    args.space()
    if args.skip(b"CHARSET "):
        if not query.charsets:
            raise Mistake("There is one charset under UTF8=ACCEPT")
        query.charset = known(args.astring())
        args.space()
    key = search_keys(query)
    args.end()
    return key


def charset_program(query: Query) -> Key:
    """SP charset SP search-keys, to the end of the command (RFC 5256 §5 search-criteria)."""
    query.charset = known(query.args.space().astring())
    query.args.space()
    key = search_keys(query)
    query.args.end()
    return key


def known(charset: bytes) -> str:
    """The name of a charset that we can decode, else NO [BADCHARSET (...)]."""
    name = charset.decode("ascii", "replace")
    if not decode.known_charset(name):
        raise Refusal("Unknown charset", f"BADCHARSET ({COMMON_CHARSETS})")
    return name


# --- the search ----------------------------------------------------------------------


def found(key: Key, box: Mailbox, settings: Settings, uids: Sequence[int] | None = None) -> list[int]:
    """The UIDs (of `uids`, or all) that fit, in their order.

    A message that vanishes meanwhile fits nothing (RFC 2180 §4.4).  Of what looks at text, only
    messages are read of which the text index does not know the answer.
    """
    uids = box.uids if uids is None else uids
    keys = key.keys if isinstance(key, Compound) and key.kind == "AND" else [key]
    for part in keys:
        if part.makers == {}:
            uids = _picked(part, box, uids, {}, settings)
    deep = [part for part in keys if part.makers is None and part.cost >= TEXT]
    sure: set[int] = set()
    if deep:
        sure, perhaps = _bounds(every(deep), box, uids, settings)
        uids = [uid for uid in uids if uid in perhaps]
    if near := [part for part in keys if part.makers or (part.makers is None and part.cost < TEXT)]:
        uids = _near(every(near), box, uids, settings)
    if deep:
        doubtful = [uid for uid in uids if uid not in sure]
        read = messages.read(box, doubtful, settings, True)
        sure.update(_read(every(deep), document.Learner(box, doubtful, settings).listening(read)))
        uids = [uid for uid in uids if uid in sure]
    return list(uids)


def _near(key: Key, box: Mailbox, uids: Sequence[int], settings: Settings) -> list[int]:
    """By what is remembered of headers, or by the headers; each is read at most once."""
    if key.makers is None:
        return _read(key, messages.read(box, uids, settings, False))
    columns = messages.kept(box, key.makers, uids, settings)
    for column in columns.values():
        if None in column:
            gone = {uid for uid, text in zip(uids, column, strict=True) if text is None}
            return _near(key, box, [uid for uid in uids if uid not in gone], settings)
    texts: Texts = {kind: dict(zip(uids, column, strict=True)) for kind, column in columns.items()}  # type: ignore[arg-type]
    return _picked(key, box, uids, texts, settings)


def _bounds(key: Key, box: Mailbox, uids: Sequence[int], settings: Settings) -> tuple[set[int], set[int]]:
    if len(uids) < document.LEAST:
        return set(), set(uids)
    try:
        return key.bounds(box, uids, document.form(settings))
    except Expunged:
        return set(), set(uids)


def _read(key: Key, read: Iterable[Message]) -> list[int]:
    """The UIDs of those that fit."""
    fits = asked(key)
    return [message.uid for message in read if _fits(fits, message)]


def _picked(key: Key, box: Mailbox, uids: Sequence[int], texts: Texts, settings: Settings) -> list[int]:
    try:
        return key.pick(box, uids, texts)
    except Expunged:
        return [uid for uid in uids if _fits(key.test, messages.Message(box, uid, settings))]


def _fits(test: Test, message: Message) -> bool:
    try:
        return test(message)
    except Expunged:
        return False
