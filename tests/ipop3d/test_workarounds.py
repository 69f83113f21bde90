"""ipop3d.workarounds: NULs and ends of headers, however the message is cut into chunks."""

from __future__ import annotations

import pytest

from ipop3d.workarounds import fit
from mailcore.settings import Settings


def fitted(text: bytes, size: int, **settings: bool) -> bytes:
    chunks = (text[start : start + size] for start in range(0, len(text), size))
    return b"".join(fit(Settings(**settings), chunks))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 100])
@pytest.mark.parametrize(
    ("text", "added"),
    [
        (b"a: b\r\n\r\nbody\r\n", b""),
        (b"a: b\r\n\r\n", b""),
        (b"\r\nbody\r\n", b""),
        (b"a: b\r\n", b"\r\n"),
        (b"a: b", b"\r\n\r\n"),
        (b"a: b\r\nc: d\r\n e\r\n", b"\r\n"),
        (b"a: b\r\n\rc\n\r\n", b"\r\n"),
        (b"", b"\r\n"),
    ],
)
def test_the_end_of_the_header(text, added, size):
    assert fitted(text, size, pop3_end_of_header=True) == text + added
    assert fitted(text, size) == text


@pytest.mark.parametrize("size", [1, 100])
def test_nuls(size):
    text = b"a: \0\r\n\r\n\0\0b\r\n"
    assert fitted(text, size, pop3_no_nuls=True) == text.replace(b"\0", b"\x80")
    assert fitted(text, size) == text
    assert fitted(b"\0", size, pop3_no_nuls=True, pop3_end_of_header=True) == b"\x80\r\n\r\n"
