"""The file of a mailbox: found again, replaced, stamped."""

from __future__ import annotations

import errno
import os
import time

import pytest

from mailcore.errors import InUse, ReadOnly
from mailcore.settings import Settings
from mailcore.store import files
from mailcore.store.formats.mbox import mailfile, rewrite
from mailcore.store.formats.mbox.mailfile import NOWHERE, MailFile


@pytest.fixture
def file(tmp_path):
    made = MailFile(str(tmp_path / "m"), Settings(lock_seconds=0), True, str(tmp_path))
    yield made
    made.close()


def test_missing_made_replaced(file, tmp_path):
    with file.held(True) as there:
        assert not there
    assert file.named_stamp() == NOWHERE
    file.make()
    file.make()
    with file.held(True) as there:
        assert there and os.path.exists(f"{file.path}.lock")
        first = file.stamp()
    assert not os.path.exists(f"{file.path}.lock")
    (tmp_path / "n").write_bytes(b"x")
    os.rename(tmp_path / "n", file.path)
    with file.held(False) as there:
        assert there and file.stamp() != first
    os.unlink(file.path)
    with file.held(False) as there:
        assert not there and file.fd == -1


def test_a_reader_takes_no_exclusive_lock(tmp_path):
    (tmp_path / "m").write_bytes(b"")
    file = MailFile(str(tmp_path / "m"), Settings(), False, str(tmp_path))
    with pytest.raises(ReadOnly):
        file.lock(True)
    assert not MailFile(str(tmp_path / "m"), Settings(), True, "").writable, "no place for a journal"
    file.close()


def test_locks_are_given_back_whatever_happens(file):
    file.make()
    other = MailFile(file.path, Settings(lock_seconds=0), True, file.home)
    with pytest.raises(ValueError), file.held(True):
        with pytest.raises(InUse):
            other.lock(False)
        raise ValueError
    with other.held(True) as there:
        assert there
    other.close()


def test_what_we_wrote_has_a_time_of_its_own(file):
    file.make()
    with file.held(True):
        seen = set()
        for _ in range(50):
            before = file.stamp()
            os.pwrite(file.fd, b"x", 0)
            stamp, believed = file.wrote(before)
            assert believed and stamp[2] < time.time_ns()
            seen.add(stamp)
        assert len(seen) == 50
        assert os.fstat(file.fd).st_atime >= os.fstat(file.fd).st_mtime, "no new mail for shells"
        file.wrote(file.stamp(), new_mail=True)
        assert os.fstat(file.fd).st_atime < os.fstat(file.fd).st_mtime


def test_a_delivery_after_us_has_not_to_sleep(file):
    """procmail waits for the next second, with its locks, if the file was read in this one."""
    file.make()
    with file.held(True):
        for new_mail in (False, True):
            now = int(time.time())
            file.wrote(file.stamp(), new_mail)
            assert os.fstat(file.fd).st_atime < now


def test_who_holds_all_locks_gives_a_young_file_a_time_of_its_own(file, monkeypatch):
    file.make()
    with file.held(True):
        os.pwrite(file.fd, b"x", 0)
        monkeypatch.setattr(mailfile, "sleep", None)
        stamp, believed = file.settled_stamp(known=True)
        assert believed and time.time_ns() - stamp[2] >= mailfile.GRAIN_NS
        assert os.fstat(file.fd).st_atime < os.fstat(file.fd).st_mtime, "it is new mail still"
        os.utime(file.fd)
        later = time.time_ns() + 1_000_000
        os.utime(file.fd, ns=(later, later - 1_000_000))
        assert file.settled_stamp(known=True)[1]
        assert os.fstat(file.fd).st_atime >= os.fstat(file.fd).st_mtime, "it has been read"


def test_young_files_are_waited_for(file):
    file.make()
    with file.held(False):
        os.pwrite(file.fd, b"x", 0)
        stamp, believed = file.settled_stamp()
        assert believed and time.time_ns() - stamp[2] >= mailfile.GRAIN_NS
        second = int(time.time()) * 1_000_000_000
        os.utime(file.fd, ns=(second, second))
        assert file.settled_stamp() == ((stamp[0], 1, second), False), "whole seconds: too long to wait"
        future = time.time_ns() + 10 * mailfile.SKEW_NS
        os.utime(file.fd, ns=(future, future))
        assert file.settled_stamp()[1], "no write gets such a time"


def test_a_stale_handle_is_opened_anew(file, monkeypatch):
    """NFS: the file was replaced on another machine."""
    file.make()
    with file.held(True):
        pass
    real, calls = os.fstat, []

    def fstat(fd):
        calls.append(fd)
        if len(calls) == 1:
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(fd)

    monkeypatch.setattr(mailfile.os, "fstat", fstat)
    with file.held(True) as there:
        assert there and len(calls) > 1


def test_what_nobody_touched_since_our_sync_is_not_synced_again(file, monkeypatch, tmp_path):
    synced = []
    monkeypatch.setattr(files, "sync_data", lambda fd: synced.append(fd == file.fd))

    def change() -> bool:
        plan = rewrite.Plan(file.stamp()[1], file.stamp()[1])
        plan.pieces.append(b"more")
        before = file.stamp()
        synced.clear()
        file.perform(plan)
        file.wrote(before)
        return any(synced)

    file.make()
    with file.held(True):
        assert change() and not change()
        os.pwrite(file.fd, b"others", 0)
        assert change() and not change()
        file.write(b"ours", 0)
        file.wrote(file.stamp())
        assert change()
