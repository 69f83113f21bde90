"""NAMESPACE: one place, and it is the user's own."""

from __future__ import annotations

from tests.imapd.conversation import user


def test_namespace():
    client, _ = user()
    assert client.say(b"a NAMESPACE\r\n") == b'* NAMESPACE (("" "/")) NIL NIL\r\na OK NAMESPACE completed\r\n'
    assert client.say(b"a NAMESPACE x\r\n").startswith(b"a BAD ")
