"""Search keys: what each looks at, and that the quick ways find what the slow ones do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapd import criteria
from imapd.criteria import FLAG, TEXT, Key, asked, either, every, neither
from imapd.message import Message
from mailcore.message import headers
from mailcore.message.address import addresses
from mailcore.message.needle import Needle
from mailcore.settings import Settings
from tests.imapd.fakebox import FakeBox


def message() -> Message:
    return Message(FakeBox(b"Subject: x\n\n"), 1, Settings())


def leaf(answer: bool, asks: list[bool], cost: int = TEXT) -> Key:
    def test(_: Message) -> bool:
        asks.append(answer)
        return answer

    return Key(cost, test)


TREES = st.recursive(
    st.booleans(),
    lambda inner: st.tuples(st.sampled_from(["AND", "OR", "NOT"]), st.lists(inner, min_size=1, max_size=4)),
)


def meant(tree: object) -> bool:
    if isinstance(tree, bool):
        return tree
    kind, inner = tree  # type: ignore[misc]
    answers = [meant(one) for one in inner]
    return all(answers) if kind == "AND" else any(answers) if kind == "OR" else not answers[0]


def built(tree: object, asks: list[bool]) -> Key:
    if isinstance(tree, bool):
        return leaf(tree, asks)
    kind, inner = tree  # type: ignore[misc]
    keys = [built(one, asks) for one in inner]
    return every(keys) if kind == "AND" else either(keys) if kind == "OR" else neither(keys[0])


@given(TREES)
def test_keys_of_keys(tree: object):
    asks: list[bool] = []
    assert asked(built(tree, asks))(message()) is meant(tree)


def test_the_cheap_key_is_asked_first():
    asks: list[bool] = []
    assert not asked(every([leaf(True, asks), leaf(False, asks, FLAG)]))(message())
    assert asks == [False]
    assert asked(either([leaf(False, asks), leaf(True, asks, FLAG)]))(message())
    assert asks == [False, True]


def test_a_match_across_two_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(criteria, "WINDOW_OCTETS", 64)
    lines = b"".join(b"%04d %b\n" % (number, b"abc" * 5) for number in range(100))
    message = Message(FakeBox(b"Subject: x\n\n" + lines), 1, Settings())
    for number in range(99):
        assert criteria._in_body(message, Needle(b"abc\n%04d" % (number + 1)))
    assert not criteria._in_body(message, Needle(b"abcd"))


PIECES = st.sampled_from(
    [
        *(b"Subject: ", b"abc", b"ab", b"c", b" ", b"\n", b"\n ", b"\r\n", b"\r\n\t", b"\n\n", b"--x\n", b"--x--"),
        *(b"\xc3\xa9", b"=?us-ascii?q?ab?=", b"=?utf-8?b?YWJj?=", b"Content-Type: multipart/mixed; boundary=x\n"),
        *(b"Content-Type: message/rfc822\n", b"Content-Transfer-Encoding: quoted-printable\n", b"=61=62", b"YWJj\n"),
        *(b"Content-Transfer-Encoding: base64\n", b"Content-Type: text/html; charset=utf-7\n", b"+AGE-bc", b"\0"),
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=20).map(b"".join), st.sampled_from([b"abc", b"ab c", b"b ab", b"c", b"x a"]))
def test_the_quick_look_misses_nothing(text: bytes, string: bytes) -> None:
    needle = Needle(string)
    message = Message(FakeBox(text), 1, Settings())
    if not criteria._possible(message, needle):
        assert not needle.in_field(message.short_header)
        assert not criteria._in_body(message, needle)


FIELDS = st.sampled_from(
    [
        *(b"To: ", b"to:", b"Cc: ", b"Date: ", b"1 Nov 2026", b"a@b", b"a @ b", b"(x) ", b'"A b" ', b"<c@d>"),
        *(b", ", b"\n", b"\n ", b"\r\n\t", b"=?utf-8?q?=C3=A9_x?= ", b"\xe9", b"group: ", b";", b"\n\n"),
    ]
)  # fmt: skip


STRINGS = st.sampled_from([b"", b"a@b", b"x", b"a b <c", b"<a@b>", b" c", "\u00c9".encode()])


@given(st.lists(FIELDS, max_size=12).map(b"".join), STRINGS)
def test_what_is_remembered_of_fields_finds_what_they_have(text: bytes, string: bytes) -> None:
    needle, header = Needle(string), Message(FakeBox(text), 1, Settings()).short_header
    values = headers.values(header, b"To")
    otherwise = [value for value in values if any(mark in value for mark in (b"(", b'"', b" @", b"@ "))]
    people = [criteria._written(one) for value in otherwise for one in addresses(value)]
    assert found(criteria.field(b"To", needle), header) is any(map(needle.in_field, values))
    assert found(criteria.correspondent(b"To", needle), header) is any(map(needle.in_field, [*values, *people]))


@pytest.mark.parametrize(
    ("header", "day"), [(b"Date: 1 Nov 2026 00:30:00 +0200\n", 20758), (b"Date: x\n", None), (b"", None)]
)
def test_the_day_of_a_date(header: bytes, day: int | None) -> None:
    assert found(criteria.sent(lambda other: other == day), header) is (day is not None)
    assert not found(criteria.sent(lambda other: other == 1), header)


def found(key: Key, header: bytes) -> bool:
    """Whether it fits, by what is made of the header and by the message, which must agree."""
    picked = key.pick(FakeBox(header), [1], {kind: {1: make(header)} for kind, make in (key.makers or {}).items()})
    assert bool(picked) is key.test(Message(FakeBox(header), 1, Settings()))
    return bool(picked)


def test_many_kinds_of_fields_are_not_held_together() -> None:
    fields = [criteria.field(b"X-%d" % number, Needle(b"x")) for number in range(40)]
    assert either(fields[:5]).makers
    assert either(fields).makers is None
