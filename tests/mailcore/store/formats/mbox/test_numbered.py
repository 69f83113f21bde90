"""What an mbox says of its numbers; how they come about is test_modseq.py's."""

from __future__ import annotations

import pytest

from mailcore.errors import Expunged


def test_the_same_message_has_the_same_id(spool):
    spool.fill("one", "two")
    other = spool.root / "other"
    other.write_bytes(b"")
    with spool.open() as box, spool.open(path=other, inbox=False) as target:
        box.store([1], "+", ["\\Seen", "$Label"])
        box.copy([1, 2], target)
        target.news()
        assert [box.email_id(uid) for uid in box.uids] == [target.email_id(uid) for uid in target.uids]
        assert box.email_id(1) != box.email_id(2)


def test_what_is_gone_has_no_number(spool):
    spool.fill("one", "two")
    with spool.open() as box:
        box.remove([1])
        for ask in (box.modseq, box.saved, box.email_id):
            with pytest.raises(Expunged):
                ask(1)
        assert box.changed_since(0, [1, 2, 3]) == [2]
