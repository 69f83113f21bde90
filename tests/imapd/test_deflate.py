"""imapd.deflate: a conversation behind COMPRESS=DEFLATE, and what a hostile client can make of it."""

from __future__ import annotations

import zlib

import pytest

from imapd import deflate
from mailcore.errors import Hangup
from mailcore.wire import Wait
from tests.imapd.conversation import Client, inbox, user

BYE = b"* BYE Too much from too little\r\n"


class Squeezed:
    """A client that has said COMPRESS DEFLATE."""

    def __init__(self, **settings: int) -> None:
        self.client, self.session = user(inbox(), **settings)
        self.client = Client(deflate.filtered(self.session, self.client.talk))
        self.out = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.into = zlib.decompressobj(-15)
        assert self.client.say(b"a COMPRESS DEFLATE\r\n") == b"a OK COMPRESS completed\r\n"

    def say(self, data: bytes, chunk: int = 0) -> bytes:
        return self.heard(self.client.say(self.out.compress(data) + self.out.flush(zlib.Z_SYNC_FLUSH), chunk))

    def heard(self, said: bytes) -> bytes:
        return self.into.decompress(said)


# Client took the first step of the inner conversation itself: it only waits for its first words
@pytest.fixture(autouse=True)
def _first_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.imapd.conversation.Client.__init__", _begin)


def _begin(self: Client, talk: object, verdicts: tuple[object, ...] = ()) -> None:
    self.talk, self.verdicts, self.questions = talk, list(verdicts), []
    self.over, self.result, self.wait, self.greeting = False, None, None, b""
    if talk.gi_code is deflate.filtered.__code__:
        self.greeting = self._go(None)


@pytest.mark.parametrize("chunk", [0, 1, 7])
def test_each_answer_can_be_read_at_once(chunk: int) -> None:
    client = Squeezed()
    assert client.say(b"b NOOP\r\n", chunk) == b"b OK NOOP completed\r\n"
    assert b"* 1 EXISTS" in client.say(b"c SELECT INBOX\r\n", chunk)
    assert client.say(b"d APPEND INBOX {5}\r\n", chunk) == b"+ Ready for argument\r\n"
    assert client.say(b"a: bc\r\ne IDLE\r\n", chunk).endswith(b"+ Waiting for DONE\r\n")
    assert client.say(b"DONE\r\n", chunk) == b"e OK IDLE completed\r\n"
    assert client.heard(client.client.say(b"")) == b"" and client.client.over


def test_twice_is_refused() -> None:
    client = Squeezed()
    said = client.say(b"b COMPRESS DEFLATE\r\nc NOOP\r\n")
    assert said == b"b NO [COMPRESSIONACTIVE] DEFLATE is active already\r\nc OK NOOP completed\r\n"


def test_what_is_no_deflate_ends_the_connection() -> None:
    client = Squeezed()
    assert client.heard(client.client.say(b"\xff\xff b NOOP\r\n")) == b"* BYE Not compressed as agreed\r\n"
    assert client.client.over


def test_what_was_said_ahead_in_clear_is_never_obeyed() -> None:
    """S40's twin: somebody in between must not slip commands in before the compression."""
    client, session = user(inbox())
    client = Client(deflate.filtered(session, client.talk))
    said = client.say(b"a COMPRESS DEFLATE\r\nb NOOP\r\n")
    head, _, rest = said.partition(b"\r\n")
    assert head == b"a OK COMPRESS completed" and client.over
    assert zlib.decompressobj(-15).decompress(rest).startswith(b"* BYE")


def test_the_end_of_the_stream_ends_the_connection() -> None:
    client = Squeezed()
    last = client.out.compress(b"b NOOP\r\n") + client.out.flush(zlib.Z_FINISH)
    assert client.heard(client.client.say(last)).startswith(b"* BYE Nothing can follow")


def test_a_bomb_is_cut_short() -> None:
    """S56: ten megabytes of zeros in ten kilobytes."""
    client = Squeezed()
    bomb = client.out.compress(bytes(10_000_000)) + client.out.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 20_000
    assert client.heard(client.client.say(bomb)).endswith(BYE)
    assert client.client.over


def test_much_that_is_honest_goes_through(tmp_path) -> None:
    client = Squeezed(spool_directory=str(tmp_path))
    mail = b"Subject: large\r\n\r\n" + b"".join(b"line %d of many\r\n" % n for n in range(400_000))
    assert client.say(b"b APPEND INBOX {%d+}\r\n%b\r\n" % (len(mail), mail)).startswith(b"b OK [APPENDUID")


def test_nothing_is_inflated_before_it_is_asked_for() -> None:
    squeeze = deflate.Squeeze(10**9)
    squeeze.feed(zlib.compress(bytes(50_000_000), 9, -15)[:-20])
    assert len(squeeze.heard()) <= deflate.PIECE_OCTETS


def test_endings_reach_the_conversation() -> None:
    seen = []

    def talk():
        try:
            yield Wait(1)
        except Hangup as hangup:
            seen.append(hangup)

    _, session = user(inbox())
    client = Client(deflate.filtered(session, talk()))
    client.fail(Hangup(reason="gone"))
    assert seen and client.over
