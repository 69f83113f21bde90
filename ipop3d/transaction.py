"""The TRANSACTION state (RFC 1939 §5 and §7): what may be said about the maildrop."""

from __future__ import annotations

from ipop3d.anytime import command as anytime
from ipop3d.responses import Body, Err, Lines, Ok, judged
from ipop3d.workarounds import fit
from mailcore import log
from mailcore.commands import State
from mailcore.errors import MailError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipop3d.session import Session, Talk
    from ipop3d.syntax import Args

command = State("TRANSACTION", anytime)

NO_NUMBER = "No such message"


@command("STAT")
def stat(session: Session, args: Args) -> Talk:
    """Messages left and their octets."""
    args.end()
    yield Ok("%d %d" % session.drop.total())


@command("LIST")
def list_(session: Session, args: Args) -> Talk:
    """The size of one message, or of each one left."""
    drop = session.drop
    if args:
        number = drop.number(args.number(NO_NUMBER))
        args.end()
        yield Ok(f"{number} {drop.size(number)}")
        return
    yield Ok("Mailbox scan listing follows")
    yield Lines(b"%d %d" % (number, drop.size(number)) for number in drop.numbers())


@command("UIDL")
def uidl(session: Session, args: Args) -> Talk:
    """The unique id of one message, or of each one left (RFC 1939 §7)."""
    drop = session.drop
    if args:
        number = drop.number(args.number(NO_NUMBER))
        args.end()
        yield Ok(f"{number} {drop.unique_id(number).decode()}")
        return
    yield Ok("Unique-ID listing follows")
    yield Lines(b"%d %b" % (number, drop.unique_id(number)) for number in drop.numbers())


@command("RETR")
def retr(session: Session, args: Args) -> Talk:
    """The whole message; the number said is the number of octets sent (before dot-stuffing)."""
    number = session.drop.number(args.number("Missing message number argument"))
    args.end()
    chunks = session.drop.retrieve(number)
    yield Ok(f"{session.drop.size(number)} octets")
    yield Body(fit(session.settings, chunks))


@command("TOP")
def top(session: Session, args: Args) -> Talk:
    """The header and some lines of the body (RFC 1939 §7); does not count as read."""
    number = session.drop.number(args.number("Bad message number argument"))
    lines = args.number("Bad line count argument")
    args.end()
    chunks = session.drop.top(number, lines)
    yield Ok("Top of message follows")
    yield Body(fit(session.settings, chunks))


@command("DELE")
def dele(session: Session, args: Args) -> Talk:
    """Mark a message; it is removed at QUIT and not before."""
    number = session.drop.number(args.number("Missing message number argument"))
    args.end()
    session.drop.mark(number)
    yield Ok("Message deleted")


@command("RSET")
def rset(session: Session, args: Args) -> Talk:
    """Unmark everything."""
    args.end()
    session.drop.reset()
    yield Ok("Reset state")


@command("LAST")
def last(session: Session, args: Args) -> Talk:
    """The highest message touched (RFC 1460 §5, gone since RFC 1725; UW kept it)."""
    args.end()
    yield Ok(str(session.drop.last))


@command("NOOP")
def noop(session: Session, args: Args) -> Talk:
    """Nothing."""
    args.end()
    yield Ok("No-op to you too!")


@command("QUIT")
def quit_(session: Session, args: Args) -> Talk:
    """The UPDATE state (RFC 1939 §6): remove what is marked, and say so if that failed."""
    args.end()
    session.over = True
    yield _update(session)


def _update(session: Session) -> Ok | Err:
    try:
        if session.drop.update():
            return Ok("Sayonara")
    except MailError as error:
        log.error(f"Update failed: {error.text} {error.detail}".rstrip())
        answer = judged(error)
        return Err(f"Some deleted messages not removed: {answer.text}", answer.code)
    return Err("Some deleted messages not removed")
