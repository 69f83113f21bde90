"""A mailbox as one session's client knows it, and what it has not been told.

What lives here: the numbers of messages, what flags were told, and the news between that and
a record.  What does not: when news may be told (the servers), where records come from (followed.py).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import compress

from mailcore.store.columns import Stale
from mailcore.store.formats.mbox.flags import VISIBLE
from mailcore.store.mailbox import News

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailcore.store.columns import Columns
    from mailcore.store.index import Record

_SHOWN = bytes(bits & VISIBLE for bits in range(256))  # for bytes.translate
_OTHER = 0xFFFFFFFF  # no set of keywords has this number
TOLD = ("flags", "words")  # the columns that clients are told changes of


def row_of(columns: Columns, uid: int) -> int:
    """The row of a message, -1 if it is gone."""
    row = bisect_left(columns.uid, uid)
    return row if row < len(columns) and columns.uid[row] == uid else -1


class View:
    """What a client knows: number n is uids[n-1].

    After SELECT the flags that it may know are those of `_first`, which nobody has looked at yet.
    """

    __slots__ = ("_first", "_flags", "_high", "_keywords", "_modseq", "_recent", "_words", "holds", "recent", "uids")

    def __init__(self) -> None:
        self.uids = array("I")
        self.recent: set[int] = set()  # uids that are \\Recent in this session
        self._first: Columns | None = None
        self._modseq = 0  # no change up to here is news
        self._flags = array("B")  # as they were told
        self._words = array("I")
        self._high = 0  # the highest uid that ever was in the view
        self._keywords = 0
        self._recent = 0  # the count that was told
        self.holds = False  # new messages back

    def __len__(self) -> int:
        return len(self.uids)

    def index(self, uid: int) -> int:
        """Where a message is, -1 if it is not in the view."""
        index = bisect_left(self.uids, uid)
        return index if index < len(self.uids) and self.uids[index] == uid else -1

    def told_flags(self, uid: int) -> int:
        """The bits told last, for a message that is gone; -1 if it never was here."""
        index = self.index(uid)
        if index >= 0 and self._first is not None:
            return self._first.flags[index] if self._first.have(TOLD) else -1
        return self._flags[index] if index >= 0 else -1

    def flags(self, columns: Columns) -> bytes:
        """Flag bits as they are now, message for message.  The columns are read."""
        if columns.uid == self.uids:
            return columns.flags.tobytes()
        self._look_back(columns)
        bits = bytearray(self._flags.tobytes())
        for index, uid in enumerate(self.uids):
            row = row_of(columns, uid)
            if row >= 0:
                bits[index] = columns.flags[row]
        return bytes(bits)

    def count_recent(self) -> int:
        return len(self.recent.intersection(self.uids)) if self.recent else 0

    # --- telling -----------------------------------------------------------------------

    def tell(self, record: Record, expunges: bool) -> News:
        """Bring the view up to date; without `expunges` nothing leaves it.

        Raises Stale, and has told nothing then.
        """
        news = News()
        columns = record.columns
        if not self._high and len(columns) and not self.holds:
            self._begin(news, record)
        elif columns is not self._first:
            if not columns.have(TOLD):
                raise Stale
            self._look_back(columns)
            self._tell_changes(news, columns, expunges)
        if len(record.keywords) != self._keywords:
            self._keywords = len(record.keywords)
            news.keywords = True
        return news

    def _begin(self, news: News, record: Record) -> None:
        """The first messages that a client hears of, and no flags yet."""
        self.uids.extend(record.columns.uid)
        self._high = self.uids[-1]
        self._first, self._modseq = record.columns, record.highest_modseq
        news.exists = len(self.uids)
        if (recent := self.count_recent()) != self._recent:
            news.recent = self._recent = recent

    def _look_back(self, columns: Columns) -> None:
        """Find out which flags a client may know that was told of none; `columns` are those now.

        If others saved since, and the columns of then are gone, what they changed has higher numbers.
        Raises Stale.
        """
        first = self._first
        if first is None:
            return
        if first.have(TOLD):
            flags, words = first.flags[:], first.words[:]
        else:
            if not columns.have(("modseq", *TOLD)):
                raise Stale
            flags, words = array("B", bytes(len(self.uids))), array("I", [_OTHER]) * len(self.uids)
            for index, uid in enumerate(self.uids):
                row = row_of(columns, uid)
                if row >= 0 and columns.modseq[row] <= self._modseq:
                    flags[index], words[index] = columns.flags[row], columns.words[row]
        self._first, self._flags, self._words = None, flags, words

    def _tell_changes(self, news: News, columns: Columns, expunges: bool) -> None:
        if columns.uid != self.uids:
            if expunges:
                self._tell_expunged(news, columns)
            self._tell_new(news, columns)
        self._tell_flags(news, columns)

    def _tell_expunged(self, news: News, columns: Columns) -> None:
        there = set(columns.uid)
        gone = [index for index, uid in enumerate(self.uids) if uid not in there]
        if not gone:
            return
        self.recent.difference_update([self.uids[index] for index in gone])
        news.vanished = [self.uids[index] for index in gone]
        news.expunged = [index + 1 - told for told, index in enumerate(gone)]
        keep = bytearray(b"\1") * len(self.uids)
        for index in gone:
            keep[index] = 0
        for column in (self.uids, self._flags, self._words):
            column[:] = array(column.typecode, compress(column, keep))
        self._recent = self.count_recent()

    def _tell_new(self, news: News, columns: Columns) -> None:
        first = bisect_left(columns.uid, self._high + 1)
        if first == len(columns) or self.holds:
            return
        self.uids.extend(columns.uid[first:])
        self._flags.extend(columns.flags[first:])
        self._words.extend(columns.words[first:])
        self._high = self.uids[-1]
        news.exists = len(self.uids)
        if (recent := self.count_recent()) != self._recent:
            news.recent = self._recent = recent

    def _tell_flags(self, news: News, columns: Columns) -> None:
        flags, words = columns.flags, columns.words
        if columns.uid != self.uids:
            flags, words = array("B", self.flags(columns)), self._words[:]
            for index, uid in enumerate(self.uids):
                row = row_of(columns, uid)
                if row >= 0:
                    words[index] = columns.words[row]
        shown, told = flags.tobytes().translate(_SHOWN), self._flags.tobytes().translate(_SHOWN)
        if words == self._words and shown == told:
            return
        news.changed = [
            index + 1
            for index, (new, old) in enumerate(zip(shown, told, strict=True))
            if new != old or words[index] != self._words[index]
        ]
        self._flags, self._words = flags[:], words[:]

    def knows(self, columns: Columns, rows: Sequence[int]) -> None:
        """What the session itself changed is no news to it; rows ascend.  The columns are read."""
        self._look_back(columns)
        if rows and rows[-1] - rows[0] + 1 == len(rows) and columns.uid == self.uids:
            run = slice(rows[0], rows[-1] + 1)
            self._flags[run], self._words[run] = columns.flags[run], columns.words[run]
            return
        for row in rows:
            index = self.index(columns.uid[row])
            if index >= 0:
                self._flags[index], self._words[index] = columns.flags[row], columns.words[row]

    def forget_words(self) -> None:
        """The sets of keywords are numbered anew: all of them are news."""
        if self._first is not None:
            self._flags, self._first = array("B", bytes(len(self.uids))), None
        self._words = array("I", [_OTHER]) * len(self.uids)
