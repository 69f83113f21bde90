"""MESSAGELIMIT: going on where one answer ended finds everything."""

from __future__ import annotations

from tests.imapd.conversation import Watched, user


def test_going_on():
    box = Watched(*[b"A: %d\n\n" % number for number in range(7)])
    client, _ = user(box, message_limit=3)
    client.say(b"s SELECT INBOX\r\n")
    found, before = [], b"4294967295"
    while True:
        answer, tagged, _ = client.say(b"a UID SEARCH UIDBEFORE %b\r\n" % before).split(b"\r\n")
        found = [int(uid) for uid in answer.split()[2:]] + found
        if b"MESSAGELIMIT" not in tagged:
            break
        before = tagged.split(b"]")[0].split()[-1]
    assert found == list(range(1, 8))


def test_off():
    client, session = user()
    assert b"MESSAGELIMIT" not in client.say(b"a CAPABILITY\r\n")
    session.settings.message_limit = 1000
    assert b" MESSAGELIMIT=1000 " in client.say(b"a CAPABILITY\r\n")
