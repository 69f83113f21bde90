"""ID: what the client says of itself is read and kept short."""

from __future__ import annotations

import pytest

from mailcore import VERSION
from tests.imapd.conversation import right, stranger, user

OURS = b'* ID ("name" "mailcore" "version" "%b")\r\na OK ID completed\r\n' % VERSION.encode()


@pytest.mark.parametrize(
    "words",
    [
        b"NIL",
        b"nil",
        b"()",
        b'("name" "mutt" "version" NIL)',
        b'("name" {4+}\r\nmutt)',
        b"(" + b" ".join([b'"x" NIL'] * 30) + b")",
        b'( "name" "aioimaplib" )',
        b"( )",
        b'("' + b"x" * 30 + b'" "' + b"y" * 1024 + b'")',
    ],
)
def test_any_id_is_answered(words):
    for client in (stranger(), user()[0]):
        assert client.say(b"a ID " + words + b"\r\n") == OURS


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"(",
        b'("name")',
        b"(name mutt)",
        b'("name"  "x")',
        b'("name" "x"  )',
        b'(  "name" "x")',
        b"NIL NIL",
        b'"name"',
        b"(" + b" ".join([b'"x" NIL'] * 31) + b")",
        b'("' + b"x" * 31 + b'" NIL)',
        b'("x" "' + b"y" * 1025 + b'")',
    ],
)
def test_what_is_no_id(words):
    client, _ = user()
    assert client.say(b"a ID " + words + b"\r\n").startswith(b"a BAD ")


def test_the_name_reaches_the_session_that_logs_it():
    client = stranger(right())
    client.say(b'a ID ("NAME" "mutt" "x-secret" "y" "version" "2")\r\nb LOGIN fred x\r\n')
    assert client.result.state == b"name/mutt version/2"
