"""Ids of messages and of those they answer."""

from __future__ import annotations

import time

import pytest

from mailcore.message.references import IDS, ancestors, message_id


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"<a@b>", b"a@b"),
        (b" <a@b> (comment) <c@d>", b"a@b"),
        (b"< a@b >", b"a@b"),
        (b'<"a"@b>', b"a@b"),
        (b'<"a\\"x"@b>', b'a"x@b'),
        (b"a@b", None),
        (b"<a>", None),
        (b"<>", None),
        (b"<<a@b>", b"a@b"),
        (b'<"a@b>', None),
        (b"", None),
    ],
)
def test_message_id(field: bytes, expected: bytes | None):
    assert message_id(b"Message-ID: %b\n\n" % field) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"References: <a@b>\n <c@d>\n\t<e@f>\n", [b"a@b", b"c@d", b"e@f"]),
        (b"References: <a@b><c@d>, <x>\n", [b"a@b", b"c@d"]),
        (b"References: none\nIn-Reply-To: <a@b> <c@d>\n", [b"a@b"]),
        (b"In-Reply-To: Your message of today <a@b>\n", [b"a@b"]),
        (b"Subject: x\n", []),
    ],
)
def test_ancestors(header: bytes, expected: list[bytes]):
    assert ancestors(header + b"\n") == expected


def test_of_many_the_last_count():
    found = ancestors(b"References: " + b" ".join(b"<%d@x>" % number for number in range(5000)) + b"\n\n")
    assert len(found) == IDS
    assert found[-1] == b"4999@x"


@pytest.mark.parametrize("piece", [b"<", b'<"', b'<"\\', b"<a", b" ", b"<a@", b'"<'])
def test_bombs(piece: bytes):
    start = time.process_time()
    ancestors(b"References: " + piece * 500_000 + b"\n\n")
    assert time.process_time() - start < 2
