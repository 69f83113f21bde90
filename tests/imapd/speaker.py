"""An IMAP session without any descriptor: what a client says goes in, what it hears comes out."""

from __future__ import annotations

import os

from imapd.session import SERVICE
from mailcore.login.accounts import Account, Peer
from mailcore.settings import load
from mailcore.wire import Wait
from tests.playground import Ground


class Speaker:
    """One session; `say` gives the lines of the answer, the tag is `t`."""

    def __init__(self, ground: Ground) -> None:
        settings = load([f"{name}={value}" for name, value in ground.options().items()], "/nonexistent")
        account = Account("fred", os.getuid(), os.getgid(), str(ground.home))
        self.talk = SERVICE.session(settings, Peer("pipe", local=True), account, None)
        self.hear(None)

    def hear(self, data: bytes | None) -> bytes:
        said = b""
        while True:
            step = self.talk.send(data)
            if isinstance(step, Wait):
                return said
            said, data = said + (step if isinstance(step, bytes) else b""), None

    def say(self, line: bytes) -> list[bytes]:
        return self.hear(b"t " + line + b"\r\n").split(b"\r\n")[:-1]
