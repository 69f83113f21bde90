"""What RETURN asks for is read strictly, and told in one order."""

from __future__ import annotations

import pytest

from imapd.extensions import esearch, partial  # noqa: F401
from imapd.results import Found, options
from imapd.syntax import Args
from mailcore.errors import Mistake
from tests.imapd.fakebox import FakeBox, FakeSession


@pytest.mark.parametrize(
    "text", [b" RETURN (", b" RETURN (X)", b" RETURN (MIN  MAX)", b" RETURN (MIN MIN)", b" RETURN ( MIN)"]
)
def test_mistakes(text: bytes):
    with pytest.raises(Mistake):
        options(FakeSession(FakeBox()), Args(text))  # type: ignore[arg-type]


def test_they_are_told_in_one_order():
    told = options(FakeSession(FakeBox()), Args(b" return (partial 1:2 count max min) ALL"))  # type: ignore[arg-type]
    assert told is not None
    assert [option.name for option in told] == ["MIN", "MAX", "COUNT", "PARTIAL"]


def test_a_search_without_options_is_an_old_one():
    assert options(FakeSession(FakeBox()), Args(b" RETURN ALL")) is None  # type: ignore[arg-type]


def test_sets_keep_the_order():
    box = FakeBox(*[b"Subject: x\n\n"] * 5)
    box.vanish(1)
    box.news()
    found = Found(box, False, lambda uids: [3, 4, 2, 5])
    assert found.set_of(found.uids) == b"2:3,1,4"
    found.by_uid = True
    assert found.set_of(found.uids) == b"3:4,2,5"
