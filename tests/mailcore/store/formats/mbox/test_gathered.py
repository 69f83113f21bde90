"""Messages between two mailboxes."""

from __future__ import annotations

import os

import pytest

from mailcore.errors import Expunged
from mailcore.store.formats.mbox.gathered import Gathered


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("limit", [10, 60, 10_000])
def test_small_ones_in_memory_large_ones_in_a_file(spool, limit):
    spool.settings.text_octets = limit
    spool.fill("a", "b")
    spool.deliver(spool.message("c", "x" * 100))
    box = spool.open()
    before = descriptors()
    with Gathered(box, [1, 2, 3], spool.settings) as messages:
        assert [b"".join(message.chunks()) for message in messages] == [box.text(uid)[:] for uid in (1, 2, 3)]
        assert all(message.verbatim and "\\Recent" not in message.flags for message in messages)
        assert descriptors() == before + (limit < 10_000)
        assert not [name for name in os.listdir(spool.root) if name not in ("inbox", "home")]
    assert descriptors() == before


def test_one_is_gone(spool):
    spool.settings.text_octets = 10
    spool.fill("a", "b")
    box = spool.open()
    before = descriptors()
    box.remove([2])
    with pytest.raises(Expunged), Gathered(box, [1, 2], spool.settings):
        pass
    assert descriptors() == before
