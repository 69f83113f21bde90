"""One pass over an mbox: where messages are, how large they are, what they say of themselves.

What lives here: finding separators and measuring messages.  What does not: what a separator
looks like (fromline.py), what hidden fields mean (block.py), who believes them (identity.py).

A separator counts at the start of the file (after blanks) and after an empty line, nowhere
else; Content-Length is not looked at.  A message's content goes up to the empty line before
the next separator, or to the end of the file less one empty line there.  The empty line that
ends a header is always content.

NULs are content as anything else (what a crash left is parted before: torn.py), but not where they
stand before the first separator.

The file is read in chunks and searched by bytes.find, so the cost is that of memory; what a
chunk cannot decide (a separator cut in two, a header without its end) goes into the next.
"""

from __future__ import annotations

from _blake2 import blake2b
from zlib import crc32

from mailcore.errors import NotAMailbox
from mailcore.message.crlf import line_ends
from mailcore.progress import tick
from mailcore.store import files
from mailcore.store.columns import Columns
from mailcore.store.formats.mbox import block, fromline, plain
from mailcore.store.formats.mbox.torn import NULS

CHUNK_OCTETS = 1024 * 1024  # what a processor has near it
HEADER_OCTETS = 1024 * 1024  # hidden fields are looked for so far
NEVER = 0xFFFFFFFE  # block_octets: the header has not ended yet (a delivery cut off): nothing is put into it
_BLANKS = b" \t\r\n"
_KEEP = fromline.LINE_OCTETS + 8  # what the end of a chunk cannot decide


class Scan:
    """What a pass found, in the order of the file."""

    __slots__ = ("base", "base_octets", "base_offset", "columns", "internal", "uids", "words")

    def __init__(self) -> None:
        self.columns = Columns()  # start … block_octets and filed are set, the others are not
        self.uids: list[int] = []  # X-UID as the file has it, 0 if not
        self.words: dict[int, tuple[bytes, ...]] = {}  # row: X-Keywords, where there are any
        self.base: tuple[int, int, tuple[bytes, ...]] | None = None  # X-IMAPbase of the first message
        self.base_offset = -1  # where that line is in the file, if it can be changed in place
        self.base_octets = 0
        self.internal: tuple[int, int] | None = None  # span of UW's internal-data message


def probe(path: str) -> bool:
    """Is this a regular file that is empty or starts as an mbox does?"""
    try:
        fd = files.open_mail(path, False)
    except (OSError, NotAMailbox):
        return False
    try:
        files.unnoticed(fd)
        data = files.read(fd, 64 * 1024, 0)
        head = data.lstrip(_BLANKS + b"\0" if data.startswith(NULS) else _BLANKS)
        if not head and data.startswith(NULS):
            return False  # nothing but NULs may be anything
        return not head or fromline.is_separator(head[: head.find(b"\n") + 1 or None])
    except OSError:
        return False
    finally:
        files.close(fd)


def scan(fd: int, begin: int, end: int, pseudo: bool = True) -> Scan | None:
    """The messages between two offsets; None if there is no separator at `begin` (> 0).

    Without `pseudo` what looks like UW's internal-data message is a message as any other.
    Raises NotAMailbox if the file does not start with a separator.
    """
    source = _Source(fd, begin, end)
    first = _first(source) if begin == 0 else _at(source)
    if first is None:
        return None
    found = Scan()
    message: tuple[int, int, int] | None = first if first[0] >= 0 else None
    while message is not None:
        message = _message(source, message, found, begin, pseudo)
        if message is not None and not source.has_cr:
            message = plain.run(source.data, source.at, message, found)
    return found


class _Source:
    """A window on the file, moved forwards only."""

    __slots__ = ("at", "begin", "crlf", "data", "end", "fd", "has_cr")

    def __init__(self, fd: int, begin: int, end: int) -> None:
        self.fd = fd
        self.begin = begin
        self.at = begin  # file offset of data[0]
        self.end = end
        self.data = files.read(fd, min(CHUNK_OCTETS, end - begin), begin)
        self._looked()

    def _looked(self) -> None:
        self.has_cr = self.data.find(b"\r") >= 0
        self.crlf = -2  # next separator after a CRLF line; -2 not looked for, -1 none

    @property
    def whole(self) -> bool:
        """Nothing comes after this window."""
        return self.at + len(self.data) >= self.end

    def forward(self, offset: int) -> None:
        """Forget what is before `offset`, read on."""
        if offset > self.begin:
            tick(offset - self.begin >> 10, self.end - self.begin >> 10)
        kept = self.data[offset - self.at :]
        self.at = offset
        if 0 < len(kept) < CHUNK_OCTETS // 4 and self.end - offset >= CHUNK_OCTETS:
            data = files.read(self.fd, CHUNK_OCTETS, offset)  # to read it again is cheaper than to join
            if data.startswith(kept):
                self.data = data
                self._looked()
                return
        more = files.read(self.fd, min(CHUNK_OCTETS, self.end - offset - len(kept)), offset + len(kept))
        if not more:
            self.end = offset + len(kept)  # the file became shorter under us: the caller will see it
        self.data = kept + more
        self._looked()

    def candidate(self, index: int) -> int:
        """The line end before the next empty line that "From " follows, from `index` on; -1: none here."""
        plain = self.data.find(b"\n\nF", index)  # half as long again takes twice the time to look for
        while plain >= 0 and not self.data.startswith(b"From ", plain + 2):
            plain = self.data.find(b"\n\nF", plain + 1)
        if not self.has_cr:
            return plain
        if self.crlf == -2 or 0 <= self.crlf < index:
            self.crlf = self.data.find(b"\n\r\nFrom ", index)
        if self.crlf < 0:
            return plain
        return self.crlf if plain < 0 else min(plain, self.crlf)


def _first(source: _Source) -> tuple[int, int, int] | None:
    """The first separator: offset, seconds, zone; offset -1 if there are only blanks."""
    lines = 1
    while len(source.data) < len(NULS) and not source.whole:
        source.forward(source.at)
    blanks = _BLANKS + b"\0" if source.data.startswith(NULS) else _BLANKS
    while True:
        rest = source.data.lstrip(blanks)
        lines += source.data[: len(source.data) - len(rest)].count(b"\n")
        if rest or source.whole:
            break
        source.forward(source.at + len(source.data))
    if not rest:
        return -1, 0, 0
    source.forward(source.at + len(source.data) - len(rest))
    separator = _at(source)
    if separator is None:
        raise NotAMailbox(f'Not a mailbox: line {lines} is not a "From " line with a date')
    return separator


def _at(source: _Source) -> tuple[int, int, int] | None:
    """The separator at the very start of the window."""
    while len(source.data) < fromline.LINE_OCTETS and not source.whole:
        source.forward(source.at)
    end = source.data.find(b"\n", 0, fromline.LINE_OCTETS)
    parsed = fromline.parse(source.data[: end + 1]) if end >= 0 else None
    return (source.at, parsed[1], parsed[2]) if parsed else None


def _message(
    source: _Source, separator: tuple[int, int, int], found: Scan, begin: int, pseudo: bool
) -> tuple[int, int, int] | None:
    """Measure the message at `separator`; the next separator, None after the last message."""
    start = separator[0]
    header_start, header_end, ended = _header(source, start)
    head = source.data[header_start - 1 - source.at : header_end - source.at]  # with the line end before it
    body = _Body(header_end)
    following, content_end = _body(source, body, header_start)
    hidden = block.read(head)
    if begin == 0 and not found.columns and found.internal is None and hidden.base is not None:
        found.base = hidden.base
        if hidden.base_offset >= 0:
            found.base_offset = header_start - 1 + hidden.base_offset
            found.base_octets = hidden.base_octets
        if hidden.internal and pseudo:
            found.internal = start, following[0] if following else source.end
            return following
    _add(found, separator, (header_start, header_end, content_end), head, body, hidden, ended)
    return following


def _header(source: _Source, start: int) -> tuple[int, int, bool]:
    """Where the header starts and ends, and whether an empty line ended it."""
    line_end = source.data.find(b"\n", start - source.at)
    while True:
        stop = min(len(source.data), line_end + HEADER_OCTETS)
        end = source.data.find(b"\n\n", line_end, stop)
        other = source.data.find(b"\n\r\n", line_end, end + 1 if end >= 0 else stop) if source.has_cr else -1
        if other >= 0:
            return source.at + line_end + 1, source.at + other + 3, True
        if end >= 0:
            return source.at + line_end + 1, source.at + end + 2, True
        if source.whole or stop < len(source.data):
            break
        kept = source.at + line_end
        source.forward(start)
        line_end = kept - start
    if stop < len(source.data):  # longer than anybody's header: the rest counts as body
        return source.at + line_end + 1, source.at + source.data.rfind(b"\n", line_end, stop) + 1, True
    return source.at + line_end + 1, source.at + len(source.data), False


class _Body:
    """What is counted of a body while its end is looked for.

    The checksum leaves out a line end at the very end: a body that lacks one gets it when the
    next message is delivered, and is the same message still.
    """

    __slots__ = ("check", "crlf", "done", "end", "lines")

    def __init__(self, start: int) -> None:
        self.done = start  # offset up to which it is counted
        self.lines = 0
        self.crlf = 0
        self.check = 0
        self.end = 0  # octets of that line end

    def finish(self, source: _Source, end: int) -> None:
        """Count up to the end of the content."""
        last = source.data[max(self.done, end - 2) - source.at : end - source.at]
        self.end = 2 if last == b"\r\n" else 1 if last.endswith(b"\n") else 0
        self.count(source, end - self.end)
        if self.end:
            self.lines += 1
            self.crlf += self.end - 1
            self.done = end

    def count(self, source: _Source, end: int) -> None:
        if end <= self.done:
            return
        first, last = self.done - source.at, end - source.at
        data = source.data[first:last]
        self.lines += line_ends(data)
        if source.has_cr:
            self.crlf += data.count(b"\r\n")
        self.check = crc32(data, self.check)
        self.done = end


def _body(source: _Source, body: _Body, header_start: int) -> tuple[tuple[int, int, int] | None, int]:
    """Find and count the body; the next separator, and the offset where the content ends."""
    header_end = body.done
    index = max(header_end - 3, header_start - 1) - source.at
    while True:
        place = source.candidate(index)
        if place >= 0:
            blank = place + 1
            line = blank + (2 if source.data[blank] == 13 else 1)
            end = source.data.find(b"\n", line, line + fromline.LINE_OCTETS)
            if end >= 0 and (parsed := fromline.parse(source.data[line : end + 1])):
                content_end = max(header_end, source.at + blank)
                body.finish(source, content_end)
                return (source.at + line, parsed[1], parsed[2]), content_end
            if end >= 0 or source.whole or line + fromline.LINE_OCTETS <= len(source.data):
                index = line
                continue
        elif source.whole:
            return None, _last_end(source, body, header_end)
        offset = source.at + index
        _on(source, body, place)
        index = max(0, offset - source.at)  # never before the header again


def _on(source: _Source, body: _Body, place: int) -> None:
    """Count what is decided, move the window."""
    stop = place if place >= 0 else max(0, len(source.data) - _KEEP)
    if stop and source.data[stop - 1] == 13:
        stop -= 1  # never between CR and LF
    body.count(source, source.at + stop)
    source.forward(source.at + stop)


def _last_end(source: _Source, body: _Body, header_end: int) -> int:
    """Where the last message's content ends: one empty line at the end of the file is not content."""
    tail = source.data[-3:]
    blank = 2 if tail == b"\n\r\n" else 1 if tail.endswith(b"\n\n") else 0
    content_end = max(header_end, source.at + len(source.data) - blank)
    body.finish(source, content_end)
    return content_end


def _add(
    found: Scan,
    separator: tuple[int, int, int],
    offsets: tuple[int, int, int],
    head: bytes,
    body: _Body,
    hidden: block.Hidden,
    ended: bool,
) -> None:
    """One more row."""
    columns = found.columns
    start, seconds, zone = separator
    header_start, header_end, content_end = offsets
    shown = head if hidden.plain else block.strip(head)
    lines = line_ends(shown) - 1
    if b"\r" in shown:
        lines -= shown.count(b"\r\n")
    body_octets = content_end - header_end + body.lines - body.crlf
    digest = blake2b(block.identity(head), digest_size=8)
    digest.update(b"%d %d" % (body_octets - 2 * (body.end > 0), body.check))
    columns.start.append(start)
    columns.line.append(header_start - start)
    columns.header.append(header_end - header_start)
    columns.length.append(content_end - header_start)
    columns.octets.append(len(shown) - 1 + lines + body_octets)
    columns.date.append(seconds)
    columns.zone.append(zone)
    columns.digest.append(int.from_bytes(digest.digest(), "little"))
    columns.filed.append(hidden.bits)
    offset, octets = _block(hidden, head, ended)
    columns.block.append(header_start - 1 - start + offset)
    columns.block_octets.append(octets)
    if hidden.words:
        found.words[len(found.uids)] = hidden.words
    found.uids.append(hidden.uid)


def _block(hidden: block.Hidden, head: bytes, ended: bool) -> tuple[int, int]:
    """Where our block is or goes, from the line end before the header, and its size."""
    if not ended:
        return 0, NEVER
    if hidden.offset >= 0:
        return hidden.offset, hidden.octets
    if not hidden.plain:
        return 0, block.ODD
    return block.place(head), 0
