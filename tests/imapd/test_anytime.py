"""imapd.anytime: CAPABILITY, NOOP and LOGOUT in every state."""

from __future__ import annotations

from pathlib import Path

import pytest

from imapd import extensions
from mailcore.settings import Settings
from tests.imapd.conversation import inbox, stranger, user

BEFORE = b"* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE LOGIN-REFERRALS AUTH=PLAIN AUTH=LOGIN\r\n"
TOLD_AFTER = [
    extensions.SPELLED.get(name, lambda _, name=name: name)(Settings())
    for name, (_, when) in extensions.NAMES.items()
    if when != extensions.BEFORE and extensions.IF.get(name, bool)(Settings())
]
AFTER = b"* CAPABILITY IMAP4rev1 %b\r\n" % " ".join(TOLD_AFTER).encode()


def test_capability_is_true_where_it_is_told():
    assert stranger().say(b"a CAPABILITY\r\n") == BEFORE + b"a OK CAPABILITY completed\r\n"
    client, _ = user(inbox())
    assert client.say(b"a CAPABILITY\r\n") == AFTER + b"a OK CAPABILITY completed\r\n"
    client.say(b"b SELECT INBOX\r\n")
    assert client.say(b"c CAPABILITY\r\n").startswith(AFTER)


def test_each_extension_has_its_name():
    """A file that NAMES does not name would never be loaded."""
    files = {path.stem for path in Path(extensions.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {module for module, _ in extensions.NAMES.values() if module} | set(extensions.UNTOLD)


@pytest.mark.parametrize("name", [b"CAPABILITY", b"NOOP", b"LOGOUT"])
def test_no_arguments(name):
    for client in (stranger(), user()[0]):
        assert client.say(b"a %b x\r\n" % name) == b"a BAD Unexpected extra arguments: %b\r\n" % name
        assert not client.over


def test_logout_expunges_nothing():
    box = inbox()
    box.marks[1] = frozenset({"\\Deleted"})
    client, session = user(box)
    client.say(b"a SELECT INBOX\r\n")
    said = client.say(b"b LOGOUT\r\nc NOOP\r\n")
    assert said == b"* BYE mail.example.org IMAP4rev1 server terminating connection\r\nb OK LOGOUT completed\r\n"
    assert client.over and box.messages
