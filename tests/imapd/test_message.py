"""Message: each thing is read once, and only when asked for."""

from __future__ import annotations

import pytest

from imapd import message
from imapd.message import Message
from mailcore.errors import Expunged
from mailcore.settings import Settings
from tests.imapd.fakebox import FakeBox

TEXT = b"Subject: x\nContent-Type: text/html\n\nbody\n"


def test_nothing_is_read_before_it_is_asked_for() -> None:
    box = FakeBox(TEXT)
    Message(box, 1, Settings())
    assert box.texts_read == box.headers_read == []


def test_the_header_alone() -> None:
    box = FakeBox(TEXT)
    read = Message(box, 1, Settings())
    assert read.header == read.header == TEXT[:-5]
    assert (box.texts_read, box.headers_read) == ([], [1])


def test_the_header_after_the_text() -> None:
    box = FakeBox(TEXT)
    read = Message(box, 1, Settings())
    assert read.text[read.body_start :] == b"body\n"
    assert read.header == TEXT[:-5]
    assert (box.texts_read, box.headers_read) == ([1], [])


def test_a_huge_header_is_cut_only_to_look_into_it() -> None:
    read = Message(FakeBox(TEXT), 1, Settings(header_octets=7))
    assert read.short_header == b"Subject"
    assert read.header == TEXT[:-5]
    assert read.text
    assert read.short_header == b"Subject"


def test_the_structure_is_kept_for_the_next_command() -> None:
    box = FakeBox(TEXT, TEXT)
    first = Message(box, 1, Settings()).structure
    assert first.subtype == b"HTML"
    assert Message(box, 1, Settings()).structure is first
    assert Message(box, 2, Settings()).structure is not first
    assert message._kept is not None and message._kept[1] == 2
    assert Message(FakeBox(TEXT), 2, Settings()) is not None
    other = FakeBox(TEXT)
    assert Message(other, 1, Settings()).structure is not first


def test_a_large_text_is_kept_for_the_next_command() -> None:
    large = TEXT + b"x\n" * 100_000
    box = FakeBox(large, TEXT, large)
    assert Message(box, 1, Settings()).text is Message(box, 1, Settings()).text
    assert Message(box, 2, Settings()).text == TEXT
    assert Message(box, 3, Settings()).text == large
    assert Message(box, 1, Settings()).text == large
    assert box.texts_read == [1, 2, 3, 1]
    box.vanish(1)
    with pytest.raises(Expunged):
        _ = Message(box, 1, Settings()).text
