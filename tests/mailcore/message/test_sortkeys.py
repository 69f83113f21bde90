"""Sort keys of headers."""

from __future__ import annotations

import pytest

from mailcore.message import sortkeys
from mailcore.message.casemap import casemap


@pytest.mark.parametrize(
    ("field", "local", "shown"),
    [
        (b"ann@example.org", "ann", "ann@example.org"),
        (b"Zoe <Ann@Example.ORG>", "ann", "zoe"),
        (b'"Zoe, A." <ann@example.org>', "ann", "zoe, a."),
        (b"=?utf-8?q?=C3=84nne?= <ann@example.org>, b@c", "ann", "änne"),
        (b"ann@example.org (Zoe)", "ann", "zoe"),
        (b"friends: ann@example.org, b@c;", "friends", "friends"),
        (b"", "", ""),
        (b" ", "", ""),
    ],
)
def test_addresses(field: bytes, local: str, shown: str):
    header = b"From: %b\n\n" % field
    assert sortkeys.mailbox(header, b"From") == casemap(local)
    assert sortkeys.display(header, b"From") == casemap(shown)
    assert sortkeys.mailbox(header, b"To") == sortkeys.display(header, b"To") == ""


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        (b"Thu, 1 Jan 1970 01:00:00 +0100", 0),
        (b"Thu, 1 Jan 1970 99:99:99 +0000", 0),  # a day is worth keeping
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_sent(date: bytes, seconds: int | None):
    assert sortkeys.sent(b"Date: %b\n\n" % date) == seconds


def test_subjects_are_decoded_first():
    assert sortkeys.base_subject(b"Subject: =?utf-8?q?Re=3A_?= =?utf-8?q?=C3=BC?=\n\n") == (casemap("Ü"), True)
    assert sortkeys.base_subject(b"X: y\n\n") == ("", False)
