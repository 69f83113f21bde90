"""How many messages one command may be about (RFC 9738), by the setting message_limit.

What lives here: taking the newest of too many, and the response code that says so.  Who lists
messages does what it can: FETCH, STORE, SEARCH and UID EXPUNGE answer for the newest, and name the UID down to
which all is done.  Who must do all or none does none: COPY, MOVE, APPEND, SORT and THREAD.
"""

from __future__ import annotations

from imapd.responses import Done
from imapd.sequence import within
from mailcore.errors import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imapd.sequence import Place
    from imapd.session import Session

TEXT = "Too many messages for one command, the oldest are left"


def places(session: Session, wanted: Sequence[Place]) -> tuple[list[Place], str]:
    """Of these slices of the view (ascending) the newest messages, and the code; "" if that is all of them."""
    limit = session.settings.message_limit
    if not limit or sum(stop - start for start, stop in wanted) <= limit:
        return list(wanted), ""
    left, some = limit, []
    for start, stop in reversed(wanted):
        some.append((max(start, stop - left), stop))
        left -= stop - some[-1][0]
        if not left:
            break
    return some[::-1], _code(session, session.box.uids[some[-1][0]])


def uids(session: Session, found: Sequence[int]) -> tuple[Sequence[int], str]:
    """The newest of these UIDs (ascending), and the code."""
    limit = session.settings.message_limit
    if not limit or len(found) <= limit:
        return found, ""
    return found[-limit:], _code(session, found[-limit])


def all_of(session: Session, wanted: Sequence[Place]) -> Sequence[int]:
    """The UIDs of these slices, or NO if they are too many."""
    _, code = places(session, wanted)
    if code:
        raise Refusal("Too many messages for one command", code)
    return within(session.box.uids, wanted)


def count(session: Session, messages: int) -> None:
    """NO if these are too many messages."""
    limit = session.settings.message_limit
    if limit and messages > limit:
        raise Refusal("Too many messages for one command", f"MESSAGELIMIT {limit}")


def done(code: str, otherwise: Done | None = None) -> Done | None:
    """The tagged OK: with the code, if there is one."""
    return Done(TEXT, code) if code else otherwise


def _code(session: Session, uid: int) -> str:
    """`uid` is the lowest of those that are dealt with."""
    return f"MESSAGELIMIT {session.settings.message_limit} {uid}"
