"""imapd.extensions.imap2bis: transcripts/imapd/imap2bis.txt tells most."""

from __future__ import annotations

from tests.imapd.conversation import at_home
from tests.playground import Ground


def test_bboard_examines_what_is_public(ground: Ground) -> None:
    public = ground.path / "public"
    public.mkdir()
    (public / "news").write_bytes(b"From a Sat Nov 21 12:00:00 2026\nSubject: a\n\nb\n\n")
    assert at_home(ground).say(b"a BBOARD news\r\n").startswith(b"a NO [CANNOT]")
    client = at_home(ground, public_directory=str(public))
    assert b"* 1 EXISTS" in client.say(b"a BBOARD news\r\n")
    assert b"b NO [READ-ONLY]" in client.say(b"b STORE 1 +FLAGS (\\Seen)\r\n")
    assert client.say(b"c NAMESPACE\r\n").startswith(b'* NAMESPACE (("" "/")) NIL (("#public/" "/"))')
