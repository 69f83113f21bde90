"""LIST-METADATA: values that need care, and what somebody else's damage does."""

from __future__ import annotations

import pytest

from imapd.extensions import metadata
from tests.imapd.conversation import at_home


@pytest.fixture
def client(ground):
    ground.place("work", b"")
    return at_home(ground)


def test_a_value_of_any_octets(client):
    client.say(b'a SETMETADATA work (/private/comment {5+}\r\n"\r\n\xe9x)\r\n')
    lines = client.say(b'a LIST "" work RETURN (METADATA (/private/comment))\r\n')
    assert b'* METADATA work (/private/comment {5}\r\n"\r\n\xe9x)\r\n' in lines


def test_special_use_is_a_note_too(client):
    client.say(b"a CREATE Sent\r\n")
    lines = client.say(b'a LIST "" Sent RETURN (METADATA (/private/specialuse))\r\n')
    assert b'* METADATA Sent (/private/specialuse "\\\\Sent")\r\n' in lines


def test_too_many_entries(client):
    names = b" ".join(b"/private/%d" % number for number in range(metadata.ENTRIES + 1))
    assert client.say(b'a LIST "" * RETURN (METADATA (%b))\r\n' % names).startswith(b"a NO [LIMIT] ")
