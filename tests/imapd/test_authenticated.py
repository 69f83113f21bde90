"""imapd.authenticated: what handlers ask of the store; more is in transcripts/imapd."""

from __future__ import annotations

from mailcore.errors import HasChildren
from tests.imapd.conversation import Watched, inbox, user


def test_select_tells_all():
    box = inbox(b"A: 1\n\n", b"A: 2\n\n")
    box.marks[1] = frozenset({"\\Seen"})
    box.keywords = ["$Junk"]
    client, _ = user(box)
    assert client.say(b"a SELECT inbox\r\n").split(b"\r\n")[:-1] == [
        b"* 2 EXISTS",
        b"* 0 RECENT",
        b"* OK [UIDVALIDITY 1234] UID validity status",
        b"* OK [UIDNEXT 3] Predicted next UID",
        b"* OK [HIGHESTMODSEQ 2] Highest mod-sequence",
        b"* OK [MAILBOXID (F1234)] Mailbox id",
        b"* FLAGS ($Junk \\Answered \\Flagged \\Deleted \\Draft \\Seen)",
        b"* OK [PERMANENTFLAGS ($Junk \\* \\Answered \\Flagged \\Deleted \\Draft \\Seen)] Permanent flags",
        b"* OK [UNSEEN 2] First unseen message",
        b"a OK [READ-WRITE] SELECT completed",
    ]


def test_a_mailbox_that_cannot_be_opened_leaves_nothing_selected():
    client, session = user(inbox())
    client.say(b"a SELECT INBOX\r\n")
    assert client.say(b"b EXAMINE nothing\r\n").startswith(b"b NO [NONEXISTENT]")
    assert session.box is None


def test_status_opens_read_only_and_closes():
    box = inbox(b"A: 1\n\n", b"A: 2\n\n")
    client, session = user(box)
    said = client.say(b"a STATUS INBOX (UIDVALIDITY MESSAGES MESSAGES unseen)\r\n")
    assert said == b"* STATUS INBOX (UIDVALIDITY 1234 MESSAGES 2 UNSEEN 2)\r\na OK STATUS completed\r\n"
    assert session.store.opened == [("INBOX", True)] and box.closed


def test_the_selected_mailbox_keeps_its_name():
    client, session = user(inbox(), Watched(name="work"))
    client.say(b"a SELECT work\r\n")
    assert client.say(b"b DELETE work\r\n") == b"b NO [INUSE] The selected mailbox cannot be deleted\r\n"
    assert client.say(b"b DELETE mail/work\r\n") == b"b NO [INUSE] The selected mailbox cannot be deleted\r\n"
    assert client.say(b"c RENAME work play\r\n") == b"c NO [INUSE] The selected mailbox cannot be renamed\r\n"
    assert set(session.store.boxes) == {"INBOX", "work"}


def test_a_refusal_of_the_store_has_its_code(monkeypatch):
    client, session = user(inbox())

    def refuse(name):
        raise HasChildren

    monkeypatch.setattr(session.store, "delete", refuse)
    assert client.say(b"a DELETE x\r\n") == b"a NO [HASCHILDREN] Mailbox has inferior names\r\n"


def test_names_are_written_so_that_they_can_be_read():
    client, _ = user(Watched(name="a b"), Watched(name='q"\\'), Watched(name="&AOk-"), Watched(name="nil"))
    assert client.say(b'a LIST "" *\r\n').split(b"\r\n")[:-2] == [
        b'* LIST (\\NoInferiors) "/" "a b"',
        b'* LIST (\\NoInferiors) "/" "q\\"\\\\"',
        b'* LIST (\\NoInferiors) "/" &AOk-',
        b'* LIST (\\NoInferiors) "/" "nil"',
    ]
