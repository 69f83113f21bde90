"""BINARY: parts decoded, whole and in pieces, small and large."""

from __future__ import annotations

import base64

import pytest

from tests.imapd.conversation import user
from tests.imapd.fakebox import FakeBox, FakeSession

DATA = bytes(range(256)) * 40


def mail(encoded: bytes, encoding: bytes) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: %b\n\n%b\n--x--\n" % (
        encoding, encoded,
    )  # fmt: skip


@pytest.mark.parametrize("held", [1 << 24, 100])
def test_base64_in_pieces(held: int) -> None:
    """Large parts are decoded on the way, and come to the same octets."""
    client, _ = user(FakeBox(mail(base64.encodebytes(DATA), b"BASE64")), text_octets=held)
    client.say(b"s SELECT INBOX\r\n")
    assert client.say(b"t FETCH 1 BINARY.SIZE[1]\r\n").startswith(b"* 1 FETCH (BINARY.SIZE[1] %d)" % len(DATA))
    got = b""
    while len(got) < len(DATA):
        said = client.say(b"t FETCH 1 BINARY.PEEK[1]<%d.999>\r\n" % len(got))
        head, _, rest = said.partition(b"\r\n")
        assert head.startswith(b"* 1 FETCH (BINARY[1]<%d> ~{" % len(got))
        octets = int(head.partition(b"{")[2][:-1])
        got += rest[:octets]
    assert got == DATA


@pytest.mark.parametrize("held", [1 << 24, 1])
def test_line_ends_of_text(held: int) -> None:
    session = FakeSession(FakeBox(mail(b"a=\nb\n=C3=A9=3D\n=", b"quoted-printable")), text_octets=held)
    said = b"\r\n".join(session.say(b"FETCH 1 BINARY.PEEK[1]"))
    assert said.startswith(b"* 1 FETCH (BINARY[1] {9}\r\nab\r\n\xc3\xa9=\r\n)")


def test_a_message_that_is_gone() -> None:
    box = FakeBox(mail(b"YQ==", b"base64"))
    session = FakeSession(box)
    assert session.say(b"FETCH 1 BINARY.PEEK[1]")[0] == b'* 1 FETCH (BINARY[1] "a")'
    box.vanish(1)
    assert session.say(b"FETCH 1 BINARY.PEEK[1]")[-1].startswith(b"t NO [EXPUNGEISSUED]")


def test_an_enclosed_message_is_decoded_and_a_multipart_is_not() -> None:
    inner = base64.encodebytes(b"Subject: inner\n\nbody\n")
    text = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + inner
    assert b"Subject: inner" in b"".join(FakeSession(FakeBox(text)).say(b"FETCH 1 BINARY[1]"))
    text = b"Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n--x\n\nYQ==\n--x--\n"
    assert b"YQ==" in b"".join(FakeSession(FakeBox(text)).say(b"FETCH 1 BINARY[]"))
