"""What an mbox knows of its mod-sequences, dates of saving and its name for good.

What lives here: asking the record and the index.  What does not: how the numbers come about
(store/modseq.py).
"""

from __future__ import annotations

from mailcore.errors import Expunged
from mailcore.store.formats.mbox.view import row_of
from mailcore.store.mailbox import Mailbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailcore.store.columns import Columns
    from mailcore.store.index import Index, Record


class Numbered(Mailbox):
    """The part of a Box that RFC 7162, 8474 and 8514 ask for."""

    if TYPE_CHECKING:
        path: str
        _index: Index
        _record: Record

        def _columns(self, *names: str) -> Columns: ...

    @property
    def object_id(self) -> str:  # type: ignore[override]
        return self._record.object_id

    @property
    def highest_modseq(self) -> int:
        return self._record.highest_modseq if self._index.lasting else 0

    def modseq(self, uid: int) -> int:
        return self._columns("modseq").modseq[self._saved_row(uid)]

    def saved(self, uid: int) -> int:
        return self._columns("saved").saved[self._saved_row(uid)]

    def email_id(self, uid: int) -> str:
        return f"M{self._columns('digest').digest[self._saved_row(uid)]:016x}"

    def _saved_row(self, uid: int) -> int:
        row = row_of(self._record.columns, uid)
        if row < 0:
            raise Expunged
        return row

    def changed_since(self, modseq: int, uids: Iterable[int]) -> list[int]:
        columns = self._columns("modseq")
        return [uid for uid in uids if (row := row_of(columns, uid)) >= 0 and columns.modseq[row] > modseq]

    def vanished_since(self, modseq: int) -> list[int] | None:
        if modseq < self._record.forgotten_modseq:
            return None
        return self._index.gone_since(self.path, modseq)
