"""Whatever a client says to the commands that find mail, it gets one tagged answer, and the next command works."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.imapd.conversation import Watched, user

COMMANDS = st.sampled_from(
    [b"SEARCH", b"UID SEARCH", b"SORT", b"UID SORT", b"THREAD", b"UID THREAD", b"ESEARCH", b"SCAN", b"CANCELUPDATE",
     b"FETCH $ UID", b"UID FETCH 1:* UID", b"STORE $"]
)  # fmt: skip
PLAIN = b"""( ) $ * 1:* 0 99 4294967296 -1:-2 1:2 a "a" ALL NOT OR FUZZY TEXT HEADER UID OLDER SINCE 1-Jan-2026 CHARSET
    UTF-8 utf-16 x-none RETURN MIN COUNT SAVE PARTIAL UPDATE CONTEXT RELEVANCY IN mailboxes selected personal subtree
    subscribed INBOX REVERSE DATE SUBJECT ARRIVAL DISPLAYTO REFERENCES REFS ORDEREDSUBJECT \\ % [ ] " """.split()
PHRASES = [
    *(b" ", b" ", b" ", b"{3+}\r\nabc", b"{2+}\r\n\xff\xfe", b" (SUBJECT REVERSE DATE) UTF-8 ALL", b"FUZZY TEXT a"),
    *(b" RETURN (MIN MAX ALL COUNT)", b" RETURN (UPDATE PARTIAL 1:2)", b" REFERENCES UTF-8 ALL", b" (PARTIAL 1:1)"),
    *(b" OR SUBJECT a NOT BODY b", b" IN (selected)", b" IN (personal)", b' "" * a', b" RETURN (RELEVANCY)"),
]
WORDS = st.sampled_from([*PLAIN, *PHRASES, *PHRASES])


def box() -> Watched:
    return Watched(
        b"Subject: Re: a b\nFrom: =?utf-8?q?=C3=84?= <a@b>\nMessage-ID: <a@b>\nReferences: <x@y> <a@b>\n\na\nb \xff\n",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain; charset=utf-16\n\n\0a\n--x--\n",
        b"\n",
        b"",
    )


def sent(pieces: list[bytes]) -> bytes:
    """Without what ends a command before its time: that is another test's."""
    text = b"".join(pieces)
    kept = text.replace(b"{3+}\r\nabc", b"\0A").replace(b"{2+}\r\n\xff\xfe", b"\0B")
    kept = kept.replace(b"\r", b"").replace(b"\n", b"").replace(b"{", b"").replace(b"}", b"")
    return kept.replace(b"\0A", b"{3+}\r\nabc").replace(b"\0B", b"{2+}\r\n\xff\xfe")


@given(COMMANDS, st.lists(st.one_of(WORDS, WORDS, WORDS, st.binary(max_size=4)), max_size=14))
def test_any_bytes(command: bytes, pieces: list[bytes]):
    client, _ = user(box(), bad_commands=1000)
    client.say(b"s SELECT INBOX\r\n")
    said = client.say(b"t %b %b\r\n" % (command, sent(pieces)))
    last = said.split(b"\r\n")[-2]
    assert last.startswith((b"t OK", b"t NO", b"t BAD")), said
    assert b"UNAVAILABLE" not in last
    assert client.say(b"n NOOP\r\n").endswith(b"n OK NOOP completed\r\n")
