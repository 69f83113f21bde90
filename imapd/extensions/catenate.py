"""CATENATE (RFC 4469): APPEND joins new text with parts of messages that are here already.

A part is named by a URL of this server (RFC 5092): /mailbox;UIDVALIDITY=1/;UID=2/;SECTION=3, or of
the selected mailbox without its name, and with ;PARTIAL=offset.octets (RFC 5550 §3.1).  URLs of
other servers, and with an access key (URLAUTH), are none that we know.
"""

from __future__ import annotations

from imapd import fetch, intake
from imapd.incoming import APPEND_DATA, Awaited, mail
from imapd.message import Message
from imapd.responses import Literal
from imapd.syntax import Args, utf7_decode, utf7_encode
from mailcore.errors import BadName, MailError, Mistake, Refusal, TooBig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from imapd.incoming import Content, Part
    from imapd.session import Session
    from mailcore.store.mailbox import Mailbox

URL_SHOWN_OCTETS = 200
DIGITS = 19  # of a number in a URL


class BadUrl(Exception):
    """Nothing that we have."""


class Url:
    """imessagepart of RFC 5092 §11, relative to this server or to the selected mailbox."""

    __slots__ = ("mailbox", "partial", "section", "uid", "uid_validity")

    def __init__(self, url: bytes) -> None:
        path, _, rest = _divided(url)
        fields = dict(_field(piece) for piece in rest.split(b"/;"))
        name, _, validity = path.partition(b";")
        self.mailbox = _mailbox(_decoded(name.removeprefix(b"/"))) if name else ""
        self.uid_validity = _number(_field(validity, b"UIDVALIDITY")[1]) if validity else 0
        self.uid = _number(fields.pop(b"UID", b""))
        self.section = _parsed(fetch.section, _decoded(fields.pop(b"SECTION", b"")))
        self.partial: fetch.Partial | None = None
        if b"PARTIAL" in fields:
            offset, _, octets = fields.pop(b"PARTIAL").partition(b".")
            self.partial = fetch.Partial(_number(offset), _number(octets) if octets else 1 << 62)
        if fields:
            raise BadUrl


def _divided(url: bytes) -> tuple[bytes, bytes, bytes]:
    """The mailbox with its UIDVALIDITY, and what follows it."""
    if url.upper().startswith((b";UID=", b"/;UID=")):
        return b"", b"", url[url.index(b";") + 1 :]
    if b"/;" not in url or url.startswith(b"//") or b"://" in url.partition(b"/;")[0]:
        raise BadUrl
    return url.partition(b"/;")


def _field(piece: bytes, wanted: bytes = b"") -> tuple[bytes, bytes]:
    name, equals, value = piece.partition(b"=")
    if not equals or (wanted and name.upper() != wanted):
        raise BadUrl
    return name.upper(), value


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > DIGITS:
        raise BadUrl
    return int(digits)


def _decoded(text: bytes) -> bytes:
    """%HH taken back (RFC 3986 §2.1)."""
    first, *rest = text.split(b"%")
    try:
        return first + b"".join(bytes((int(piece[:2].decode("ascii"), 16),)) + piece[2:] for piece in rest)
    except ValueError:
        raise BadUrl from None


def _mailbox(name: bytes) -> str:
    """The name in its wire form: URLs have UTF-8 (RFC 5092 §4), older clients modified UTF-7."""
    try:
        text = name.decode()
        try:
            utf7_decode(text)
        except BadName:
            return utf7_encode(text)
        return "INBOX" if text.upper() == "INBOX" else text
    except (UnicodeDecodeError, BadName):
        raise BadUrl from None


def _parsed(rule: Callable[[Args], Any], text: bytes) -> Any:
    """`text`, as much as a section's brackets would hold."""
    args = Args(text + b"]")
    try:
        value = rule(args)
        args.need(b"]").end()
    except Mistake:
        raise BadUrl from None
    return value


# --- fetching ------------------------------------------------------------------------


def _content(session: Session, url: bytes) -> Content:
    """What a URL stands for: in memory or, if it is large, in a file."""
    try:
        found = Url(url)
        if not found.mailbox or session.has_selected(found.mailbox):
            return _read(session, session.box, found)
        with session.store.open(found.mailbox, readonly=True) as box:
            return _read(session, box, found)
    except TooBig:
        raise
    except (BadUrl, MailError) as error:
        shown = url[:URL_SHOWN_OCTETS].decode("ascii", "replace")
        detail = error.detail if isinstance(error, MailError) else ""
        raise Refusal("That URL leads to nothing here", f"BADURL {shown}", detail) from None


def _read(session: Session, box: Mailbox | None, url: Url) -> Content:
    if box is None or url.uid_validity not in (0, box.uid_validity) or not box.number(url.uid):
        raise BadUrl
    span = url.section.span(Message(box, url.uid, session.settings))
    if span is None:
        raise BadUrl
    content = fetch.content(span, url.partial)
    if not isinstance(content, Literal):
        return content
    if content.octets > session.settings.append_octets:
        raise TooBig
    spool = intake.Spool(session.settings.spool_directory)
    for chunk in content.chunks:
        spool.write(chunk)
    if spool.failure:
        raise spool.failure
    return spool


# --- grammar (RFC 4469 §5) -----------------------------------------------------------


def _parts(args: Args) -> list[Part]:
    """SP "(" cat-part *(SP cat-part) ")"."""
    args.space().need(b"(")
    parts = [_part(args)]
    while args.skip(b" "):
        parts.append(_part(args))
    args.need(b")")
    return parts


def _part(args: Args) -> Part:
    word = args.keyword()
    if word not in CAT_PART:
        raise Mistake(f"Unknown part {word}")
    return CAT_PART[word](args)


def _url(args: Args) -> Part:
    if args.space().at_end():
        raise Awaited(False)
    url = args.astring()
    return lambda session: _content(session, url)


CAT_PART: dict[str, Callable[[Args], Part]] = {"URL": _url, "TEXT": lambda args: mail(args.space())}
APPEND_DATA["CATENATE"] = _parts
