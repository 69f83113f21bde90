"""What IMAP2bis had and UW still took: BBOARD, FIND, SUBSCRIBE MAILBOX, RFC822.PEEK and RFC822.HEADER.LINES."""

from __future__ import annotations

from imapd import authenticated, fetch
from imapd.authenticated import command
from mailcore.errors import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session, Talk
    from imapd.syntax import Args


@command("BBOARD", silent=True)
def bboard(session: Session, args: Args) -> Talk:
    """EXAMINE of a mailbox in #public (UW)."""
    name = args.space().mailbox()
    args.end()
    return (yield from authenticated.selecting(session, f"#public/{name}", readonly=True))


@command("FIND")
def find(session: Session, args: Args) -> None:
    """UW's was never right either: LIST is what is meant."""
    raise Mistake("Missing or invalid argument")


@command("SUBSCRIBE")
def subscribe(session: Session, args: Args) -> None:
    """Put a name on the list that LSUB tells (RFC 3501 §6.3.6); IMAP2bis says MAILBOX before it."""
    _bare(args)
    authenticated.subscribe(session, args)


@command("UNSUBSCRIBE")
def unsubscribe(session: Session, args: Args) -> None:
    """Take it off the list (RFC 3501 §6.3.7)."""
    _bare(args)
    authenticated.unsubscribe(session, args)


def _bare(args: Args) -> None:
    """Pass over the word MAILBOX, if a name follows it."""
    ahead = args.fork()
    if ahead.skip(b" MAILBOX ") and not ahead.at_end():
        args.skip(b" MAILBOX")


def _lines(args: Args, text: str) -> fetch.Item:
    """Some fields of the header, told as RFC822.HEADER."""
    section = fetch.Section([], text, args.space().many(args.astring))
    return fetch.Item(b"RFC822.HEADER", lambda message: fetch.content(section.span(message)), sees=False)


fetch.FETCH_ATT |= {
    "RFC822.PEEK": lambda args: fetch.whole(b"RFC822", "", sees=False),
    "RFC822.TEXT.PEEK": lambda args: fetch.whole(b"RFC822.TEXT", "TEXT", sees=False),
    "RFC822.HEADER.LINES": lambda args: _lines(args, "HEADER.FIELDS"),
    "RFC822.HEADER.LINES.NOT": lambda args: _lines(args, "HEADER.FIELDS.NOT"),
}
