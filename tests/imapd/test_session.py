"""imapd.session: the loop, its limits and its endings; before and after login."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from imapd.session import SERVICE
from mailcore.commands import Command
from mailcore.errors import Hangup, InUse, NotAMailbox, Silence, Terminated
from mailcore.login.accounts import Peer
from mailcore.login.channel import Verdict
from tests.imapd.conversation import inbox, stranger, user
from tests.imapd.fakebox import FakeBox

WRONG = Verdict(False, code="AUTHENTICATIONFAILED", text="Wrong")
FAR = Peer("socket", "192.0.2.1")


# --- before login -------------------------------------------------------------------------


def test_greeting():
    greeting = stranger().greeting
    words = b"IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE LOGIN-REFERRALS AUTH=PLAIN AUTH=LOGIN"
    start = b"* OK [CAPABILITY %b] mail.example.org " % words
    assert greeting.startswith(start)
    assert greeting.endswith(b" +0000\r\n") and greeting.count(b"\r\n") == 1


def test_whoever_speaks_another_protocol_is_sent_away():
    for first in (b"GET / HTTP/1.1", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 143", b"ehlo mail.example.org"):
        client = stranger()
        said = client.say(first + b"\r\n")
        assert said == b"* BYE This is an IMAP server\r\n" and client.over
    client = stranger()
    assert client.say(b"GET / HTTP/1.1\r\nHost: x\r\n") == b"* BYE This is an IMAP server\r\n"
    client = stranger()
    said = client.say(b"\r\n\r\n\0\r\nQUIT\n!")
    assert said.count(b" BAD ") == 3
    assert said.endswith(b"* BYE Too many bad commands\r\n") and client.over
    client = stranger()
    said = client.say(b"X / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nX: y\r\n")
    assert said.count(b" BAD ") == 3
    assert said.endswith(b"* BYE Too many bad commands\r\n") and client.over


def test_commands_before_login_are_counted():
    client = stranger(login_commands=5)
    assert client.say(b"a NOOP\r\n" * 5) == b"a OK NOOP completed\r\n" * 5
    assert client.say(b"a NOOP\r\n") == b"* BYE Too many commands before login\r\n"
    assert client.over


def test_octets_before_login_are_counted():
    client = stranger(login_read_octets=100)
    assert client.say(b"a NOOP\r\n")
    assert client.say(b"x" * 100) == b"* BYE Too much said before login\r\n"
    assert client.over


def test_endings():
    assert b"BYE Autologout" in stranger().fail(Silence(reason="Autologout"))
    assert stranger().fail(Hangup(reason="gone")) == b""
    assert stranger().fail(Terminated("Server shutting down")) == b"* BYE Server shutting down\r\n"
    assert stranger().say(b"") == b""
    client = stranger()
    said = client.say(b"a LOGOUT\r\n")
    assert said == b"* BYE mail.example.org IMAP4rev1 server terminating connection\r\na OK LOGOUT completed\r\n"
    assert client.over and client.result is None


def test_our_own_fault_before_login_is_the_gatekeepers_to_tell():
    client = stranger("no verdict")
    with pytest.raises(AttributeError):
        client.say(b"a LOGIN fred x\r\n")


def test_sorry():
    assert SERVICE.sorry("Too\nmany") == b"* BYE Too?many\r\n"


# --- the loop -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"", b"* BAD Null command"),
        (b" ", b"* BAD Null command"),
        (b"a", b"a BAD Missing command"),
        (b"a ", b"a BAD Missing command"),
        (b"* NOOP", b"* BAD Bad tag"),
        (b"+ NOOP", b"* BAD Bad tag"),
        (b"a\xe9 NOOP", b"* BAD Bad tag"),
        (b"x" * 101 + b" NOOP", b"* BAD Bad tag"),
        (b"a FOO", b"a BAD Unknown command in the AUTHENTICATED state: FOO"),
        (b"a FOO\x01\xe9", b"a BAD Unknown command in the AUTHENTICATED state: FOO??"),
        (b"a FETCH 1 FLAGS", b"a BAD Unknown command in the AUTHENTICATED state: FETCH"),
        (b"a UID FETCH 1 FLAGS", b"a BAD Unknown command in the AUTHENTICATED state: UID"),
        (b"a LOGIN x y", b"a BAD Unknown command in the AUTHENTICATED state: LOGIN"),
        (b"a NOOP x", b"a BAD Unexpected extra arguments: NOOP"),
        (b"a SELECT", b"a BAD Missing argument: SELECT"),
        (b"a SELECT  INBOX", b"a BAD Missing string: SELECT"),
        (b"a STATUS INBOX ()", b"a BAD Missing atom: STATUS"),
        (b"a STATUS INBOX (FOO)", b"a BAD Unknown item FOO: STATUS"),
        (b"a NOOP\x00", b"a BAD Unknown command in the AUTHENTICATED state: NOOP?"),
    ],
)
@pytest.mark.parametrize("chunk", [0, 1])
def test_what_is_no_command(line, answer, chunk):
    client, _ = user(inbox())
    assert client.say(line + b"\r\n", chunk) == answer + b"\r\n"
    assert client.say(b"z noop\n", chunk) == b"z OK NOOP completed\r\n"


def test_bad_commands_in_a_row():
    client, _ = user(bad_commands=3)
    assert client.say(b"a FOO\r\nb FOO\r\nc NOOP\r\n").endswith(b"c OK NOOP completed\r\n")
    said = client.say(b"a FOO\r\nb FOO\r\nc FOO\r\n")
    assert said.endswith(b"* BYE Too many bad commands\r\n") and client.over


def test_our_own_fault_ends_the_conversation(monkeypatch):
    """The monitor logs it and says BYE with its id (tests/test_faults.py)."""
    client, session = user(inbox())
    monkeypatch.setattr(session.store, "open", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        client.say(b"a STATUS INBOX (MESSAGES)\r\n")


def _torn(session, args):  # type: ignore[no-untyped-def]
    from imapd.responses import Fetch, Literal

    yield Fetch(1, [("RFC822", Literal(1_000_000, iter([b"x" * 200_000])))])


def test_an_answer_cut_short_ends_the_connection_without_a_word(monkeypatch):
    client, session = user()
    monkeypatch.setitem(session.commands, "XTORN", Command("XTORN", _torn, frozenset()))
    said = client.say(b"a XTORN\r\n")
    assert said.startswith(b"* 1 FETCH (RFC822 {1000000}\r\nxxx") and b"BYE" not in said
    assert client.over and "cut short" in session.ending


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 9))
def test_any_octets_before_login(noise, chunk):
    client = stranger(*[WRONG] * 99)
    _well_formed(client.say(noise.replace(b"{", b"") + b"\r\n", chunk))
    if not client.over:
        _well_formed(client.say(b"zz NOOP\r\n"))


WORDS = [
    b"SELECT", b"INBOX", b"FETCH", b"UID", b"1:*", b"(FLAGS)", b"BODY[]", b"SEARCH", b"ALL", b"STORE", b"+FLAGS",
    b"{3+}\r\nabc", b"{1}\r\n", b"IDLE\r\n", b"DONE\r\n", b'"', b"(", b")", b"APPEND", b"LIST", b"*", b"%", b"STATUS",
    b"EXPUNGE", b"COPY", b"RENAME", b"&AOk-", b"ID", b"ENABLE", b"\r\n", b"\n", b"\x00", b"\xff", b"CLOSE", b"a",
    b"\\Seen", b"NIL", b"NOOP", b"MOVE", b"NAMESPACE",
]  # fmt: skip


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12), st.booleans())
def test_any_words_after_login(words, chosen):
    client, _ = user(inbox(), bad_commands=1000)
    if chosen:
        client.say(b"s SELECT INBOX\r\n")
    _well_formed(client.say(b"a " + b" ".join(words) + b"\r\n"))
    assert not client.over
    client.say(b"x" * 10 + b"\r\nDONE\r\n\r\n")
    assert client.say(b"zz NOOP\r\n").endswith(b"zz OK NOOP completed\r\n")


def _well_formed(said: bytes) -> None:
    """Every line is an answer (no literal can be in what these mailboxes hold, but bodies)."""
    while said:
        line, end, said = said.partition(b"\r\n")
        assert end == b"\r\n"
        assert line.startswith((b"* ", b"+ ")) or b" OK " in line or b" NO " in line or b" BAD " in line, line
        while line.endswith(b"}"):
            octets = int(line[line.rfind(b"{") + 1 : -1])
            line, _, said = said[octets:].partition(b"\r\n")


# --- states and news ------------------------------------------------------------------------


def test_the_states():
    client, session = user(inbox(), FakeBox(name="other"))
    assert client.say(b"a SELECT INBOX\r\n").endswith(b"a OK [READ-WRITE] SELECT completed\r\n")
    box = session.box
    assert client.say(b"b FETCH 1 UID\r\n") == b"* 1 FETCH (UID 1)\r\nb OK FETCH completed\r\n"
    assert client.say(b"c UID NOOP\r\n") == b"c BAD Unknown command in the SELECTED state: UID NOOP\r\n"
    assert client.say(b"d UID\r\n") == b"d BAD Missing argument: UID\r\n"
    assert client.say(b"e EXAMINE other\r\n").endswith(b"e OK [READ-ONLY] EXAMINE completed\r\n")
    assert box.closed
    assert client.say(b"f STORE 1 FLAGS x\r\n") == b"f NO [READ-ONLY] Mailbox is read-only\r\n"
    assert client.say(b"g SELECT nothing\r\n") == b"g NO [NONEXISTENT] No such mailbox\r\n"
    assert session.box is None
    assert client.say(b"h CHECK\r\n") == b"h BAD Unknown command in the AUTHENTICATED state: CHECK\r\n"
    client.say(b"i SELECT INBOX\r\n")
    assert client.say(b"j SELECT\r\n").startswith(b"j BAD")
    assert session.box is not None, "what is no SELECT changes nothing"


def test_news_come_when_they_may():
    box = inbox(b"A: 1\n\n", b"A: 2\n\n", b"A: 3\n\n")
    client, _ = user(box)
    client.say(b"s SELECT INBOX\r\n")
    box.vanish(2)
    box.deliver(b"A: 4\n\n")
    said = client.say(b"a FETCH 1 UID\r\n")
    assert b"EXPUNGE" not in said and b"* 4 EXISTS\r\n" in said
    assert b"EXPUNGE" not in client.say(b"b SEARCH ALL\r\n")
    assert b"EXPUNGE" not in client.say(b"c STORE 1 +FLAGS x\r\n")
    assert client.say(b"d UID FETCH 1 FLAGS\r\n").endswith(b"* 2 EXPUNGE\r\nd OK UID FETCH completed\r\n")
    box.flag_elsewhere(1, "\\Flagged")
    assert client.say(b"e NOOP\r\n") == b"* 1 FETCH (FLAGS (\\Flagged))\r\ne OK NOOP completed\r\n"
    box.vanish(1)
    assert client.say(b"f NOOP x\r\n").startswith(b"f BAD"), "no news with a BAD"
    assert client.say(b"g STATUS nothing (MESSAGES)\r\n") == b"* 1 EXPUNGE\r\ng NO [NONEXISTENT] No such mailbox\r\n"


def test_a_mailbox_in_trouble_is_told_once(monkeypatch):
    box = inbox()
    client, _ = user(box)
    client.say(b"s SELECT INBOX\r\n")
    failures = [InUse(), InUse(), NotAMailbox("Line 1 is no separator")]
    monkeypatch.setattr(box, "refresh", lambda: _raise(failures.pop(0)) if failures else None)
    said = b"* NO [ALERT] Mailbox is locked by another program\r\na OK NOOP completed\r\n"
    assert client.say(b"a NOOP\r\n") == said
    assert client.say(b"b NOOP\r\n") == b"b OK NOOP completed\r\n"
    assert client.say(b"c NOOP\r\n") == b"* NO [ALERT] Line 1 is no separator\r\nc OK NOOP completed\r\n"
    assert client.say(b"d NOOP\r\n") == b"d OK NOOP completed\r\n"


def _raise(error: Exception) -> None:
    raise error


def test_the_mailbox_is_closed_when_the_client_goes():
    from mailcore.login.accounts import Account
    from mailcore.settings import Settings

    values = Settings(mail_location="mbox:/nonexistent:INBOX=/nonexistent/x", index_directory="/nonexistent")
    talk = SERVICE.session(values, Peer("pipe", local=True), Account("fred", 1, 1, "/nonexistent"), None)
    greeting = next(talk)
    assert greeting.startswith(b"* PREAUTH [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN")
    assert b"Pre-authenticated user fred" in greeting
    next(talk)
    with pytest.raises(StopIteration):
        talk.throw(Hangup(reason="gone"))
