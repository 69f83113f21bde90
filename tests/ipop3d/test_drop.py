"""ipop3d.drop: the frozen list, and an update that removes by UID."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipop3d.drop import Drop
from mailcore.errors import Mistake
from mailcore.settings import load
from mailcore.store.mailbox import DELETED, SEEN
from mailcore.store.namespace import Store
from tests.playground import MAILBOXES, Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = Ground(tmp_path)
    ground.place("INBOX", (MAILBOXES / "drop.mbox").read_bytes())
    return ground


def opened(ground: Ground):
    settings = load([f"{name}={value}" for name, value in ground.options().items()], "/nonexistent")
    return Store("fred", str(ground.home), settings).open("INBOX")


def test_sizes_are_the_octets_sent(ground):
    drop = Drop(opened(ground))
    for number in drop.numbers():
        assert drop.size(number) == len(b"".join(drop.retrieve(number)))


def test_numbers(ground):
    drop = Drop(opened(ground))
    drop.mark(2)
    assert list(drop.numbers()) == [1, 3]
    for number in (0, 2, 4, -1):
        with pytest.raises(Mistake):
            drop.number(number)
    drop.reset()
    assert list(drop.numbers()) == [1, 2, 3]


def test_another_session_expunges_meanwhile(ground):
    """R23: numbers stay what they are, and the update never hits another message."""
    drop = Drop(opened(ground))
    imap = opened(ground)
    imap.store([imap.uids[0]], "+", [DELETED])
    imap.expunge(None)
    assert drop.total()[0] == 3
    drop.mark(2)
    assert drop.update()
    left = opened(ground)
    assert [left.header(uid).split(b"Subject: ")[1].split(b"\n")[0] for uid in left.uids] == [b"no body at all"]


def test_a_message_that_somebody_else_removed_counts_as_removed(ground):
    drop = Drop(opened(ground))
    drop.mark(1)
    imap = opened(ground)
    imap.store([imap.uids[0]], "+", [DELETED])
    imap.expunge(None)
    assert drop.update()


def test_retrieved_is_seen_after_quit_and_not_before(ground):
    drop = Drop(opened(ground))
    b"".join(drop.retrieve(1))
    assert SEEN not in opened(ground).flags(1)
    drop.update()
    assert SEEN in opened(ground).flags(1)
    assert Drop(opened(ground)).last == 1


def test_mail_delivered_meanwhile_stays(ground):
    drop = Drop(opened(ground))
    with ground.inbox.open("ab") as inbox:
        inbox.write(b"From x@example.org Mon Nov  9 08:30:01 2026\nSubject: late\n\nlate\n\n")
    for number in list(drop.numbers()):
        drop.mark(number)
    assert drop.update()
    left = opened(ground)
    assert len(left) == 1
    assert b"late" in left.header(left.uids[0])
