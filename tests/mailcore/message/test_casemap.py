"""i;unicode-casemap, against RFC 5051 §2 done letter by letter from Unicode's own table."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message import casemap as module
from mailcore.message.casemap import casemap


def parts(letter: str) -> str:
    """What a letter decomposes into, and what those do."""
    words = [word for word in unicodedata.decomposition(letter).split() if not word.startswith("<")]
    return "".join(parts(chr(int(word, 16))) for word in words) if words else letter


def rfc5051(letter: str) -> str:
    title = letter.title()
    return parts(title if len(title) == 1 else letter)


def test_all_of_unicode():
    letters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    different = [letter for letter in letters if casemap(letter) != rfc5051(letter)]
    assert different == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("abc", "ABC", True),
        ("É", "e\u0301", True),
        ("Grüße", "GRU\u0308ßE", True),
        ("ω", "Ω", True),
        ("ﬁ", "fi", False),  # the RFC takes the title first
        ("Straße", "STRASSE", False),  # as UW: the title case of ß is ß
        ("a", "á", False),
        ("가", "각", False),
    ],
)
def test_what_is_the_same(one: str, other: str, same: bool):
    assert (casemap(one) == casemap(other)) is same


def test_a_syllable_is_not_found_in_another():
    assert casemap("가") not in casemap("각")


@given(st.text())
def test_letter_by_letter(text: str):
    assert casemap(text) == "".join(map(casemap, text))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LETTERS_KEPT", 100)
    casemap("".join(map(chr, range(0x400, 0x3000))))
    assert len(module._letters) <= 100
