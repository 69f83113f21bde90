"""The maildrop: INBOX as a POP3 session sees it, frozen at login (RFC 1939 §4-6).

What lives here: message numbers, sizes, what was marked, and the update at QUIT.  What
does not: words (transaction.py) and files (mailcore.store).

The list does not change while the session lasts, whatever IMAP sessions and delivery
agents do meanwhile; every message is known by its UID, and QUIT removes by UID.  Messages
that an IMAP client already marked \\Deleted are not shown, as UW did.
"""

from __future__ import annotations

from array import array

from mailcore.errors import Mistake
from mailcore.message import crlf, headers
from mailcore.store.mailbox import DELETED, SEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailcore.store.mailbox import Mailbox


class Drop:
    """Messages 1 … n; a number stays what it is until QUIT."""

    def __init__(self, box: Mailbox) -> None:
        self.box = box
        flags = box.flags_of(box.uids)
        shown = [(uid, some) for uid, some in zip(box.uids, flags, strict=True) if DELETED not in some]
        self.uids = array("I", [uid for uid, _ in shown])
        self.octets = array("Q", box.octets_of(self.uids))
        self.deleted: set[int] = set()  # numbers
        self.retrieved: set[int] = set()  # numbers
        self._last_seen = max((number for number, (_, some) in enumerate(shown, 1) if SEEN in some), default=0)
        self.last = self._last_seen  # LAST: the highest number touched

    def number(self, number: int) -> int:
        """`number` if there is such a message and it is not marked."""
        if not 1 <= number <= len(self.uids) or number in self.deleted:
            raise Mistake("No such message")
        return number

    def numbers(self) -> Iterator[int]:
        """The messages that are not marked."""
        return (number for number in range(1, len(self.uids) + 1) if number not in self.deleted)

    def size(self, number: int) -> int:
        """Octets of a message as RETR sends them."""
        return self.octets[number - 1]

    def total(self) -> tuple[int, int]:
        """Messages left and their octets (STAT)."""
        gone = sum(self.size(number) for number in self.deleted)
        return len(self.uids) - len(self.deleted), sum(self.octets) - gone

    def unique_id(self, number: int) -> bytes:
        """UIDVALIDITY and UID in hexadecimal, as UW: stable as long as IMAP's are."""
        return b"%08x%08x" % (self.box.uid_validity, self.uids[number - 1])

    def retrieve(self, number: int) -> Iterator[bytes]:
        """The whole message in chunks."""
        text = self.box.text(self.uids[number - 1])
        self.retrieved.add(number)
        self.last = max(self.last, number)
        return crlf.chunks(text, 0, len(text))

    def top(self, number: int, lines: int) -> Iterator[bytes]:
        """The header, its empty line, and so many lines of the body in chunks."""
        text = self.box.text(self.uids[number - 1])
        self.last = max(self.last, number)
        end = headers.end_of_header(text)
        for _ in range(lines):
            if end >= len(text):
                break
            line_end = text.find(b"\n", end, len(text))
            end = len(text) if line_end < 0 else line_end + 1
        return crlf.chunks(text, 0, end)

    def mark(self, number: int) -> None:
        """DELE: QUIT will remove the message."""
        self.deleted.add(number)
        self.last = max(self.last, number)

    def reset(self) -> None:
        """RSET: nothing is marked, nothing was read."""
        self.deleted.clear()
        self.retrieved.clear()
        self.last = self._last_seen

    def update(self) -> bool:
        """QUIT: what was retrieved is \\Seen, what was marked is gone (RFC 1939 §6).

        True when every marked message is gone, whoever removed it.
        """
        seen = [self.uids[number - 1] for number in sorted(self.retrieved - self.deleted)]
        if seen:
            self.box.store(seen, "+", [SEEN])
        if not self.deleted:
            return True
        marked = {self.uids[number - 1] for number in self.deleted}
        self.box.remove(sorted(marked))
        self.box.refresh()
        self.box.news()
        return marked.isdisjoint(self.box.uids)
