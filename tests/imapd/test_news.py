"""News: what a mailbox found out, worded for the client and in the right order."""

from __future__ import annotations

import pytest

from imapd import news
from imapd.responses import encode
from mailcore.store.mailbox import News
from tests.imapd.conversation import at_home
from tests.imapd.fakebox import FakeBox, FakeSession

TEXT = b"Subject: x\n\nbody\n"


def lines(session: FakeSession, expunges: bool = True) -> list[bytes]:
    said = b"".join(piece for value in news.tell(session, expunges) for piece in encode(value))  # type: ignore[arg-type]
    return said.split(b"\r\n")[:-1]


def test_nothing_happened() -> None:
    assert lines(FakeSession(FakeBox(TEXT))) == []


def test_no_mailbox() -> None:
    session = FakeSession(FakeBox())
    session.box = None
    assert lines(session) == []


def test_all_at_once_in_order() -> None:
    box = FakeBox(TEXT, TEXT, TEXT)
    session = FakeSession(box)
    box.vanish(1, 2)
    box.flag_elsewhere(3, "\\Seen", "Junk")
    box.keywords.append("Junk")
    box.deliver(TEXT, "\\Recent")
    assert lines(session) == [
        b"* FLAGS (Junk \\Answered \\Flagged \\Deleted \\Draft \\Seen)",
        b"* OK [PERMANENTFLAGS (Junk \\* \\Answered \\Flagged \\Deleted \\Draft \\Seen)] Permanent flags",
        b"* 2 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 2 EXISTS",
        b"* 1 RECENT",
        b"* 1 FETCH (FLAGS (\\Seen Junk))",
    ]
    assert lines(session) == []


def test_expunges_are_held_back() -> None:
    box = FakeBox(TEXT, TEXT)
    session = FakeSession(box)
    box.vanish(1)
    box.deliver(TEXT)
    assert lines(session, expunges=False) == [b"* 3 EXISTS", b"* 0 RECENT"]
    assert lines(session) == [b"* 1 EXPUNGE"]


def test_uid_commands_hear_uids() -> None:
    box = FakeBox(TEXT)
    session = FakeSession(box)
    session.request.name = "UID STORE"
    box.flag_elsewhere(1, "\\Flagged")
    assert lines(session) == [b"* 1 FETCH (UID 1 FLAGS (\\Flagged))"]


def test_flags_of_a_message_that_is_gone_are_not_told() -> None:
    box = FakeBox(TEXT, TEXT)
    told = News()
    told.changed = [1, 2]
    box.vanish(1)
    said = b"".join(piece for value in news.told(FakeSession(box), told) for piece in encode(value))
    assert said == b"* 2 FETCH (FLAGS ())\r\n"


def test_read_only_has_no_permanent_flags() -> None:
    box = FakeBox(readonly=True)
    said = b"".join(piece for value in news.flags(box) for piece in encode(value))
    assert said.endswith(b"* OK [PERMANENTFLAGS ()] Permanent flags\r\n")


def test_a_keyword_cannot_break_out() -> None:
    box = FakeBox()
    box.keywords.append("a]b\r\nc")  # from a mailbox file that somebody wrote by hand
    said = b"".join(piece for value in news.flags(box) for piece in encode(value))
    assert said.count(b"\r\n") == 2
    assert said.count(b"]") == 1


MAIL = b"From x@y Sat Nov  7 10:00:00 2026\nSubject: x\n\nbody\n\n"


@pytest.mark.parametrize("delay", [False, True])
def test_delay_newmail(delay, ground):
    """Outlook Express: new mail is told by NOOP, CHECK and IDLE, and by nothing else."""
    ground.place("INBOX", MAIL)
    client = at_home(ground, delay_newmail=delay)
    client.say(b"s SELECT INBOX\r\n")
    count = 1

    def said(line: bytes) -> bool:
        nonlocal count
        count += 1
        with ground.inbox.open("ab") as file:
            file.write(MAIL)
        return b"* %d EXISTS" % count in client.say(line)

    for line in (b"FETCH 1 UID", b"STORE 1 +FLAGS (\\Seen)", b"SEARCH ALL", b"FETCH 1 BODY[]", b"UID STORE 1 FLAGS x"):
        assert said(b"x %b\r\n" % line) != delay, line
    for line in (b"NOOP", b"CHECK", b"IDLE"):
        assert said(b"x %b\r\n" % line), line
