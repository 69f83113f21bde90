"""imapd.extensions.listmyrights: transcripts/imapd/acl.txt tells most."""

from __future__ import annotations

from tests.imapd.conversation import at_home
from tests.playground import Ground


def test_what_is_not_there_has_no_rights(ground: Ground) -> None:
    (ground.home / ".mailboxlist").write_text("gone\n")
    said = at_home(ground).say(b'a LIST (SUBSCRIBED) "" * RETURN (MYRIGHTS)\r\n')
    assert said == b'* LIST (\\NonExistent \\Subscribed) "/" gone\r\na OK LIST completed\r\n'
