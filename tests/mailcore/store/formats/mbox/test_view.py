"""Numbers and news."""

from __future__ import annotations

import random

import pytest

from mailcore.store.formats.mbox import block
from mailcore.store.formats.mbox.view import View, row_of
from mailcore.store.index import Record


def record(*messages):
    made = Record()
    for uid, flags, words in messages:
        made.columns.uid.append(uid)
        made.columns.flags.append(flags)
        made.columns.words.append(words)
        made.columns.start.append(uid)
    return made


def test_row_of():
    made = record((3, 0, 0), (5, 0, 0))
    assert [row_of(made.columns, uid) for uid in (1, 3, 4, 5, 6)] == [-1, 0, -1, 1, -1]


def test_first_news_is_what_there_is():
    view = View()
    view.recent.add(5)
    news = view.tell(record((3, 0, 0), (5, 0, 0)), True)
    assert (news.exists, news.recent, news.expunged, news.changed) == (2, 1, [], [])
    assert not view.tell(record((3, 0, 0), (5, 0, 0)), True)


def test_what_is_not_visible_is_no_news():
    view = View()
    view.tell(record((3, 0, 0)), True)
    assert not view.tell(record((3, block.OLD | block.NUMBERED, 0)), True)
    assert view.tell(record((3, block.SEEN, 0)), True).changed == [1]
    assert view.tell(record((3, block.SEEN, 1)), True).changed == [1]
    made = record((3, block.SEEN | block.DRAFT, 2))
    view.knows(made.columns, [0])
    assert not view.tell(made, True)
    view.forget_words()
    assert view.tell(made, True).changed == [1]


@pytest.mark.parametrize("seed", range(50))
def test_a_client_that_believes_the_news_knows_the_truth(seed):
    """RFC 3501 §7.4.1: numbers shift with each EXPUNGE told."""
    chance = random.Random(seed)
    view, client, truth, uid = View(), [], {}, 0
    for _ in range(30):
        for _ in range(chance.randrange(3)):
            uid += 1
            truth[uid] = chance.randrange(32)
        for gone in chance.sample(sorted(truth), min(len(truth), chance.randrange(3))):
            del truth[gone]
        for changed in chance.sample(sorted(truth), min(len(truth), 2)):
            truth[changed] = chance.randrange(32)
        expunges = chance.random() < 0.5
        news = view.tell(record(*((uid, flags, 0) for uid, flags in sorted(truth.items()))), expunges)
        assert expunges or not news.expunged
        for number in news.expunged:
            del client[number - 1]
        if news.exists is not None:
            client += [(new, truth[new]) for new in view.uids[len(client) :]]
            assert news.exists == len(client)
        for number in news.changed:
            client[number - 1] = (client[number - 1][0], truth[view.uids[number - 1]])
        assert [uid for uid, _ in client] == list(view.uids)
        assert all(flags == truth[uid] for uid, flags in client if uid in truth)
        if expunges:
            assert [uid for uid, _ in client] == sorted(truth)
