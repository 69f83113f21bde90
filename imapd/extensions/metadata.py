"""METADATA (RFC 5464): notes about mailboxes and the server.

All of them are the user's own, /shared ones too: a mailbox here has one user.  /private/specialuse
of a mailbox is what it is for (RFC 6154 §4).
"""

from __future__ import annotations

from imapd.authenticated import command
from imapd.extensions.acl import existing
from imapd.extensions.specialuse import attribute
from imapd.responses import Done, Name, Untagged
from mailcore.errors import Mistake, NoPermission, Refusal
from mailcore.store.metadata import SPECIAL_USE, USUAL_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from imapd.session import Session, Talk
    from imapd.syntax import Args

ENTRY_OCTETS = 255
ENTRIES = 50  # of one command
DEPTHS = {b"0": 0, b"1": 1, b"INFINITY": 1000}


class Wanted:
    """The options of GETMETADATA (RFC 5464 §4.2)."""

    __slots__ = ("depth", "largest")

    def __init__(self) -> None:
        self.depth = 0
        self.largest: int | None = None

    def fits(self, asked: str, entry: str) -> bool:
        """Whether `entry` is what is asked for, or near enough below it."""
        if entry == asked:
            return True
        below = entry.removeprefix(asked + "/") if entry.startswith(asked + "/") else ""
        return bool(below) and below.count("/") < self.depth


def entry_name(text: bytes) -> str:
    """An entry's name in lower case: `/private/...` or `/shared/...`, no wildcards (RFC 5464 §3.1)."""
    if len(text) > ENTRY_OCTETS or any(octet < 0x20 or octet > 0x7E or octet in b"*%" for octet in text):
        raise Mistake("Bad entry name")
    name = text.decode("ascii").lower()
    if not name.startswith(("/private/", "/shared/")) or "//" in name or name.endswith("/"):
        raise Mistake("Entries are below /private and /shared")
    return name


def _mailbox(session: Session, args: Args) -> str:
    """SP mailbox; "" is the server."""
    if args.fork().space().astring() == b"":
        args.space().astring()
        return ""
    return existing(session, args)


@command("GETMETADATA")
def getmetadata(session: Session, args: Args) -> Talk:
    """Values of entries; those without one are left out (RFC 5464 §4.2)."""
    wanted = _options(args.fork())
    if wanted is not None:
        args.space().need(b"(")
        _options_taken(args)
    name = _mailbox(session, args)
    asked = entries_asked(args.space())
    if wanted is None and args.peek(b" ("):  # where some clients put them
        raise Mistake("Options come first")
    args.end()
    wanted = wanted or Wanted()
    known = notes(session, name)
    found = [(entry, known[entry]) for entry in sorted(known) if any(wanted.fits(one, entry) for one in asked)]
    small = [(entry, value) for entry, value in found if wanted.largest is None or len(value) <= wanted.largest]
    if small:
        pairs = [item for entry, value in small for item in (Name(entry.encode()), value)]
        yield Untagged("METADATA", Name(name.encode()), pairs)
    if len(small) < len(found):
        longest = max(len(value) for _, value in found)
        return Done(code=f"METADATA LONGENTRIES {longest}")
    return None


def notes(session: Session, name: str) -> Mapping[str, bytes]:
    """The entries of a mailbox and their values, what it is for among them."""
    said: dict[str, bytes] = session.store.metadata.entries(name)
    uses = session.store.uses().get(name)
    return said | {SPECIAL_USE: " ".join(uses).encode()} if uses else said


def _options(args: Args) -> Wanted | None:
    """SP "(" option ... ")" in front of the mailbox; None: there are none."""
    if not args.space().skip(b"("):
        return None
    return _options_taken(args)


def _options_taken(args: Args) -> Wanted:
    wanted = Wanted()
    while True:
        word = args.keyword()
        if word == "MAXSIZE":
            wanted.largest = args.space().number()
        elif word == "DEPTH":
            depth = args.space().atom().upper()
            if depth not in DEPTHS:
                raise Mistake("DEPTH is 0, 1 or infinity")
            wanted.depth = DEPTHS[depth]
        else:
            raise Mistake(f"Unknown option {word}")
        if args.skip(b")"):
            return wanted
        args.space()


def entries_asked(args: Args, many: bool = False) -> list[str]:
    """entry / "(" entry *(SP entry) ")"; with `many` the latter only."""
    words = args.many(args.astring) if many or args.peek(b"(") else [args.astring()]
    if len(words) > ENTRIES:
        raise Refusal("Too many entries", "LIMIT")
    return [entry_name(word) for word in words]


@command("SETMETADATA")
def setmetadata(session: Session, args: Args) -> None:
    """Note values, all or none; NIL takes one away (RFC 5464 §4.3)."""
    name = _mailbox(session, args)
    pairs = args.space().many(lambda: (entry_name(args.astring()), args.space().nstring()))
    args.end()
    if len(pairs) > ENTRIES:
        raise Refusal("Too many entries", "LIMIT")
    values = dict(pairs)
    if name and session.store.space(name):
        raise NoPermission("Mailboxes of others are read only")
    if values.get(SPECIAL_USE) is not None:
        values[SPECIAL_USE] = _uses(name, values[SPECIAL_USE] or b"")
    session.store.metadata.set(name, values)


def _uses(name: str, value: bytes) -> bytes | None:
    """Special uses in our spelling (RFC 6154 §4)."""
    if name in ("", "INBOX"):
        raise Refusal("That is not for special use", "USEATTR")
    words = [attribute(word) for word in value.decode("latin-1").split()]
    return " ".join(word for word in USUAL_NAMES if word in words).encode() or None
