"""imapd.intake: commands cut from octets, and what is refused on the way."""

from __future__ import annotations

import pytest

from imapd import intake
from mailcore.errors import OutOfSpace
from tests.imapd.conversation import Watched, inbox, stranger, user


def test_a_literal_before_login_is_small():
    client = stranger(login_line_octets=100)
    assert client.say(b"a LOGIN {101}\r\n") == b"a NO [TOOBIG] Literal too large\r\n"
    assert client.say(b"b LOGIN {9999999999999}\r\n") == b"b NO [TOOBIG] Literal too large\r\n"
    assert client.say(b"c LOGIN {101+}\r\n" + b"x" * 101 + b" y\r\nd NOOP\r\n") == (
        b"c NO [TOOBIG] Literal too large\r\nd OK NOOP completed\r\n"
    )
    assert client.say(b"e LOGIN {99999999+}\r\n") == b"* BYE [TOOBIG] Literal too large\r\n"
    assert client.over


def test_nothing_is_uploaded_for_a_command_that_cannot_be():
    assert stranger().say(b"a FOO {5}\r\n").startswith(b"a BAD Unknown command")
    assert stranger().say(b"a APPEND INBOX {5}\r\n").startswith(b"a BAD Unknown command")
    assert stranger().say(b"+ NOOP {5}\r\n") == b"* BAD Bad tag\r\n"


def test_a_line_has_a_limit():
    client, _ = user(line_octets=1000)
    assert client.say(b"a NOOP" + b" " * 994 + b"\r\n") == b"a OK NOOP completed\r\n"
    assert client.say(b"b NOOP" + b" " * 995 + b"\r\n") == b"b BAD Line too long\r\n"
    said = client.say(b"c NOOP" + b" " * 9_995 + b"\r\nd NOOP\r\n", 100)
    assert said == b"c BAD Line too long\r\nd OK NOOP completed\r\n"


def test_the_literal_behind_a_line_too_long_is_no_command():
    """What stands in it may be the words of a stranger, sent by a client that trusts us to count."""
    client, _ = user(line_octets=1000)
    client.say(b"a CREATE " + b"x" * 5000 + b" {11+}\r\n", 500)
    assert client.say(b"b DELETE x\n\r\n") == b"a BAD Line too long\r\n"
    assert client.say(b"c NOOP\r\n") == b"c OK NOOP completed\r\n"


def test_literals_have_limits():
    client, _ = user(inbox(), literal_octets=100, literal_count=3, append_octets=1000)
    assert client.say(b"a SELECT {101}\r\n") == b"a NO [TOOBIG] Literal too large\r\n"
    assert client.say(b"b RENAME {60+}\r\n" + b"x" * 60 + b" {41}\r\n") == b"b NO [TOOBIG] Literal too large\r\n"
    assert client.say(b"c ID (" + b"{1+}\r\nx " * 3 + b"{1}\r\n") == b"c BAD Too many literals: ID\r\n"
    swallowed = b"d SELECT {500+}\r\n" + b"e NOOP\r\n" * 62 + b"1234 {3+}\r\nabc\r\n"
    assert client.say(swallowed) == b"d NO [TOOBIG] Literal too large\r\n"
    assert client.say(b"f NOOP\r\n") == b"f OK NOOP completed\r\n"
    assert client.say(b"g SELECT {4000000000+}\r\n") == b"* BYE [TOOBIG] Literal too large\r\n"
    assert client.over


def test_the_client_waits_for_the_plus():
    client, session = user(inbox())
    assert client.say(b"a SELECT {5}\r\n") == b"+ Ready for argument\r\n"
    assert session.wire.patience_seconds == session.settings.literal_seconds
    assert client.say(b"inbox\r\n").endswith(b"a OK [READ-WRITE] SELECT completed\r\n")
    assert session.wire.patience_seconds == session.settings.imap_idle_seconds


# --- APPEND's message ---

MAIL = b"Subject: appended\r\n\r\n" + b"x" * 1000 + b"\r\n"


@pytest.mark.parametrize("chunk", [0, 1, 100])
@pytest.mark.parametrize(("small", "kind"), [(10_000, bytes), (100, intake.Spool)])
@pytest.mark.parametrize("plus", [b"+", b""])
def test_append(tmp_path, chunk, small, kind, plus):
    box = Watched(name="box")
    client, _ = user(box, literal_octets=small, spool_directory=str(tmp_path))
    said = client.say(b"a APPEND box (\\Seen x) {%d%b}\r\n%b\r\n" % (len(MAIL), plus, MAIL), chunk)
    assert said.removeprefix(b"+ Ready for argument\r\n") == b"a OK [APPENDUID 1234 1] APPEND completed\r\n"
    assert box.messages == {1: MAIL} and box.marks[1] == {"\\Seen", "x"}
    assert box.kinds == [kind]
    assert not list(tmp_path.iterdir()), "the spool has no name"


def test_append_to_a_name_in_a_literal():
    client, _ = user(Watched(name="box"))
    said = client.say(b"a APPEND {3+}\r\nbox {%d+}\r\n%b\r\n" % (len(MAIL), MAIL))
    assert said == b"a OK [APPENDUID 1234 1] APPEND completed\r\n"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (b"nothing {5}", b"a NO [TRYCREATE] No such mailbox"),
        (b"box {0}", b"a NO [CANNOT] Empty message"),
        (b"box {5001}", b"a NO [TOOBIG] Message is too large"),
        (b"box (\\Bogus) {5}", b"a BAD Invalid system flag \\Bogus: APPEND"),
        (b'box "yesterday" {5}', b"a BAD Bad date: APPEND"),
        (b"box x {5}", b"a BAD Missing literal: APPEND"),
        (b"box{5}", b"a BAD Missing argument: APPEND"),
        (b"", b"a BAD Missing string: APPEND"),
        (b"box", b"a BAD Missing argument: APPEND"),
        (b'box "a message"', b"a BAD Bad date: APPEND"),
        (b"box message", b"a BAD Missing literal: APPEND"),
    ],
)
def test_append_is_refused_before_the_upload(words, answer):
    client, _ = user(Watched(name="box"), append_octets=5000)
    assert client.say(b"a APPEND " + words + b"\r\n") == answer + b"\r\n"
    pushed = b"a APPEND " + words.replace(b"}", b"+}") + b"\r\n"
    octets = int(words[words.find(b"{") + 1 : -1]) if b"{" in words else None
    literal = b"" if octets is None else b"x" * octets + b"\r\n"
    assert client.say(pushed + literal) == answer + b"\r\n"
    assert client.say(b"b NOOP\r\n") == b"b OK NOOP completed\r\n"


def test_no_room_for_the_spool():
    box = Watched(name="box")
    client, _ = user(box, literal_octets=10, spool_directory="/nonexistent")
    said = client.say(b"a APPEND box {%d+}\r\n%b\r\nb NOOP\r\n" % (len(MAIL), MAIL))
    assert said == b"a NO [OVERQUOTA] No room for the message\r\nb OK NOOP completed\r\n"
    box.failure = OutOfSpace()
    client, _ = user(box)
    said = client.say(b"a APPEND box {%d+}\r\n%b\r\n" % (len(MAIL), MAIL))
    assert said == b"a NO [OVERQUOTA] No space left for mail\r\n"


def test_the_selected_mailbox_takes_it_and_tells_it():
    box = Watched(name="INBOX")
    client, session = user(box)
    client.say(b"s SELECT INBOX\r\n")
    session.store.opened.clear()
    said = client.say(b"a APPEND inbox {5+}\r\nA: b\n\r\n")
    assert said == b"* 1 EXISTS\r\n* 0 RECENT\r\na OK [APPENDUID 1234 1] APPEND completed\r\n"
    assert not session.store.opened
    assert not box.closed
