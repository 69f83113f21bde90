"""ESEARCH: what RETURN asks for; errors are in the transcript."""

from __future__ import annotations

import pytest

from tests.imapd.fakebox import FakeBox, FakeSession


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (b"", b"ALL 2:4,9"),
        (b"ALL", b"ALL 2:4,9"),
        (b"MIN", b"MIN 2"),
        (b"MAX", b"MAX 9"),
        (b"COUNT", b"COUNT 4"),
        (b"COUNT MAX MIN", b"MIN 2 MAX 9 COUNT 4"),
    ],
)
def test_options(options: bytes, told: bytes):
    session = FakeSession(FakeBox(*[b"Subject: x\n\n"] * 9))
    assert session.say(b"SEARCH RETURN (%b) 2:4,9" % options)[0] == b'* ESEARCH (TAG "t") ' + told


def test_every_search_is_extended_in_imap4rev2():
    session = FakeSession(FakeBox(b"Subject: x\n\n"))
    session.enabled.add("IMAP4REV2")
    assert session.say(b"UID SEARCH ALL")[0] == b'* ESEARCH (TAG "t") UID ALL 1'
    assert session.say(b"SEARCH NOT ALL")[0] == b'* ESEARCH (TAG "t")'
