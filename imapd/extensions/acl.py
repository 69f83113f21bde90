"""ACL with RIGHTS= (RFC 4314): what Unix permissions say, and what can be said by them.

INBOX and directories are not for a client to open to others; mailboxes of others are read only.
"""

from __future__ import annotations

from imapd.authenticated import command
from imapd.responses import Name, Untagged
from mailcore.errors import DiskError, MailError, Mistake, NoPermission, NoSuchMailbox, NotSelectable
from mailcore.store import files, rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from imapd.session import Session, Talk
    from imapd.syntax import Args

    Value = TypeVar("Value")

RIGHTS = frozenset("lrswipkxteacd")


def existing(session: Session, args: Args) -> str:
    """SP mailbox, which has to exist; its canonical name."""
    name = session.store.canonical(args.space().mailbox())
    if session.store.describe(name) is None:
        raise NoSuchMailbox
    return name


def asked(session: Session, name: str, question: Callable[..., Value], *more: str) -> Value:
    """The kernel's answer.  An INBOX that no mail came to yet is there, but its file is not."""
    with files.Judge(name):
        try:
            return question(session.store, name, *more)
        except FileNotFoundError as error:
            raise (DiskError("No mail was ever delivered there") if name == "INBOX" else NoSuchMailbox()) from error


@command("MYRIGHTS")
def myrights(session: Session, args: Args) -> Talk:
    """What may I do (RFC 4314 §3.5)."""
    name = existing(session, args)
    args.end()
    yield Untagged("MYRIGHTS", Name(name.encode()), Name(asked(session, name, rights.mine).encode()))


@command("GETACL")
def getacl(session: Session, args: Args) -> Talk:
    """Who may do what (RFC 4314 §3.3)."""
    name = existing(session, args)
    args.end()
    rows = asked(session, name, rights.table)
    yield Untagged("ACL", Name(name.encode()), *(Name(word.encode()) for row in rows for word in row))


@command("LISTRIGHTS")
def listrights(session: Session, args: Args) -> Talk:
    """Which rights can somebody have, and which only together (RFC 4314 §3.4)."""
    name = existing(session, args)
    who = args.space().astring()
    args.end()
    rows = dict(asked(session, name, rights.table))
    sets: list[Name] = []
    always = ""
    if who.decode("latin-1") == "anyone" or who.startswith(b"group:"):
        sets = [Name(rights.READ.encode()), Name(rights.spelled("swite").encode())]
    else:
        always = rows.get(who.decode("latin-1"), "")
    yield Untagged("LISTRIGHTS", Name(name.encode()), Name(who), Name(always.encode()), *sets)


@command("SETACL")
def setacl(session: Session, args: Args) -> None:
    """Give rights, or with + and - some more or fewer (RFC 4314 §3.1)."""
    name = existing(session, args)
    who = args.space().astring().decode("latin-1")
    change = args.space().astring().decode("latin-1")
    args.end()
    sign, letters = (change[0], change[1:]) if change[:1] in ("+", "-") else ("", change)
    if not set(letters) <= RIGHTS:
        raise Mistake("Unknown right")
    _change(session, name, who, sign, set(letters))


@command("DELETEACL")
def deleteacl(session: Session, args: Args) -> None:
    """Take all rights away (RFC 4314 §3.2)."""
    name = existing(session, args)
    who = args.space().astring().decode("latin-1")
    args.end()
    _change(session, name, who, "", set())


def _change(session: Session, name: str, who: str, sign: str, letters: set[str]) -> None:
    attributes = session.store.describe(name) or []
    if name == "INBOX" or session.store.space(name):
        raise NoPermission("Not a mailbox to open to others")
    if "\\Noselect" in attributes:
        raise NotSelectable
    if sign:
        had = set(dict(asked(session, name, rights.table)).get(who, ""))
        letters = had | letters if sign == "+" else had - letters
    asked(session, name, rights.granted, who, "".join(letters))


def known(session: Session, name: str) -> str | None:
    """MYRIGHTS for LIST: None where there is no answer."""
    try:
        return asked(session, session.store.canonical(name), rights.mine)
    except MailError:
        return None
