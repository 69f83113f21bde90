"""imapd.extensions.specialuse: transcripts/imapd/special-use.txt tells most."""

from __future__ import annotations

from tests.imapd.conversation import at_home
from tests.playground import Ground


def test_a_use_that_cannot_be_makes_no_mailbox(ground: Ground) -> None:
    said = at_home(ground).say(b"a CREATE x (USE (\\Sent \\Flagged))\r\n")
    assert said.startswith(b"a NO [USEATTR]") and not ground.file("x").exists()


def test_what_was_said_is_there_in_the_next_session(ground: Ground) -> None:
    at_home(ground).say(b"a CREATE Entwurf (USE (\\Drafts))\r\n")
    assert b'\\Drafts) "/" Entwurf' in at_home(ground).say(b'a LIST "" *\r\n')


def test_a_name_of_the_client_for_the_root_is_the_same_mailbox(ground: Ground) -> None:
    client = at_home(ground)
    client.say(b"a CREATE mail/Entwurf (USE (\\Drafts))\r\n")
    assert b'\\Drafts) "/" mail/Entwurf' in client.say(b'a LIST "mail/" *\r\n')


def test_damaged_notes_are_said_and_stop_nothing_else(ground: Ground) -> None:
    client = at_home(ground)
    client.say(b"a CREATE x (USE (\\Sent))\r\n")
    (ground.index / "metadata").write_bytes(b"{\xff")
    assert b"NO [CORRUPTION]" in client.say(b'b LIST (SPECIAL-USE) "" *\r\n')
    assert b"c OK" in client.say(b"c DELETE x\r\n")
