"""A server of five words, for the tests of mailcore.login.

Before login: `PASS user password`, `EXT [user]`, `ME` (its pid), `CRASH`, `NOTE`, `QUIT`; after it: every line comes
back, `WHO` tells who the process is, `CRASH` raises, `QUIT` ends.
"""

from __future__ import annotations

import os

from mailcore import log
from mailcore.errors import Hangup
from mailcore.login.channel import Entry, Question
from mailcore.wire import Wire


class Parrot:
    name = "imap"
    program = "parrot"
    pam_services = ("imap",)

    def strangers(self, settings, peer):
        wire = Wire(settings.login_timeout_seconds)
        if not peer.greeted:
            yield b"HELLO\r\n"
        while True:
            line = yield from wire.line(settings.login_line_octets)
            word, _, rest = line.partition(b" ")
            if word == b"QUIT":
                yield b"BYE\r\n"
                return None
            if word == b"CRASH":
                raise ValueError("secret words")
            if word == b"NOTE":
                yield b"NOTED %s\r\n" % log.tracebacks(RuntimeError("secret words")).encode()
            elif word in (b"PASS", b"EXT"):
                entry = yield from self._ask(word, rest, wire)
                if entry:
                    return entry
            elif word == b"ME":
                yield b"%d\r\n" % os.getpid()
            elif word == b"OPEN":
                yield b"%s\r\n" % self._try_to_open(rest)
            else:
                yield b"WHAT\r\n"

    def _ask(self, word, rest, wire):
        if word == b"PASS":
            user, _, password = rest.partition(b" ")
            verdict = yield Question("password", (user, password))
        else:
            verdict = yield Question("external", (rest,))
        if verdict.right:
            return Entry(verdict.account, b"tag", wire.rest(), b"state", "LOGIN" if word == b"PASS" else "EXTERNAL")
        yield b"NO [%s] %s\r\n" % (verdict.code.encode(), verdict.text.encode())
        return None

    def _try_to_open(self, path):
        try:
            return b"OPEN" if os.open(path, os.O_RDONLY) else b""
        except OSError as error:
            return str(error.strerror).encode()

    def session(self, settings, peer, account, entry):
        wire = Wire(settings.login_timeout_seconds, entry.read_ahead if entry else b"")
        tag, state = (entry.tag, entry.state) if entry else (b"-", b"-")
        yield b"WELCOME %s %s %s\r\n" % (account.name.encode(), tag, state)
        while True:
            try:
                line = yield from wire.line(settings.line_octets)
            except Hangup as ending:
                return ending.reason
            if line == b"QUIT":
                yield b"BYE\r\n"
                return "Logout"
            if line == b"CRASH":
                raise ValueError("after login")
            if line == b"WHO":
                line = b"%d %d %s" % (os.getuid(), os.getpid(), os.getcwd().encode())
            yield b"%s\r\n" % line

    def sorry(self, text):
        return b"SORRY %s\r\n" % text.encode()


SERVICE = Parrot()
