"""Messages of the plain kind, many at a time: those that end within what was read, without a CR.

What lives here: the same measuring as in scan.py, in one loop.  What does not: messages that need
more to be read, the first one of a file, and what a separator is.  Most of a first open is spent
here, so each octet is looked at as few times as can be, and nothing is called that need not be.
"""

from __future__ import annotations

from _blake2 import blake2b
from zlib import crc32

from mailcore.store.formats.mbox import block, fromline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mailcore.store.formats.mbox.scan import Scan

HEADER_OCTETS = 64 * 1024  # longer ones are scan.py's

NAMES = (
    "start", "line", "header", "length", "octets", "date", "zone", "digest", "filed", "block", "block_octets",
)  # fmt: skip


def run(data: bytes, at: int, separator: tuple[int, int, int], found: Scan) -> tuple[int, int, int]:
    """Add the messages from `separator` on that are plain; the separator of the first that is not.

    `at` is the offset of data[0]; separators are offset, seconds and zone.
    """
    find, touched, number = data.find, block.TOUCHED.search, int.from_bytes
    start, when = separator[0], separator[1:]
    begin = start - at
    rows = []
    while True:
        line_end = find(b"\n", begin)
        head_end = find(b"\n\n", line_end, line_end + HEADER_OCTETS) if line_end >= 0 else -1
        if head_end < 0:
            break
        place, following = _following(data, max(head_end - 1, line_end))
        if following is None:
            break
        head = data[line_end : head_end + 2]
        hidden, spot = block.NOTHING, len(head) - 1
        if touched(head) is None:
            shown, same = head, head.rstrip(b"\n")
        else:
            hidden, same = block.read(head), block.identity(head)
            shown = head if hidden.plain else block.strip(head)
            spot = hidden.offset if hidden.offset >= 0 else spot if hidden.plain else 0
        body_octets = ended = check = 0
        if place > head_end + 1:
            body, ended = data[head_end + 2 : place], 2  # its last line end goes as two octets
            check = crc32(body)
            body_octets = 2 * len(body) - len(body.replace(b"\n", b"")) + ended
        digest = blake2b(b"%b%d %d" % (same, body_octets - ended, check), digest_size=8).digest()
        rows.append((
            start, line_end + 1 - begin, head_end + 1 - line_end, (place if ended else head_end + 1) - line_end,
            2 * len(shown) - 2 - len(shown.replace(b"\n", b"")) + body_octets, *when, number(digest, "little"),
            hidden.bits, line_end - begin + spot, hidden.octets if hidden.plain or hidden.offset >= 0 else block.ODD,
            hidden.uid, hidden.words,
        ))  # fmt: skip
        begin, when = place + 2, following
        start = at + begin
    if rows:
        _add(found, rows)
    return start, when[0], when[1]


def _following(data: bytes, index: int) -> tuple[int, tuple[int, int] | None]:
    """Where the empty line before the next separator begins, and seconds and zone of that; None if it is not here."""
    while (place := data.find(b"\n\nF", index)) >= 0:
        index = place + 2
        if data.startswith(b"From ", index):
            end = data.find(b"\n", index, index + fromline.LINE_OCTETS)
            moment = fromline.moment(data[index : end + 1]) if end >= 0 else None
            if moment is not None or end < 0:
                return place, moment
    return -1, None


def _add(found: Scan, rows: list[tuple[Any, ...]]) -> None:
    first = len(found.uids)
    *values, uids, words = zip(*rows, strict=True)
    for name, column in zip(NAMES, values, strict=True):
        getattr(found.columns, name).extend(column)
    found.uids += uids
    found.words.update((row, some) for row, some in enumerate(words, first) if some)
