"""COMPRESS=DEFLATE as a filter around a conversation (RFC 4978).

What lives here: the one place where octets are deflated and inflated.  What does not: the
command (extensions/compress.py) and I/O; a filtered conversation yields what any other does.

All that was said is flushed to an octet's end before each wait, so no answer stays inside
the compressor.  What comes in is inflated a piece at a time, and the next piece only when the
conversation asks for more: a few octets that stand for gigabytes never need the room.  A client
whose octets grow beyond all reason is sent away.
"""

from __future__ import annotations

import zlib

from mailcore.errors import Goodbye
from mailcore.wire import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from imapd.session import Session, Speech

PIECE_OCTETS = 64 * 1024  # inflated at once
FREE_OCTETS = 4 * 1024 * 1024  # inflated before the ratio counts
RAW = -15  # a window of 32 KiB and no zlib header (RFC 4978 §1)
LEVEL = 5


class Squeeze:
    """Both directions of one connection; `ratio` is how much a client's octets may grow."""

    __slots__ = ("_deflate", "_in", "_inflate", "_out", "_ratio", "_waiting", "begun", "pending")

    def __init__(self, ratio: int) -> None:
        self._ratio = ratio
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW)
        self._inflate = zlib.decompressobj(RAW)
        self._waiting = b""  # compressed octets that were not looked at yet
        self._in = self._out = 0
        self.pending = False  # something was said since the last flush
        self.begun = False  # the OK, in clear, is out

    def begin(self, ahead: bytes) -> None:
        """From here on; `ahead` was read already."""
        self.begun = True
        self.feed(ahead)

    def say(self, data: bytes) -> bytes:
        self.pending = True
        return self._deflate.compress(data)

    def flush(self) -> bytes:
        """What is missing for the client to read all that was said."""
        self.pending = False
        return self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def feed(self, data: bytes) -> None:
        self._in += len(data)
        self._waiting += data

    def heard(self) -> bytes:
        """The next piece of what the client said; b"" if more has to come first."""
        if not self._waiting and self._inflate.eof:
            return b""
        try:
            piece = self._inflate.decompress(self._waiting, PIECE_OCTETS)
        except zlib.error:
            raise Goodbye("Not compressed as agreed") from None
        self._waiting = self._inflate.unconsumed_tail
        if self._inflate.eof:
            raise Goodbye("Nothing can follow the end of compressed data")
        self._out += len(piece)
        if self._out > FREE_OCTETS and self._out > self._in * self._ratio:
            raise Goodbye("Too much from too little", "Decompression bomb")
        return piece


def filtered(session: Session, talk: Speech) -> Speech:
    """The conversation `talk`, compressed as soon as `session.squeeze` is there and its OK is said."""
    reply: bytes | None = None
    error: BaseException | None = None
    while True:
        try:
            step = talk.throw(error) if error is not None else talk.send(reply)
        except StopIteration:
            break
        reply = error = None
        squeeze = session.squeeze
        try:
            if squeeze is None or not squeeze.begun:
                reply = yield step
            elif type(step) is bytes:
                yield from _some(squeeze.say(step))
            elif type(step) is Wait:
                reply = yield from _hear(squeeze, step)
            else:
                reply = yield step
        except GeneratorExit:
            talk.close()
            raise
        except BaseException as ending:  # what happens to the client happens inside the conversation
            error = ending
    if session.squeeze is not None and session.squeeze.pending:
        yield from _some(session.squeeze.flush())


def _hear(squeeze: Squeeze, wait: Wait) -> Generator[Any, Any, bytes | None]:
    """Inflated octets; None where the wait ends without a word of the client's."""
    if squeeze.pending:
        yield from _some(squeeze.flush())
    while not (piece := squeeze.heard()):
        data: bytes | None = yield wait
        if not data:
            return data
        squeeze.feed(data)
    return piece


def _some(data: bytes) -> Speech:
    if data:
        yield data
