"""REPLACE (RFC 8508): a new message takes an old one's place, as a draft's next version does.

The new one is durable before the old one goes, so that a crash between the two doubles a message
and loses none.
"""

from __future__ import annotations

from imapd import incoming, intake, modseq
from imapd.responses import Done, Status
from imapd.selected import by_number, by_uid, command, uid_command
from imapd.sequence import within
from mailcore.errors import Expunged, Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imapd.sequence import Place
    from imapd.session import Session, Talk
    from imapd.syntax import Args


@command("REPLACE", writes=True, literal=True, trycreate=True)
def replace(session: Session, args: Args) -> Talk:
    """One message by its number (RFC 8508 §3.3)."""
    return (yield from _replace(session, args, by_number(session, args)))


@uid_command("REPLACE", writes=True, literal=True, trycreate=True)
def uid_replace(session: Session, args: Args) -> Talk:
    """The same by UID (RFC 8508 §3.4)."""
    return (yield from _replace(session, args, by_uid(session, args)))


def _replace(session: Session, args: Args, places: Sequence[Place]) -> Talk:
    """APPENDUID comes untagged and before the EXPUNGE, which is the next news (RFC 8508 §3.3)."""
    old = list(within(session.box.uids, places))
    name = args.space().mailbox()
    try:
        messages = incoming.received(session, args)
        if len(messages) > 1 or len(old) > 1:
            raise Mistake("One message is replaced by one message")
        if not old:
            raise Expunged
        session.box.flags(old[0])  # raises Expunged if somebody else removed it
        code = incoming.stored(session, name, messages)
    finally:
        session.request.close()
    yield Status("OK", "Replacement message is there", code)
    session.box.remove(old)
    return Done(code=modseq.code(session))


def _before(session: Session, args: Args, octets: int) -> bool:
    """Is the literal that is announced the message (see intake.PRELUDE)?"""
    if session.box.readonly:
        return False
    args.space().skip(b"$") or args.sequence_set()
    return incoming.is_mail(session, args, octets)


def _before_uid(session: Session, args: Args, octets: int) -> bool:
    if args.space().keyword() != "REPLACE":
        return False
    session.request.traits = uid_command["REPLACE"].traits
    return _before(session, args, octets)


intake.PRELUDE["REPLACE"] = _before
intake.PRELUDE["UID"] = _before_uid
