"""ENABLE: what is known is switched on, once."""

from __future__ import annotations

from imapd.extensions import enable
from tests.imapd.conversation import user


def test_enable(monkeypatch):
    monkeypatch.setattr(enable, "ENABLE", {"CONDSTORE"})
    client, session = user()
    assert client.say(b"a ENABLE x-foo\r\n") == b"* ENABLED\r\na OK ENABLE completed\r\n"
    assert client.say(b"a ENABLE X condstore Y CONDSTORE\r\n").startswith(b"* ENABLED CONDSTORE\r\n")
    assert client.say(b"a ENABLE CONDSTORE\r\n").startswith(b"* ENABLED\r\n")
    assert session.enabled == {"CONDSTORE"}
    for words in (b"", b" ", b" (X)", b" X  Y", b' "X"'):
        assert client.say(b"a ENABLE" + words + b"\r\n").startswith(b"a BAD ")
