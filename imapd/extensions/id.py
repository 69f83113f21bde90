"""ID: client and server tell each other what they are (RFC 2971)."""

from __future__ import annotations

from imapd.anytime import command
from imapd.responses import Untagged
from mailcore import VERSION
from mailcore.errors import Mistake
from mailcore.login import access, forwarding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session, Talk
    from imapd.syntax import Args

PAIRS = 30  # RFC 2971 §3.3
FIELD_OCTETS = 30
VALUE_OCTETS = 1024
TOLD = (b"name", b"version", b"os", b"vendor")  # what of it is worth a log line
KEPT_OCTETS = 200


@command("ID")
def id_(session: Session, args: Args) -> Talk:
    """Who are you, and who are we; nothing depends on it (RFC 2971 §3.1)."""
    fields = _fields(args.space())
    args.end()
    told = [b"%b/%b" % (name.lower(), value) for name, value in fields if value and name.lower() in TOLD]
    session.client_id = b" ".join(told)[:KEPT_OCTETS]
    if session.stranger and access.is_trusted(session.settings, session.peer):
        yield from _forwarded(session, fields)
    yield Untagged("ID", [b"name", b"mailcore", b"version", VERSION.encode()])


def _forwarded(session: Session, fields: list[tuple[bytes, bytes | None]]) -> Talk:
    """A trusted front end names its client (Dovecot's login proxy and webmails do)."""
    known = forwarding.ID_FIELDS
    values = {known[name.lower()]: value or b"" for name, value in fields if name.lower() in known}
    if "address" in values:
        claim = forwarding.Claim("ID", values)
        yield claim.question()
        claim.apply(session.peer)


def _fields(args: Args) -> list[tuple[bytes, bytes | None]]:
    """`NIL`, or pairs of string and nstring in parentheses; aioimaplib leaves a blank inside of these."""
    if not args.peek(b"("):
        if args.nstring() is not None:
            raise Mistake("Missing list or NIL")
        return []
    if not args.skip(b"( "):
        args.skip(b"(")
    fields: list[tuple[bytes, bytes | None]] = []
    while not args.skip(b")") and not args.skip(b" )"):
        if fields:
            args.space()
        name, value = args.string(), args.space().nstring()
        if len(fields) == PAIRS or len(name) > FIELD_OCTETS or len(value or b"") > VALUE_OCTETS:
            raise Mistake("Too much of an ID")
        fields.append((name, value))
    return fields
