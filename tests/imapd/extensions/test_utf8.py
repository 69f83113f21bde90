"""UTF8=ACCEPT: names that cannot be said in UTF-8, and who hears them."""

from __future__ import annotations

import pytest

from tests.imapd.conversation import inbox, user
from tests.imapd.fakebox import FakeBox


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("plain", b"plain"),
        ("with blank", b'"with blank"'),
        ("R&-D", b"R&D"),
        ("Caf&AOk-", b'"Caf\xc3\xa9"'),
        ('&AOk-"\\', b'"\xc3\xa9\\"\\\\"'),
        ("a&b", b"a&b"),  # no modified UTF-7: another program made it
        ("&2D3-", b"&2D3-"),  # half a surrogate pair
    ],
)
def test_names(name, told):
    client, _ = user(inbox(), FakeBox(name=name))
    client.say(b"a ENABLE UTF8=ACCEPT\r\n")
    assert b'"/" ' + told + b"\r\n" in client.say(b'b LIST "" *\r\n')


@pytest.mark.parametrize("octets", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_what_is_no_utf8(octets):
    client, _ = user(inbox())
    client.say(b"a ENABLE UTF8=ACCEPT\r\n")
    assert client.say(b'b STATUS "%b" (MESSAGES)\r\n' % octets).startswith(b"b BAD Bad character")
    said = client.say(b"c STATUS {%d+}\r\n%b (MESSAGES)\r\n" % (len(octets), octets))
    assert said == b"c NO [CANNOT] Mailbox names are in UTF-8\r\n"
