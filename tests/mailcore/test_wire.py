"""mailcore.wire: lines and literals cut from any chunks, within limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.errors import Hangup, TooLong
from mailcore.wire import Wait, Wire


def run(cut, chunks):
    """Drive one cut with these chunks; the value, and how many chunks it took."""
    chunks = iter(chunks)
    used = 0
    try:
        step = cut.send(None)
        while True:
            assert isinstance(step, Wait)
            used += 1
            step = cut.send(next(chunks))
    except StopIteration as end:
        return end.value, used


@pytest.mark.parametrize(
    ("data", "line", "rest"),
    [
        (b"a\r\nb", b"a", b"b"),
        (b"a\nb", b"a", b"b"),
        (b"\r\n", b"", b""),
        (b"a\rb\r\n", b"a\rb", b""),
        (b"a\r\r\n", b"a\r", b""),
        (b"a\x00b\n", b"a\x00b", b""),
    ],
)
def test_line_ends(data, line, rest):
    wire = Wire(1, data)
    assert run(wire.line(10), [])[0] == line
    assert wire.rest() == rest


def test_the_limit_counts_the_line_without_its_end():
    assert run(Wire(1, b"12345\r\n").line(5), [])[0] == b"12345"
    with pytest.raises(TooLong):
        run(Wire(1, b"123456\n").line(5), [])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_long_line_is_swallowed_and_the_next_one_is_whole(size):
    wire = Wire(1)
    data = b"x" * 50 + b"\r\nNOOP\r\n"
    chunks = iter([data[i : i + size] for i in range(0, len(data), size)])
    with pytest.raises(TooLong):
        run(wire.line(10), chunks)
    assert run(wire.line(10), chunks)[0] == b"NOOP"


def test_a_line_without_end_holds_no_memory():
    wire = Wire(1)
    cut = wire.line(1000)
    cut.send(None)
    for _ in range(1000):
        cut.send(b"x" * 1000)
        assert len(wire._held) <= 2001


def test_end_of_input():
    with pytest.raises(Hangup):
        run(Wire(1).line(10), [b"half a line", b""])
    with pytest.raises(Hangup):
        run(Wire(1).take(10), [b"nine oct.", b""])


def test_what_came_with_the_end_of_input_is_still_read():
    wire = Wire(1)
    assert run(wire.line(10), [b"one\ntwo\n", b""])[0] == b"one"
    assert run(wire.line(10), [b""])[0] == b"two"


def test_forget_drops_what_was_read_ahead():
    wire = Wire(1, b"injected\r\n")
    wire.forget()
    assert run(wire.line(20), [b"fresh\r\n"])[0] == b"fresh"


def test_pour_holds_nothing():
    poured = []
    wire = Wire(1, b"12")
    run(wire.pour(7, poured.append), [b"345", b"67rest\r\n"])
    assert poured == [b"12", b"345", b"67"]
    assert wire.rest() == b"rest\r\n"


@given(st.lists(st.binary(max_size=20)), st.integers(1, 40))
def test_chunks_do_not_matter(pieces, size):
    """The same lines come out however the bytes were cut on the way."""
    lines = [piece.replace(b"\n", b"").replace(b"\r", b"") for piece in pieces]
    data = b"".join(line + b"\r\n" for line in lines)
    chunks = iter([data[i : i + size] for i in range(0, len(data), size)])
    wire = Wire(1)
    assert [run(wire.line(100), chunks)[0] for _ in lines] == lines


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_of_a_line_too_long_both_ends_are_kept(size):
    """The tag to answer with, and a literal announced at its end."""
    data = b"a1 " + b"x" * 500 + b" {10+}\r\n"
    with pytest.raises(TooLong) as caught:
        run(Wire(1).line(20), [data[i : i + size] for i in range(0, len(data), size)])
    assert caught.value.head.startswith(b"a1 x"[: max(size, 4)])
    assert caught.value.tail.endswith(b"x {10+}")


def test_has_line():
    wire = Wire(1, b"ab")
    assert not wire.has_line(10)
    assert wire.has_line(0), "too long already"
    wire.feed(b"\n")
    assert wire.has_line(10)
    wire = Wire(1)
    wire.feed(b"")
    assert wire.has_line(10), "it would raise Hangup at once"
