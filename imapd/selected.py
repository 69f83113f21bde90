"""Commands of the selected state (RFC 3501 §6.4).

What lives here: what each command asks of the selected mailbox, and the two tables `command`
and `uid_command` (what may stand behind UID, RFC 3501 §6.4.8).  What does not: what FETCH
and SEARCH ask for (fetch.py, search.py, results.py) and news of the mailbox (news.py).

A command and its UID form differ in how messages are named and in nothing else: both hand
slices of the view to the same function.
"""

from __future__ import annotations

from imapd import authenticated, fetch, news, results, search
from imapd.responses import Done
from imapd.sequence import compact, of_uids, within
from mailcore.commands import State
from mailcore.errors import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imapd.sequence import Place
    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox

command = State("SELECTED", authenticated.command)
uid_command = State("SELECTED (UID)")


def by_number(session: Session, args: Args) -> list[Place]:
    """SP sequence-set, of message numbers; `$` is what SEARCH saved (RFC 5182)."""
    if args.space().skip(b"$"):
        return of_uids(session.saved, session.box.uids)
    return args.sequence_set().places(len(session.box))


def by_uid(session: Session, args: Args) -> list[Place]:
    """SP sequence-set, of UIDs; `$` is what SEARCH saved (RFC 5182)."""
    if args.space().skip(b"$"):
        return of_uids(session.saved, session.box.uids)
    return args.sequence_set().uid_places(session.box.uids)


# --- CHECK, CLOSE, EXPUNGE -----------------------------------------------------------


@command("CHECK")
def check(session: Session, args: Args) -> None:
    """A checkpoint (RFC 3501 §6.4.1): nothing to do, as all that was said to be done is on the disk."""
    args.end()


@command("CLOSE", silent=True)
def close(session: Session, args: Args) -> None:
    """Remove what is \\Deleted, untold, and leave the mailbox (RFC 3501 §6.4.2).

    If that fails the mailbox stays selected, and the client hears why.
    """
    args.end()
    if not session.box.readonly:
        session.box.expunge()
    session.deselect()


@command("EXPUNGE", writes=True)
def expunge(session: Session, args: Args) -> Done:
    """Remove what is \\Deleted (RFC 3501 §6.4.3); the news that follow tell which."""
    args.end()
    return expunged(session.box.expunge())


def expunged(uids: Sequence[int]) -> Done:
    """UW's words for what was removed."""
    if not uids:
        return Done("No messages deleted, so no update needed")
    return Done(f"Expunged {len(uids)} message{'s' * (len(uids) > 1)}")


# --- SEARCH --------------------------------------------------------------------------


@command("SEARCH", numbers=True)
def search_(session: Session, args: Args) -> Talk:
    """Numbers of the messages that fit (RFC 3501 §6.4.4)."""
    yield from _search(session, args, by_uid=False)


@uid_command("SEARCH")
def uid_search(session: Session, args: Args) -> Talk:
    """UIDs of the messages that fit (RFC 3501 §6.4.8)."""
    yield from _search(session, args, by_uid=True)


def _search(session: Session, args: Args, by_uid: bool) -> Talk:
    box, settings = session.box, session.settings
    wanted = results.options(session, args)

    def find() -> results.Found:
        query = search.Query(args, box, settings, session.saved)
        key = search.program(query)
        return results.Found(box, by_uid, lambda uids: search.found(key, box, settings, uids), query.fuzzy)

    yield from results.told(session, "SEARCH", wanted, find)


# --- FETCH ---------------------------------------------------------------------------


@command("FETCH", numbers=True)
def fetch_(session: Session, args: Args) -> Talk:
    """Data of messages (RFC 3501 §6.4.5)."""
    places = by_number(session, args)
    items = fetch.fetch_items(args.space())
    places = fetch.modified(session, args, places)
    args.end()
    return (yield from fetch.answers(session, items, places, by_uid=False))


@uid_command("FETCH")
def uid_fetch(session: Session, args: Args) -> Talk:
    """The same by UID, with the UID in each answer (RFC 3501 §6.4.8)."""
    places = by_uid(session, args)
    items = fetch.fetch_items(args.space())
    places = fetch.modified(session, args, places)
    args.end()
    if fetch.UID not in items:
        items.insert(0, fetch.UID)
    return (yield from fetch.answers(session, items, places, by_uid=True))


# --- STORE ---------------------------------------------------------------------------

# RFC 3501 §9 store-att-flags: what to do with the flags, and whether to tell the outcome
STORE_ATT = {
    "FLAGS": ("=", True),
    "+FLAGS": ("+", True),
    "-FLAGS": ("-", True),
    "FLAGS.SILENT": ("=", False),
    "+FLAGS.SILENT": ("+", False),
    "-FLAGS.SILENT": ("-", False),
}


@command("STORE", numbers=True, writes=True)
def store(session: Session, args: Args) -> Talk:
    """Change flags (RFC 3501 §6.4.6)."""
    return (yield from _store(session, args, by_number(session, args), [fetch.FLAGS], False))


@uid_command("STORE", writes=True)
def uid_store(session: Session, args: Args) -> Talk:
    """The same by UID, with the UID in each answer (RFC 3501 §6.4.8)."""
    return (yield from _store(session, args, by_uid(session, args), [fetch.UID, fetch.FLAGS], True))


def _store(session: Session, args: Args, places: Sequence[Place], told: list[fetch.Item], uid: bool) -> Talk:
    """All messages at once; the answers tell the flags as they are now.

    Of a message that is gone nothing is told, and a silent STORE does not complain of it
    (RFC 2180 §4.2).
    """
    name = args.space().keyword()
    if name not in STORE_ATT:
        raise Mistake(f"Unknown item {name}")
    change, aloud = STORE_ATT[name]
    flags = args.space().flags()
    args.end()
    box = session.box
    gone = box.store(within(box.uids, places), change, flags)
    if not aloud:
        return None
    # new keywords come before their use
    yield from news.told(box, box.news(expunges=False), uid or session.rev2, session.rev2)
    answers = fetch.Answers(session, told)
    answers.gone.update(gone)
    yield from answers.told(places)
    return fetch.verdict(answers.gone, uid)


# --- COPY ----------------------------------------------------------------------------


@command("COPY", numbers=True, trycreate=True)
def copy(session: Session, args: Args) -> Done:
    """Copy messages with flags and dates to the end of a mailbox, all or none (RFC 3501 §6.4.7)."""
    return _copy(session, args, by_number(session, args))


@uid_command("COPY", trycreate=True)
def uid_copy(session: Session, args: Args) -> Done:
    """The same by UID (RFC 3501 §6.4.8)."""
    return _copy(session, args, by_uid(session, args))


def _copy(session: Session, args: Args, places: Sequence[Place]) -> Done:
    target = destination(session, args)
    try:
        pairs = session.box.copy(within(session.box.uids, places), target)
        return Done(code=copied(target, pairs))
    finally:
        leave(session, target)


def destination(session: Session, args: Args) -> Mailbox:
    """SP mailbox, the last argument; the selected mailbox is not opened again, unless EXAMINE did it."""
    name = args.space().mailbox()
    args.end()
    if session.has_selected(name) and not session.box.readonly:
        return session.box  # type: ignore[no-any-return]
    return session.store.open(name)


def leave(session: Session, target: Mailbox) -> None:
    if target is not session.box:
        target.close()


def copied(target: Mailbox, pairs: Sequence[tuple[int, int]]) -> str:
    """COPYUID, which pairs two sets member by member (RFC 4315 §3); nothing if nothing was copied."""
    if not pairs:
        return ""
    old, new = (compact(uids).decode() for uids in zip(*pairs, strict=True))
    return f"COPYUID {target.uid_validity} {old} {new}"
