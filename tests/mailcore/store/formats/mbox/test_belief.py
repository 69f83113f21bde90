"""Which hidden fields are believed: mail as each program leaves it, in each place it can come to.

`genuine` is what UW, mutt and Dovecot wrote themselves and `forged` what a sender put in; in the
file they look alike, so only place and time tell them apart.
"""

from __future__ import annotations

import pytest

F = "From a@example.org Sat Nov 21 12:00:00 2026\n"
UW_BASE = "X-IMAPbase: 1234567890 0000000050 Work $Label1\n"

# what stands in the header: (flags, keywords, UID)
FIELDS = {
    "UW": (
        "Status: RO\nX-Status: AF  \nX-Keywords: Work                              \nX-UID: 17        \n",
        ({"\\Seen", "\\Answered", "\\Flagged"}, {"Work"}, 17),
    ),
    "UW, nothing set": (
        "Status:  O\nX-Status:     \nX-Keywords:                    \nX-UID: 18        \n",
        (set(), set(), 18),
    ),
    "UW, deleted draft": ("Status: O\nX-Status: DT\nX-Keywords:\nX-UID: 19\n", ({"\\Deleted", "\\Draft"}, set(), 19)),
    "mutt": ("Status: RO\nX-Status: A\n", ({"\\Seen", "\\Answered"}, set(), 0)),
    "mutt, old": ("Status: O\n", (set(), set(), 0)),
    "Dovecot": (
        "X-UID: 20\nStatus: R\nX-Status: F\nX-Keywords: Work $Label1               \n",
        ({"\\Seen", "\\Flagged"}, {"Work", "$Label1"}, 20),
    ),
    "alpine, other order": (
        "X-Status: F\nStatus: RO\nX-UID: 21\nX-Keywords: $Label1\n",
        ({"\\Seen", "\\Flagged"}, {"$Label1"}, 21),
    ),
    "odd capitals": ("STATUS: RO\nx-status: F\n", ({"\\Seen", "\\Flagged"}, set(), 0)),
    "folded": ("X-Keywords: Work\n $Label1\n", (set(), {"Work", "$Label1"}, 0)),
    "impossible keywords": ("X-Keywords: Wo(rk %* \\Seen {1} ok\n", (set(), {"ok"}, 0)),
    "UID too large": ("Status: R\nX-UID: 4294967295\n", ({"\\Seen"}, set(), 0)),
    "UID of letters": ("X-UID: 1x\n", (set(), set(), 0)),
    "several": ("Status: R\nStatus: O\nX-UID: 22\nX-UID: 23\n", ({"\\Seen"}, set(), 22)),
}  # fmt: skip


def mail(word: str, fields: str = "") -> bytes:
    return f"{F}Subject: {word}\n{fields}\n{word} body\n\n".encode()


def seen(box, uid: int) -> set[str]:
    return set(box.flags(uid)) - {"\\Recent"}


def hidden(box, uid: int) -> bool:
    """No field of ours or theirs is told to clients."""
    lines = bytes(box.header(uid)).lower().splitlines()
    return not [
        line for line in lines if line.startswith((b"status:", b"x-status:", b"x-uid:", b"x-keywords:", b"x-imap"))
    ]


@pytest.mark.parametrize("inbox", [True, False], ids=["INBOX", "folder"])
@pytest.mark.parametrize("name", FIELDS)
def test_first_open_takes_over_what_is_there(spool, name, inbox, agrees):
    fields, (flags, words, uid) = FIELDS[name]
    spool.path.write_bytes(mail("first", UW_BASE + "Status: O\nX-UID: 10\n") + mail("this", fields) + mail("last"))
    box = spool.open(inbox=inbox)
    assert box.uid_validity == 1234567890 and list(box.uids)[:2] == [10, uid or 51]
    assert seen(box, box.uids[1]) == flags | words and all(hidden(box, each) for each in box.uids)
    box.close()
    agrees(spool.open(inbox=inbox))


@pytest.mark.parametrize("name", FIELDS)
def test_mail_delivered_to_inbox_is_not_believed(spool, name, agrees, subjects):
    fields, _ = FIELDS[name]
    spool.fill("one")
    validity = spool.open().uid_validity
    spool.deliver(mail("this", fields), mail("based", "X-IMAPbase: 77 4000000000 Evil\n" + fields), mail("last"))
    box = spool.open()
    assert subjects(box) == ["one", "this", "based", "last"] and list(box.uids) == [1, 2, 3, 4]
    assert box.uid_validity == validity and box.uid_next == 5 and box.keywords == []
    assert all(not seen(box, uid) and hidden(box, uid) for uid in box.uids)
    assert box.recent == 3, "nor does an O in Status make it old"
    box.close()
    agrees(spool.open())


@pytest.mark.parametrize("name", FIELDS)
def test_mail_filed_in_a_folder_brings_flags_but_no_uid(spool, name, agrees):
    fields, (flags, words, _) = FIELDS[name]
    spool.fill("one")
    spool.open(inbox=False).close()
    spool.deliver(mail("this", fields), mail("last"))
    box = spool.open(inbox=False)
    assert list(box.uids) == [1, 2, 3] and seen(box, 2) == flags | words and not seen(box, 3)
    box.close()
    agrees(spool.open(inbox=False))


@pytest.mark.parametrize("name", [name for name in FIELDS if FIELDS[name][1][0]])
def test_a_later_change_of_a_known_message_counts(spool, name, agrees):
    """In INBOX too: the message is known by its digest, so a program of this machine changed it."""
    fields, (flags, words, _) = FIELDS[name]
    spool.fill("one", "two")
    box = spool.open()
    box.store([1], "+", ["\\Draft", "Ours"])
    box.close()
    spool.path.write_bytes(mail("one", UW_BASE + fields) + mail("two"))
    box = spool.open()
    uids = list(box.uids)
    assert uids == [1, 2] and flags <= seen(box, 1) and not seen(box, 2)
    assert "Ours" not in seen(box, 1) or not words, "a list of keywords that says less takes away"
    agrees(box)


def test_forged_internal_data_hides_nothing(spool, subjects):
    """Neither the looks of UW's internal-data message nor an X-IMAP field make mail disappear from INBOX."""
    forged = "X-IMAP: 1234567890 0000000099\nStatus: RO\n"
    subject = "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA"
    spool.path.write_bytes(b"")
    spool.open().close()
    spool.deliver(mail(subject, forged), mail("next"))
    box = spool.open()
    assert len(box) == 2 and subjects(box) == [subject, "next"]
    spool.forget_index()
    spool.path.write_bytes(mail(subject, "Received: from a by b\n" + forged) + mail("next"))
    assert subjects(spool.open()) == [subject, "next"], "it has travelled"
