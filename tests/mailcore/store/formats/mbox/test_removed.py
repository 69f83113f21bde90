"""What is expunged is kept for some days, if it is asked for."""

from __future__ import annotations

import os

import pytest

from mailcore.errors import OutOfSpace
from mailcore.store import files
from mailcore.store.formats.mbox import removed
from mailcore.store.formats.mbox.removed import DAY_SECONDS, Removed
from mailcore.store.mailbox import Incoming
from tests.mailcore.store.faults import FAULTS, Striker


@pytest.fixture
def keeping(spool):
    spool.settings.expunged_days = 3
    return spool


def kept(spool, box):
    return list(Removed(box._index.home, box.path, spool.settings).messages())


def directory(box):
    return os.path.join(box._index.home, "expunged")


def test_nothing_is_kept_unasked(spool):
    spool.fill("a", "b")
    box = spool.open()
    box.remove([1])
    assert not os.path.exists(directory(box))


def test_text_flags_and_date_are_kept(keeping):
    keeping.fill("a", "b", "c")
    with open(keeping.path, "ab") as file:
        file.write(b"From x Sat Nov 21 12:00:00 2026\nSubject: no body\n\n")
    box = keeping.open()
    box.store([2], "+", ["\\Flagged", "$Work"])
    before = {uid: (bytes(box.text(uid)), box.internal_date(uid)) for uid in box.uids}
    box.remove([2, 4])
    box.remove([1])
    found = {message.uid: message for message in kept(keeping, box)}
    assert list(found) == [2, 4, 1]
    for uid, message in found.items():
        assert b"".join(message.chunks()).replace(b"\r\n", b"\n") == before[uid][0].replace(b"\r\n", b"\n")
        assert message.date == before[uid][1]
    assert found[2].words == (b"$Work",)
    assert os.stat(directory(box)).st_mode & 0o777 == 0o700


def test_large_messages_go_through_in_pieces(keeping, monkeypatch):
    monkeypatch.setattr(files, "COPY_OCTETS", 1000)
    text = b"Subject: large\n\n" + b"0123456789\n" * 1000
    box_text = text.replace(b"\n", b"\r\n")
    keeping.fill("a")
    box = keeping.open()
    [uid] = box.append([Incoming(text)])
    box.remove([uid])
    assert b"".join(kept(keeping, box)[0].chunks()) in (text, box_text)


def test_what_is_moved_is_not_expunged(keeping):
    keeping.fill("a", "b")
    other = keeping.root / "other"
    keeping.fill("c", path=other)
    box, there = keeping.open(), keeping.open(inbox=False, path=other)
    box.move([1], there)
    assert kept(keeping, box) == []


def test_old_days_go(keeping, monkeypatch):
    keeping.fill("a", "b", "c", "d")
    box = keeping.open()
    now = [100 * DAY_SECONDS]
    monkeypatch.setattr(removed, "time", lambda: now[0])
    for uid, later in ((1, 0), (2, 3), (3, 4)):
        now[0] = (100 + later) * DAY_SECONDS
        box.remove([uid])
    assert [message.uid for message in kept(keeping, box)] == [2, 3]
    keeping.settings.expunged_octets = 10
    box.remove([4])
    assert [message.uid for message in kept(keeping, box)] == [3, 4]


def test_no_room_to_keep_is_no_expunge(keeping, monkeypatch):
    keeping.fill("a", "b")
    box = keeping.open()
    before = keeping.path.read_bytes()
    number, kinds = FAULTS["ENOSPC"]
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", Striker(1, number, kinds, lasting=True))
        with pytest.raises(OutOfSpace):
            box.remove([1])
    assert keeping.path.read_bytes() == before
