"""PREVIEW: LAZY costs little."""

from __future__ import annotations

from imapd.extensions.preview import LAZY_OCTETS
from tests.imapd.fakebox import FakeBox, FakeSession


def test_lazy_reads_no_large_message():
    box = FakeBox(b"a: b\n\nwords\n" + b"x\n" * LAZY_OCTETS, b"a: b\n\nfew words\n")
    session = FakeSession(box)
    assert session.say(b"FETCH 1:2 PREVIEW (LAZY)")[:2] == [
        b"* 1 FETCH (PREVIEW NIL)",
        b'* 2 FETCH (PREVIEW "few words")',
    ]
    assert box.texts_read == [2]
    assert session.say(b"FETCH 1 PREVIEW")[0].startswith(b'* 1 FETCH (PREVIEW "words x x')
