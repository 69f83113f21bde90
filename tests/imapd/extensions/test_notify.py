"""NOTIFY: what transcripts cannot show: whose mailbox it is, what fails meanwhile, and who delivers."""

from __future__ import annotations

import fcntl
import gc
import os
import select

import pytest

from imapd.session import SERVICE
from mailcore.errors import Hangup, InUse
from mailcore.login.accounts import Account, Peer
from mailcore.settings import load
from mailcore.store.namespace import Store
from mailcore.wire import Wait
from tests.playground import Ground

MAIL = b"From a@b Sat Nov 14 08:00:00 2026 +0000\nSubject: x\n\nx\n\n"


class Speaker:
    """A session without a driver: it waits where a client has nothing to say."""

    def __init__(self, ground, **more):
        options = ground.options() | more
        settings = load([f"{name}={value}" for name, value in options.items()], "/nonexistent")
        account = Account("fred", os.getuid(), os.getgid(), str(ground.home))
        self.talk = SERVICE.session(settings, Peer("pipe", local=True), account, None)
        self.wait = Wait(0)
        self._hear(None)

    def _hear(self, data):
        said = b""
        while True:
            step = self.talk.send(data)
            if isinstance(step, Wait):
                self.wait = step
                return said
            said, data = said + (step if isinstance(step, bytes) else b""), None

    def say(self, line):
        return self._hear(b"t " + line + b"\r\n").decode().split("\r\n")[:-1]

    def hear(self, seconds=5):
        """What it says by itself, as soon as its descriptor wakes it."""
        while select.select([self.wait.fd], [], [], seconds)[0]:
            if said := self._hear(None):
                return said.decode().split("\r\n")[:-1]
        return []

    def time_passes(self):
        return self._hear(None).decode().split("\r\n")[:-1]


@pytest.fixture
def ground(tmp_path):
    ground = Ground(tmp_path)
    for name in ("INBOX", "one", "two"):
        ground.place(name, MAIL)
    return ground


@pytest.fixture
def client(ground):
    speaker = Speaker(ground)
    yield speaker
    speaker.talk.close()


def deliver(ground, name):
    with ground.file(name).open("ab") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        file.write(MAIL)


def told(lines):
    return [line.split(" UIDNEXT")[0] for line in lines]


MESSAGES = b"(MessageNew MessageExpunge)"


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        (b"(inboxes M)", "INBOX"),
        (b"(personal M)", "INBOX one two deep/er"),
        (b"(subscribed M)", "two"),
        (b"(subtree deep M)", "deep/er"),
        (b"(subtree (DEEP one) M)", "one"),
        (b"(mailboxes (inbox mail/two nowhere) M)", "INBOX two"),
        (b"(mailboxes deep M)", ""),
        (b"(mailboxes one NONE) (subtree two NONE) (personal M)", "INBOX deep/er"),
        (b"(selected M) (mailboxes one M)", "one"),
    ],
)
def test_whose_mail_is_told(ground, groups, wanted):
    """RFC 5465 §6; the first group that a mailbox fits counts (§3.1)."""
    ground.place("deep/er", MAIL)
    with Store("fred", str(ground.home), load([f"mail_location={ground.location()}"], "/nonexistent")) as store:
        store.subscribe("two")
    client = Speaker(ground)
    assert client.say(b"NOTIFY SET " + groups.replace(b"M)", MESSAGES + b")")) == ["t OK NOTIFY completed"]
    for name in ("INBOX", "one", "two", "deep/er"):
        deliver(ground, name)
    lines = [line for line in client.say(b"NOOP") if line.startswith("* ")]
    assert sorted(told(lines)) == sorted(f"* STATUS {name} (MESSAGES 2" for name in wanted.split())
    client.talk.close()


def test_mail_between_commands(ground, client):
    client.say(b"NOTIFY SET (inboxes " + MESSAGES + b")")
    deliver(ground, "INBOX")
    assert told(client.hear()) == ["* STATUS INBOX (MESSAGES 2"]
    assert client.hear(0.1) == []
    assert client.say(b"NOOP") == ["t OK NOOP completed"]


def test_half_a_command(ground, client):
    """News do not wait for its end, and do not end it."""
    client.say(b"NOTIFY SET (inboxes " + MESSAGES + b")")
    assert client._hear(b"a NO") == b""
    deliver(ground, "INBOX")
    assert told(client.hear()) == ["* STATUS INBOX (MESSAGES 2"]
    assert client._hear(b"OP\r\n") == b"a OK NOOP completed\r\n"


def test_a_change_of_nothing_is_not_told(ground, client):
    """Another session reads, and files what it must keep; only who wants flags hears of flags."""
    flags = b"(mailboxes two (MessageNew MessageExpunge FlagChange))"
    client.say(b"NOTIFY SET STATUS (mailboxes one " + MESSAGES + b") " + flags)
    other = Speaker(ground)
    for name in (b"one", b"two"):
        other.say(b"SELECT " + name)
        other.say(b"STORE 1 +FLAGS (\\Seen)")
    other.talk.close()
    lines = client.say(b"NOOP")
    assert told(lines[:-1]) == ["* STATUS two (MESSAGES 1"] and "UNSEEN 0" in lines[0]


def test_the_mailbox_that_was_selected(ground, client):
    """While it is selected it is told as such; what comes when it is not any more, by STATUS."""
    client.say(b"NOTIFY SET (selected " + MESSAGES + b") (personal " + MESSAGES + b")")
    client.say(b"SELECT one")
    deliver(ground, "one")
    assert client.hear()[0] == "* 2 EXISTS"
    assert client.say(b"UNSELECT") == ["t OK UNSELECT completed"]
    assert client.hear(0.2) == []
    deliver(ground, "one")
    assert told(client.hear()) == ["* STATUS one (MESSAGES 3"]


def test_a_mailbox_that_is_locked_is_looked_at_again(ground, client, monkeypatch):
    client.say(b"NOTIFY SET (mailboxes one " + MESSAGES + b")")
    right, tries = Store.open, []

    def locked(self, name, readonly=False):
        tries.append(name)
        if len(tries) < 3:
            raise InUse
        return right(self, name, readonly)

    monkeypatch.setattr(Store, "open", locked)
    deliver(ground, "one")
    lines = client.time_passes() or client.time_passes()
    assert client.wait.seconds <= 1 or lines
    while not lines:
        lines = client.time_passes()
    assert told(lines) == ["* STATUS one (MESSAGES 2"] and tries == ["one"] * 3
    assert client.wait.seconds > 1


def test_a_mailbox_that_cannot_be_read(ground, client):
    ground.place("broken", b"this is no mail")
    assert client.say(b"NOTIFY SET STATUS (mailboxes broken " + MESSAGES + b")") == ["t OK NOTIFY completed"]
    with ground.file("one").open("wb") as file:
        file.write(b"nor is this")
    client.say(b"NOTIFY SET (personal " + MESSAGES + b")")
    assert client.say(b"NOOP") == ["t OK NOOP completed"]


def test_flags_of_the_selected_mailbox_only_if_asked(ground, client):
    client.say(b"SELECT one")
    client.say(b"NOTIFY SET (selected " + MESSAGES + b")")
    other = Speaker(ground)
    other.say(b"SELECT one")
    other.say(b"STORE 1 +FLAGS (\\Seen)")
    assert client.hear(0.3) == []
    client.say(b"NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))")
    other.say(b"STORE 1 +FLAGS (\\Flagged)")
    assert client.hear()[-1].startswith("* 1 FETCH (FLAGS (")
    other.talk.close()


def test_new_mail_is_fetched_and_stays_unseen(ground, client):
    """MODSEQ, UID and sections as asked for; what FETCH would mark is not marked (§5.2)."""
    client.say(b"ENABLE QRESYNC")
    client.say(b"SELECT one")
    client.say(b"NOTIFY SET (selected (MessageNew (BODY[TEXT] MODSEQ) MessageExpunge))")
    deliver(ground, "one")
    lines = client.hear()
    assert lines[0] == "* 2 EXISTS" and lines[2].startswith("* 2 FETCH (UID 2 BODY[TEXT] {3}")
    assert client.say(b"FETCH 2 FLAGS")[0] == "* 2 FETCH (FLAGS (\\Recent))"


def test_delay_newmail_does_not_delay_it(ground):
    client = Speaker(ground, delay_newmail="true")
    client.say(b"SELECT one")
    client.say(b"NOTIFY SET (selected " + MESSAGES + b")")
    deliver(ground, "one")
    assert client.hear()[0] == "* 2 EXISTS"
    client.talk.close()


def test_a_search_that_is_kept_up_to_date(ground, client):
    """CONTEXT and NOTIFY together (RFC 5465 updates RFC 5267)."""
    client.say(b"SELECT one")
    client.say(b"NOTIFY SET (selected " + MESSAGES + b")")
    client.say(b"SEARCH RETURN (UPDATE) UNSEEN")
    deliver(ground, "one")
    assert [line for line in client.hear() if "ADDTO" in line] == ['* ESEARCH (TAG "t") ADDTO (0 2)']


def test_time_ends_it_as_ever(ground):
    client = Speaker(ground, imap_idle_seconds="0")
    with pytest.raises(StopIteration):
        client.say(b"NOTIFY NONE")
        client.time_passes()


def test_nothing_is_left_behind(ground):
    gc.collect()  # what other tests left
    before = len(os.listdir("/proc/self/fd"))
    for ending in (b"LOGOUT", b"NOTIFY NONE", None):
        client = Speaker(ground)
        client.say(b"NOTIFY SET (personal " + MESSAGES + b")")
        client.say(b"NOTIFY SET (personal (MailboxName))")
        try:
            if ending:
                client.say(ending)
            else:
                client.talk.throw(Hangup(reason="gone"))
        except StopIteration:
            pass
        client.talk.close()
    assert len(os.listdir("/proc/self/fd")) == before
