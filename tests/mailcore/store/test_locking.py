"""Locks, against programs that lock in each of the ways there are."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from mailcore.errors import InUse
from mailcore.settings import Settings
from mailcore.store import locking
from mailcore.store.locking import Dotlock, Locks

HOLDER = """
import fcntl, os, sys, time
path, how = sys.argv[1:3]
fd = os.open(path, os.O_RDWR)
if how == "posix": fcntl.lockf(fd, fcntl.LOCK_EX)
if how == "posix-read": fcntl.lockf(fd, fcntl.LOCK_SH)
if how == "flock": fcntl.flock(fd, fcntl.LOCK_EX)
if how == "dot": os.close(os.open(path + ".lock", os.O_CREAT | os.O_EXCL, 0o600))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(mail):
    running = []

    def hold(how):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(mail), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        running.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield hold
    for process in running:
        process.communicate()


@pytest.mark.parametrize(
    ("how", "exclusive", "shared"),
    [("posix", False, False), ("posix-read", False, True), ("flock", False, False), ("dot", False, True)],
)
def test_others_locks_are_respected(mail, fd, holder, how, exclusive, shared):
    process = holder(how)
    locks = Locks(str(mail), Settings(lock_seconds=0))
    for wanted, granted in ((True, exclusive), (False, shared)):
        if granted:
            locks.acquire(fd, wanted)
            assert locks.held
            locks.release()
        else:
            with pytest.raises(InUse):
                locks.acquire(fd, wanted)
        assert not locks.held
    if how == "dot":
        os.unlink(f"{mail}.lock")
    process.communicate()
    locks.acquire(fd, True)
    locks.release()
    assert os.listdir(mail.parent) == ["mail"]


def test_ours_are_respected_by_others(mail, fd):
    locks = Locks(str(mail), Settings())
    locks.acquire(fd, True)
    assert os.path.exists(f"{mail}.lock")
    probe = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for lock in (fcntl.lockf, fcntl.flock):
    try:
        lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("free")
    except OSError:
        print("busy")
"""
    command = [sys.executable, "-c", probe, str(mail)]
    assert subprocess.run(command, capture_output=True, check=True).stdout.split() == [b"busy", b"busy"]
    os.close(os.open(mail, os.O_RDONLY))  # POSIX locks would be gone with this
    assert subprocess.run(command, capture_output=True, check=True).stdout.split() == [b"busy", b"busy"]
    locks.release()
    assert subprocess.run(command, capture_output=True, check=True).stdout.split() == [b"free", b"free"]


def test_two_of_one_process_exclude_each_other(mail, fd):
    other = os.open(mail, os.O_RDWR)
    one, two = Locks(str(mail), Settings(lock_seconds=0)), Locks(str(mail), Settings(lock_seconds=0))
    one.acquire(fd, False)
    two.acquire(other, False)
    with pytest.raises(InUse):
        two.acquire(other, True)
    assert not two.held
    one.release()
    two.acquire(other, True)
    with pytest.raises(InUse):
        one.acquire(fd, False)
    two.release()
    os.close(other)


def test_waiting_ends_when_the_lock_is_free(mail, fd, holder):
    process = holder("posix")
    locks = Locks(str(mail), Settings(lock_seconds=10))
    process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    locks.acquire(fd, True)
    assert time.monotonic() - start < 3
    locks.release()


def test_limit_is_kept(mail, fd, holder):
    holder("flock")
    locks = Locks(str(mail), Settings(lock_seconds=60))
    start = time.monotonic()
    with pytest.raises(InUse):
        locks.acquire(fd, True, 0.3)
    assert 0.3 <= time.monotonic() - start < 2


def test_pauses_grow_and_differ():
    pauses = [locking.pause_seconds(tries) for tries in range(40)]
    assert pauses[0] < 0.01 and max(pauses) <= 0.5 and len(set(pauses)) > 30


# --- dot locks -----------------------------------------------------------------------------


def dead_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("content", "age", "taken"),
    [
        (b"", 0, False),
        (b"", 400, True),
        (b"me", 10, False),
        (b"me", 400, True),
        (b"dead", 10, True),
        (b"dead", 0, False),
        (b"0", 10, False),
        (b"1", 10, False),
        (b"dead otherhost", 10, False),
        (b"9" * 30, 10, False),
    ],
)
def test_stale_locks(mail, content, age, taken):
    path = f"{mail}.lock"
    content = content.replace(b"me", b"%d" % os.getpid()).replace(b"dead", b"%d" % dead_pid())
    with open(path, "wb") as file:
        file.write(content + b"\n")
    os.utime(path, (time.time() - age,) * 2)
    lock = Dotlock(str(mail), 300)
    if taken:
        lock.acquire()
        lock.release()
        assert not os.path.exists(path)
    else:
        with pytest.raises(locking.Busy):
            lock.acquire()
        with open(path, "rb") as file:
            assert file.read() == content + b"\n"
    assert not [name for name in os.listdir(mail.parent) if name.startswith("mail.lock.")]


def test_only_our_own_is_removed(mail):
    lock = Dotlock(str(mail), 300)
    lock.acquire()
    os.unlink(lock.path)
    with open(lock.path, "w") as file:
        file.write("somebody else")
    lock.release()
    assert os.path.exists(lock.path)


def test_a_link_is_not_followed(mail, tmp_path):
    os.symlink(tmp_path / "target", f"{mail}.lock")
    with pytest.raises(locking.Busy):
        Dotlock(str(mail), 300).acquire()
    assert not (tmp_path / "target").exists()


def test_what_link_answers_does_not_count(mail, monkeypatch):
    """NFS: the call fails, the link is there all the same."""
    real = os.link

    def link(source, target):
        real(source, target)
        raise OSError(5, "I/O error")

    monkeypatch.setattr(os, "link", link)
    lock = Dotlock(str(mail), 300)
    lock.acquire()
    lock.release()
    assert os.listdir(mail.parent) == ["mail"]


def test_the_helper_is_asked_where_we_may_not_write(mail, tmp_path, monkeypatch):
    helper = tmp_path / "helper"
    helper.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$1" = -u ] || exit $(cat {tmp_path}/code)\n')
    helper.chmod(0o755)
    monkeypatch.setattr(locking, "DOTLOCKFILE", str(helper))

    def refuse(self):
        raise PermissionError(13, "no")

    monkeypatch.setattr(Dotlock, "_link", refuse)
    lock = Dotlock(str(mail), 300)
    (tmp_path / "code").write_text("0")
    lock.acquire()
    lock.release()
    assert (tmp_path / "asked").read_text().splitlines() == [f"-l -p -r 0 {mail}.lock", f"-u {mail}.lock"]
    (tmp_path / "code").write_text("4")
    with pytest.raises(locking.Busy):
        lock.acquire()
    (tmp_path / "code").write_text("2")
    with pytest.raises(PermissionError):
        lock.acquire()
    monkeypatch.setattr(locking, "DOTLOCKFILE", str(tmp_path / "none"))
    with pytest.raises(PermissionError):
        lock.acquire()


def test_no_dot_lock_is_logged_once_and_the_work_goes_on(mail, fd, monkeypatch):
    lines = []
    monkeypatch.setattr(locking.log, "warning", lines.append)
    monkeypatch.setattr(Dotlock, "acquire", lambda self: (_ for _ in ()).throw(PermissionError(13, "no")))
    locks = Locks(str(mail), Settings())
    for _ in range(3):
        locks.acquire(fd, True)
        locks.release()
    assert len(lines) == 1


COUNTER = """
import fcntl, os, sys, time
path, order, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
for _ in range(rounds):
    fd = os.open(path, os.O_RDWR)
    for how in order:
        if how == "p": fcntl.lockf(fd, fcntl.LOCK_EX)
        if how == "f": fcntl.flock(fd, fcntl.LOCK_EX)
        if how == "d":
            while True:
                try: os.close(os.open(path + ".lock", os.O_CREAT | os.O_EXCL, 0o600)); break
                except FileExistsError: time.sleep(0.001)
    number = int(os.pread(fd, 20, 0)); time.sleep(0.0005); os.pwrite(fd, b"%d" % (number + 1), 0)
    if "d" in order: os.unlink(path + ".lock")
    os.close(fd)
"""


@pytest.mark.parametrize("order", ["p", "d", "f", "pd", "dp", "df", "fd", "dpf"])
def test_no_order_of_others_locks_us_up(mail, order):
    """Neighbours wait holding what they have; nobody waits for ever, nothing is lost."""
    mail.write_bytes(b"0")
    rounds = 40
    command = [sys.executable, "-c", COUNTER, str(mail), order, str(rounds)]
    process = subprocess.Popen(command)
    locks = Locks(str(mail), Settings(lock_seconds=20))
    for _ in range(rounds):
        fd = os.open(mail, os.O_RDWR)
        locks.acquire(fd, True)
        number = int(os.pread(fd, 20, 0))
        time.sleep(random.random() / 1000)
        os.pwrite(fd, b"%d" % (number + 1), 0)
        locks.release()
        os.close(fd)
    assert process.wait(20) == 0
    assert mail.read_bytes() == b"%d" % (2 * rounds)


def test_all_pairs_of_neighbours_and_us():
    """R8, a tenth of it: benchmarks/lock_orders.py runs longer."""
    program = os.path.join(os.path.dirname(__file__), "../../../benchmarks/lock_orders.py")
    done = subprocess.run([sys.executable, program, "0.2"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nok ") + 1 == 36


def test_nfs_has_one_kernel_lock(mail, fd, holder, monkeypatch):
    """There a flock is an fcntl lock, and our own one is in its way."""
    holder("flock")
    locks = Locks(str(mail), Settings(lock_seconds=0))
    with pytest.raises(InUse):
        locks.acquire(fd, True)
    monkeypatch.setattr(locking, "_file_system", lambda path: "nfs4")
    locks = Locks(str(mail), Settings(lock_seconds=0))
    locks.acquire(fd, True)
    locks.release()
