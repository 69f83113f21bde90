"""CONTEXT: a client that follows the updates always has what a new search would find."""

from __future__ import annotations

import random

import pytest

from mailcore.store.mailbox import FLAGGED
from tests.imapd.fakebox import DAY, FakeBox, FakeSession

SUBJECTS = (b"a", b"b", b"c", b"Re: a")


def box(count: int = 6) -> FakeBox:
    made = FakeBox()
    for number in range(count):
        deliver(made, number)
    made.news()
    return made


def deliver(made: FakeBox, number: int) -> None:
    made.deliver(b"Subject: %b\n\n%d\n" % (SUBJECTS[number % 4], number), date=(DAY + number * 7919 % 100, 0))


class Follower:
    """A client that has one result and knows nothing but the answers."""

    def __init__(self, by_uid: bool, sorted_: bool) -> None:
        self.by_uid = by_uid
        self.sorted = sorted_
        self.result: list[int] = []

    def hear(self, answers: list[bytes]) -> None:
        for answer in answers:
            words = answer.replace(b"(", b" ").replace(b")", b" ").split()
            if answer.endswith(b" EXPUNGE") and not self.by_uid:
                number = int(words[1])
                assert number not in self.result, "it should have left the result before"
                self.result = [other - (other > number) for other in self.result]
            if answer.startswith(b"* ESEARCH") and len(words) > 4 + self.by_uid:
                self.hear_of_result(words[4 + self.by_uid :])

    def hear_of_result(self, words: list[bytes]) -> None:
        word, pairs = words[0], words[1:]
        if word == b"ALL":
            self.result = expanded(words[1])
            return
        for place, names in zip(map(int, pairs[::2]), pairs[1::2], strict=False):
            if word == b"ADDTO":
                at = place - 1 if self.sorted else 0
                self.result[at:at] = expanded(names)
            elif word == b"REMOVEFROM":
                for name in expanded(names):
                    assert not self.sorted or self.result[place - 1] == name
                    self.result.remove(name)
        if not self.sorted:
            self.result.sort()


def expanded(names: bytes) -> list[int]:
    pieces = [list(map(int, piece.split(b":"))) for piece in names.split(b",")]
    return [number for piece in pieces for number in range(piece[0], piece[-1] + 1)]


SEARCHES = [
    (b"SEARCH RETURN (UPDATE ALL) UNFLAGGED", False),
    (b"UID SEARCH RETURN (UPDATE ALL) OR FLAGGED SUBJECT a", False),
    (b"SORT RETURN (UPDATE ALL) (SUBJECT REVERSE ARRIVAL) UTF-8 UNFLAGGED", True),
    (b"UID SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 NOT SUBJECT b", True),
]


@pytest.mark.parametrize(("command", "sorted_"), SEARCHES)
@pytest.mark.parametrize("seed", range(5))
def test_who_follows_knows(command: bytes, sorted_: bool, seed: int):
    pick = random.Random(seed)
    session = FakeSession(box())
    client = Follower(command.startswith(b"UID"), sorted_)
    client.hear(session.say(command))
    assert isinstance(session.box, FakeBox)
    for step in range(30):
        uids = list(session.box.messages)
        happens = pick.randrange(4)
        if happens == 0:
            deliver(session.box, step)
        elif happens == 1 and uids:
            session.box.vanish(pick.choice(uids))
        elif happens == 2 and uids:
            session.box.flag_elsewhere(pick.choice(uids), *([FLAGGED] * pick.randrange(2)))
        elif session.box.uids:
            change = pick.choice([b"+", b"-"]) + b"FLAGS" + pick.choice([b"", b".SILENT"])
            client.hear(session.say(b"STORE %d %b (\\Flagged)" % (pick.randrange(len(session.box.uids)) + 1, change)))
        client.hear(session.say(b"CHECK"))
        again = Follower(client.by_uid, sorted_)
        again.hear(session.say(command.replace(b"UPDATE ", b"")))  # told after an EXPUNGE could be
        assert client.result == again.result


def test_only_what_changed_is_read_again():
    session = FakeSession(box())
    session.say(b"SEARCH RETURN (UPDATE COUNT) TEXT 3")
    assert isinstance(session.box, FakeBox)
    session.box.texts_read.clear()
    session.say(b"CHECK")
    assert session.box.texts_read == []
    session.say(b"STORE 4 +FLAGS.SILENT (\\Flagged)")
    assert session.box.texts_read == [4]


def test_contexts_are_limited():
    session = FakeSession(box(), contexts=1)
    session.say(b"SEARCH RETURN (UPDATE) ALL")
    session.request.tag = b"u"
    assert session.say(b"SEARCH RETURN (UPDATE COUNT) ALL") == [
        b'* ESEARCH (TAG "u") COUNT 6',
        b'* NO [NOUPDATE "u"] Too many contexts',
        b"t OK SEARCH completed",
    ]
    assert session.say(b'CANCELUPDATE "t"')[-1] == b"t OK CANCELUPDATE completed"
    assert session.say(b"SEARCH RETURN (UPDATE COUNT) ALL")[1:] == [b"t OK SEARCH completed"]
