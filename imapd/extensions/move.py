"""MOVE (RFC 6851): COPY and EXPUNGE in one, so that nothing is lost or doubled in between."""

from __future__ import annotations

from imapd import modseq, portion
from imapd.responses import Done, Status
from imapd.selected import by_number, by_uid, command, copied, destination, uid_command
from imapd.sequence import within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imapd.sequence import Place
    from imapd.session import Session, Talk
    from imapd.syntax import Args


@command("MOVE", writes=True, trycreate=True)
def move(session: Session, args: Args) -> Talk:
    """Move messages to the end of a mailbox, all or none (RFC 6851 §3.1); of too many the newest (RFC 9738)."""
    return (yield from _move(session, args, by_number(session, args)))


@uid_command("MOVE", writes=True, trycreate=True)
def uid_move(session: Session, args: Args) -> Talk:
    """The same by UID (RFC 6851 §3.2)."""
    return (yield from _move(session, args, by_uid(session, args)))


def _move(session: Session, args: Args, places: Sequence[Place]) -> Talk:
    """COPYUID comes untagged and before the EXPUNGEs, which are the next news (RFC 6851 §4.3)."""
    target = destination(session, args)
    places, left = portion.places(session, places)
    code = copied(target, session.box.move(within(session.box.uids, places), target))
    if code:
        yield Status("OK", "Moved", code)
    return portion.done(left, Done(code=modseq.code(session) if code else ""))
