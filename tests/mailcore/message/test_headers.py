"""Headers: where they end and what their fields are, in good and in broken ones."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message import headers

HEADER = b"From: a\nTo: b\n c\n\td\nno field\n folded\nX-None : 3\nto: e\nEmpty:\n\n"
ODD = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b":", b" ", b"\t", b"To", b"x", b"\0", b"\xe9", b"To: a\n", b"From:b\r\n"])
).map(b"".join)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        (b"", 0),
        (b"\n", 1),
        (b"\r\nbody", 2),
        (b"\r", 1),
        (b"A: b", 4),
        (b"A: b\n", 5),
        (b"A: b\n\nbody\n\n", 6),
        (b"A: b\r\n\r\nbody\n\n", 8),
        (b"A: b\n\r\nbody", 7),
        (b"A: b\n \nC: d\n\nbody", 13),
        (b"x" * 5000 + b"\r\n\r\nbody", 5004),
        (b"x" * 4095 + b"\n\nbody", 4097),
        (b"x" * 4094 + b"\n\r\nbody", 4097),
        (b"x" * 4093 + b"\r\n\r\nbody", 4097),
        (b"x" * 100_000, 100_000),
    ],
)
def test_end_of_header(text, index):
    assert headers.end_of_header(text) == index
    assert headers.end_of_header(b"\n\n" + text + b"\n\n\n", 2, 2 + len(text)) == 2 + index


def test_fields():
    assert list(headers.fields(HEADER)) == [
        (b"From", b"From: a\n"),
        (b"To", b"To: b\n c\n\td\n"),
        (b"X-None", b"X-None : 3\n"),
        (b"to", b"to: e\n"),
        (b"Empty", b"Empty:\n"),
    ]
    assert list(headers.fields(b"A: b\r\n c")) == [(b"A", b"A: b\r\n c")]
    assert list(headers.fields(b"garbage")) == []


def test_value():
    assert headers.value(HEADER, b"TO") == b"b c\td"
    assert headers.value(HEADER, b"x-none") == b"3"
    assert headers.value(HEADER, b"Empty") == b""
    assert headers.value(HEADER, b"T") is None
    assert headers.value(b"A: b\r\n c\r\n\r\n", b"a") == b"b c"
    assert headers.values(HEADER, b"To") == [b"b c\td", b"e"]
    assert headers.values(HEADER, b"Cc") == []


def test_only():
    assert headers.only(HEADER, [b"TO", b"X-None"]) == b"To: b\n c\n\td\nX-None : 3\nto: e\n\n"
    assert headers.only(HEADER, [b"Cc"]) == b"\n"
    assert headers.only(HEADER, []) == b"\n"
    assert headers.only(b"A: b\r\nC: d\r\n\r\n", [b"c"]) == b"C: d\r\n\r\n"
    assert headers.only(b"A: b", [b"a"]) == b"A: b\n\n"
    assert headers.only(b"A: b\rc\nD: e\n\n", [b"a"]) == b"A: b\rc\n\n"
    pick = headers.picker([b"to"])
    assert [pick(b"To: a\nCc: b\n\n"), pick(b"Cc: b\nTo: a"), pick(b"x")] == [b"To: a\n\n", b"To: a\n\n", b"\n"]


def test_without():
    assert headers.without(HEADER, [b"TO", b"From"]) == b"no field\n folded\nX-None : 3\nEmpty:\n\n"
    assert headers.without(HEADER, []) == HEADER
    assert headers.without(b"A: b\r\nC: d\r\n\r\n", [b"c"]) == b"A: b\r\n\r\n"
    assert headers.without(b"A: b\r\n\r\n", [b"a"]) == b"\r\n"
    assert headers.without(b"", [b"a"]) == b"\n"


@given(ODD, st.lists(st.sampled_from([b"to", b"FROM", b"x", b"[", b""])))
def test_only_and_without_share_the_fields(header, names):
    kept = [whole for name, whole in headers.fields(header)]
    only, without = headers.only(header, names), headers.without(header, names)
    assert only.endswith(b"\n")
    assert without.endswith(b"\n")
    lower = {name.lower() for name in names}
    for name, whole in headers.fields(header):
        if name.lower() in lower:
            assert whole.rstrip(b"\r\n") in only
        else:
            assert whole.rstrip(b"\r\n") in without
    assert len(list(headers.fields(only))) <= len(kept)


@given(st.binary(), st.binary(min_size=1, max_size=4))
def test_any_bytes(header, name):
    list(headers.fields(header))
    assert headers.value(header, name) == (headers.values(header, name) or [None])[0]
    assert 0 <= headers.end_of_header(header) <= len(header)


@pytest.mark.parametrize(
    "bomb",
    [
        b"To: " + b"x" * 1_000_000,
        b"x" * 1_000_000,
        b"To" + b" " * 1_000_000,
        b"To: a\n" * 150_000,
        b" \n" * 500_000,
        b"\n" * 1_000_000,
        b"\r" * 1_000_000,
        b":" * 1_000_000,
        b"To:\n" + b" a\n" * 300_000,
    ],
    ids=range(9),
)
def test_bombs(bomb):
    start = time.process_time()
    list(headers.fields(bomb))
    headers.values(bomb, b"to")
    headers.only(bomb, [b"to", b"from"])
    headers.without(bomb, [b"to", b"from"])
    headers.end_of_header(bomb)
    assert time.process_time() - start < 1


def test_patterns_kept_are_few():
    for number in range(1000):
        headers.value(HEADER, b"x%d" % number)
    assert len(headers._patterns) <= headers.PATTERNS_KEPT
