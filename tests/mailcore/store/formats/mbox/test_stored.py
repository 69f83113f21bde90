"""How a message is laid down."""

from __future__ import annotations

import pytest

from mailcore.store.formats.mbox import block
from mailcore.store.formats.mbox.stored import Stored
from mailcore.store.mailbox import Incoming

S, B = b"From a date\n", b"Status:   \n"

LAID = [
    (b"A: 1\r\n\r\nx\r\n", b"A: 1\n@\nx\n\n"),
    (b"A: 1\n\nx", b"A: 1\n@\nx\n\n"),
    (b"A: 1\n\nx\n\n\n", b"A: 1\n@\nx\n\n\n\n"),
    (b"A: 1\n\n", b"A: 1\n@\n\n"),
    (b"A: 1", b"A: 1\n@\n\n"),
    (b"", b"@\n\n"),
    (b"\r\n", b"@\n\n"),
    (b"\n\n", b"@\n\n\n"),
    (b"From x\nA: 1\n\nFrom y\n>From z\n", b">From x\nA: 1\n@\n>From y\n>From z\n\n"),
    (b"A: 1\n\nx\nFrom", b"A: 1\n@\nx\nFrom\n\n"),
    (b"A: 1\n\n\rFrom \r\r\n\0", b"A: 1\n@\n\rFrom \r\n\0\n\n"),
    (
        b"status: R\nX-UID: 1\n 2\nB: 1\n\nStatus: R\n",
        b"X-Original-status: R\nX-Original-X-UID: 1\n 2\nB: 1\n@\nStatus: R\n\n",
    ),
]


class Pieces:
    def __init__(self, data, size):
        self.data, self.size = data, size

    def chunks(self):
        return (self.data[place : place + self.size] for place in range(0, len(self.data), self.size))


@pytest.mark.parametrize(("content", "expected"), LAID)
def test_laid_down(content, expected):
    expected = S + expected.replace(b"@", B)
    assert b"".join(Stored(Incoming(content), S, B).chunks()) == expected
    for size in range(1, len(content) + 1):
        assert b"".join(Stored(Incoming(Pieces(content, size)), S, B).chunks()) == expected, size


def test_verbatim_is_not_quoted():
    message = Incoming(b"A: 1\n\nFrom x\n", verbatim=True)
    assert b"".join(Stored(message, S, B).chunks()) == S + b"A: 1\n" + B + b"\nFrom x\n\n"


def test_a_header_of_nobody():
    content = b"A: " + b"x" * (2 * block.PLACE_OCTETS)
    data = b"".join(Stored(Incoming(Pieces(content, 70_000)), S, B).chunks())
    assert data == S + B + content + b"\n\n"
