"""Files and clocks that nobody would expect: nothing is lost, and the mailbox can be used."""

from __future__ import annotations

import os
import time

import pytest

from mailcore.store import modseq
from mailcore.store.formats.mbox import mailfile
from mailcore.store.mailbox import Incoming

FROM = b"From a@example.org Sat Nov 21 12:00:00 2026\n"
OLD = b"Subject: old\n\nold\n"
CONTENTS = {
    "no octets": (b"", 0), "line ends": (b"\n\n\r\n", 0), "NULs": (bytes(5000), 0), "one NUL": (b"\0", None),
    "a From line": (FROM, 1), "a From line cut off": (FROM[:-1], None), "From lines": (FROM * 3, 1),
    "a From line and blanks": (FROM + b"\n\n\n\n", 1), "a header": (FROM + b"Subject: x", 1),
    "NULs before mail": (bytes(5000) + FROM + OLD, 1), "NULs after a From line": (FROM + bytes(5000), 1),
    "no line end": (FROM + OLD[:-1], 1), "CRs": (FROM + b"Subject: x\r\r\r\n\r\n\r\r\n", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_odd_files(spool, agrees, name):
    """What is there stays; what is appended is found; all can go, and nothing comes back."""
    content, count = CONTENTS[name]
    spool.path.write_bytes(content)
    if count is None:
        with pytest.raises(Exception, match="Not a mailbox"):
            spool.open()
        assert spool.path.read_bytes() == content
        return
    box = spool.open()
    assert len(box.uids) == count
    texts = [bytes(box.text(uid)[:]) for uid in box.uids]
    (new,) = box.append([Incoming(b"Subject: new\r\n\r\nnew\r\n")])
    box.news()
    box.store(list(box.uids), "+", ["\\Seen", "k" * 40])
    agrees(box)
    found = [bytes(box.text(uid)[:]) for uid in box.uids]
    assert len(found) == count + 1 and b"Subject: new" in found[-1]
    assert all(text.rstrip(b"\r\n\0") in after for text, after in zip(texts, found, strict=False))
    spool.deliver(spool.message("late"))
    box.refresh()
    box.news()
    assert len(box.uids) == count + 2
    box.remove(list(box.uids))
    box.news()
    box.close()
    assert not list(spool.open().uids)


@pytest.mark.parametrize("back", [5, 600, 86400])
def test_a_clock_that_goes_back(spool, monkeypatch, subjects, agrees, back):
    """R32: by seconds, minutes, a day; with another session, a delivery, and a change that keeps the size."""
    spool.fill("one", "two", "three")
    box, other = spool.open(), spool.open()
    before = box.highest_modseq
    validity = box.uid_validity
    real_ns, real = time.time_ns, time.time
    for module in (mailfile, modseq):
        monkeypatch.setattr(module, "time_ns", lambda: real_ns() - back * 1_000_000_000)
    monkeypatch.setattr(modseq, "time", lambda: real() - back)
    box.store([1], "+", ["\\Seen"])
    box.append([Incoming(b"Subject: four\r\n\r\nx\r\n")])
    other.refresh()
    other.news()
    assert subjects(other) == ["one", "two", "three", "four"] and "\\Seen" in other.flags(1)
    past = real_ns() - back * 1_000_000_000
    spool.deliver(spool.message("five"))
    os.utime(spool.path, ns=(past, past))
    other.remove([2])
    box.refresh()
    box.news()
    other.news()
    assert subjects(box) == subjects(other) == ["one", "three", "four", "five"]
    spool.path.write_bytes(spool.path.read_bytes().replace(b"three body", b"THREE body"))
    os.utime(spool.path, ns=(past + 1000, past + 1000))
    box.refresh()
    box.news()
    assert b"THREE" in b"".join(bytes(box.text(uid)[:]) for uid in box.uids)
    assert box.uid_validity == other.uid_validity == validity and box.highest_modseq > before
    agrees(box)
