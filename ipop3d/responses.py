"""What ipop3d says, and the only file that turns it into bytes (RFC 1939 §3, RFC 2449 §6-8).

A handler yields `Ok`, `Err`, `Lines`, `Body` or `Prompt`; everything else in this server
deals in values.  Also here: which response code (RFC 2449 §8) an error of the mail store has.
"""

from __future__ import annotations

from mailcore import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Ok:
    """+OK, with a text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Err:
    """-ERR, with a response code (without brackets, may be empty) and a text."""

    __slots__ = ("code", "text")

    def __init__(self, text: str, code: str = "") -> None:
        self.text = text
        self.code = code


class Lines:
    """The lines of a multi-line answer, without line ends, and its final dot."""

    __slots__ = ("lines",)

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.lines = lines


class Body:
    """Mail as a multi-line answer: chunks with CRLF line ends, dot-stuffed here."""

    __slots__ = ("chunks",)

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks


class Prompt:
    """A server challenge (RFC 5034 §4); the client's line comes back as the reply."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


ANSWERS = (Ok, Err, Lines, Body)

# RFC 2449 §8.1, RFC 3206 §4; an error that is not here has no code.
CODES: dict[type[errors.MailError], str] = {
    errors.InUse: "IN-USE",
    errors.OutOfSpace: "SYS/TEMP",
    errors.DiskError: "SYS/TEMP",
    errors.NoPermission: "SYS/PERM",
    errors.NotAMailbox: "SYS/PERM",
    errors.Damaged: "SYS/PERM",
    errors.ReadOnly: "SYS/PERM",
}

LINES_AT_ONCE = 1000


def judged(error: errors.MailError) -> Err:
    """The answer to a command that raised `error`."""
    if isinstance(error, errors.Refusal):
        return Err(error.text, error.code)
    return Err(error.text, CODES.get(type(error), ""))


def encode(value: object) -> Iterator[bytes]:
    """The bytes of one answer.  Free text loses its controls here and nowhere else."""
    if isinstance(value, Ok):
        yield b"+OK %b\r\n" % _text(value.text)
    elif isinstance(value, Err):
        yield b"-ERR %b\r\n" % _text(f"[{value.code}] {value.text}" if value.code else value.text)
    elif isinstance(value, Lines):
        yield from _lines(value.lines)
    elif isinstance(value, Body):
        yield from stuffed(value.chunks)
    elif isinstance(value, Prompt):
        yield b"+ %b\r\n" % value.text
    else:
        raise errors.Broken(f"no answer: {value!r}")


def _text(text: str) -> bytes:
    """One line of our own words, within RFC 2449 §4's 512 octets."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    return text[:500].encode("ascii")


def _lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines in batches: a listing of 100 000 messages is a few dozen sends."""
    batch: list[bytes] = []
    for line in lines:
        batch.append(b"." + line if line.startswith(b".") else line)
        if len(batch) == LINES_AT_ONCE:
            yield b"\r\n".join(batch) + b"\r\n"
            batch.clear()
    yield b"".join(line + b"\r\n" for line in batch) + b".\r\n"


def stuffed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Chunks dot-stuffed (RFC 1939 §3), ended by CRLF and the final dot.

    A chunk may end anywhere, so what stood before (`tail`, at most two octets) decides
    whether a dot at its start begins a line.
    """
    tail = b"\r\n"
    for chunk in chunks:
        if not chunk:
            continue
        data = chunk.replace(b"\r\n.", b"\r\n..") if b"\r\n." in chunk else chunk
        if tail == b"\r\n" and chunk.startswith(b"."):
            data = b"." + data
        elif tail.endswith(b"\r") and chunk.startswith(b"\n."):
            data = b"\n." + data[1:]
        yield data
        tail = (tail + chunk[-2:])[-2:]
    yield b".\r\n" if tail == b"\r\n" else b"\r\n.\r\n"
