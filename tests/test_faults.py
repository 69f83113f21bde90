"""S39 and S55: an error anywhere in our own code, or memory at its end, costs one session and no mail.

Each fault is an exception thrown at the N-th call of one of our functions, in a session that runs
as it does on a pipe; N goes over the whole conversation.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path

import pytest

from mailcore import log
from mailcore.login import landlock, monitor, privileges, seccomp  # noqa: F401  imported before the first call counts
from mailcore.login.accounts import Peer
from mailcore.settings import load
from mailcore.store.namespace import Store
from tests.mailcore.login.stage import FakeSyslog
from tests.playground import MAILBOXES, ROOT, Ground

POINTS = 110  # for each server
TALKS = {
    "imapd": b"".join(
        b"a%d %s\r\n" % (number, line)
        for number, line in enumerate(
            [
                b"SELECT INBOX", b"FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE RFC822.SIZE)", b"FETCH 1 BODY[]",
                b"STORE 1 +FLAGS (\\Seen word)", b'SEARCH TEXT "body"', b"CREATE x", b"COPY 1 x", b'LIST "" *',
                b"APPEND x {14+}\r\nSubject: y\r\n\r\n", b"STORE 2 +FLAGS (\\Deleted)", b"EXPUNGE",
                b"STATUS x (MESSAGES)", b"LOGOUT",
            ]
        )
    ),
    "ipop3d": b"STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\nDELE 2\r\nNOOP\r\nQUIT\r\n",
}  # fmt: skip
SAFE = ("mailcore/log.py", "mailcore/login/")  # who tells of a fault cannot be where it happens


class Fault(Exception):
    """What is thrown."""


class Counter:
    """Counts the calls of our functions, and throws at one of them."""

    def __init__(self, at: int) -> None:
        self.count = 0
        self.at = at
        self.where = ""

    def __call__(self, frame, event, argument) -> None:
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(str(ROOT)) or "/tests/" in name or frame.f_code.co_name == "<module>":
            return
        if name[len(str(ROOT)) + 1 :].startswith(SAFE):
            return
        self.count += 1
        if self.count == self.at:
            self.where = f"{name}:{frame.f_code.co_name}"
            raise Fault


def converse(server: str, ground: Ground, at: int = 0, **options: object) -> tuple[bytes, list[str], int]:
    """What the client heard, what was logged, and the exit status; at=0 counts calls into the last log line."""
    log_path = ground.path / "log"
    log_path.write_text("")
    said = ground.path / "said"
    said.write_bytes(TALKS[server])
    heard = ground.path / "heard"
    service = importlib.import_module(f"{server}.session").SERVICE
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            settings = load(
                [f"{name}={value}" for name, value in (ground.options() | options).items()], "/nonexistent"
            )
            settings.pop3_preauth = True
            privileges.become = lambda account: None  # root may have no session
            os.environ["HOME"] = str(ground.home)
            fake = FakeSyslog(log_path)
            log.open_log = lambda ident: setattr(log, "_syslog", fake)  # type: ignore[assignment]
            fds = os.open(said, os.O_RDONLY), os.open(heard, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            counter = Counter(at)
            sys.setprofile(counter)
            status = monitor.serve(service, settings, Peer("pipe", local=True, user="fred"), *fds)
            sys.setprofile(None)
            if not at:
                fake.syslog("COUNT", str(counter.count))
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return heard.read_bytes(), log_path.read_text().splitlines(), status


def ground_of(tmp_path: Path, name: str) -> Ground:
    (tmp_path / name).mkdir()
    ground = Ground(tmp_path / name)
    ground.place("INBOX", (MAILBOXES / "drop.mbox").read_bytes())
    return ground


def messages(data: bytes) -> list[bytes]:
    """The bodies in an mbox: what no server may change."""
    parts = re.split(rb"(?m)^From \S+ +\w{3} \w{3} .*\n", data)[1:]
    return [part.partition(b"\n\n")[2].strip() for part in parts]


def whole_again(ground: Ground) -> bytes:
    """INBOX as the next session leaves it: it finishes a change that was interrupted."""
    settings = load([f"{name}={value}" for name, value in ground.options().items()], "/nonexistent")
    with Store("fred", str(ground.home), settings) as store, store.open("INBOX"):
        return ground.inbox.read_bytes()


ENDING = {
    "imapd": rb"\* BYE Internal error \[([0-9a-f]{8})\]\r\n$",
    "ipop3d": rb"-ERR (?:\[SYS/TEMP\] )?Internal error \[([0-9a-f]{8})\]\r\n$",
}
LARGE = {"imapd": b"a SELECT INBOX\r\nb FETCH * BODY[]\r\nc LOGOUT\r\n", "ipop3d": b"RETR 4\r\nQUIT\r\n"}


@pytest.mark.parametrize("server", TALKS)
def test_a_fault_anywhere_is_told_once_and_costs_no_mail(server, tmp_path):
    before = messages((MAILBOXES / "drop.mbox").read_bytes())
    heard, lines, status = converse(server, ground_of(tmp_path, "whole"))
    assert status == 0, (heard, lines)
    total = int(lines[-1].split()[-1])
    assert total > POINTS
    swallowed = 0
    first = int(os.environ.get("MAILCORE_FAULT", "1"))  # a point that once failed, to look at it again
    for at in range(first, total, max(1, total // POINTS)):
        ground = ground_of(tmp_path, str(at))
        heard, lines, status = converse(server, ground, at)
        assert b"Traceback" not in heard and b"Fault" not in heard, (at, heard[-300:])
        ids = {found[1] for line in lines if (found := re.search(r"\[([0-9a-f]{8})\]", line))}
        if any("cut short" in line for line in lines):
            assert len(ids) == 1, (at, lines)  # in the middle of a literal whatever we said would be mail
        elif status == 0:
            swallowed += 1  # where a failure is allowed: what was asked is answered all the same
            whole = b"LOGOUT completed" in heard if server == "imapd" else heard.count(b"+OK") >= 8
            assert whole, (at, heard[-300:], lines)
        else:
            told = re.search(ENDING[server], heard)
            assert status == 1
            assert told, (at, heard[-300:], lines)
            assert ids == {told[1].decode()}, (at, told, '\n'.join(lines))
        after = messages(whole_again(ground))
        assert after in (before, before[:1] + before[2:]), at
    assert swallowed < total // 20


@pytest.mark.parametrize("server", TALKS)
def test_memory_at_its_end_is_the_end_of_the_session(server, tmp_path, monkeypatch):
    """S55: a message larger than all the memory there is."""
    ground = ground_of(tmp_path, "large")
    with ground.inbox.open("ab") as file:
        file.write(b"From x@example.org Sat Nov 14 08:00:00 2026\nSubject: large\n\n" + b"x" * (80 << 20) + b"\n\n")
    before = ground.inbox.read_bytes()
    used = 1024 * int(re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text())[1])
    monkeypatch.setitem(TALKS, server, LARGE[server])
    heard, lines, status = converse(server, ground, session_octets=used + (48 << 20), text_octets=1 << 30)
    assert b"Traceback" not in heard
    assert status == 1
    assert any("MemoryError" in line for line in lines), lines[-5:]
    assert re.search(ENDING[server], heard), heard[-300:]
    assert messages(ground.inbox.read_bytes()) == messages(before)
