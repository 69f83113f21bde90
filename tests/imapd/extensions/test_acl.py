"""imapd.extensions.acl: transcripts/imapd/acl.txt tells most."""

from __future__ import annotations

import pytest

from tests.imapd.conversation import at_home
from tests.playground import Ground


def test_an_inbox_that_no_mail_came_to(ground: Ground) -> None:
    assert at_home(ground).say(b"a MYRIGHTS INBOX\r\n").startswith(b"a NO ")


@pytest.mark.parametrize("change", [b"-lrswited", b'""'])
def test_minus_takes_away(change: bytes, ground: Ground) -> None:
    ground.place("work", b"")
    client = at_home(ground)
    client.say(b"a SETACL work anyone lrswite\r\n")
    assert ground.file("work").stat().st_mode & 7 == 6
    assert b"b OK" in client.say(b"b SETACL work anyone " + change + b"\r\n")
    assert ground.file("work").stat().st_mode & 7 == 0


def test_listrights_of_a_stranger_are_none(ground: Ground) -> None:
    ground.place("work", b"")
    assert at_home(ground).say(b"a LISTRIGHTS work wilma\r\n").startswith(b'* LISTRIGHTS work wilma ""\r\n')
