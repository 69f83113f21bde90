"""imapd.extensions.listextended: transcripts/imapd/list-extended.txt tells most."""

from __future__ import annotations

from tests.imapd.conversation import at_home
from tests.playground import Ground


def test_lines_of_other_programs_are_no_names(ground: Ground) -> None:
    (ground.home / ".mailboxlist").write_text("#news.comp\n{host}x\n../../etc/passwd\nwork\n")
    said = at_home(ground).say(b'a LIST (SUBSCRIBED) "" *\r\n')
    assert said == b'* LIST (\\NonExistent \\Subscribed) "/" work\r\na OK LIST completed\r\n'
