"""imapd.unauthenticated: LOGIN and AUTHENTICATE."""

from __future__ import annotations

import base64

import pytest

from mailcore.login.accounts import Peer
from mailcore.login.channel import Verdict
from tests.imapd.conversation import right, stranger

WRONG = Verdict(False, code="AUTHENTICATIONFAILED", text="Wrong")
FAR = Peer("socket", "192.0.2.1")


def test_passwords_in_clear_are_not_for_the_network():
    client = stranger(peer=FAR)
    assert b"LOGINDISABLED]" in client.greeting and b"AUTH=" not in client.greeting
    assert client.say(b"a LOGIN fred x\r\n").startswith(b"a NO [PRIVACYREQUIRED]")
    assert client.say(b"b AUTHENTICATE PLAIN\r\n").startswith(b"b NO [PRIVACYREQUIRED]")
    voids = [(question.kind, question.fields) for question in client.questions]
    assert voids == [("void", (b"fred", b"disabled")), ("void", (b"", b"disabled"))]  # only a word for the log


@pytest.mark.parametrize("chunk", [0, 1, 2, 7])
@pytest.mark.parametrize(
    "words",
    [
        b"a1 LOGIN fred secret\r\n",
        b"a1 login fred secret\n",
        b'a1 LOGIN "fred" "secret"\r\n',
        b"a1 LOGIN {4}\r\nfred {6}\r\nsecret\r\n",
        b"a1 LOGIN {4+}\r\nfred {6+}\r\nsecret\r\n",
        b"a1 AUTHENTICATE PLAIN\r\n" + base64.b64encode(b"\0fred\0secret") + b"\r\n",
        b"a1 AUTHENTICATE PLAIN " + base64.b64encode(b"fred\0fred\0secret") + b"\r\n",
        b"a1 authenticate login\r\nZnJlZA==\r\nc2VjcmV0\r\n",
        b"a1 AUTHENTICATE LOGIN ZnJlZA==\r\nc2VjcmV0\r\n",
    ],
)
def test_ways_to_log_in(words, chunk):
    client = stranger(right())
    said = client.say(words + b"a2 NOOP\r\n" * (not chunk), chunk)
    assert client.over
    assert [question.fields for question in client.questions] == [(b"fred", b"secret")]
    assert b"a1" not in said, "the OK comes from the process that became the user"
    assert (client.result.account.name, client.result.tag) == ("fred", b"a1")
    assert client.result.read_ahead == (b"a2 NOOP\r\n" if not chunk else b"")


def test_authenticate_speaks_base64():
    client = stranger(right())
    assert client.say(b"a AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
    assert client.say(b"*\r\n") == b"a BAD Authentication cancelled: AUTHENTICATE\r\n"
    client.say(b"b AUTHENTICATE PLAIN\r\n")
    assert client.say(b"!!!!\r\n") == b"b BAD Invalid base64: AUTHENTICATE\r\n"
    assert client.say(b"c AUTHENTICATE PLAIN =\r\n").startswith(b"c NO ")
    assert client.say(b"d AUTHENTICATE FOO\r\n").startswith(b"d NO [CANNOT]")
    assert client.say(b"e AUTHENTICATE LOGIN\r\n") == b"+ VXNlciBOYW1lAA==\r\n"


def test_wrong_passwords():
    limit = Verdict(False, code="LIMIT", text="Too many login failures")
    client = stranger(WRONG, WRONG, limit)
    assert client.say(b"a LOGIN fred x\r\n") == b"a NO [AUTHENTICATIONFAILED] Wrong\r\n"
    assert client.say(b"b LOGIN fred x\r\n") == b"b NO [AUTHENTICATIONFAILED] Wrong\r\n"
    assert client.say(b"c LOGIN fred x\r\n") == b"* BYE Too many login failures\r\n"
    assert client.over and client.result is None


def test_what_pam_says_is_told():
    client = stranger(Verdict(False, code="EXPIRED", text="Expired", alerts=["Call\r\n* OK us"]))
    assert client.say(b"a LOGIN fred x\r\n") == b"* OK [ALERT] Call??* OK us\r\na NO [EXPIRED] Expired\r\n"
