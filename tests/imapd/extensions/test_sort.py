"""SORT: orders against Python's own sorting, and what reading it costs; errors are in the transcript."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imapd.extensions.sort import SORT_KEY
from tests.imapd.fakebox import DAY, FakeBox, FakeSession

MAIL = st.tuples(st.sampled_from(["", "a", "B", "b", "re: a", "ä"]), st.integers(0, 3), st.sampled_from(["x", "Y", ""]))


def boxed(mails: list[tuple[str, int, str]]) -> FakeBox:
    box = FakeBox()
    for subject, day, sender in mails:
        text = f"Subject: {subject}\nFrom: {sender}@h\n\n".encode()
        box.deliver(text, date=(DAY + day * 86400, 0))
    box.news()
    return box


@given(st.lists(MAIL, max_size=12), st.booleans(), st.booleans())
def test_orders(mails: list[tuple[str, int, str]], one: bool, other: bool):
    criteria = b"%bARRIVAL %bSIZE" % (b"REVERSE " * one, b"REVERSE " * other)
    box = boxed(mails)
    expected = sorted(
        range(1, len(mails) + 1),
        key=lambda number: (
            mails[number - 1][1] * (-1 if one else 1),
            box.octets(number) * (-1 if other else 1),
            number,
        ),
    )
    said = FakeSession(box).say(b"SORT (%b) UTF-8 ALL" % criteria)
    assert said[0] == b"* SORT" + b"".join(b" %d" % number for number in expected)


def test_every_key_sorts():
    box = boxed([("b", 2, "x"), ("a", 1, "y")])
    for name in SORT_KEY:
        if name != "RELEVANCY":
            assert FakeSession(box).say(f"SORT ({name}) UTF-8 ALL".encode())[-1] == b"t OK SORT completed"


def test_what_the_mailbox_knows_needs_no_reading():
    box = boxed([("b", 2, "x"), ("a", 1, "y")])
    assert FakeSession(box).say(b"SORT (REVERSE ARRIVAL SIZE) UTF-8 UNSEEN")[0] == b"* SORT 1 2"
    assert box.headers_read == box.texts_read == []


def test_one_header_for_all_keys():
    box = boxed([("b", 2, "x"), ("a", 1, "y"), ("c", 3, "z")])
    FakeSession(box).say(b"SORT (SUBJECT FROM DATE TO CC SIZE) UTF-8 2:3")
    assert box.headers_read == [2, 3]


def test_who_is_gone_is_left_out():
    box = boxed([("b", 2, "x"), ("a", 1, "y"), ("c", 3, "z")])
    box.vanish(2)
    assert FakeSession(box).say(b"SORT (SUBJECT) UTF-8 ALL")[0] == b"* SORT 1 3"
    assert FakeSession(box).say(b"SORT (ARRIVAL) UTF-8 ALL")[0] == b"* SORT 1 3"
