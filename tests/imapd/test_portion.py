"""The newest of too many messages."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from imapd import portion
from mailcore.errors import Refusal

UIDS = [1, 3, 5, 7, 9, 11]


def session(limit):
    return SimpleNamespace(settings=SimpleNamespace(message_limit=limit), box=SimpleNamespace(uids=UIDS))


@pytest.mark.parametrize(
    ("limit", "wanted", "some", "code"),
    [
        (0, [(0, 6)], [(0, 6)], ""),
        (6, [(0, 6)], [(0, 6)], ""),
        (5, [(0, 6)], [(1, 6)], "MESSAGELIMIT 5 3"),
        (1, [(0, 6)], [(5, 6)], "MESSAGELIMIT 1 11"),
        (3, [(0, 2), (3, 5)], [(1, 2), (3, 5)], "MESSAGELIMIT 3 3"),
        (2, [(0, 2), (3, 5)], [(3, 5)], "MESSAGELIMIT 2 7"),
        (2, [], [], ""),
    ],
)
def test_places(limit, wanted, some, code):
    assert portion.places(session(limit), wanted) == (some, code)
    if code:
        with pytest.raises(Refusal) as refused:
            portion.all_of(session(limit), wanted)
        assert refused.value.code == code
    else:
        portion.all_of(session(limit), wanted)


def test_uids():
    assert portion.uids(session(0), UIDS) == (UIDS, "")
    assert portion.uids(session(6), UIDS) == (UIDS, "")
    assert portion.uids(session(2), UIDS) == ([9, 11], "MESSAGELIMIT 2 9")


def test_count():
    portion.count(session(0), 10**6)
    portion.count(session(2), 2)
    with pytest.raises(Refusal):
        portion.count(session(2), 3)


def test_done():
    assert portion.done("") is None
    assert portion.done("MESSAGELIMIT 2 9").code == "MESSAGELIMIT 2 9"
