"""REPLACE: the old message goes only when the new one is safe."""

from __future__ import annotations

from mailcore.errors import OutOfSpace
from tests.imapd.conversation import Watched, inbox, user


def test_a_full_disk_takes_nothing_away():
    box = inbox()
    client, _ = user(box)
    client.say(b"a SELECT INBOX\r\n")
    box.failure = OutOfSpace()
    assert client.say(b"b REPLACE 1 INBOX {3+}\r\na:b\r\n") == b"b NO [OVERQUOTA] No space left for mail\r\n"
    assert list(box.messages) == [1]


def test_a_message_that_went_meanwhile_is_not_doubled():
    box, other = inbox(), Watched(name="other")
    client, _ = user(box, other)
    client.say(b"a SELECT INBOX\r\n")
    box.vanish(1)
    said = client.say(b"b REPLACE 1 other {3+}\r\na:b\r\n")
    assert said.endswith(b"b NO [EXPUNGEISSUED] Message has been expunged\r\n")
    assert not other.messages


def test_a_set_is_no_message():
    client, _ = user(inbox(b"a: b\n\n", b"a: c\n\n"))
    client.say(b"a SELECT INBOX\r\n")
    assert client.say(b"b REPLACE 1:2 INBOX {3+}\r\na:b\r\n").startswith(b"b BAD One message")
