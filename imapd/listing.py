"""LIST: which names, and what is said of each (RFC 3501 §6.3.8, RFC 5258).

What lives here: the grammar of LIST in its plain and its extended form, and how the answers come
about.  What does not: the options, which extensions add to the tables, and finding names (the store).

A selection option is a function that tells the names it fits, few of them; they are matched with the
patterns here.  Without one the store walks through the directories.
"""

from __future__ import annotations

from imapd.responses import Flag, Name, Untagged
from mailcore.errors import Mistake, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from imapd.responses import Data, Status
    from imapd.session import Session, Talk
    from imapd.syntax import Args

    Mark = Callable[["Entry"], None]
    Tell = Callable[["Entry"], Iterable[Untagged | Status]]


class Entry:
    """One LIST answer: a name as the client spells it, its attributes, its extended data items."""

    __slots__ = ("attributes", "extended", "name")

    def __init__(self, name: str, attributes: list[str]) -> None:
        self.name = name
        self.attributes = attributes
        self.extended: list[Data] = []

    @property
    def selectable(self) -> bool:
        return not {"\\Noselect", "\\NonExistent"} & set(self.attributes)

    def answer(self, delimiter: str, word: str = "LIST") -> Untagged:
        attributes = [Flag(attribute) for attribute in self.attributes]
        extended = [self.extended] if self.extended else []
        return Untagged(word, attributes, delimiter.encode(), Name(self.name.encode()), *extended)


class Option:
    """A return option at work: `mark` adds to an entry before it is told, `tell` says more after it."""

    __slots__ = ("mark", "tell")

    def __init__(self, mark: Mark | None = None, tell: Tell | None = None) -> None:
        self.mark = mark
        self.tell = tell


# RFC 5258 §6 list-select-base-opt: the canonical names that it fits
LIST_SELECT_BASE_OPT: dict[str, Callable[[Session], Collection[str]]] = {}
# list-select-independent-opt: names that change nothing by themselves
LIST_SELECT_INDEPENDENT_OPT: set[str] = set()
RECURSIVEMATCH = "RECURSIVEMATCH"  # list-select-mod-opt
# RFC 5258 §6 return-option; takes its value from the arguments
LIST_RETURN_OPT: dict[str, Callable[[Session, Args], Option]] = {}
ALWAYS: list[Callable[[Session], Mark]] = []  # what is marked in every LIST


def list_(session: Session, args: Args) -> Talk:
    """LIST in both forms."""
    selection = _selection(args.space())
    reference = args.mailbox()
    patterns, many = _patterns(session, args.space())
    returned = _returned(session, args)
    args.end()
    extended = selection is not None or many or returned is not None
    if not extended and patterns == [""]:
        yield Entry("", ["\\Noselect"]).answer(session.store.delimiter)  # the delimiter is all that is asked for
        return
    options = returned or []
    options += [LIST_RETURN_OPT[word](session, args) for word in selection or () if word in LIST_SELECT_BASE_OPT]
    marks = [make(session) for make in ALWAYS] + [option.mark for option in options if option.mark]
    for entry in _entries(session, selection or [], reference, patterns):
        for mark in marks:
            mark(entry)
        yield entry.answer(session.store.delimiter)
        for option in options:
            yield from option.tell(entry) if option.tell else ()


def lsub(session: Session, args: Args) -> Talk:
    """LSUB: subscribed names; what else is said of them is LIST's (see lsub_flags)."""
    reference = args.space().mailbox()
    pattern = args.space().list_mailbox()
    args.end()
    for name, attributes in session.store.lsub(reference, pattern):
        if session.settings.lsub_flags and not attributes:
            attributes = session.store.describe(session.store.canonical(name)) or ["\\Noselect"]
        yield Entry(name, attributes).answer(session.store.delimiter, "LSUB")


# --- grammar (RFC 5258 §6) ----------------------------------------------------------------


def _selection(args: Args) -> list[str] | None:
    """["(" [list-select-opts] ")" SP]; None: there is none."""
    if not args.peek(b"("):
        return None
    words = [] if args.skip(b"()") else args.many(args.keyword)
    args.space()
    for word in words:
        if word not in LIST_SELECT_BASE_OPT and word not in LIST_SELECT_INDEPENDENT_OPT and word != RECURSIVEMATCH:
            raise Mistake(f"Unknown selection option {word}")
    if RECURSIVEMATCH in words and not any(word in LIST_SELECT_BASE_OPT for word in words):
        raise Mistake("RECURSIVEMATCH needs something to match")
    return words


def _patterns(session: Session, args: Args) -> tuple[list[str], bool]:
    """mbox-or-pat, and whether it was a list."""
    if not args.peek(b"("):
        return [args.list_mailbox()], False
    patterns = list(dict.fromkeys(args.many(args.list_mailbox)))
    if len(patterns) > session.settings.list_patterns:
        raise Refusal("Too many patterns", "LIMIT")
    return patterns, True


def _returned(session: Session, args: Args) -> list[Option] | None:
    """[SP "RETURN" SP "(" [return-option *(SP return-option)] ")"]; None: there is none."""
    if args.at_end() or not args.peek(b" RETURN"):
        return None
    args.skip(b" RETURN")
    if args.space().skip(b"()"):
        return []
    return args.many(lambda: _return_option(session, args))


def _return_option(session: Session, args: Args) -> Option:
    word = args.keyword()
    if word not in LIST_RETURN_OPT:
        raise Mistake(f"Unknown return option {word}")
    return LIST_RETURN_OPT[word](session, args)


# --- names ----------------------------------------------------------------------------------


def _entries(session: Session, selection: list[str], reference: str, patterns: list[str]) -> Iterator[Entry]:
    bases = [word for word in selection if word in LIST_SELECT_BASE_OPT]
    if bases:
        yield from _selected(session, bases, RECURSIVEMATCH in selection, reference, patterns)
        return
    told = set()
    for pattern in patterns:
        for name, attributes in session.store.list(reference, pattern) if pattern else ():
            if name not in told:
                yield Entry(name, attributes)
            if len(patterns) > 1:
                told.add(name)


def _selected(
    session: Session, bases: list[str], recursive: bool, reference: str, patterns: list[str]
) -> Iterator[Entry]:
    """Names that fit all of `bases`; with RECURSIVEMATCH also those above them (RFC 5258 §3.5)."""
    from mailcore.store.namespace import parents, sorting

    store = session.store
    fit = set.intersection(*(set(LIST_SELECT_BASE_OPT[word](session)) for word in bases))
    spellings = [store.spelled(reference + pattern) for pattern in patterns if pattern]

    def prefix(name: str) -> str | None:
        return next((prefix for prefix, matches in spellings if matches(name)), None)

    above: set[str] = set()  # who has something below that fits; who does not fit, only if it is not told itself
    for name in fit if recursive else ():
        told = prefix(name) is not None
        above.update(parent for parent in parents(name) if parent in fit or not told)
    for name in sorted(fit | above, key=sorting):
        if (spelled := prefix(name)) is None:
            continue
        entry = Entry(spelled + name, store.describe(name) or ["\\NonExistent"])
        if name in above:
            entry.extended = [b"CHILDINFO", [word.encode() for word in bases]]
        yield entry
