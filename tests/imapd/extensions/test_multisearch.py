"""MULTISEARCH: limits, and that what is opened is closed; the rest is in the transcript."""

from __future__ import annotations

from tests.imapd.conversation import Watched, user


def boxes(count: int) -> list[Watched]:
    return [Watched(b"Subject: x\n\nbody\n", name=f"box{number}") for number in range(count)]


def test_too_many_mailboxes_are_refused():
    client, _ = user(*boxes(3), search_mailboxes=2)
    said = client.say(b"a ESEARCH IN (mailboxes (box0 box1 box2)) ALL\r\n")
    assert said == b"a NO [LIMIT] Too many mailboxes\r\n"
    said = client.say(b"b ESEARCH IN (mailboxes (box0 box1 box1)) RETURN (COUNT) ALL\r\n")
    assert said.count(b"* ESEARCH") == 2


def test_mailboxes_are_closed_again():
    opened = boxes(2)
    client, _ = user(*opened)
    client.say(b"a ESEARCH IN (mailboxes (box0 box1)) TEXT body\r\n")
    assert [box.closed for box in opened] == [True, True]
