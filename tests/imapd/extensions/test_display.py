"""SORT=DISPLAY: names before addresses."""

from __future__ import annotations

from tests.imapd.fakebox import FakeBox, FakeSession


def test_names_are_what_counts():
    senders = [b"zoe@a", b'"Anna" <zz@a>', b"=?utf-8?q?=C3=A4mil?= <b@c>", b"", b"mike@a (Bert)"]
    session = FakeSession(FakeBox(*[b"From: %b\nTo: %b\n\n" % (sender, sender) for sender in senders]))
    assert session.say(b"SORT (DISPLAYFROM) UTF-8 ALL")[0] == b"* SORT 4 2 3 5 1"
    assert session.say(b"SORT (REVERSE DISPLAYTO) UTF-8 ALL")[0] == b"* SORT 1 5 3 2 4"
