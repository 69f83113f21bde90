"""Two sessions on one mbox: what each hears of the other, and when (RFC 3501 §5.2, §7.4.1, RFC 2180)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imapd.speaker import Speaker
from tests.playground import MAILBOXES, Ground

MAIL = b"From late@example.net Sat Nov 14 08:00:00 2026 +0000\nSubject: late\n\nlate\n\n"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = Ground(tmp_path)
    ground.place("INBOX", (MAILBOXES / "flags.mbox").read_bytes())
    return ground


@pytest.fixture
def two(ground: Ground) -> Iterator[tuple[Speaker, Speaker]]:
    """Both have selected INBOX: five messages, UIDs 1 3 5 7 9."""
    pair = Speaker(ground), Speaker(ground)
    for speaker in pair:
        assert speaker.say(b"SELECT INBOX")[-1] == b"t OK [READ-WRITE] SELECT completed"
    yield pair
    for speaker in pair:
        speaker.talk.close()


def gone(two: tuple[Speaker, Speaker], numbers: bytes) -> Speaker:
    """The first one expunges these; the second one has not heard of it."""
    two[0].say(b"STORE 3 -FLAGS (\\Deleted)")
    two[1].say(b"NOOP")
    two[0].say(b"STORE %b +FLAGS.SILENT (\\Deleted)" % numbers)
    assert two[0].say(b"EXPUNGE")[-1].startswith(b"t OK Expunged")
    return two[1]


def test_flags_are_told(two: tuple[Speaker, Speaker]) -> None:
    two[0].say(b"STORE 2 +FLAGS (\\Seen $New)")
    assert two[1].say(b"NOOP") == [
        b"* FLAGS (Junk $Forwarded $New \\Answered \\Flagged \\Deleted \\Draft \\Seen)",
        b"* OK [PERMANENTFLAGS (Junk $Forwarded $New \\* \\Answered \\Flagged \\Deleted \\Draft \\Seen)]"
        b" Permanent flags",
        b"* 2 FETCH (FLAGS (\\Seen Junk $New))",
        b"t OK NOOP completed",
    ]
    assert two[1].say(b"NOOP") == [b"t OK NOOP completed"]
    assert two[0].say(b"NOOP") == [b"t OK NOOP completed"]  # it knows


def test_one_session_does_not_overwrite_the_other(two: tuple[Speaker, Speaker]) -> None:
    two[0].say(b"STORE 2 +FLAGS (\\Seen)")
    assert two[1].say(b"STORE 2 +FLAGS (\\Flagged)")[0] == b"* 2 FETCH (FLAGS (\\Seen \\Flagged Junk))"
    assert two[0].say(b"NOOP")[0] == b"* 2 FETCH (FLAGS (\\Seen \\Flagged Junk))"


LATE = (
    b"NOOP", b"FETCH 1:* FLAGS", b"FETCH 1:* (UID RFC822.SIZE INTERNALDATE)", b"UID FETCH 1:* (MODSEQ)",
    b"FETCH 1:* ENVELOPE", b"FETCH 1:* BODY.PEEK[]", b"STORE 1 +FLAGS (\\Draft)",
    b"SEARCH UNSEEN", b"UID SEARCH MODSEQ 1", b"SORT (DATE) UTF-8 ALL", b"EXPUNGE", b"CLOSE",
)  # fmt: skip


@pytest.mark.parametrize("line", LATE)
@pytest.mark.parametrize("change", [b"STORE 2:3 +FLAGS ($New \\Seen)", b"EXPUNGE", b"STORE 1 -FLAGS ($Forwarded)"])
def test_who_has_looked_at_nothing_hears_of_all(ground: Ground, line: bytes, change: bytes) -> None:
    """Columns are read late; what others change before that is news all the same."""
    Speaker(ground).say(b"SELECT INBOX")
    changer, early, late = Speaker(ground), Speaker(ground), Speaker(ground)
    for one in (changer, early, late):
        one.say(b"SELECT INBOX (CONDSTORE)")
    early.say(b"FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE MODSEQ)")
    changer.say(b"STORE 4 +FLAGS (\\Deleted)")
    changer.say(change)
    said = [one.say(line) + one.say(b"NOOP") for one in (late, early)]
    news = rb"\* \d+ " + (b"EXPUNGE" if change == b"EXPUNGE" else b"FETCH.*FLAGS")
    told = [{found[:4] for found in re.findall(news, b"\n".join(one))} for one in said]
    assert told[1] <= told[0] or line == b"CLOSE"
    assert late.say(b"FETCH 1:* (UID FLAGS)") == early.say(b"FETCH 1:* (UID FLAGS)")


@pytest.mark.parametrize("line", [b"FETCH 2:3 BODY.PEEK[TEXT]", b"STORE 2:3 +FLAGS (\\Seen)", b"FETCH 2:3 BODY[TEXT]"])
def test_no_expunge_is_told_while_numbers_are_meant(two: tuple[Speaker, Speaker], line: bytes) -> None:
    second = gone(two, b"2")
    said = second.say(line)
    assert said[0].startswith(b"* 3 FETCH (")
    assert said[-1] == b"t NO [EXPUNGEISSUED] Some of the messages no longer exist"
    assert b"EXPUNGE" not in b"".join(said[:-1])
    assert second.say(b"NOOP") == [b"* 2 EXPUNGE", b"t OK NOOP completed"]
    assert second.say(b"FETCH 2 UID") == [b"* 2 FETCH (UID 5)", b"t OK FETCH completed"]


def test_search_passes_over_what_is_gone(two: tuple[Speaker, Speaker]) -> None:
    second = gone(two, b"2")
    assert second.say(b"SEARCH TEXT example.net") == [b"* SEARCH 1 3 4 5", b"t OK SEARCH completed"]


@pytest.mark.parametrize("verb", [b"COPY", b"MOVE"])
def test_nothing_is_copied_if_one_is_gone(two: tuple[Speaker, Speaker], verb: bytes) -> None:
    second = gone(two, b"2")
    second.say(b"CREATE other")
    assert second.say(b"NOOP")[-1] == b"t OK NOOP completed"
    second = gone(two, b"2:3")
    assert second.say(verb + b" 1:3 other")[-1].startswith(b"t NO [EXPUNGEISSUED] ")
    assert second.say(b"STATUS other (MESSAGES)")[0] == b"* STATUS other (MESSAGES 0)"


def test_uid_commands_hear_of_expunges_at_once(two: tuple[Speaker, Speaker]) -> None:
    second = gone(two, b"1,3")
    said = second.say(b"UID FETCH 3,7 FLAGS")
    assert said[:2] == [b"* 2 FETCH (UID 3 FLAGS (Junk))", b"* 4 FETCH (UID 7 FLAGS (\\Draft))"]
    assert sorted(said[2:4]) in ([b"* 1 EXPUNGE", b"* 2 EXPUNGE"], [b"* 1 EXPUNGE", b"* 3 EXPUNGE"])  # either order
    assert said[-1] == b"t OK UID FETCH completed"


def test_new_mail_is_told_in_every_command(two: tuple[Speaker, Speaker], ground: Ground) -> None:
    with ground.inbox.open("ab") as file:
        file.write(MAIL)
    assert two[0].say(b"FETCH 1 UID")[:2] == [b"* 1 FETCH (UID 1)", b"* 6 EXISTS"]
    assert two[1].say(b"NOOP")[0] == b"* 6 EXISTS"
    assert two[0].say(b"FETCH 6 (UID BODY.PEEK[TEXT])")[:2] == [b"* 6 FETCH (UID 10 BODY[TEXT] {6}", b"late"]


def test_copy_and_move_into_the_selected_mailbox(two: tuple[Speaker, Speaker]) -> None:
    assert two[0].say(b"COPY 1 INBOX")[-1] == b"t OK [COPYUID 1700000000 1 10] COPY completed"
    said = two[0].say(b"MOVE 1 INBOX")
    assert said[0] == b"* OK [COPYUID 1700000000 1 11] Moved"
    assert b"* 1 EXPUNGE" in said
    assert said[-1] == b"t OK MOVE completed"
    assert two[1].say(b"UID FETCH 10:* UID")[-1] == b"t OK UID FETCH completed"
    assert two[1].say(b"UID SEARCH ALL")[0] == b"* SEARCH 3 5 7 9 10 11"


def test_another_spelling_of_the_selected_mailbox(two: tuple[Speaker, Speaker], ground: Ground) -> None:
    speaker = two[0]
    ground.place("x", (MAILBOXES / "three.mbox").read_bytes())
    speaker.say(b"SELECT x")
    assert speaker.say(b"COPY 1 mail/x")[:2] == [b"* 4 EXISTS", b"* 4 RECENT"], "not opened a second time"
    assert b"* 4 EXPUNGE" not in speaker.say(b"MOVE 1 ~/mail/x")
    speaker.say(b"EXAMINE x")
    answer = speaker.say(b"COPY 1 mail/x")
    assert answer[-1].startswith(b"t OK [COPYUID") and b"* 5 EXISTS" in answer, "EXAMINE forbids no COPY into it"


@pytest.mark.parametrize("verb", [b"COPY", b"MOVE", b"UID COPY", b"UID MOVE"])
def test_what_was_copied_or_moved_is_recent_there(two: tuple[Speaker, Speaker], verb: bytes) -> None:
    """RFC 3501 section 6.4.7 says so of COPY, and RFC 6851 section 3.3 that MOVE is a COPY and more."""
    one, other = two
    one.say(b"CREATE target")
    assert b" OK" in one.say(verb + b" 3 target")[-1]
    answer = other.say(b"STATUS target (MESSAGES RECENT)")
    assert answer[0] == b"* STATUS target (MESSAGES 1 RECENT 1)"
    assert b"* 1 RECENT" in other.say(b"SELECT target")
    before = b"* 0 RECENT" in one.say(b"SELECT INBOX")
    again = verb + (b" 5 INBOX" if verb.startswith(b"UID") else b" 2 INBOX")
    assert before and b"* 1 RECENT" in one.say(again), "and where it is selected"


def test_close_removes_nothing_twice(two: tuple[Speaker, Speaker]) -> None:
    second = gone(two, b"2,4")
    assert second.say(b"CLOSE") == [b"t OK CLOSE completed"]
    assert two[0].say(b"UID SEARCH ALL")[0] == b"* SEARCH 1 5 9"


def test_a_mailbox_that_is_no_more(two: tuple[Speaker, Speaker], ground: Ground) -> None:
    ground.inbox.unlink()
    said = two[0].say(b"FETCH 1 BODY.PEEK[]")
    assert said[-1].startswith(b"t NO ")
    assert two[0].say(b"NOOP")[-1] == b"t OK NOOP completed"


def _messages(data: bytes) -> list[bytes]:
    return [b"From " + part.rstrip(b"\n") + b"\n" for part in (b"\n" + data).split(b"\nFrom ")[1:]]


FOREIGN = {
    "the end is cut off": lambda messages: b"\n".join(messages[:2]),
    "cut in the middle of a message": lambda messages: b"\n".join(messages)[:700],
    "the first is gone": lambda messages: b"\n".join(messages[1:]),
    "turned round": lambda messages: b"\n".join(messages[::-1]),
    "emptied": lambda messages: b"",
    "no mailbox any more": lambda messages: b"something else\n" * 100,
}


@pytest.mark.parametrize("replaced", [False, True], ids=["rewritten", "replaced"])
@pytest.mark.parametrize("how", FOREIGN)
def test_another_program_changes_the_file_under_an_open_session(
    two: tuple[Speaker, Speaker], ground: Ground, how: str, replaced: bool
) -> None:
    """Each answer is well formed and right, or NO; nobody hears BYE or another message's bytes."""
    speaker = two[0]
    uids = [1, 3, 5, 7, 9]
    bodies = {uid: b"".join(speaker.say(b"UID FETCH %d BODY.PEEK[TEXT]" % uid)[1:-2]) for uid in uids}
    before = ground.inbox.read_bytes()
    changed = FOREIGN[how](_messages(before))
    if replaced:
        (ground.spool / "new").write_bytes(changed)
        os.rename(ground.spool / "new", ground.inbox)
    else:
        ground.inbox.write_bytes(changed)
    for line in (b"FETCH 1:5 (UID FLAGS BODY.PEEK[TEXT])", b"STORE 2 +FLAGS (\\Seen)", b"SEARCH BODY e", b"NOOP"):
        answer = speaker.say(line)
        assert answer[-1].startswith((b"t OK", b"t NO")) and not any(said.startswith(b"* BYE") for said in answer)
    for uid in uids:
        answer = speaker.say(b"UID FETCH %d BODY.PEEK[TEXT]" % uid)
        if len(answer) > 2 and how != "cut in the middle of a message":
            assert b"".join(answer[1:-2]) == bodies[uid]
    if how == "no mailbox any more":
        assert speaker.say(b"STORE 1 +FLAGS (\\Seen)")[-1].startswith(b"t NO")
        assert ground.inbox.read_bytes() == changed
    ground.inbox.write_bytes(before)
    speaker.say(b"NOOP")
    there = [int(uid) for uid in speaker.say(b"UID SEARCH ALL")[0].split()[2:]]
    assert len(there) == 5 and max(there) < 20, "what was told to be gone comes back as new mail"
    if how in ("turned round", "no mailbox any more"):
        assert there == uids
    for uid in there:
        body = b"".join(speaker.say(b"UID FETCH %d BODY.PEEK[TEXT]" % uid)[1:-2])
        assert body == bodies[uid] if uid in bodies else body in bodies.values()
