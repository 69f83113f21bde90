"""MULTISEARCH (RFC 7377): ESEARCH looks through many mailboxes.

Each mailbox is opened, searched and closed in turn; one that cannot be read has no answer, as if it
were not there.
"""

from __future__ import annotations

from imapd import modseq, portion, results, search
from imapd.authenticated import command
from imapd.responses import Status
from mailcore.errors import MailError, Mistake, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox

SELECTED = ""  # stands for the selected mailbox among names
OF_THE_SELECTED = ("SAVE", "UPDATE")  # result options that make sense for it alone (RFC 7377 §2.2)


# --- sources (RFC 7377 §2.2, RFC 5465 §6 filter-mailboxes) -----------------------------


def _names(args: Args) -> list[str]:
    """SP one-or-more-mailbox."""
    return args.many(args.mailbox) if args.space().peek(b"(") else [args.mailbox()]


def _selectable(session: Session) -> Iterator[str]:
    for name, attributes in session.store.list("", "*"):
        if "\\Noselect" not in attributes:
            yield name


def _subtree(session: Session, args: Args, levels: int) -> Iterator[str]:
    """These mailboxes and what is below them, `levels` deep (0: all)."""
    tops = _names(args)
    slash = session.store.delimiter
    for name in _selectable(session):
        for top in tops:
            below = name.startswith(top + slash) and (not levels or name.count(slash) - top.count(slash) <= levels)
            if name == top or below:
                yield name


def _subscribed(session: Session, args: Args) -> Iterable[str]:
    return [name for name, attributes in session.store.lsub("", "*") if "\\Noselect" not in attributes]


SOURCE: dict[str, Callable[[Session, Args], Iterable[str]]] = {
    "SELECTED": lambda session, args: [SELECTED],
    "INBOXES": lambda session, args: ["INBOX"],
    "PERSONAL": lambda session, args: _selectable(session),
    "SUBSCRIBED": _subscribed,
    "MAILBOXES": lambda session, args: _names(args),
    "SUBTREE": lambda session, args: _subtree(session, args, 0),
    "SUBTREE-ONE": lambda session, args: _subtree(session, args, 1),
}


def sources(session: Session, args: Args) -> list[str]:
    """[SP "IN" SP "(" source-mbox ")"]: names of mailboxes, each once."""
    if not args.skip(b" IN ("):
        return [SELECTED]
    names: dict[str, None] = {}
    while True:
        word = args.keyword()
        if word not in SOURCE:
            raise Mistake(f"Unknown source {word}")
        names.update(dict.fromkeys(SOURCE[word](session, args)))
        if args.skip(b")"):
            break
        args.space()
    if len(names) > session.settings.search_mailboxes:
        raise Refusal("Too many mailboxes", "LIMIT")
    return list(names)


# --- the command -----------------------------------------------------------------------


class Nowhere:
    """A mailbox without messages, for reading a search that no mailbox may be there for."""

    uids: Sequence[int] = ()
    keywords: Sequence[str] = ()


@command("ESEARCH", numbers=True)
def esearch(session: Session, args: Args) -> Talk:
    """Search mailboxes, and tell of each that has something (RFC 7377 §2)."""
    names = sources(session, args)
    if SELECTED in names and session.box is None:
        raise Mistake("No mailbox is selected")
    wanted = results.options(session, args)
    if wanted is None:
        wanted = [results.SEARCH_RETURN_OPT["ALL"](session, args)]
    if names != [SELECTED] and any(option.name in OF_THE_SELECTED for option in wanted):
        raise Mistake("SAVE and UPDATE are for the selected mailbox")
    nowhere = search.Query(args.fork(), Nowhere(), session.settings)  # type: ignore[arg-type]
    nowhere.charsets = search.charsets(session)
    search.program(nowhere)
    for name in _apart(session, names):
        try:
            yield from _searched(session, args.fork(), name, wanted)
        except (Mistake, Refusal):
            raise
        except MailError:
            if name == SELECTED:
                raise
    return None


def _apart(session: Session, names: Sequence[str]) -> Iterator[str]:
    """Each mailbox once: the selected one may be named too."""
    for name in names:
        if not (SELECTED in names and name != SELECTED and session.has_selected(name)):
            yield name


def _searched(session: Session, args: Args, name: str, wanted: Sequence[results.Option]) -> Talk:
    """The answer of one mailbox, if it has one."""
    selected = name == SELECTED or session.has_selected(name)
    box: Mailbox = session.box if selected else session.store.open(name, readonly=True)
    try:
        saved = session.saved if selected else ()
        query = search.Query(args, box, session.settings, saved, not modseq.numberless(session))
        key = search.program(query)
        found = results.Found(box, True, lambda uids: search.found(key, box, session.settings, uids), query)
        code = results.newest(session, found, wanted)
        if found.uids:
            data = results.data(session, found, wanted)
            yield results.esearch(session, found, data, mailbox=name or box.name)
        for option in wanted:
            if option.act and (steps := option.act(session, found, wanted)) is not None:
                yield from steps
        if code:
            yield Status("OK", portion.TEXT, code)
    finally:
        if not selected:
            box.close()
