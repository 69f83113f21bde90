"""Strings that are looked for: decoded, without case, and across the ends of lines."""

from __future__ import annotations

import pytest

from mailcore.message.needle import Needle


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
