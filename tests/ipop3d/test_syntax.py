"""ipop3d.syntax: a keyword and arguments between single spaces."""

from __future__ import annotations

import pytest

from ipop3d.syntax import Args, cut
from mailcore.errors import Mistake


@pytest.mark.parametrize(
    ("line", "keyword", "left"),
    [
        (b"STAT", "STAT", False),
        (b"stat", "STAT", False),
        (b"LIST 1", "LIST", True),
        (b"LIST ", "LIST", False),
        (b" LIST", "", True),
        (b"", "", False),
        (b"\xff\x00", "\ufffd\x00", False),
    ],
)
def test_cut(line, keyword, left):
    assert cut(line)[0] == keyword
    assert bool(cut(line)[1]) is left


@pytest.mark.parametrize(("text", "number"), [(b"1", 1), (b"0", 0), (b"  7", 7), (b"4294967297", 4294967297)])
def test_number(text, number):
    assert Args(text).number("missing") == number


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"+1", b"1x", b"\xb2", b"1.0", b"12345678901", b"9" * 5000])
def test_no_number(text):
    with pytest.raises(Mistake, match="missing"):
        Args(text).number("missing")


def test_rest_keeps_spaces():
    args = Args(b" two  words ")
    assert args.rest("missing") == b" two  words "
    with pytest.raises(Mistake):
        args.rest("missing")


def test_words_and_end():
    args = Args(b"one two")
    assert args.word("missing") == b"one"
    with pytest.raises(Mistake):
        args.end()
    assert args.word("missing") == b"two"
    args.end()
