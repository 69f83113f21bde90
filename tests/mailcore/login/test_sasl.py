"""mailcore.login.sasl: the mechanisms as conversations."""

from __future__ import annotations

import pytest

from mailcore.login import sasl
from mailcore.login.accounts import Peer
from mailcore.login.channel import Question, Verdict
from mailcore.settings import Settings

LOCAL = Peer("socket", "127.0.0.1", local=True)
FAR = Peer("socket", "192.0.2.7")
PIPE = Peer("pipe", local=True, user="fred")


def play(name, *responses):
    """The challenges, the question asked, and the verdict."""
    mechanism = sasl.MECHANISMS[name][0](Settings(), LOCAL)
    challenges, asked, replies = [], None, list(responses)
    step = next(mechanism)
    try:
        while True:
            if isinstance(step, Question):
                asked = step
                step = mechanism.send(Verdict(True))
            else:
                challenges.append(step)
                step = mechanism.send(replies.pop(0))
    except StopIteration as end:
        return challenges, asked, end.value


@pytest.mark.parametrize(
    "response, fields",
    [
        (b"\0fred\0secret", (b"fred", b"secret")),
        (b"fred\0fred\0secret", (b"fred", b"secret")),
        (b"\0fred\0", (b"fred", b"")),
        (b"bob\0admin\0secret", (b"bob*admin", b"secret")),
    ],
)
def test_plain(response, fields):
    challenges, asked, verdict = play("PLAIN", response)
    assert challenges == [b""]
    assert (asked.kind, asked.fields) == ("password", fields)
    assert verdict.right


@pytest.mark.parametrize("response", [b"", b"fred", b"fred\0secret", b"\0\0secret", b"a\0b\0c\0d", b"\0" * 9])
def test_malformed_plain_asks_nobody(response):
    _, asked, verdict = play("PLAIN", response)
    assert asked is None
    assert not verdict.right


def test_login_prompts_as_uw():
    challenges, asked, _ = play("LOGIN", b"fred", b"secret")
    assert challenges == [b"User Name\0", b"Password\0"]
    assert asked.fields == (b"fred", b"secret")


@pytest.mark.parametrize("response, acting", [(b"", b""), (b"=", b""), (b"fred", b"fred")])
def test_external(response, acting):
    challenges, asked, _ = play("EXTERNAL", response)
    assert challenges == [b""]
    assert (asked.kind, asked.fields) == ("external", (acting,))


@pytest.mark.parametrize(
    "peer, purpose, values, names",
    [
        (LOCAL, "imap", {}, ["PLAIN", "LOGIN"]),
        (FAR, "imap", {}, []),
        (FAR, "pop3", {"disable_plaintext_auth": False}, ["PLAIN", "LOGIN"]),
        (Peer("socket", "192.0.2.7", secure=True), "imap", {}, ["PLAIN", "LOGIN"]),
        (PIPE, "pop3", {}, ["EXTERNAL", "PLAIN", "LOGIN"]),
        (PIPE, "imap", {}, ["PLAIN", "LOGIN"]),
        (PIPE, "pop3", {"passwd_file": "/x"}, ["PLAIN", "LOGIN"]),
    ],
)
def test_what_is_offered(peer, purpose, values, names):
    assert sasl.offered(Settings(**values), peer, purpose) == names


def test_everything_offered_exists():
    assert set(sasl.offered(Settings(), PIPE, "pop3")) <= set(sasl.MECHANISMS)
