"""A mail file on NFS, as this machine sees it: R31.

What lives here: a client's caches, put in place of `os` and `fcntl`.  A stat is answered from the
cache for a minute, a path leads to the inode it led to before, a page that was read is read again as
it was, up to the size that the cache knows; an open asks the server, and so does a lock if there is
a lockd.  Other machines change the file itself.  What does not: writes that the client holds back.
"""

from __future__ import annotations

import errno
import os
from random import Random

import pytest

from mailcore.errors import Expunged, MailError
from mailcore.store import files, locking
from mailcore.store.formats.mbox import followed, journal, mailfile
from mailcore.store.mailbox import Incoming

CACHE_SECONDS = 60
PAGE = 4096


class Client:
    """Stands in for `os`."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.now = 0.0
        self.known: dict[int, tuple[float, os.stat_result]] = {}  # inode: when asked, answer
        self.names: dict[str, tuple[float, int]] = {}
        self.pages: dict[tuple[int, int], bytes] = {}

    def __getattr__(self, name: str):
        return getattr(os, name)

    def fresh(self, status: os.stat_result) -> os.stat_result:
        """The server was asked: what it says is news, and old pages are forgotten."""
        before = self.known.get(status.st_ino)
        if before and (before[1].st_mtime_ns, before[1].st_size) != (status.st_mtime_ns, status.st_size):
            for key in [key for key in self.pages if key[0] == status.st_ino]:
                del self.pages[key]
        self.known[status.st_ino] = self.now, status
        return status

    def cached(self, status: os.stat_result) -> os.stat_result:
        asked, answer = self.known.get(status.st_ino, (-CACHE_SECONDS, status))
        return answer if self.now - asked < CACHE_SECONDS else self.fresh(status)

    def open(self, path, flags, *mode):
        fd = os.open(path, flags, *mode)
        self.names[path] = self.now, self.fresh(os.fstat(fd)).st_ino
        return fd

    def fstat(self, fd):
        return self.cached(os.fstat(fd))

    def stat(self, path, *, follow_symlinks=True):
        asked, inode = self.names.get(path, (-CACHE_SECONDS, 0))
        if self.now - asked < CACHE_SECONDS and inode in self.known:
            return self.known[inode][1]
        status = self.fresh(os.stat(path, follow_symlinks=follow_symlinks))
        self.names[path] = self.now, status.st_ino
        return status

    def pread(self, fd, octets, offset):
        status = self.fstat(fd)
        end = min(offset + octets, status.st_size)
        data = b""
        while offset < end:
            place = offset - offset % PAGE
            page = self.pages.setdefault((status.st_ino, place), os.pread(fd, PAGE, place).ljust(PAGE, b"\0"))
            part = page[offset - place : min(PAGE, end - place)]
            data += part
            offset += len(part)
        return data

    def _changed(self, fd, done):
        status = os.fstat(fd)
        for key in [key for key in self.pages if key[0] == status.st_ino]:
            del self.pages[key]  # our own writes are in our pages
        self.known[status.st_ino] = self.now, status
        return done

    def pwrite(self, fd, data, offset):
        return self._changed(fd, os.pwrite(fd, data, offset))

    def ftruncate(self, fd, octets):
        return self._changed(fd, os.ftruncate(fd, octets))

    def posix_fallocate(self, fd, offset, octets):
        raise OSError(errno.EOPNOTSUPP, "not before NFS 4.2")

    def utime(self, fd, *, ns):
        return self._changed(fd, os.utime(fd, ns=ns))


@pytest.fixture(params=["lockd", "no lockd"])
def client(request, spool, monkeypatch):
    client = Client(str(spool.root))
    for module in (files, journal, mailfile, followed):
        monkeypatch.setattr(module, "os", client)
    monkeypatch.setattr(mailfile, "is_remote", lambda path, device: True)
    monkeypatch.setattr(locking, "_file_system", lambda path: "nfs4")
    real = locking._ofd

    def ofd(fd, kind):
        if request.param == "no lockd":
            return
        real(fd, kind)
        client.fresh(os.fstat(fd))

    monkeypatch.setattr(locking, "_ofd", ofd)
    monkeypatch.setattr(locking, "_flock", lambda fd, exclusive: False)  # it would be the same lock
    return client


class Others:
    """Other machines, and what must be in the mailbox: texts by token."""

    def __init__(self, spool, random: Random) -> None:
        self.spool, self.random = spool, random
        self.made = 0
        self.there: set[str] = set()

    def text(self) -> tuple[str, str]:
        self.made += 1
        token = f"m{self.made}m"
        self.there.add(token)
        return token, f"{token} {'x' * self.random.choice((5, 500, 5000))} {token}\n"

    def deliver(self) -> None:
        token, body = self.text()
        self.spool.deliver(self.spool.message(token, body))

    def rewrite(self) -> None:
        """The first or the last message goes; the file in place, or another in its place."""
        mails = self.spool.path.read_bytes().split(b"\n\nFrom ")
        if len(mails) < 3:
            return
        gone = mails.pop(self.random.choice((0, -1)))
        self.there -= {token for token in self.there if f"Subject: {token}\n".encode() in gone}
        content = b"\n\nFrom ".join(mails)
        content = content if content.startswith(b"From ") else b"From " + content
        content = content if content.endswith(b"\n\n") else content + b"\n\n"
        if self.random.random() < 0.5:
            self.spool.path.write_bytes(content)
        else:
            new = self.spool.root / "new"
            new.write_bytes(content)
            os.rename(new, self.spool.path)


def whole(text: bytes) -> str:
    """The token of a message if it is that and nothing else."""
    words = text.split()
    assert words[0] == b"Subject:" and words[1] == words[2] == words[-1], text[:100] + b" ... " + text[-100:]
    return words[1].decode()


def test_stale_answers_cost_no_mail(client, spool):
    """A thousand steps of two sessions here and of other machines, seconds apart."""
    random = Random(31)
    others = Others(spool, random)
    others.deliver()
    sessions = [spool.open(), spool.open()]
    meaning: dict[int, str] = {}  # UID: token

    def ours() -> None:
        box = random.choice(sessions)
        act = random.choice(("append", "store", "remove", "look", "look", "read", "read", "read"))
        uids = list(box.uids)
        if act == "append":
            token, body = others.text()
            box.append([Incoming(f"Subject: {token}\n\n{body}".encode())])
        elif act == "look":
            box.refresh()
            box.news()
        elif uids and act == "store":
            box.store([random.choice(uids)], "+", ["\\Seen", f"k{random.randint(1, 9)}"])
        elif uids and act == "remove" and len(others.there) > 4:
            uid = random.choice(uids)
            token = meaning.setdefault(uid, read(box, uid))
            if uid in box.remove([uid]):
                others.there.discard(token)
        elif uids and act == "read":
            uid = random.choice(uids)
            token = read(box, uid)
            assert not token or meaning.setdefault(uid, token) == token

    def read(box, uid: int) -> str:
        try:
            return whole(bytes(box.text(uid)[:]))
        except Expunged:
            return ""

    for _ in range(1000):
        client.now += random.choice((0.01, 1, 20))
        try:
            random.choice((ours, ours, ours, others.deliver, others.rewrite))()
        except MailError as error:
            raise AssertionError(error.detail or error.text) from error
    content = spool.path.read_bytes()
    assert {token for token in others.there if content.count(f"Subject: {token}\n".encode()) == 1} == others.there
    assert content.count(b"\nSubject: ") == len(others.there)


def test_a_link_whose_answer_was_lost(client, spool, monkeypatch, subjects):
    monkeypatch.setattr(os, "link", lost(os.link))
    spool.fill("one")
    box = spool.open()
    for _ in range(20):
        client.now += 1
        box.store([1], "+", ["\\Seen"])
        box.store([1], "-", ["\\Seen"])
    assert subjects(box) == ["one"] and not list(spool.root.glob("*.lock*"))


def lost(link):
    def call(old, new):
        link(old, new)
        raise OSError(errno.EIO, "I/O error")

    return call
