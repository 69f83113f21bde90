"""Who is believed, and which message is which after others had the file."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from mailcore.errors import DiskError
from mailcore.store.formats.mbox import identity
from mailcore.store.mailbox import Incoming

BASE = "X-IMAPbase: 1234567890 0000000050 $Old\nStatus: RO\nX-Status: A\nX-Keywords: $Old\nX-UID: 10\n"
FORGED = "Status: RO\nX-Status: D\nX-Keywords: $Evil\nX-UID: 4000000000\nX-IMAPbase: 77 88\n"


def test_uw_mailbox_is_taken_over(spool, agrees):
    spool.path.write_bytes(
        spool.message("a", headers=BASE)
        + spool.message("b", headers="Status: O\nX-Status: F\nX-Keywords:\nX-UID: 20\n")
        + spool.message("c")
        + spool.message("d", headers="X-UID: 51\n")
    )
    box = spool.open()
    assert (box.uid_validity, list(box.uids), box.uid_next) == (1234567890, [10, 20, 51, 52], 53)
    assert box.flags(10) == {"\\Seen", "\\Answered", "$Old"}
    assert box.flags(20) == {"\\Flagged"}
    agrees(box)


@pytest.mark.parametrize(
    ("base", "uids"),
    [
        ("X-IMAPbase: 0 5", [1, 2]),  # no UIDVALIDITY is 0
        ("X-IMAPbase: 77 4294967295", [1, 2]),  # would leave no numbers
        ("X-IMAPbase: 5000000000 9", [1, 2]),
        ("X-IMAPbase: x 9", [1, 2]),
        ("", [1, 2]),
        ("X-IMAPbase: 77 9", [7, 8]),
        ("X-IMAP: 77 9", [7, 8]),
    ],
)
def test_what_base_is_sound(spool, base, uids):
    spool.path.write_bytes(
        spool.message("a", headers=f"{base}\nX-UID: 7\n".lstrip()) + spool.message("b", headers="X-UID: 8\n")
    )
    assert list(spool.open().uids) == uids


def test_internal_data_is_hidden_and_kept(spool, agrees, subjects):
    spool.path.write_bytes(
        b"From MAILER-DAEMON Sat Nov 21 12:00:00 2026\nDate: x\n"
        b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
        b"X-IMAP: 1234567890 0000000002\nStatus: RO\n\nThis text is part of the internal format.\n\n"
        + spool.message("a", headers="Status: RO\nX-Status: \nX-Keywords:\nX-UID: 1\n")
        + spool.message("b", headers="Status: RO\nX-Status: \nX-Keywords:\nX-UID: 2\n")
    )
    box = spool.open()
    assert subjects(box) == ["a", "b"]
    assert (box.uid_validity, list(box.uids)) == (1234567890, [1, 2])
    spool.deliver(spool.message("c"))
    box.refresh()
    box.store([1], "+", ["\\Flagged"])
    box.close()
    assert b"X-IMAP: 1234567890 0000000003\n" in spool.path.read_bytes()
    box = spool.open()
    box.remove([1, 2, 3])
    agrees(box)
    assert spool.path.read_bytes().count(b"From ") == 1
    spool.forget_index()
    assert (spool.open().uid_next, spool.open().uid_validity) == (4, 1234567890)


def test_a_mail_that_looks_like_internal_data_is_a_mail(spool):
    spool.path.write_bytes(
        b"From x Sat Nov 21 12:00:00 2026\nReceived: from somewhere\n"
        b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1234567890 0000000002\n\nx\n\n"
    )
    assert len(spool.open()) == 1


def test_strangers_say_nothing_in_inbox(spool, agrees):
    spool.fill("a")
    box = spool.open()
    validity = box.uid_validity
    spool.deliver(spool.message("evil", headers=FORGED), spool.message("next"))
    box.refresh()
    box.news()
    assert list(box.uids) == [1, 2, 3] and box.uid_next == 4
    assert box.flags(2) == {"\\Recent"}
    assert box.keywords == []
    box.close()
    assert b"Evil" not in spool.path.read_bytes() and b"4000000000" not in spool.path.read_bytes()
    again = spool.open()
    assert again.flags(2) == set() and again.uid_validity == validity and again.keywords == []
    agrees(again)
    spool.forget_index()
    assert list(spool.open().uids) == [1, 2, 3]


def test_forged_fields_wait_for_nothing(spool, monkeypatch):
    """A second look before our block is written does not believe them either."""
    from mailcore.store.formats.mbox import box as module

    monkeypatch.setattr(module, "LAZY_OCTETS", 1)
    spool.fill("a", "b")
    box = spool.open()
    spool.deliver(spool.message("evil", headers=FORGED))
    box.refresh()
    os.utime(spool.path, (1, 1))
    box.refresh()
    other = spool.open()
    assert other.flags(3) == set() and other.keywords == []
    spool.path.write_bytes(spool.path.read_bytes().replace(b"$Evil", b"$Devil"))
    box.refresh()
    assert box.flags(3) == {"\\Recent"} and box.keywords == []


def test_flags_in_own_folders_are_believed_uids_never(spool, tmp_path):
    path = tmp_path / "folder"
    spool.fill("a", path=path)
    box = spool.open(inbox=False, path=path)
    spool.deliver(spool.message("b", headers=FORGED), path=path)
    box.refresh()
    box.news()
    assert list(box.uids) == [1, 2]
    assert box.flags(2) == {"\\Seen", "\\Deleted", "$Evil"}


def test_changes_of_mutt_count_flag_by_flag(spool, agrees):
    spool.fill("a", "b", "c")
    box = spool.open()
    box.store([1, 2], "+", ["\\Flagged"])
    data = spool.path.read_bytes()
    # mutt takes the old fields away and writes the new ones and its counts where it likes
    changed = data.replace(b"Subject: b\n", b"Subject: b\nStatus: RO\nX-Status: A\nContent-Length: 7\nLines: 1\n")
    head, _, tail = changed.partition(b"Lines: 1\n")
    tail = tail.replace(b"Status: O \nX-Status: F   \n", b"", 1)
    spool.path.write_bytes(head + b"Lines: 1\n" + tail)
    box.refresh()
    news = box.news()
    assert (news.changed, news.expunged, news.exists) == ([2], [], None)
    assert box.flags(2) - {"\\Recent"} == {"\\Seen", "\\Answered"}
    assert box.flags(1) - {"\\Recent"} == {"\\Flagged"}
    box.store([2], "+", ["\\Draft"])
    agrees(box)
    assert spool.path.read_bytes().count(b"Status: ") == 6


def test_changes_in_place_are_seen_after_a_delivery(spool):
    spool.fill("a", "b")
    box = spool.open()
    data = spool.path.read_bytes()
    place = data.index(b"Status: O ")
    spool.path.write_bytes(data[:place] + b"Status: RO" + data[place + 10 :] + spool.message("c"))
    box.refresh()
    news = box.news()
    assert (news.exists, news.changed) == (3, [1])


@pytest.mark.parametrize("asked", ["refresh", "unseen", "store", "close"])
def test_an_open_after_a_delivery_looks_at_the_end_only(spool, monkeypatch, asked):
    """What was changed in place before it is found by whoever needs it, and overwritten by nobody."""
    monkeypatch.setattr("mailcore.store.formats.mbox.followed.FEW", 0)
    spool.fill("a", "b")
    spool.open().close()
    data = spool.path.read_bytes()
    place = data.index(b"Status: O ")
    spool.path.write_bytes(data[:place] + b"Status: RO" + data[place + 10 :] + spool.message("c"))
    box = spool.open()
    assert list(box.uids) == [1, 2, 3] and not box._facts.verified
    if asked == "refresh":
        box.refresh()
        assert box.news().changed == [1]
        box.refresh()
        assert not box.news()
    elif asked == "unseen":
        assert box.unseen == 2
    elif asked == "store":
        box.store([1], "+", ["\\Flagged"])
        assert box.flags(1) >= {"\\Seen", "\\Flagged"}
    box.close()
    assert b"\nX-UID: 3 " in spool.path.read_bytes(), "filed at the close"
    again = spool.open()
    assert again.unseen == 2 and "\\Seen" in again.flags(1)


def test_same_size_same_second(spool):
    spool.fill("a", "b")
    box = spool.open(readonly=True)
    before = os.stat(spool.path)
    data = spool.path.read_bytes()
    with open(spool.path, "rb+") as file:
        file.write(data.replace(b"Subject: b", b"Subject: x").replace(b"b body", b"x body"))
    assert os.stat(spool.path).st_size == before.st_size
    box.refresh()
    news = box.news()
    assert (news.expunged, news.exists, list(box.uids)) == ([2], 2, [1, 3])


@pytest.mark.parametrize("seed", range(60))
def test_foreign_edits_keep_uids(spool, agrees, seed):
    """Reorder, delete, duplicate, deliver, strip our fields: a UID is never another message."""
    chance = random.Random(seed)
    words = [f"m{number}" for number in range(12)]
    spool.fill(*words)
    box = spool.open()
    validity = box.uid_validity
    owner = {uid: bytes(box.text(uid)) for uid in box.uids}
    for _ in range(6):
        data = spool.path.read_bytes()
        messages = [b"From " + part for part in ("\n" + data.decode()).encode().split(b"\nFrom ")[1:]]
        messages = [message if message.endswith(b"\n") else message + b"\n" for message in messages]
        how = chance.randrange(6)
        if how == 0:
            chance.shuffle(messages)
        elif how == 1 and len(messages) > 2:
            del messages[chance.randrange(len(messages))]
        elif how == 2:
            messages.insert(chance.randrange(len(messages) + 1), spool.message(f"new{chance.random()}"))
        elif how == 3:
            import re

            place = chance.randrange(len(messages))
            messages[place] = re.sub(rb"\n(?:X-IMAPbase|X-UID|Status|X-Status|X-Keywords):[^\n]*", b"", messages[place])
        elif how == 4:
            messages.append(chance.choice(messages))
        else:
            messages[:3] = reversed(messages[:3])
        if chance.random() < 0.5:
            box.store([chance.choice(box.uids)], "+", ["\\Flagged"]) if len(box) else None
            data = None
        if data is not None:
            (spool.root / "new").write_bytes(b"".join(messages))
            os.rename(spool.root / "new", spool.path)
        box.refresh()
        box.news()
        assert list(box.uids) == sorted(set(box.uids))
        for uid in box.uids:
            assert owner.setdefault(uid, bytes(box.text(uid))) == bytes(box.text(uid)), "a UID means another message"
        if chance.random() < 0.3:
            box.close()
            box = spool.open()
        assert box.uid_validity == validity
        agrees(box)
    lost = [uid for uid in range(1, 13) if uid not in box.uids]
    texts = [bytes(box.text(uid)) for uid in box.uids]
    assert not [uid for uid in lost if texts.count(owner[uid]) > sum(owner[u] == owner[uid] for u in box.uids)]


def test_numbers_come_to_an_end(spool, agrees, subjects):
    """Before UIDs exceed 32 bits there is a new UIDVALIDITY; who has the mailbox open is told to select it again."""
    spool.fill("one", "two")
    box = spool.open()
    validity = box.uid_validity
    box._record.uid_next = identity.END_UID - 1
    box._index.save(box.path, box._record)
    assert box.append([Incoming(b"Subject: last\r\n\r\nx\r\n", ["\\Flagged", "k"])]) == [identity.END_UID - 1]
    with pytest.raises(DiskError, match="no numbers left"):
        box.append([Incoming(b"Subject: none\r\n\r\nx\r\n")])
    spool.deliver(spool.message("delivered"))
    with pytest.raises(DiskError, match="no numbers left"):
        box.refresh()
    other = spool.open()
    assert list(other.uids) == [1, 2, 3, 4] and other.uid_next == 5 and other.uid_validity > validity
    assert subjects(other) == ["one", "two", "last", "delivered"] and other.flags(3) == {"\\Flagged", "k"}
    with pytest.raises(DiskError, match="select it again"):
        box.refresh()
    other.close()
    assert b"X-UID: 3   " in spool.path.read_bytes()
    spool.forget_index()
    again = spool.open()
    assert list(again.uids) == [1, 2, 3, 4] and again.uid_validity == other.uid_validity
    agrees(again)


def test_of_two_that_are_the_same_the_uid_in_the_file_decides(spool):
    """A copy must not become the original that was expunged, when the index is older than the file."""
    spool.fill("a", "b")
    box = spool.open()
    kept = list(Path(box._index.home).glob("index.db*"))
    [(_, copied)] = box.copy([1], box)
    old = {path: path.read_bytes() for path in kept}
    box.remove([1])
    box._opened = False
    box._index.close()
    for path, content in old.items():
        path.write_bytes(content)
    assert list(spool.open().uids) == [2, copied]
