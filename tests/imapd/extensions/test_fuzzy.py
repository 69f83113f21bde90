"""FUZZY: words in any order, here or there; what has the string itself is more relevant."""

from __future__ import annotations

import pytest

from imapd.extensions.fuzzy import FuzzyNeedle
from mailcore.message.needle import stored
from tests.imapd.fakebox import FakeBox, FakeSession


@pytest.mark.parametrize(
    ("needle", "value", "loose", "strict"),
    [
        (b"imap break", b"IMAP break", True, True),
        (b"imap break", b"break of imap", True, False),
        (b"imap break", b"imap", False, False),
        (b"", b"x", True, True),
        (b"  ", b"x", True, False),
        ("über imap".encode(), b"=?utf-8?q?imap_=C3=9Cber?=", True, False),
    ],
)
def test_words(needle: bytes, value: bytes, loose: bool, strict: bool):
    fuzzy = FuzzyNeedle(needle)
    lines_of = {1: b"", 2: stored(value)}
    assert fuzzy.in_field(value) is loose
    assert fuzzy.among([1, 2], lines_of) == [2] * loose
    fuzzy.strict = True
    assert fuzzy.in_field(value) is strict
    assert fuzzy.among([1, 2], lines_of) == [2] * strict


def test_words_of_one_field():
    session = FakeSession(FakeBox(b"To: a\nTo: b\n\n", b"To: b,\n a\n\n", b"To: \"a\" <b@c>\n\n"))
    assert session.say(b'SEARCH FUZZY TO "a b"')[0] == b"* SEARCH 2 3"


def test_only_what_it_is_said_of_is_fuzzy():
    session = FakeSession(FakeBox(b"Subject: b a\n\nd c\n", b"Subject: a b\n\nd c\n", b"Subject: a b\n\nc d\n"))
    assert session.say(b'SEARCH FUZZY SUBJECT "a b" BODY "c d"')[0] == b"* SEARCH 3"
    assert session.say(b'SEARCH FUZZY (SUBJECT "a b" BODY "c d")')[0] == b"* SEARCH 1 2 3"
    assert session.say(b'SEARCH OR FUZZY SUBJECT "a b" 9 NOT FUZZY FUZZY BODY "x"')[0] == b"* SEARCH 1 2 3"
    assert session.say(b'SEARCH RETURN (RELEVANCY) FUZZY SUBJECT "a b"')[0].endswith(b"RELEVANCY (50 100 100)")
