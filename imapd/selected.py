"""Commands of the selected state (RFC 3501 §6.4).

What lives here: what each command asks of the selected mailbox, and the two tables `command`
and `uid_command` (what may stand behind UID, RFC 3501 §6.4.8).  What does not: what FETCH
and SEARCH ask for (fetch.py, search.py, results.py) and news of the mailbox (news.py).

A command and its UID form differ in how messages are named and in nothing else: both hand
slices of the view to the same function.  What only some commands need is imported by them: a cold
session that looks at flags does not wait for SEARCH.
"""

from __future__ import annotations

from imapd import authenticated, modseq, news, portion
from imapd.responses import Done, Status
from imapd.sequence import compact, of_uids, within
from mailcore.commands import State
from mailcore.errors import Mistake, UidRequired

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imapd import fetch, results
    from imapd.sequence import Place
    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox

command = State("SELECTED", authenticated.command)
uid_command = State("SELECTED (UID)")


def by_number(session: Session, args: Args) -> list[Place]:
    """SP sequence-set, of message numbers; `$` is what SEARCH saved (RFC 5182).

    Who may hear of an expunge at any time (RFC 5465 §5.3) cannot be sure which message a number means when it
    arrives here: to look at the wrong one harms nothing, to change or to copy it does.
    """
    fleeting = session.notify is not None and session.notify.immediate
    if modseq.numberless(session) or (fleeting and session.request.name != "FETCH"):
        raise UidRequired
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
    """A checkpoint (RFC 3501 §6.4.1): all that was said to be done is on the disk; now other programs can see it."""
    args.end()
    session.box.checkpoint()


@command("CLOSE", silent=True)
def close(session: Session, args: Args) -> Done:
    """Remove what is \\Deleted, untold, and leave the mailbox (RFC 3501 §6.4.2).

    If that fails the mailbox stays selected, and the client hears why.  The new mod-sequence is told
    (RFC 7162 §3.2.8) unless others removed messages too: a client that believed it would never hear of those.
    """
    args.end()
    box, code = session.box, ""
    if not box.readonly:
        removed = box.expunge()
        code = modseq.code(session) if removed and box.news().vanished == removed else ""
    session.deselect()
    return Done(code=code)


@command("EXPUNGE", writes=True)
def expunge(session: Session, args: Args) -> Done:
    """Remove what is \\Deleted (RFC 3501 §6.4.3); the news that follow tell which."""
    args.end()
    return expunged(session, session.box.expunge())


def expunged(session: Session, uids: Sequence[int]) -> Done:
    """UW's words for what was removed."""
    if not uids:
        return Done("No messages deleted, so no update needed")
    return Done(f"Expunged {len(uids)} message{'s' * (len(uids) > 1)}", modseq.code(session))


# --- SEARCH --------------------------------------------------------------------------


@command("SEARCH", numbers=True)
def search_(session: Session, args: Args) -> Talk:
    """Numbers of the messages that fit (RFC 3501 §6.4.4)."""
    return (yield from _search(session, args, by_uid=False))


@uid_command("SEARCH")
def uid_search(session: Session, args: Args) -> Talk:
    """UIDs of the messages that fit (RFC 3501 §6.4.8)."""
    return (yield from _search(session, args, by_uid=True))


def _search(session: Session, args: Args, by_uid: bool) -> Talk:
    from imapd import results, search

    box, settings = session.box, session.settings
    wanted = results.options(session, args)

    def find() -> results.Found:
        query = search.query(session, args, by_uid)
        key = search.program(query)
        return results.Found(box, by_uid, lambda uids: search.found(key, box, settings, uids), query)

    return (yield from results.told(session, "SEARCH", wanted, find))


# --- FETCH ---------------------------------------------------------------------------


@command("FETCH", numbers=True)
def fetch_(session: Session, args: Args) -> Talk:
    """Data of messages (RFC 3501 §6.4.5)."""
    from imapd import fetch

    places = by_number(session, args)
    asked = fetch.Asked(fetch.fetch_items(args.space()), places, [])
    fetch.modified(session, args, asked)
    args.end()
    return (yield from _fetched(session, asked, by_uid=False))


@uid_command("FETCH")
def uid_fetch(session: Session, args: Args) -> Talk:
    """The same by UID, with the UID in each answer (RFC 3501 §6.4.8)."""
    from imapd import fetch

    box = session.box
    if args.space().skip(b"$"):
        places, named = of_uids(session.saved, box.uids), [(uid, uid) for uid in session.saved]
    else:
        wanted = args.sequence_set()
        places = wanted.uid_places(box.uids)
        named = wanted.spans(box.uids[-1] if len(box) else max(box.uid_next - 1, 1))
    asked = fetch.Asked(fetch.fetch_items(args.space()), places, named)
    fetch.modified(session, args, asked)
    args.end()
    if fetch.UID not in asked.items:
        asked.items.insert(0, fetch.UID)
    return (yield from _fetched(session, asked, by_uid=True))


def _fetched(session: Session, asked: fetch.Asked, by_uid: bool) -> Talk:
    from imapd import fetch

    asked.places, code = portion.places(session, asked.places)
    return portion.done(code, (yield from fetch.answers(session, asked, by_uid)))


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
    return (yield from _store(session, args, by_number(session, args), False))


@uid_command("STORE", writes=True)
def uid_store(session: Session, args: Args) -> Talk:
    """The same by UID, with the UID in each answer (RFC 3501 §6.4.8)."""
    return (yield from _store(session, args, by_uid(session, args), True))


def _store(session: Session, args: Args, places: Sequence[Place], uid: bool) -> Talk:
    """All messages at once; the answers tell the flags as they are now.

    Of a message that is gone nothing is told, and a silent STORE does not complain of it
    (RFC 2180 §4.2).
    """
    from imapd import fetch

    since = _unchanged_since(session, args)
    name = args.space().keyword()
    if name not in STORE_ATT:
        raise Mistake(f"Unknown item {name}")
    change, aloud = STORE_ATT[name]
    flags = args.space().flags()
    args.end()
    box = session.box
    places, code = portion.places(session, places)
    failed = box.store(within(box.uids, places), change, flags, since)
    modified = _there(box, failed) if since is not None else []
    answers = fetch.Answers(session, _outcome(session, aloud, uid))
    answers.gone.update(failed)
    if aloud:
        yield from news.told(session, box.news(expunges=False), uid)  # new keywords come before their use
    if aloud or answers.with_modseq:
        yield from answers.told(places)
    if modified:
        if code:  # one tagged line has one code
            yield Status("OK", portion.TEXT, code)
        names = modified if uid else [box.number(one) for one in modified]
        return Done("Conditional STORE failed", f"MODIFIED {compact(names).decode()}")
    return portion.done(code, fetch.verdict(answers.gone, uid) if aloud else None)


def _unchanged_since(session: Session, args: Args) -> int | None:
    """[SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"] (RFC 7162 §3.1.3)."""
    if not args.skip(b" ("):
        return None
    name = args.keyword()
    if name != "UNCHANGEDSINCE":
        raise Mistake(f"Unknown modifier {name}")
    since = modseq.since(session, args)
    args.need(b")")
    return since


def _outcome(session: Session, aloud: bool, uid: bool) -> list[fetch.Item]:
    """What a STORE tells: not the flags if it is silent, but always the mod-sequence (RFC 7162 §3.1.3)."""
    from imapd import fetch

    items = [fetch.UID] if uid or modseq.quick(session) else []
    items += [fetch.FLAGS] if aloud else []
    return items + ([fetch.MODSEQ] if modseq.noted(session) and session.box.highest_modseq else [])


def _there(box: Mailbox, uids: Sequence[int]) -> list[int]:
    """Those that are not gone, ascending."""
    return sorted(box.changed_since(0, uids))


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
    return Done(code=copied(target, session.box.copy(portion.all_of(session, places), target)))


def destination(session: Session, args: Args) -> Mailbox:
    """SP mailbox, the last argument; the selected mailbox is not opened again, unless EXAMINE did it."""
    from imapd import incoming

    name = args.space().mailbox()
    args.end()
    if session.has_selected(name) and not session.box.readonly:
        return session.box  # type: ignore[no-any-return]
    return incoming.another(session, name)


def copied(target: Mailbox, pairs: Sequence[tuple[int, int]]) -> str:
    """COPYUID, which pairs two sets member by member (RFC 4315 §3); nothing if nothing was copied."""
    if not pairs:
        return ""
    old, new = (compact(uids).decode() for uids in zip(*pairs, strict=True))
    return f"COPYUID {target.uid_validity} {old} {new}"
