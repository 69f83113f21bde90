"""Messages that a client sends: what APPEND and its kin bring (RFC 3501 §6.3.11, RFC 3502, RFC 4466 §2.2).

What lives here: the grammar of append-message, the table APPEND_DATA of what may stand in a
literal's place, and making messages of it.  What does not: reading literals (intake.py) and
storing (a Mailbox does, all or none).

The same grammar runs before each literal, over what has come so far: it ends there with
`Awaited`, which says what the literal will be.
"""

from __future__ import annotations

from imapd import intake
from imapd.sequence import compact
from mailcore.errors import Mistake, NoPermission, NoSuchMailbox, Refusal, TooBig
from mailcore.store.mailbox import Incoming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from imapd.session import Session
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox

    Content = bytes | intake.Spool
    Part = Callable[[Session], Content]  # makes what it stands for when the whole command is read


class Awaited(Exception):  # noqa: N818  no error: the grammar has come to a literal that has not
    """The arguments end where a literal comes; `mail` is true of a message or a piece of one."""

    def __init__(self, mail: bool, whole: bool = False) -> None:
        super().__init__()
        self.mail = mail
        self.whole = whole  # the message itself: it cannot be empty


class Draft:
    """append-message: flags, date, and the parts that its content is made of."""

    __slots__ = ("date", "flags", "parts")

    def __init__(self, flags: Sequence[str], date: tuple[int, int] | None, parts: Sequence[Part]) -> None:
        self.flags = flags
        self.date = date
        self.parts = parts


class Joined:
    """Several contents, one after the other."""

    __slots__ = ("_contents", "octets")

    def __init__(self, contents: Sequence[Content]) -> None:
        self._contents = contents
        self.octets = sum(map(octets, contents))

    def chunks(self) -> Iterator[bytes]:
        for content in self._contents:
            yield from chunks(content)


def octets(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.octets


def chunks(content: Content) -> Iterator[bytes]:
    return iter((content,)) if isinstance(content, bytes) else content.chunks()


# --- grammar (RFC 3501 §9 append, RFC 3502 §6, RFC 4466 §2.2 append-data) ----------------

APPEND_DATA: dict[str, Callable[[Args], list[Part]]] = {}  # by the word that stands before it


def messages(args: Args, more: bool = False) -> list[Draft]:
    """1*append-message; with `more` a blank at the end is the one before a literal."""
    drafts = [_message(args)]
    while not args.at_end() or (more and args.peek(b" ")):
        drafts.append(_message(args))
    return drafts


def _message(args: Args) -> Draft:
    """[SP flag-list] [SP date-time] SP append-data."""
    args.space()
    flags: list[str] = []
    date = None
    if args.peek(b"("):
        flags = args.flag_list()
        args.space()
    if args.peek(b'"'):
        date = args.date_time()
        args.space()
    if args.at_end() or args.peek(b"{") or args.peek(b"~"):
        return Draft(flags, date, [mail(args, whole=True)])
    word = args.keyword()
    if word not in APPEND_DATA:
        raise Mistake("Missing literal")
    return Draft(flags, date, APPEND_DATA[word](args))


def mail(args: Args, whole: bool = False) -> Part:
    """literal, or literal8 (RFC 3516 §4.4)."""
    if args.at_end():
        raise Awaited(True, whole)
    binary = args.skip(b"~")
    content: Content = args.literal()  # type: ignore[assignment]
    if binary and (loss := _loss(content)):
        raise Refusal(loss, "UNKNOWN-CTE")
    return lambda _: content


def _loss(content: Content) -> str:
    """What of binary data a mail file cannot keep; "" if all of it can be.

    A NUL is what a crash leaves, and LF and CR LF are one there (RFC 3516 §4.4 lets us refuse, and
    not lose anything).
    """
    before = b""
    for chunk in chunks(content):
        piece = before + chunk
        if b"\0" in piece:
            return "A message with NULs cannot be stored; encode it"
        if piece.count(b"\n") != piece.count(b"\r\n") + before.startswith(b"\n"):
            return "A message with bare line feeds cannot be stored; encode it"
        before = b"\r" if piece.endswith(b"\r") else b""
    return ""


def is_mail(session: Session, args: Args, size: int) -> bool:
    """Is the literal that is announced a message, and may it come (see intake.PRELUDE)?

    `args` are SP mailbox and what follows, as far as it has come.
    """
    if args.space().at_end():
        return False  # the mailbox's name
    name = args.mailbox()
    try:
        messages(args, more=True)
    except Awaited as awaited:
        if not awaited.mail:
            return False
        session.store.canonical(name)  # CREATE is no way out of a name that cannot be
        if not session.visits(name) and not session.store.exists(name):
            raise NoSuchMailbox from None
        if size == 0 and awaited.whole:
            raise Refusal("Empty message", "CANNOT") from None
        if size > session.settings.append_octets:
            raise TooBig from None
        session.store.quota.room(size)
        return True
    raise Mistake("Missing literal")


# --- making and storing ------------------------------------------------------------------


def received(session: Session, args: Args) -> list[Incoming]:
    """1*append-message, the last argument, as messages for a mailbox."""
    try:
        drafts = messages(args)
    except Awaited:
        raise Mistake("Missing literal") from None
    args.end()
    return [Incoming(_content(session, draft), draft.flags, draft.date) for draft in drafts]


def _content(session: Session, draft: Draft) -> Content | Joined:
    contents = [part(session) for part in draft.parts]
    size = sum(map(octets, contents))
    if size == 0:
        raise Refusal("Empty message", "CANNOT")
    if size > session.settings.append_octets:
        raise TooBig
    return contents[0] if len(contents) == 1 else Joined(contents)


def stored(session: Session, name: str, messages_: list[Incoming]) -> str:
    """Put them into a mailbox, all or none; APPENDUID with their UIDs (RFC 4315 §3, RFC 3502 §5)."""
    if session.has_selected(name) and not session.box.readonly:
        return _stored(session.box, messages_)
    return _stored(another(session, name), messages_)


def another(session: Session, name: str) -> Mailbox:
    """A mailbox to write to that is not the selected one: a client would take a READ-ONLY for that one's."""
    box = session.visit(name)
    if box.readonly:
        session.end_visit()
        raise NoPermission
    return box


def _stored(box: Mailbox, messages_: list[Incoming]) -> str:
    uids = box.append(messages_)
    return f"APPENDUID {box.uid_validity} {compact(uids).decode()}"
