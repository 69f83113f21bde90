"""UW's mlock: ours as alpine calls it, and another's as we call it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from mailcore.settings import Settings
from mailcore.store import locking, mlock
from mailcore.store.locking import Busy, Dotlock, Locks
from tests.playground import interpreter, tree


class Program:
    """Our mlock, started as c-client does: the descriptor's number and the path, a pipe each way."""

    def __init__(self, fd: int, *arguments: str) -> None:
        start = f"import sys; sys.path[:0] = [{str(tree())!r}]; sys.argv[0] = 'mlock'"
        start += "; from mailcore.store.mlock import main; sys.exit(main())"
        command = [interpreter(), "-I", "-S", "-c", start, *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, pass_fds=(fd,))

    def answer(self) -> bytes:
        return self.process.stdout.read(1)

    def end(self, data: bytes = b"") -> int:
        self.process.communicate(data, timeout=20)
        return self.process.returncode


@pytest.mark.parametrize("how", [b"", b"+"])
def test_it_holds_the_lock_until_its_input_speaks_or_ends(mail, fd, how):
    program = Program(fd, str(fd), str(mail))
    assert program.answer() == b"+"
    with pytest.raises(Busy):
        Dotlock(str(mail), 300).acquire()
    assert program.end(how) == 0
    assert os.listdir(mail.parent) == ["mail"]


def test_it_waits_its_turn_and_gives_up_with_its_caller(mail, fd):
    other = Dotlock(str(mail), 300)
    other.acquire()
    waiting, leaving = Program(fd, str(fd), str(mail)), Program(fd, str(fd), str(mail))
    leaving.process.stdin.close()
    assert leaving.answer() == b"-" and leaving.process.wait(20) == 1
    other.release()
    assert waiting.answer() == b"+" and waiting.end() == 0


@pytest.mark.parametrize(
    "arguments",
    [[], ["{fd}"], ["{fd}", "mail"], ["x", "{mail}"], ["{fd}", "{mail}2"], ["{fd}", "{link}"], ["{fd}", "{directory}"],
     ["999", "{mail}"], ["-1", "{mail}"], ["{fd}", "{mail}", "more"], ["9" * 30, "{mail}"], ["{fd}", "{other}"]],
)  # fmt: skip
def test_it_locks_only_the_file_it_was_given(mail, fd, tmp_path, arguments):
    os.symlink(mail, tmp_path / "link")
    (tmp_path / "other").write_bytes(b"x")
    names = {"fd": fd, "mail": mail, "link": tmp_path / "link", "directory": tmp_path, "other": tmp_path / "other"}
    program = Program(fd, *(argument.format(**names) for argument in arguments))
    assert program.answer() == b"?"
    assert program.end() == 1
    assert not [name for name in os.listdir(tmp_path) if ".lock" in name]


# --- another's -------------------------------------------------------------------------------


FAKE = f"""#!{sys.executable} -IS
import os, sys
fd, path = sys.argv[1:]
mine, there = os.fstat(int(fd)), os.stat(path)
assert mine.st_ino == there.st_ino
try:
    os.close(os.open(path + ".lock", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    import time; time.sleep(60)
os.write(1, b"+")
sys.stdin.buffer.read(1)
os.unlink(path + ".lock")
"""


@pytest.fixture
def uw(mail, tmp_path, monkeypatch):
    """A spool where we may make no dot lock, no dotlockfile, and UW's mlock."""
    program = tmp_path / "uw-mlock"
    program.write_text(FAKE)
    program.chmod(0o2755)
    monkeypatch.setattr(mlock, "PROGRAMS", ("/nonexistent", str(program)))
    monkeypatch.setattr(locking, "DOTLOCKFILE", "/nonexistent")

    def refuse(self):
        raise PermissionError(13, "no")

    monkeypatch.setattr(Dotlock, "_link", refuse)
    return program


def test_it_is_asked_where_there_is_no_dotlockfile(mail, fd, uw):
    locks = Locks(str(mail), Settings(lock_seconds=0))
    for _ in range(2):
        locks.acquire(fd, True)
        assert os.path.exists(f"{mail}.lock")
        locks.release()
        assert not os.path.exists(f"{mail}.lock")


def test_who_has_not_got_it_does_not_wait_with_the_other_locks(mail, fd, uw, monkeypatch):
    (mail.parent / "mail.lock").write_bytes(b"")
    started = []
    monkeypatch.setattr(mlock, "ANSWER_SECONDS", 0.2)
    spawn = os.posix_spawn
    monkeypatch.setattr(os, "posix_spawn", lambda *a, **k: started.append(spawn(*a, **k)) or started[-1])
    lock = Dotlock(str(mail), 300, fd)
    with pytest.raises(Busy):
        lock.acquire()
    assert len(started) == 1


def test_only_one_that_can_do_more_than_we_is_asked(mail, fd, uw):
    uw.chmod(0o755)
    with pytest.raises(PermissionError):
        Dotlock(str(mail), 300, fd).acquire()
    with pytest.raises(PermissionError):
        Dotlock(str(mail), 300).acquire()
    before = time.monotonic()
    uw.write_text("#!/bin/sh\nexit 1\n")
    uw.chmod(0o2755)
    with pytest.raises(PermissionError):
        Dotlock(str(mail), 300, fd).acquire()
    assert time.monotonic() - before < 30
