"""PARTIAL: windows of results and of FETCH, against plain slices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapd.extensions.partial import Window
from imapd.syntax import Args
from mailcore.errors import Mistake
from tests.imapd.fakebox import FakeBox, FakeSession

NUMBER = st.integers(1, 15)


@given(NUMBER, NUMBER, st.booleans(), st.integers(0, 12))
def test_windows(one: int, other: int, backwards: bool, count: int):
    sign = b"-" if backwards else b""
    window = Window(Args(b" %b%d:%b%d" % (sign, one, sign, other)))
    uids = list(range(100, 100 + count))
    wanted = range(min(one, other), max(one, other) + 1)
    numbered = list(enumerate(reversed(uids) if backwards else uids, 1))
    assert window.of(uids) == sorted(uid for number, uid in numbered if number in wanted)


@pytest.mark.parametrize(
    "text", [b"", b" ", b" 1", b" 1:", b" 0:1", b" 1:-2", b" -1:2", b" 1:*", b" -0:-1", b" :5", b" 1:4294967296"]
)
def test_mistakes(text: bytes):
    with pytest.raises(Mistake):
        Window(Args(text))


@given(st.lists(st.integers(1, 20), min_size=1), NUMBER, NUMBER, st.booleans())
def test_fetch_takes_the_same_window(uids: list[int], one: int, other: int, backwards: bool):
    sign = b"-" if backwards else b""
    session = FakeSession(FakeBox(*[b"Subject: x\n\n"] * 12))
    asked = ",".join(map(str, uids)).encode()
    there = sorted({uid for uid in uids if uid <= 12})
    said = session.say(b"UID FETCH %b UID (PARTIAL %b%d:%b%d)" % (asked, sign, one, sign, other))
    inside = Window(Args(b" %b%d:%b%d" % (sign, one, sign, other))).of(there)
    assert said == [*(b"* %d FETCH (UID %d)" % (uid, uid) for uid in inside), b"t OK UID FETCH completed"]
