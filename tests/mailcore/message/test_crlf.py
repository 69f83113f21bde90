"""Line ends: every way to ask for a size or a piece gives the same octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message import crlf

MAIL = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"bcd", b"\0", b"\xff"])).map(b"".join)


class Stored:
    """A text that is no bytes, as the store gives for large messages."""

    def __init__(self, content):
        self.content = content

    def __len__(self):
        return len(self.content)

    def find(self, sub, start=0, end=None):
        return self.content.find(sub, start, len(self.content) if end is None else end)

    def __getitem__(self, span):
        return self.content[span]


def test_wire_form():
    table = {
        b"": b"",
        b"\n": b"\r\n",
        b"\r\n": b"\r\n",
        b"\r": b"\r",
        b"a\nb\r\nc\rd": b"a\r\nb\r\nc\rd",
        b"\r\r\n\n": b"\r\r\n\r\n",
    }
    for stored, sent in table.items():
        assert crlf.wire_form(stored) == sent


@given(MAIL, st.integers(0, 30), st.integers(0, 30))
def test_sizes_are_those_of_the_wire_form(mail, start, more):
    start = min(start, len(mail))
    end = min(start + more, len(mail))
    for text in (mail, Stored(mail)):
        assert crlf.octets(text, start, end) == len(crlf.wire_form(mail[start:end]))
        assert crlf.lines(text, start, end) == mail[start:end].count(b"\n")
        assert crlf.octets(text) == len(crlf.wire_form(mail))


@given(MAIL, st.integers(0, 40), st.none() | st.integers(0, 40), st.integers(1, 5))
def test_chunks_are_a_slice_of_the_wire_form(mail, skip, count, piece_octets):
    whole = crlf.wire_form(mail)
    wanted = whole[skip:] if count is None else whole[skip : skip + count]
    for text in (mail, Stored(mail)):
        pieces = list(crlf.chunks(text, 0, len(mail), skip, count, piece_octets))
        assert b"".join(pieces) == wanted
        assert all(pieces)


def test_stored_sizes_across_piece_borders(monkeypatch):
    monkeypatch.setattr(crlf, "PIECE_OCTETS", 1)
    text = Stored(b"\r\n\n\r\r\nab")
    assert crlf.octets(text) == len(crlf.wire_form(text.content)) == 9
    assert crlf.lines(text) == 3


def test_chunks_stay_small():
    mail = b"\n" * 1_000_000
    sizes = [len(piece) for piece in crlf.chunks(mail, 0, len(mail))]
    assert sum(sizes) == 2_000_000
    assert max(sizes) <= 128 * 1024


def test_a_text_that_shrinks_ends():
    class Shrunk(Stored):
        def __len__(self):
            return 10

    assert list(crlf.chunks(Shrunk(b"ab\n"), 0, 10)) == [b"ab\r\n"]


@pytest.mark.parametrize("mark", [1, 3, 1000])
@given(st.text("\r\na", max_size=60).map(str.encode), st.integers(0, 70), st.integers(0, 70))
def test_measured_finds_any_octet(mark: int, text: bytes, skip: int, count: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crlf, "MARK_OCTETS", mark)
        patch.setattr(crlf, "PIECE_OCTETS", 3)
        measured = crlf.Measured(text, 0, len(text))
    form = crlf.wire_form(text)
    assert measured.octets == len(form)
    assert b"".join(measured.chunks(skip, count)) == form[skip : skip + count]
