"""imapd.incoming: messages on their way in, many at a time."""

from __future__ import annotations

import pytest

from imapd import incoming, intake
from mailcore.errors import OutOfSpace
from tests.imapd.conversation import Watched, user


@pytest.mark.parametrize("chunk", [0, 1])
@pytest.mark.parametrize("plus", [b"+", b""])
def test_many_messages_share_a_file(tmp_path, chunk, plus):
    """Not each of them is large, but all together are."""
    box = Watched(name="box")
    client, _ = user(box, literal_octets=50, spool_directory=str(tmp_path))
    mails = [b"Subject: %d\r\n\r\n%b\r\n" % (n, b"x" * n) for n in range(20)]
    line = b"a APPEND box" + b"".join(b" {%d%b}\r\n%b" % (len(mail), plus, mail) for mail in mails) + b"\r\n"
    said = client.say(line, chunk).replace(b"+ Ready for argument\r\n", b"")
    assert said == b"a OK [APPENDUID 1234 1:20] APPEND completed\r\n"
    assert list(box.messages.values()) == mails
    assert box.kinds[:2] == [bytes, bytes] and set(box.kinds[2:]) == {intake.Spool}


def test_all_or_none():
    box = Watched(name="box")
    client, _ = user(box)
    box.failure = OutOfSpace()
    assert client.say(b"a APPEND box {3+}\r\na:b {3+}\r\na:c\r\n") == b"a NO [OVERQUOTA] No space left for mail\r\n"
    assert not box.messages


def test_a_client_breaks_off():
    """RFC 3502 §5: a literal of nothing takes all back."""
    box = Watched(name="box")
    client, _ = user(box)
    assert client.say(b"a APPEND box {3+}\r\na:b {0+}\r\n\r\n") == b"a NO [CANNOT] Empty message\r\n"
    assert not box.messages


@pytest.mark.parametrize(
    ("pieces", "lost"),
    [
        ([b"a\r\nb\r\n"], False), ([b"a\r", b"\nb"], False), ([b"a\r"], False), ([b"\xff\x80\r\n"], False),
        ([b"a\0"], True), ([b"a", b"\0"], True), ([b"a\n"], True), ([b"a\r", b"b\n"], True), ([b"\n"], True),
        ([b"\r\n", b"\n"], True), ([b"a\r", b"\n\n"], True),
    ],
)  # fmt: skip
def test_what_a_mail_file_cannot_keep(pieces, lost):
    class Content:
        octets = 0

        def chunks(self):
            return iter(pieces)

    assert bool(incoming._loss(Content())) is lost
