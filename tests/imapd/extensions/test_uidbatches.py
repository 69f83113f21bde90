"""UIDBATCHES: batches that meet, and have as many messages as was asked for."""

from __future__ import annotations

import pytest

from imapd.extensions.uidbatches import batches
from tests.imapd.conversation import Watched, user

UIDS = [3, 4, 7, 10, 11, 12, 20]


@pytest.mark.parametrize(
    ("uids", "size", "wanted", "told"),
    [
        ([], 3, None, []),
        ([], 3, (1, 2), []),
        ([9], 3, None, [(9, 1)]),
        ([1], 1, None, [(1, 1)]),
        (UIDS, 3, None, [(20, 11), (10, 4), (3, 1)]),
        (UIDS, 7, None, [(20, 1)]),
        (UIDS, 8, None, [(20, 1)]),
        (UIDS, 1, (2, 3), [(12, 12), (11, 11)]),
        (UIDS, 2, (2, 3), [(11, 8), (7, 4)]),
        (UIDS, 3, (3, 9), [(3, 1)]),
        (UIDS, 3, (4, 9), []),
        (UIDS, 4294967295, (4294967295, 4294967295), []),
    ],
)
def test_batches(uids, size, wanted, told):
    assert list(batches(uids, size, wanted)) == told


@pytest.mark.parametrize("size", range(1, 9))
def test_every_uid_is_in_one_batch(size):
    found = [[uid for uid in UIDS if low <= uid <= high] for high, low in batches(UIDS, size, None)]
    assert [uid for batch in found[::-1] for uid in batch] == UIDS
    assert all(len(batch) == size for batch in found[:-1])


def test_fetching_by_them():
    client, _ = user(Watched(*[b"A: %d\n\n" % number for number in range(1201)]))
    client.say(b"s SELECT INBOX\r\n")
    assert client.say(b"a UIDBATCHES 500\r\n") == (
        b'* UIDBATCHES (TAG "a") 1201:702,701:202,201:1\r\na OK UIDBATCHES completed\r\n'
    )
    assert client.say(b"b UID FETCH 701:202 UID\r\n").count(b"* ") == 500
