"""Bytes from a client, cut into lines and literals (RFC 1939 §3, RFC 3501 §2.2 and §4.3).

What lives here: the buffer of what was read ahead, and the limits on what is cut from it.
What does not: reading (dialogue.py) and meaning (each server's syntax.py).

A method that may need more bytes is a generator: it yields a `Wait`, whoever drives the
conversation answers with bytes (b"" at the end of input), and the value comes back by
`line = yield from wire.line(limit)`.
"""

from __future__ import annotations

from mailcore.errors import Hangup, TooLong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Cut = Generator["Wait", bytes | None, bytes]

CHUNK_OCTETS = 65536
ENDS_OCTETS = 128  # kept of a line that is too long, at both ends


class Wait:
    """Yielded by a conversation that cannot go on before the client speaks.

    The answer is the bytes that came, b"" at end of input.  With `fd` (a descriptor that
    becomes readable when something else happens, as in IDLE) the answer may also be None:
    `fd` is readable, or `seconds` are over.  Without `fd` a client that stays silent for
    `seconds` raises Silence at the yield.
    """

    __slots__ = ("fd", "seconds")

    def __init__(self, seconds: float, fd: int = -1) -> None:
        self.seconds = seconds
        self.fd = fd


class Aside:
    """Yielded to get a function that says octets in the middle of some work, if that takes no waiting.

    It answers whether it did; who drives no client (a test) answers the yield with None.
    """

    __slots__ = ()


class Wire:
    """What a client has sent and nobody has looked at yet."""

    __slots__ = ("_held", "_ended", "patience_seconds")

    def __init__(self, patience_seconds: float, read_ahead: bytes = b"") -> None:
        self._held = bytearray(read_ahead)
        self._ended = False
        self.patience_seconds = patience_seconds

    def feed(self, data: bytes) -> None:
        """Take what was read; b"" is the end of input."""
        if data:
            self._held += data
        else:
            self._ended = True

    def rest(self) -> bytes:
        """Everything read ahead, given away (to the process that goes on after a login)."""
        rest = bytes(self._held)
        self._held.clear()
        return rest

    def forget(self) -> None:
        """Drop what was read ahead: nothing said before TLS counts (RFC 3501 §6.2.1)."""
        self._held.clear()

    def more(self) -> Generator[Wait, bytes | None, None]:
        """Wait for at least one byte more."""
        if self._ended:
            raise Hangup(reason="Unexpected client disconnect")
        data = yield Wait(self.patience_seconds)
        self.feed(data or b"")

    def has_line(self, limit: int) -> bool:
        """Whether `line` would come back (or raise) without waiting."""
        return self._ended or len(self._held) > limit + 1 or b"\n" in self._held

    def line(self, limit: int) -> Cut:
        """The next line without its line end (LF, or CR LF).

        A line of more than `limit` octets is swallowed to its end, then TooLong is raised,
        so that the next line is a command again.  Hangup at the end of input.
        """
        start = 0
        while (end := self._held.find(b"\n", start)) < 0:
            if len(self._held) > limit + 1:
                yield from self._swallow()
            start = len(self._held)
            yield from self.more()
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        if line.endswith(b"\r"):
            line = line[:-1]
        if len(line) > limit:
            raise _too_long(line, line)
        return line

    def _swallow(self) -> Generator[Wait, bytes | None, None]:
        head = bytes(self._held[:ENDS_OCTETS])
        tail = b""
        while (end := self._held.find(b"\n")) < 0:
            tail = (tail + self._held[-ENDS_OCTETS:])[-ENDS_OCTETS:]
            self._held.clear()
            yield from self.more()
        tail += self._held[:end]
        del self._held[: end + 1]
        raise _too_long(head, tail.removesuffix(b"\r"))

    def take(self, octets: int) -> Cut:
        """Exactly so many octets (the caller has checked the number against a limit)."""
        while len(self._held) < octets:
            yield from self.more()
        taken = bytes(self._held[:octets])
        del self._held[:octets]
        return taken

    def pour(self, octets: int, into: Callable[[bytes], object]) -> Generator[Wait, bytes | None, None]:
        """Pass exactly so many octets to `into`, a chunk at a time, holding none of them."""
        left = octets
        while left:
            if not self._held:
                yield from self.more()
            chunk = bytes(self._held[: min(left, CHUNK_OCTETS)])
            del self._held[: len(chunk)]
            left -= len(chunk)
            into(chunk)


def _too_long(head: bytes, tail: bytes) -> TooLong:
    error = TooLong()
    error.head, error.tail = bytes(head[:ENDS_OCTETS]), bytes(tail[-ENDS_OCTETS:])
    return error
