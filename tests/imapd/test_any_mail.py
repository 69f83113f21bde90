"""Whatever a client says to the commands that bring and read mail: well-formed answers, and the next command works."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.imapd.conversation import Client, Watched, stranger, user

COMMANDS = st.sampled_from(
    [b"APPEND", b"REPLACE", b"UID REPLACE", b"FETCH", b"UID FETCH", b"SELECT", b"STATUS", b"RENAME", b"ENABLE",
     b"COMPRESS", b"UID", b"LIST", b"CREATE"]
)  # fmt: skip
LITERALS = [
    b"{3+}\r\na:b", b"~{3+}\r\na:b", b"~{2+}\r\n\0\xff", b"{0+}\r\n", b"~{0+}\r\n", b"{4+}\r\nINBO",
    b"{6+}\r\na\r\n.\r\n", b'{13+}\r\n/INBOX/;UID=1', b"{2+}\r\n\xc3\xa9",
]  # fmt: skip
WORDS = [
    *b"""( ) 1 1:* * 9 0 $ INBOX box "box" nowhere (\\Seen) (x) (\\Bogus) CATENATE TEXT URL UTF8 BINARY[1] BINARY[]
    BINARY.PEEK[1.1]<0.5> BINARY.SIZE[2] BINARY[1]<99999999999.1> BODY[] BODY.PEEK[1]<0.9> PREVIEW (LAZY) ENVELOPE
    BODYSTRUCTURE SIZE DELETED (MESSAGES) IMAP4rev2 UTF8=ACCEPT GZIP "/INBOX/;UID=1" ";UID=1/;SECTION=TEXT"
    "/%ff/;UID=1" "/INBOX/;UID=1/;PARTIAL=0.9" (URL (TEXT (PREVIEW ~ { } < > [ ] " % & "&AOk-" """.split(),
    b'" 1-Jan-2020 01:02:03 +0000"', b'"\xc3\xa9"', b'"\xff"', b" ", b" ", b" ", b") ", b" (",
]  # fmt: skip
OCTETS = st.binary(max_size=4).map(lambda octets: re.sub(rb"[\r\n{}]", b"", octets))
PIECES = st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(LITERALS), OCTETS), max_size=10)
LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


def box(name: str = "INBOX") -> Watched:
    multipart = b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: base64\n\nAAEC\n--x--\n"
    return Watched(b"Subject: \xc3\xa9\n\n\0body\n", multipart, b"", name=name)


def lines(said: bytes) -> list[bytes]:
    """Answers, each with the literals in it; what does not end with a line end fails."""
    found = []
    while said:
        end = said.index(b"\r\n") + 2
        while literal := LITERAL.search(said[:end]):
            end += int(literal[1])
            end = said.index(b"\r\n", end) + 2
        found.append(said[:end])
        said = said[end:]
    return found


def check(client: Client, command: bytes, pieces: list[bytes], blank: bytes) -> None:
    said = client.say(b"t %b %b\r\n" % (command, blank.join(pieces)))
    answers = lines(said)
    assert answers[-1].startswith((b"t OK", b"t NO", b"t BAD")), said
    for answer in answers[:-1]:
        assert answer.startswith((b"* ", b"+ ")) and b"UNAVAILABLE" not in answer
    assert b"Internal error" not in said


@given(COMMANDS, PIECES, st.sampled_from([b" ", b""]), st.booleans(), st.booleans())
def test_any_bytes_after_login(command: bytes, pieces: list[bytes], blank: bytes, selected: bool, rev2: bool) -> None:
    client, session = user(box(), box("box"), bad_commands=1000)
    if rev2:
        client.say(b"e ENABLE IMAP4rev2 UTF8=ACCEPT\r\n")
    if selected:
        client.say(b"s SELECT INBOX\r\n")
    check(client, command, pieces, blank)
    if session.squeeze is None:
        assert client.say(b"n NOOP\r\n").endswith(b"n OK NOOP completed\r\n")


@given(COMMANDS, PIECES)
def test_any_bytes_before_login(command: bytes, pieces: list[bytes]) -> None:
    client = stranger()
    check(client, command, pieces, b" ")
    assert client.say(b"n NOOP\r\n").endswith(b"n OK NOOP completed\r\n")
