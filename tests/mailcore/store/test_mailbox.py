"""The words that every format shares."""

from __future__ import annotations

from array import array

import pytest

from mailcore.store.mailbox import Incoming, Mailbox, News


def test_news_is_true_when_there_is_some():
    assert not News()
    for name, value in (("expunged", [1]), ("exists", 0), ("recent", 0), ("changed", [2]), ("keywords", True)):
        news = News()
        setattr(news, name, value)
        assert news


def test_number():
    box = Mailbox()
    box.uids = array("I", [3, 5, 9])
    assert [box.number(uid) for uid in (1, 3, 4, 5, 9, 10)] == [0, 1, 0, 2, 3, 0]
    assert len(box) == 3


def test_every_format_must_answer():
    with pytest.raises(NotImplementedError):
        Mailbox().flags(1)


def test_incoming():
    assert list(Incoming(b"x").chunks()) == [b"x"]
    assert Incoming(b"", ["a", "a"]).flags == {"a"}
