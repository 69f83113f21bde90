"""Strings that are looked for: decoded, without case, and across the ends of lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message.needle import Needle, stored


@pytest.mark.parametrize(
    ("needle", "charset", "data", "of", "expected"),
    [
        (b"caf\xc3\xa9", "utf-8", b"CAF\xc9", b"iso-8859-1", True),
        (b"abc", "", b"xABCx", b"", True),
        (b"abc", "", b"\xff\xfeabc\xff", b"utf-8", True),
        (b"\xff", "us-ascii", b"anything", b"us-ascii", False),
        (b"abc", "", b"abc", b"x-nobody-knows", True),
        ("日本".encode(), "utf-8", b"\x1b$BF|K\\\x1b(B", b"iso-2022-jp", True),
        (b"F|K", "", b"\x1b$BF|K\\\x1b(B", b"iso-2022-jp", False),
        (b"two lines", "", b"two\nlines", b"", True),
        (b"two lines", "", b"two\r\nlines", b"utf-8", True),
        (b"two lines", "", b"two \nlines", b"", True),  # format=flowed
        (b"two lines", "", "Z\xfcrich: two \r\nlines".encode("latin-1"), b"iso-8859-1", True),
        (b"two\tlines", "", b"two lines", b"", True),
        (b"two lines", "", b"two\n\nlines", b"", False),  # two paragraphs
    ],
)
def test_needles(needle: bytes, charset: str, data: bytes, of: bytes, expected: bool) -> None:
    assert Needle(needle, charset).in_text(data, of) is expected


@pytest.mark.parametrize(
    ("needle", "value", "expected"),
    [
        (b"a b", b"a\n b", True),
        (b"a b", b"a\r\n\tb", True),
        ("gr\xfc\xdfe".encode(), b"=?iso-8859-1?q?Gr=FC?=\n =?iso-8859-1?q?=DFe?=", True),
        (b"=?", b"=?iso-8859-1?q?a?=", False),
    ],
)
def test_fields(needle: bytes, value: bytes, expected: bool) -> None:
    assert Needle(needle).in_field(value) is expected
    assert Needle(needle).among([7], {7: stored(value)}) == [7] * expected


WORDS = st.sampled_from(
    [
        *(b"a", b"B", b"ab", b" ", b"\t", b"\r", b"\0", b"=?us-ascii?q?ab?=", b"=?utf-8?b?w7w=?="),
        *(b"=?utf-8?q?=0A=00?=", b"\n "),
        *("\u00fc".encode(), "\u00df".encode(), b"\xff", b"=?utf-7?q?+AAA-?="),
    ]
)  # fmt: skip


@given(st.lists(WORDS, max_size=8).map(b"".join), st.lists(WORDS, max_size=3).map(b"".join))
def test_a_stored_line_has_what_its_field_has(value: bytes, string: bytes) -> None:
    needle, line = Needle(string), stored(value)
    assert line.count(b"\n") == 1
    assert bool(needle.among([1], {1: line})) is needle.in_field(value)
