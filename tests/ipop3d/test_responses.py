"""ipop3d.responses: values into bytes, and nobody's bytes into a line of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipop3d.responses import CODES, Body, Err, Lines, Ok, Prompt, encode, judged, stuffed
from mailcore import errors


def said(value):
    return b"".join(encode(value))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (Ok("2 320"), b"+OK 2 320\r\n"),
        (Err("No such message"), b"-ERR No such message\r\n"),
        (Err("busy", "IN-USE"), b"-ERR [IN-USE] busy\r\n"),
        (Ok("two\r\nlines"), b"+OK two??lines\r\n"),
        (Prompt(b"YQ=="), b"+ YQ==\r\n"),
        (Prompt(b""), b"+ \r\n"),
        (Lines([]), b".\r\n"),
        (Lines([b"1 2", b".x"]), b"1 2\r\n..x\r\n.\r\n"),
        (Body([]), b".\r\n"),
        (Body([b"a\r\n"]), b"a\r\n.\r\n"),
        (Body([b"no line end"]), b"no line end\r\n.\r\n"),
    ],
)
def test_encode(value, line):
    assert said(value) == line


def test_long_text_stays_a_line():
    assert len(said(Ok("x" * 10_000))) <= 512


def test_no_answer_is_a_bug():
    with pytest.raises(errors.Broken):
        said("raw text")


@pytest.mark.parametrize("error", CODES)
def test_store_errors_have_codes(error):
    assert said(judged(error("text", "detail"))) == b"-ERR [%b] text\r\n" % CODES[error].encode()


def unstuffed(data):
    lines = data.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines[:-2])


@given(st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"a", b".."])), st.integers(1, 5))
def test_a_client_gets_back_what_was_there(pieces, size):
    """Dot-stuffing does not depend on where chunks end."""
    text = b"".join(pieces)
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    got = unstuffed(b"".join(stuffed(chunks)))
    assert got == (text[:-2] if text.endswith(b"\r\n") else text)


@given(st.lists(st.binary(max_size=5).filter(lambda line: b"\n" not in line and b"\r" not in line), max_size=5))
def test_many_lines(lines):
    assert unstuffed(said(Lines(lines * 1001))) == b"\r\n".join(lines * 1001)
