"""mailcore.store.territory: the places of a store, and what the steward does for a fenced session."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from mailcore.settings import Settings
from mailcore.store import locking
from mailcore.store.locking import Busy, Dotlock
from mailcore.store.namespace import Store
from mailcore.store.steward import Steward
from mailcore.store.territory import Territory


@pytest.fixture
def store(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "spool").mkdir()
    settings = Settings(
        mail_location=f"mbox:~/mail:INBOX={tmp_path}/spool/%u", index_directory=str(tmp_path / "index")
    )
    with Store("fred", str(tmp_path / "home"), settings) as store:
        yield store


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """A dotlockfile that writes down what it is asked, and makes and removes the lock."""
    path = tmp_path / "dotlockfile"
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        'case $1 in -l) [ -e "$5" ] && exit 4; : > "$5";; -u) rm -f "$2";; -t) touch "$2";; esac\n'
    )
    path.chmod(0o755)
    monkeypatch.setattr(locking, "DOTLOCKFILE", str(path))
    return lambda: (tmp_path / "asked").read_text().splitlines()


def appointed(inbox, list_path, *notices):
    """A steward with these names."""
    steward = Steward()
    steward.appoint([str(inbox), "300", str(list_path), *map(str, notices)])
    return steward


@pytest.fixture
def steward(tmp_path, helper):
    (tmp_path / "home").mkdir(exist_ok=True)
    steward = appointed(tmp_path / "fred", tmp_path / "home/.mailboxlist")
    yield steward
    steward._sock.close()
    os.waitpid(-1, 0)


def test_places(store, tmp_path):
    assert Territory(store, names=True).places() == [
        (str(tmp_path / "spool"), "files"),
        (str(tmp_path / "index"), "tree"),
        ("/var/tmp", "files"),
        (str(tmp_path / "home/mail"), "tree"),
        ("/etc/passwd", "read"),
        ("/etc/group", "read"),
    ]
    assert (tmp_path / "home/mail").stat().st_mode & 0o777 == 0o700  # made, so that it can be a place


def test_without_names_there_is_no_mail_root(store, tmp_path):
    assert (str(tmp_path / "home/mail"), "tree") not in Territory(store, names=False).places()
    assert not (tmp_path / "home/mail").exists()


def test_where_an_inbox_that_is_a_link_leads(store, tmp_path):
    (tmp_path / "spool/fred").symlink_to(tmp_path / "home/inbox")
    assert (str(tmp_path / "home"), "files") in Territory(store, names=False).places()


def test_who_needs_no_steward_has_none(store, monkeypatch):
    monkeypatch.setattr(locking, "deputy", None)
    Territory(store, names=False).enter()  # the spool directory is ours to write in
    assert locking.deputy is None


def test_locks(steward, tmp_path):
    lock = tmp_path / "fred.lock"
    assert steward.lock(str(lock))
    assert lock.exists()
    steward.unlock()
    assert not lock.exists()
    steward.unlock()  # no harm


def test_somebody_elses_lock(steward, tmp_path):
    (tmp_path / "fred.lock").write_text("0\n")
    with pytest.raises(Busy):
        steward.lock(str(tmp_path / "fred.lock"))
    steward.unlock()
    assert (tmp_path / "fred.lock").exists()


def test_the_helper_is_run_where_the_directory_is_not_ours(helper, tmp_path, monkeypatch):
    def closed(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Dotlock, "_link", closed)
    lock = str(tmp_path / "fred.lock")
    steward = appointed(tmp_path / "fred", tmp_path / ".mailboxlist")
    monkeypatch.setattr(locking, "deputy", steward)
    dot = Dotlock(str(tmp_path / "fred"), 300)
    dot.acquire()  # as a session does it
    with pytest.raises(Busy):
        Dotlock(str(tmp_path / "fred"), 300).acquire()
    dot.release()
    assert helper() == [f"-l -p -r 0 {lock}", f"-l -p -r 0 {lock}", f"-u {lock}"]
    steward._sock.close()
    os.waitpid(-1, 0)


@pytest.mark.parametrize("path", ["/etc/passwd", "other.lock", "fred", ""])
def test_no_other_file_is_locked(steward, path, tmp_path):
    with pytest.raises(PermissionError):
        steward.lock(str(tmp_path / path) if path else "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dotlockfile", "home"]


def test_noise_is_no_verb(steward, tmp_path):
    """S33: ten thousand things that are said and mean nothing."""
    for number in range(10_000):
        octet = bytes((number % 256,))
        if octet not in b"LUHRNPDAB":
            assert steward._ask(octet + b"/etc/passwd" * (number % 3)) == -1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dotlockfile", "home"]


def test_the_list_is_read_and_replaced(steward, tmp_path):
    path = tmp_path / "home/.mailboxlist"
    with pytest.raises(FileNotFoundError):
        steward.read()
    with open(steward.fresh(), "wb") as file:
        file.write(b"a\n")
    steward.put()
    with open(steward.read(), "rb") as file:
        assert file.read() == b"a\n"
    os.close(steward.fresh())
    steward.drop()
    home = steward.home()
    assert os.listdir(home) == [".mailboxlist"]
    os.close(home)
    assert path.stat().st_mode & 0o777 == 0o600


def test_subscriptions_work_through_it(store, monkeypatch):
    monkeypatch.setattr(locking, "deputy", None)
    Territory(store, names=True).enter()
    assert isinstance(store.subscriptions.file, Steward)
    assert store.subscriptions.add("a", lambda line: line == "a")
    assert store.subscriptions.names() == ["a"]
    assert not store.subscriptions.add("a", lambda line: line == "a")
    assert store.subscriptions.remove(lambda line: line == "a")
    assert store.subscriptions.names() == []
    store.subscriptions.file._sock.close()
    os.waitpid(-1, 0)


def test_what_fails_there_fails_here(tmp_path, helper):
    steward = appointed(tmp_path / "fred", tmp_path / "missing/.mailboxlist")
    for ask in (steward.home, steward.fresh, steward.read):
        with pytest.raises(FileNotFoundError):
            ask()
    steward._sock.close()
    os.waitpid(-1, 0)


def test_a_steward_that_is_gone_is_an_error(steward, tmp_path):
    *_, child = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    while Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)
    with pytest.raises(OSError):
        steward.read()
    with pytest.raises(OSError):
        steward.lock(str(tmp_path / "fred.lock"))


def test_a_lock_that_is_left_is_given_back_when_the_session_is_killed(tmp_path):
    lock = tmp_path / "fred.lock"
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        steward = appointed(tmp_path / "fred", tmp_path / ".mailboxlist")
        steward.lock(str(lock))
        os.write(into, b"!" if lock.exists() else b"?")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    until = time.monotonic() + 20
    while time.monotonic() < until and lock.exists():
        time.sleep(0.01)
    assert os.read(out, 1) == b"!"
    assert not lock.exists()
    os.close(out)
    os.close(into)


def test_the_steward_holds_no_descriptor_of_the_session(tmp_path, helper):
    out, into = os.pipe()
    steward = appointed(tmp_path / "fred", tmp_path / ".mailboxlist")
    os.close(into)
    assert os.read(out, 1) == b""  # ours was the last end
    steward._ask(b"?")  # it has begun
    *_, child = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    held = {os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")}
    assert len(held) == 2
    assert "/dev/null" in held
    steward._sock.close()
    os.waitpid(-1, 0)
    os.close(out)
