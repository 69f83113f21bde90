"""A listener for fred and wilma, and clients that come to it; the fixture is in conftest.py."""

from __future__ import annotations

import os
import socket

from tests.mailcore.login.parrot import Parrot

SECONDS = 10
UID = os.getuid() or 54321


class Territory:
    def __init__(self, *paths):
        self.paths = paths

    def enter(self):
        return [(path, "tree") for path in self.paths]


class Homely(Parrot):
    """A parrot that asks to be fenced in to its user's home."""

    def session(self, settings, peer, account, entry):
        talk = super().session(settings, peer, account, entry)
        yield next(talk)
        yield Territory(account.home)
        reply = None
        try:
            while True:
                reply = yield talk.send(reply)
        except StopIteration as end:
            return end.value


class Town:
    """Where clients come from."""

    def __init__(self, where):
        self.where = where

    def __call__(self, user="fred"):
        return Client(self.where, user)


class Client:
    def __init__(self, where, user):
        self.sock = socket.create_connection(where, timeout=SECONDS)
        self.file = self.sock.makefile("rb")
        assert self.file.readline() == b"HELLO\r\n"
        self.welcome = self.say(b"PASS %s secret" % user.encode())

    def say(self, line):
        self.sock.sendall(line + b"\r\n")
        return self.file.readline()

    def process(self):
        """The pid and uid of who serves us."""
        uid, pid, _ = self.say(b"WHO").split()
        return int(pid), int(uid)

    def leave(self):
        """The session ends, and lets go of the connection at once."""
        self.sock.sendall(b"QUIT\r\n")
        assert self.file.read() == b"BYE\r\n"
        self.sock.close()
