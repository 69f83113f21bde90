"""mailcore.log: strangers write no log lines of their own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailcore import log


def test_clean_shows_what_it_hides():
    assert log.clean(b"fred") == "fred"
    assert log.clean(b"a\nb\tc\\d\xff") == "a\\x0ab\\x09c\\x5cd\\xff"
    assert log.clean("gr\u00fcn") == "gr\\xc3\\xbcn"
    assert log.clean("\udcff") == "\\xff"


@given(st.binary(max_size=300))
def test_clean_is_one_short_printable_field(data):
    said = log.clean(data)
    assert all(" " <= letter <= "~" for letter in said)
    assert len(said) <= 4 * log.FIELD_OCTETS
