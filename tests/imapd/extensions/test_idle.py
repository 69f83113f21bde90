"""IDLE: news at once, and nothing left behind."""

from __future__ import annotations

import os

from mailcore.errors import Hangup
from tests.imapd.conversation import Watched, user


def test_idle(tmp_path):
    box = Watched(b"A: 1\n\n")
    box.path = tmp_path / "inbox"
    box.path.touch()
    client, _ = user(box, idle_keepalive_seconds=100)
    client.say(b"s SELECT INBOX\r\n")
    assert client.say(b"a IDLE x\r\n").startswith(b"a BAD")
    assert client.say(b"a IDLE\r\n") == b"+ Waiting for DONE\r\n"
    assert client.wait.fd >= 0
    box.deliver(b"A: 2\n\n")
    assert client.say(None) == b"* 2 EXISTS\r\n* 0 RECENT\r\n"
    box.vanish(1)
    assert client.say(None) == b"* 1 EXPUNGE\r\n"
    assert client.say(None) == b""
    assert client.say(b"do") == b""
    assert client.say(b"ne\r\nb NOOP\r\n") == b"a OK IDLE completed\r\nb OK NOOP completed\r\n"


def test_idle_ends():
    client, _ = user(idle_keepalive_seconds=0)
    client.say(b"a IDLE\r\n")
    assert client.say(None) == b"* OK Still here\r\n"
    assert client.say(b"NOOP\r\n") == b"a BAD DONE expected: IDLE\r\n"
    assert client.say(b"a IDLE\r\nDONE\r\n") == b"+ Waiting for DONE\r\na OK IDLE completed\r\n"
    client, session = user(imap_idle_seconds=0)
    client.say(b"a IDLE\r\n")
    assert client.say(None) == b"* BYE Autologout; idle for too long\r\n"
    client, session = user()
    client.say(b"a IDLE\r\n")
    assert client.say(b"") == b""
    assert session.ending == "Unexpected client disconnect"


def test_outlook_is_left_in_idle():
    """It never says DONE, and does not come back when the server goes; the keepalive finds out who has gone."""
    client, _ = user(imap_idle_seconds=0, idle_keepalive_seconds=0, outlook_idle=True)
    client.say(b"a IDLE\r\n")
    assert client.say(None) == b"* OK Still here\r\n" and client.say(None) == b"* OK Still here\r\n"
    assert client.say(b"DONE\r\n") == b"a OK IDLE completed\r\n"


def test_idle_leaves_no_descriptor(tmp_path):

    box = Watched(b"A: 1\n\n")
    box.path = tmp_path / "inbox"
    before = len(os.listdir("/proc/self/fd"))
    for ending in (b"DONE\r\n", b"x\r\n", None):
        client, _ = user(box)
        client.say(b"s SELECT INBOX\r\na IDLE\r\n")
        if ending:
            client.say(ending)
        else:
            client.fail(Hangup(reason="gone"))
    assert len(os.listdir("/proc/self/fd")) == before
