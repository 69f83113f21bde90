"""imapd.extensions.statussize: sizes and deletions of a whole mailbox."""

from __future__ import annotations

from tests.imapd.conversation import inbox, user


def test_size_and_deleted() -> None:
    box = inbox(b"A: 1\n\n", b"A: 22\n\n")
    box.marks[2] = frozenset({"\\Deleted"})
    client, _ = user(box)
    size = box.octets(1) + box.octets(2)
    assert client.say(b"a STATUS INBOX (DELETED SIZE)\r\n").startswith(b"* STATUS INBOX (DELETED 1 SIZE %d)" % size)


def test_an_empty_mailbox() -> None:
    client, _ = user(box := inbox(b"A: 1\n\n"))
    box.vanish(1)
    del box.uids[:]
    assert client.say(b"a STATUS INBOX (SIZE DELETED)\r\n").startswith(b"* STATUS INBOX (SIZE 0 DELETED 0)")
