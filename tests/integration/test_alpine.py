"""alpine and an imapd on one INBOX in /var/mail, where alpine has its dot lock from our mlock."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from benchmarks.reliability.clients import Imap
from tests.conftest import missing, need, need_root
from tests.integration.machine import delivered, run
from tests.integration.terminal import Terminal
from tests.playground import Ground, interpreter, tree

MLOCK = Path("/usr/libexec/mlock")  # where Debian's alpine looks for it
WORDS = ("one", "two", "three", "four")
PINERC = """personal-name=Fred
user-domain=example.org
inbox-path={0}
feature-list=enable-flag-cmd,expunge-without-confirm,expunge-without-confirm-everywhere,quit-without-confirm
last-version-used=9.99
"""


@pytest.fixture
def mlock(tmp_path):
    """Our mlock where alpine looks; the file given has a line for each time it was asked."""
    need_root()
    need("dotlockfile")
    if MLOCK.exists():
        missing(f"{MLOCK} belongs to somebody else")
    calls = tmp_path / "calls"
    calls.touch(0o666)
    calls.chmod(0o666)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o001 == 0:
            path.chmod(path.stat().st_mode | 0o011)
    start = f"import sys; sys.path[:0] = [{str(tree())!r}]; sys.argv[0] = 'mlock'"
    start += "; from mailcore.store.mlock import main; sys.exit(main())"
    MLOCK.parent.mkdir(exist_ok=True)
    MLOCK.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexec {interpreter()} -I -S -c "{start}" "$@"\n')
    MLOCK.chmod(0o755)
    yield calls
    MLOCK.unlink()


@pytest.fixture
def session(tmp_path, fred):
    """imapd on a pipe with the user's INBOX selected."""
    need("alpine")
    fred.inbox.write_bytes(b"".join(map(delivered, WORDS)))
    run("chown", f"{fred.name}:mail", str(fred.inbox))
    fred.inbox.chmod(0o600)
    ground = Ground(tmp_path / "ground")
    ground.user = pwd.getpwnam(fred.name)
    ground.inbox = fred.inbox
    ground.hand_over()
    server = Imap(ground)
    assert server.say(b"SELECT INBOX")[0] == b"OK"
    yield server
    server.kill()


def test_alpine_changes_what_a_session_has_open(mlock, fred, session):
    assert session.say(b"STORE 2 +FLAGS (Work)")[0] == b"OK"
    pinerc = fred.home / ".pinerc"
    pinerc.write_text(PINERC.format(fred.inbox))
    os.chown(pinerc, fred.uid, fred.gid)
    with Terminal(need("alpine"), "-i", home=fred.home, user=pwd.getpwnam(fred.name), USER=fred.name) as alpine:
        assert b"vulnerable" not in alpine.until(b"Message 1 of 4")
        alpine.type(b"d", b"1 marked for deletion")
        alpine.type(b"*", b"Answ")
        alpine.type(b"a")
        alpine.type(b"x", b"expunge")
        alpine.type(b"q")
        alpine.ended()
    status, said = session.say(b"NOOP")
    assert status == b"OK" and b"* 1 EXPUNGE\r\n" in said
    _, said = session.say(b"UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert [word for word in WORDS if b"Subject: " + word.encode() in said] == ["two", "three", "four"]
    assert said.count(b"UID ") == 3 and all(b"UID %d " % uid in said for uid in (2, 3, 4))
    (two,) = (line for line in said.splitlines() if b"UID 2 " in line)
    assert b"\\Answered" in two and b"Work" in two and said.count(b"\\Answered") == said.count(b"Work") == 1
    assert session.say(b"UID STORE 3 +FLAGS (\\Deleted)")[0] == session.say(b"EXPUNGE")[0] == b"OK"
    assert [name for name in os.listdir(fred.inbox.parent) if name.startswith(fred.name)] == [fred.name]
    assert {line.split()[1] for line in mlock.read_text().splitlines()} == {str(fred.inbox)}
