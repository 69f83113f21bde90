"""The base subject (RFC 5256 §2.1)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message.subject import base


@pytest.mark.parametrize(
    ("text", "expected", "reply"),
    [
        ("hello", "hello", False),
        ("", "", False),
        ("   ", "", False),
        ("  a \t b\n c ", "a b c", False),
        ("Re: hello", "hello", True),
        ("RE : hello", "hello", True),
        ("re:hello", "hello", True),
        ("Fw: hello", "hello", True),
        ("FWD: hello", "hello", True),
        ("Fwdd: hello", "Fwdd: hello", False),
        ("Re: Re: Fwd: re: hello", "hello", True),
        ("Re[2]: hello", "hello", True),
        ("Re [2] : hello", "hello", True),
        ("[list] hello", "hello", False),
        ("[list] Re: hello", "hello", True),
        ("Re: [list] hello", "hello", True),
        ("[a][b] Re: [c] fw [d]: [e] hello", "hello", True),
        ("[a] [b] hello", "hello", False),
        ("[list]", "[list]", False),  # something must be left
        ("[a][b]", "[b]", False),
        ("Re: [a] [b]", "[b]", True),
        ("Re:", "", True),
        ("Re: (fwd)", "", True),
        ("hello (fwd)", "hello", True),
        ("hello (FWD)  (fwd) ", "hello", True),
        ("hello(fwd)", "hello", True),
        ("(fwd) hello", "(fwd) hello", False),
        ("[Fwd: hello]", "hello", True),
        ("Re: [fwd: Re: [list] hello (fwd)]", "hello", True),
        ("[Fwd: [Fwd: [Fwd: hello]]]", "hello", True),
        ("[fwd: hello", "[fwd: hello", False),
        ("[Fwd: a] b", "b", False),  # a blob like any other
        ("[]hello", "hello", False),
        ("[[x] hello", "[[x] hello", False),
        ("regarding: hello", "regarding: hello", False),
        ("Grüße", "Grüße", False),
        ("AW: hello", "AW: hello", False),  # RFC 5256 knows English
    ],
)
def test_base(text: str, expected: str, reply: bool):
    assert base(text) == (expected, reply)


@given(st.lists(st.sampled_from(["re", "fwd:", "[", "]", " ", ":", "(fwd)", "[fwd:", "x", "[a]", "Re:"])).map("".join))
def test_a_base_has_no_leader(text: str):
    once, _ = base(text)
    assert base(once)[0] in (once, base(base(once)[0])[0])
    assert len(once) <= len(text)


@pytest.mark.parametrize("piece", ["[a]", "[a] ", "Re:", "(fwd)", "[", "[fwd:", "re[", "re [a]", " "])
def test_no_subject_is_expensive(piece: str):
    start = time.process_time()
    base(piece * 1_000_000)
    base("[fwd:" * 1000 + piece * 1000 + "]" * 1000)
    assert time.process_time() - start < 2
