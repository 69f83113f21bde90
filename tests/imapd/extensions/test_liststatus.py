"""imapd.extensions.liststatus: transcripts/imapd/list-status.txt tells most."""

from __future__ import annotations

import os

from tests.imapd.conversation import at_home
from tests.playground import Ground


def test_a_mailbox_that_cannot_be_opened_stops_nothing(ground: Ground) -> None:
    for name in ("a", "c"):
        ground.place(name, b"From a Sat Nov 21 12:00:00 2026\nSubject: a\n\nb\n\n")
    (ground.path / "other").write_bytes(b"")
    os.link(ground.path / "other", ground.inbox)  # an INBOX with two names is refused
    lines = at_home(ground).say(b'a LIST "" * RETURN (STATUS (MESSAGES))\r\n').split(b"\r\n")
    assert lines[1] == b"* NO Permission denied: INBOX: INBOX"
    assert b"* STATUS a (MESSAGES 1)" in lines and b"* STATUS c (MESSAGES 1)" in lines
    assert lines[-2] == b"a OK LIST completed"
