"""imapd.extensions.referrals: transcripts/imapd/referrals.txt tells most."""

from __future__ import annotations

from tests.imapd.conversation import at_home
from tests.playground import Ground


def test_rlist_is_list(ground: Ground) -> None:
    client = at_home(ground)
    assert client.say(b'a RLIST "" (INBOX x)\r\n').replace(b"RLIST", b"LIST") == client.say(b'a LIST "" (INBOX x)\r\n')
