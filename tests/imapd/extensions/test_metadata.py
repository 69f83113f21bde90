"""imapd.extensions.metadata: transcripts/imapd/metadata.txt tells most."""

from __future__ import annotations

import pytest

from imapd.extensions.metadata import Wanted, entry_name
from mailcore.errors import Mistake
from tests.imapd.conversation import at_home
from tests.playground import Ground


@pytest.mark.parametrize(
    "name",
    [b"", b"/", b"/private", b"/private/", b"private/x", b"/private//x", b"/private/x/", b"/private/*", b"/private/%",
     b"/private/\x01", b"/private/\xe4", b"/vendor/x", b"/private/" + b"x" * 255],
)  # fmt: skip
def test_bad_entries(name: bytes) -> None:
    with pytest.raises(Mistake):
        entry_name(name)


@pytest.mark.parametrize(
    ("depth", "entry", "fits"),
    [(0, "/private/a", True), (0, "/private/a/b", False), (1, "/private/a/b", True), (1, "/private/a/b/c", False),
     (1000, "/private/a/b/c", True), (1000, "/private/ab", False)],
)  # fmt: skip
def test_depth(depth: int, entry: str, fits: bool) -> None:
    wanted = Wanted()
    wanted.depth = depth
    assert wanted.fits("/private/a", entry) is fits


def test_too_many(ground: Ground) -> None:
    client = at_home(ground, metadata_entries=2)
    client.say(b'a SETMETADATA "" (/private/a "1" /private/b "2")\r\n')
    assert client.say(b'b SETMETADATA "" (/private/c "3")\r\n').startswith(b"b NO [METADATA TOOMANY]")
    assert b"c OK" in client.say(b'c SETMETADATA "" (/private/a NIL /private/c "3")\r\n')
    many = b" ".join(b"/private/%d NIL" % number for number in range(51))
    assert client.say(b'd SETMETADATA "" (%b)\r\n' % many).startswith(b"d NO [LIMIT]")
