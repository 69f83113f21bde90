r"""The authenticated state (RFC 3501 §6.3): mailboxes as a whole.

What lives here: SELECT, the commands that work on names, STATUS and APPEND.  What does not:
messages of the selected mailbox (selected.py), and where mailboxes lie (mailcore.store).
"""

from __future__ import annotations

from imapd import intake, modseq, news
from imapd.anytime import command as anytime
from imapd.responses import Done, Name, Status, Untagged
from imapd.syntax import storable
from mailcore.commands import State
from mailcore.errors import InUse, Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from imapd.responses import Data
    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox

command = State("AUTHENTICATED", anytime)

# --- SELECT ----------------------------------------------------------------------------


@command("SELECT", silent=True)
def select(session: Session, args: Args) -> Talk:
    """Open a mailbox (RFC 3501 §6.3.1)."""
    return (yield from _select(session, args, readonly=False))


@command("EXAMINE", silent=True)
def examine(session: Session, args: Args) -> Talk:
    """Open a mailbox and leave no trace in it (RFC 3501 §6.3.2)."""
    return (yield from _select(session, args, readonly=True))


# RFC 4466 §2.1 select-param; what follows the name is parsed by the function, which may return what
# there is to tell when the mailbox is open
SELECT_PARAM: dict[str, Callable[[Session, Args], Any]] = {}


def _object_id(box: Mailbox) -> tuple[str, str]:
    """RFC 8474 §4.1, §4.2."""
    return f"MAILBOXID ({box.object_id})", "Mailbox id"


# response codes and texts that are told of each mailbox
SELECT_CODE: list[Callable[[Mailbox], tuple[str, str]]] = [modseq.highest, _object_id]
CREATE_CODE: list[Callable[[Mailbox], tuple[str, str]]] = [_object_id]  # and of each that is made
CLOSED_TOLD = frozenset(("CONDSTORE", "QRESYNC", "UIDONLY", "IMAP4REV2"))  # who has one of these knows CLOSED


def _select_params(session: Session, args: Args) -> list[Callable[[], Talk]]:
    """[SP "(" select-param *(SP select-param) ")"]."""
    later = []
    if args.skip(b" ("):
        while True:
            name = args.keyword()
            if name not in SELECT_PARAM:
                raise Mistake(f"Unknown parameter {name}")
            later.append(SELECT_PARAM[name](session, args))
            if args.skip(b")"):
                break
            args.space()
    return [told for told in later if told is not None]


def _select(session: Session, args: Args, readonly: bool) -> Talk:
    name = args.space().mailbox()
    later = _select_params(session, args)
    args.end()
    return (yield from selecting(session, name, readonly, later))


def selecting(session: Session, name: str, readonly: bool, later: Iterable[Callable[[], Talk]] = ()) -> Talk:
    """Open a mailbox and tell what is there; `later` is what the parameters of SELECT ask for."""
    if session.box is not None and not session.enabled.isdisjoint(CLOSED_TOLD):
        yield Status("OK", "The mailbox that was selected is closed", "CLOSED")  # RFC 9051 §7.1, RFC 7162 §3.2.11
    session.deselect()  # even if the new one cannot be opened
    box = session.store.open(name, readonly or session.anonymous)
    session.select(box)
    yield Untagged(len(box), "EXISTS")
    if not session.rev2:
        yield Untagged(box.recent, "RECENT")
    yield Status("OK", "UID validity status", f"UIDVALIDITY {box.uid_validity}")
    yield Status("OK", "Predicted next UID", f"UIDNEXT {box.uid_next}")
    for code, text in [told(box) for told in SELECT_CODE]:
        yield Status("OK", text, code)
    yield from news.flags(box)
    if session.rev2:
        yield _renamed(session, session.store.canonical(name), name)
    elif box.first_unseen is not None and not modseq.numberless(session):
        yield Status("OK", "First unseen message", f"UNSEEN {box.first_unseen}")
    for told in later:
        yield from told()
    return Done(code="READ-ONLY" if box.readonly else "READ-WRITE")


def _renamed(session: Session, name: str, old: str) -> Untagged:
    """A LIST response for a mailbox that there is, with the name that the client knows (RFC 9051 §6.3.9.7)."""
    listed = Untagged("LIST", [], session.store.delimiter.encode(), Name(name.encode()))
    if old != name:
        listed.items += (["OLDNAME", [Name(old.encode())]],)
    return listed


# --- names -----------------------------------------------------------------------------


# RFC 4466 §2.2 create-param: reads its value, and says what to do with the name once the mailbox is there
CREATE_PARAM: dict[str, Callable[[Session, Args], Callable[[str], None]]] = {}


@command("CREATE")
def create(session: Session, args: Args) -> Done:
    """Make a mailbox; a name that ends in the delimiter makes a place for others (RFC 3501 §6.3.3)."""
    name = args.space().mailbox()
    after = [] if args.at_end() else args.space().many(lambda: _create_param(session, args))
    args.end()
    session.store.create(storable(name))
    for act in after:
        act(name)
    if name.endswith(session.store.delimiter):
        return Done()
    with session.store.open(name, readonly=True) as box:
        return Done(code=" ".join(told(box)[0] for told in CREATE_CODE))


def _create_param(session: Session, args: Args) -> Callable[[str], None]:
    word = args.keyword()
    if word not in CREATE_PARAM:
        raise Mistake(f"Unknown parameter {word}")
    return CREATE_PARAM[word](session, args)


@command("DELETE")
def delete(session: Session, args: Args) -> None:
    """Remove a mailbox (RFC 3501 §6.3.4); not the selected one, as UW."""
    name = args.space().mailbox()
    args.end()
    if session.has_selected(name):
        raise InUse("The selected mailbox cannot be deleted")
    session.store.delete(name)


@command("RENAME")
def rename(session: Session, args: Args) -> Talk:
    """Give a mailbox another name; INBOX gives away its messages (RFC 3501 §6.3.5)."""
    old = args.space().mailbox()
    new = args.space().mailbox()
    args.end()
    if old != "INBOX" and session.has_selected(old):
        raise InUse("The selected mailbox cannot be renamed")
    session.store.rename(old, storable(new))
    if session.rev2 and old != "INBOX":
        yield _renamed(session, session.store.canonical(new), old)


@command("SUBSCRIBE")
def subscribe(session: Session, args: Args) -> None:
    """Put a name on the list that LSUB tells (RFC 3501 §6.3.6)."""
    name = args.space().mailbox()
    args.end()
    session.store.subscribe(name)


@command("UNSUBSCRIBE")
def unsubscribe(session: Session, args: Args) -> None:
    """Take it off the list (RFC 3501 §6.3.7)."""
    name = args.space().mailbox()
    args.end()
    session.store.unsubscribe(name)


@command("LIST")
def list_(session: Session, args: Args) -> Talk:
    """Names that match (RFC 3501 §6.3.8)."""
    from imapd import listing

    yield from listing.list_(session, args)


@command("LSUB")
def lsub(session: Session, args: Args) -> Talk:
    """Subscribed names that match (RFC 3501 §6.3.9)."""
    from imapd import listing

    yield from listing.lsub(session, args)


# --- STATUS ----------------------------------------------------------------------------

# RFC 3501 §9 status-att
STATUS_ATT: dict[str, Callable[[Mailbox, Settings], Data]] = {
    "APPENDLIMIT": lambda box, settings: int(settings.append_octets),  # RFC 7889 §3.2
    "MESSAGES": lambda box, settings: len(box),
    "RECENT": lambda box, settings: box.recent,
    "UIDNEXT": lambda box, settings: box.uid_next,
    "UIDVALIDITY": lambda box, settings: box.uid_validity,
    "UNSEEN": lambda box, settings: box.unseen,
}


@command("STATUS")
def status(session: Session, args: Args) -> Talk:
    """Counts of a mailbox without selecting it (RFC 3501 §6.3.10)."""
    name = args.space().mailbox()
    wanted = args.space().many(args.keyword, STATUS_ATT)
    args.end()
    yield counted(session, name, wanted)


def counted(session: Session, name: str, wanted: Iterable[str]) -> Untagged:
    """The STATUS answer of one mailbox."""
    with session.store.open(name, readonly=True) as box:
        counts: list[Data] = []
        for item in dict.fromkeys(wanted):
            counts += (item, STATUS_ATT[item](box, session.settings))
    if "HIGHESTMODSEQ" in wanted:
        modseq.note(session)
    return Untagged("STATUS", Name(name.encode()), counts)


# --- APPEND ----------------------------------------------------------------------------


@command("APPEND", literal=True, trycreate=True)
def append(session: Session, args: Args) -> Done:
    """Put messages into a mailbox, all or none (RFC 3501 §6.3.11, RFC 3502)."""
    from imapd import incoming

    name = args.space().mailbox()
    try:
        return Done(code=incoming.stored(session, name, incoming.received(session, args)))
    finally:
        session.request.close()


def _is_mail(session: Session, args: Args, octets: int) -> bool:
    from imapd import incoming

    return incoming.is_mail(session, args, octets)


intake.PRELUDE["APPEND"] = _is_mail
