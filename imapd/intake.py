"""One whole command from the client: lines, literals, limits (RFC 3501 §2.2, §4.3, RFC 7888).

What lives here: when a command is complete, which literals are taken and which are refused,
and where a large message waits.  What does not: the grammar (syntax.py).

A command is cut before it is understood, with two exceptions that spare the client an
upload: a literal that the client asks to send ("synchronizing") is refused by the tagged answer
in place of the "+" when the command cannot succeed; and APPEND's messages go to a file
without a name when they are large or many.  A literal that comes without asking (LITERAL+) has to be
swallowed when it is refused, up to a bound; beyond it the connection ends.
"""

from __future__ import annotations

import os

from imapd import extensions
from imapd.responses import Continue, Status, encode
from imapd.syntax import LARGEST_NUMBER, NUMBER_DIGITS, Args, is_tag
from mailcore.commands import is_foreign
from mailcore.errors import Goodbye, MailError, Mistake, OutOfSpace, Refusal, TooBig, TooLong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any

    from imapd.session import Session

    Speech = Generator[Any, Any, None]
    Prelude = Callable[["Session", Args, int], bool]

READ_OCTETS = 131072
NAME_OCTETS = 40  # of a command that does not exist, for the answer
LITERAL_MINUS_OCTETS = 4096  # RFC 7888 §5
SWALLOW_OCTETS = 1024 * 1024  # a refused literal is swallowed up to its limit and so much more

# command: is this literal, of so many octets, its message?  Called with the arguments before
# the literal; raises what the command itself would raise, so that nothing is uploaded in vain.
PRELUDE: dict[str, Prelude] = {}


class Request:
    """One command: its tag (b"" while there is none), its name in upper case, its arguments."""

    __slots__ = ("args", "name", "tag", "traits")

    def __init__(self) -> None:
        self.tag = b""
        self.name = ""
        self.traits: frozenset[str] = frozenset()  # once it was looked up
        self.args = Args(b"")

    def close(self) -> None:
        """Give back the room that large literals take."""
        for literal in self.args.literals:
            if isinstance(literal, Spool):
                literal.close()

    def begin(self, line: bytes) -> bytes:
        """Take tag and name off the first line; what is left begins with the blank after the name."""
        tag, _, rest = line.partition(b" ")
        if not tag:
            raise Mistake("Null command")
        if not is_tag(tag):
            raise Mistake("Bad tag")
        self.tag = tag
        name = rest.partition(b" ")[0]
        if not name:
            raise Mistake("Missing command")
        self.name = name[:NAME_OCTETS].decode("ascii", "replace").upper()
        return rest[len(name) :]


class _File:
    """A file without a name, for the large literals of one command."""

    __slots__ = ("fd",)

    def __init__(self, directory: str) -> None:
        self.fd = -1
        self.fd = _nameless(directory)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


class Spool:
    """A large literal, in a file that is gone with the last one who holds it.

    `before` is the one that was written before it: its file is used on.
    """

    def __init__(self, directory: str, before: Spool | None = None) -> None:
        self.octets = 0
        self.failure: MailError | None = None
        self._file: _File | None = None
        self._start = 0
        if before is not None and before._file is not None:
            self._file, self._start = before._file, before._start + before.octets
            return
        try:
            self._file = _File(directory)
        except OSError as error:
            self.failure = OutOfSpace("No room for the message", f"spool in {directory}: {error}")

    def write(self, chunk: bytes) -> None:
        """Keep a chunk; after a failure the rest is only counted."""
        at = self._start + self.octets
        self.octets += len(chunk)
        left = memoryview(chunk)
        try:
            while left and self.failure is None and self._file is not None:
                written = os.pwrite(self._file.fd, left, at)
                left, at = left[written:], at + written
        except OSError as error:
            self.failure = OutOfSpace("No room for the message", f"spool: {error}")

    def chunks(self) -> Iterator[bytes]:
        """The whole, from its beginning, as often as asked."""
        at, end = self._start, self._start + self.octets
        while self._file is not None and at < end and (
            chunk := os.pread(self._file.fd, min(READ_OCTETS, end - at), at)
        ):
            at += len(chunk)
            yield chunk

    def close(self) -> None:
        self._file = None


def _nameless(directory: str) -> int:
    """A file without a name; where O_TMPFILE does not exist, one that loses its name at once."""
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        path = os.path.join(directory, f".mailcore-{os.getpid()}-{os.urandom(8).hex()}")
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.unlink(path)
        return fd


# --- limits ----------------------------------------------------------------------------


def line_octets(session: Session) -> int:
    """The longest command, its literals apart."""
    settings = session.settings
    return int(settings.login_line_octets if session.stranger else settings.line_octets)


def literal_octets(session: Session) -> int:
    """All literals of one command together, APPEND's message apart."""
    settings = session.settings
    return int(settings.login_line_octets if session.stranger else settings.literal_octets)


def _may_swallow(session: Session, octets: int) -> bool:
    settings = session.settings
    if session.stranger:
        return octets <= int(settings.login_read_octets)
    return octets <= max(int(settings.append_octets), int(settings.literal_octets)) + SWALLOW_OCTETS


# --- cutting ---------------------------------------------------------------------------


class _Command:
    """What of a command has been read."""

    __slots__ = ("count", "held", "literals", "mail", "octets", "pieces", "spool", "trouble", "used")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []  # lines, the announcements of literals still in them
        self.literals: list[object] = []
        self.octets = 0  # of the lines
        self.count = 0  # literals that are no mail
        self.used = 0  # and their octets
        self.mail = 0  # octets of the literals that are mail,
        self.held = 0  # those of them that are in memory,
        self.spool: Spool | None = None  # and the last that is not
        self.trouble: MailError | None = None  # why it will fail, once it is read to its end


def command(session: Session) -> Speech:
    """Read one whole command into session.request.

    A MailError means that it was read to its end and cannot be understood; the next octet
    is the first of another command.
    """
    request, read = session.request, _Command()
    line = yield from _line(session, read)
    if session.stranger and session.count == 0 and is_foreign(line):
        raise Goodbye("This is an IMAP server")
    try:
        read.pieces.append(request.begin(line))
    except Mistake as mistake:
        read.trouble = read.trouble or mistake
    patience = session.wire.patience_seconds
    if not session.stranger:
        session.wire.patience_seconds = min(patience, session.settings.literal_seconds)
    try:
        while announced := _announced(line):
            yield from _literal(session, read, *announced)
            line = yield from _line(session, read)
            read.pieces += (b"\r\n", line)
    finally:
        session.wire.patience_seconds = patience
    if read.trouble is not None:
        raise read.trouble
    request.args = Args(b"".join(read.pieces), read.literals, session.utf8)


def _line(session: Session, read: _Command) -> Generator[Any, Any, bytes]:
    """The next line; of one that is too long only its ends, enough to answer and go on."""
    try:
        line: bytes = yield from session.wire.line(max(line_octets(session) - read.octets, 0))
    except TooLong as error:
        read.trouble = read.trouble or error
        if not read.pieces and not session.request.tag:
            tag = error.head.partition(b" ")[0]
            session.request.tag = tag if is_tag(tag) else b""
        return error.tail
    read.octets += len(line)
    if not session.stranger:
        extensions.awaited.need(line)
    return line


def _announced(line: bytes) -> tuple[int, bool] | None:
    """`{n}` or `{n+}` at the end of a line: how many octets, and does the client wait for "+"?"""
    if not line.endswith(b"}"):
        return None
    digits = line[line.rfind(b"{") + 1 : -1]
    waits = not digits.endswith(b"+")
    digits = digits.removesuffix(b"+")
    if b"{" not in line or not digits.isdigit():
        return None
    return (int(digits) if len(digits) <= NUMBER_DIGITS else LARGEST_NUMBER), waits


def _literal(session: Session, read: _Command, octets: int, waits: bool) -> Speech:
    """Take a literal, or refuse it: before it comes if the client waits, else by swallowing it."""
    message = False
    if read.trouble is None:
        try:
            if not waits and session.settings.literal_minus and octets > LITERAL_MINUS_OCTETS:
                raise Mistake("Literal too large not to ask")
            message = _acceptable(session, read, octets)
        except MailError as error:
            read.trouble = error
    if read.trouble is not None:
        if waits:
            raise read.trouble
        if not _may_swallow(session, octets):
            yield from encode(Status("BYE", "Literal too large", "TOOBIG"))
            raise Goodbye(reason=f"Literal too large ({octets})")
        yield from session.wire.pour(octets, len)
        return
    if waits:
        yield from encode(Continue("Ready for argument"))
    if message and read.held + octets > session.settings.literal_octets:
        yield from _spool(session, read, octets)
    else:
        read.held += octets if message else 0
        read.literals.append((yield from session.wire.take(octets)))


def _acceptable(session: Session, read: _Command, octets: int) -> bool:
    """May this literal come?  True for a message (which may be large)."""
    name = session.request.name
    known = session.commands.get(name)
    if known is None and not (name == "UID" and session.uid_commands):
        raise Mistake("Unknown command")
    if name in PRELUDE:
        text = b"".join(read.pieces)
        text = text[: text.rfind(b"{")].removesuffix(b"~")  # RFC 3516 §6 literal8
        if PRELUDE[name](session, Args(text, read.literals, session.utf8), octets):
            _may_bring(session, read, octets)
            return True
    read.count += 1
    if read.count > session.settings.literal_count:
        raise Mistake("Too many literals")
    read.used += octets
    if read.used > literal_octets(session):
        raise TooBig("Literal too large")
    return False


def _may_bring(session: Session, read: _Command, octets: int) -> None:
    """Not too many messages with one command, and not too large."""
    read.mail += octets
    messages = len(read.literals) - read.count + 1
    limit = session.settings.message_limit
    if limit and messages > limit:
        raise Refusal("Too many messages for one command", f"MESSAGELIMIT {limit}")  # RFC 9738 §3.1
    if messages > session.settings.append_messages:
        raise Refusal("Too many messages in one command", "LIMIT")
    if read.mail > session.settings.append_octets:
        raise TooBig


def _spool(session: Session, read: _Command, octets: int) -> Speech:
    spool = read.spool = Spool(session.settings.spool_directory, read.spool)
    yield from session.wire.pour(octets, spool.write)
    read.literals.append(spool)
    read.trouble = spool.failure
