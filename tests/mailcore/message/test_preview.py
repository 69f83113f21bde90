"""mailcore.message.preview: what a reader would see first."""

from __future__ import annotations

from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message.mime import structure
from mailcore.message.preview import LETTERS, preview


def of(text: bytes) -> str:
    return preview(text, structure(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ""),
        (b"\n", ""),
        (b"a: b\n\n \t two\n\nlines\n", "two lines"),
        (b"\n\xc3\xa4 \xff", "Ã¤ ÿ"),
        (b"Content-Type: text/plain; charset=utf-16\n\n\0a\0b", "ab"),
        (b"Content-Type: text/html\n\n<p>a<p>b&lt;c&unknown;d&#x1F600;&#xD800;", "a b<c d😀"),
        (b"Content-Type: text/html\n\n<a href='b", ""),
        (b"Content-Type: text/calendar\n\nBEGIN", ""),
        (b"Content-Type: application/pkcs7-mime\n\nMIIB", ""),
        (b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGkgdGhlcmU=\n", "hi there"),
        (b"\n" + "é".encode() * 300, "é" * LETTERS),
    ],
)
def test_previews(text: bytes, expected: str) -> None:
    assert of(text) == expected


KINDS = [b"text/html", b"text/plain; charset=utf-7", b"multipart/mixed;boundary=a"]
BOMBS = [b"<" * 500_000, b"<!--" * 100_000, b"<style>" * 80_000, b"&" * 500_000, b"<script></scrip" * 30_000]


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_bytes(body: bytes, kind: bytes) -> None:
    said = of(b"Content-Type: %b\n\n%b" % (kind, body))
    assert len(said) <= LETTERS and "\n" not in said and "\0" not in said
    said.encode()


@pytest.mark.parametrize("bomb", BOMBS)
def test_html_takes_linear_time(bomb: bytes) -> None:
    start = monotonic()
    of(b"Content-Type: text/html\n\n" + bomb)
    assert monotonic() - start < 2
