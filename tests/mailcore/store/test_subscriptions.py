"""~/.mailboxlist: read, replaced whole, shared with other writers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailcore.errors import DiskError, InUse, NoPermission
from mailcore.store import subscriptions
from mailcore.store.subscriptions import Subscriptions

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def home(tmp_path):
    (tmp_path / "mail").mkdir()
    return tmp_path


def subscribed(home):
    return Subscriptions(str(home), str(home / "mail"))


def add(home, name):
    return subscribed(home).add(name, lambda line: line == name)


def test_nothing_yet(home):
    assert subscribed(home).names() == []
    assert not subscribed(home).remove(lambda line: True)
    assert os.listdir(home) == ["mail"]


def test_add_and_remove(home):
    assert add(home, "b") and add(home, "a") and not add(home, "b")
    assert (home / ".mailboxlist").read_bytes() == b"b\na\n"
    assert subscribed(home).remove(lambda line: line == "b")
    assert (home / ".mailboxlist").read_bytes() == b"a\n"
    assert sorted(os.listdir(home)) == [".mailboxlist", "mail"]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b"\n\na\n\nb\na\n", ["a", "b"]),
        (b"x" * 5000 + b"\na\n", ["a"]),
        (b"a\0b\nc\n", ["c"]),
        (b"with blank \n", ["with blank "]),
    ],
)
def test_lines(home, content, names):
    (home / ".mailboxlist").write_bytes(content)
    assert subscribed(home).names() == names


def test_octets_we_cannot_read_stay(home):
    (home / ".mailboxlist").write_bytes(b"\xff\xfe\nb\n")
    add(home, "c")
    assert (home / ".mailboxlist").read_bytes() == b"\xff\xfe\nb\nc\n"


def test_the_mode_stays(home):
    add(home, "a")
    assert (home / ".mailboxlist").stat().st_mode & 0o777 == 0o600
    (home / ".mailboxlist").chmod(0o644)
    add(home, "b")
    assert (home / ".mailboxlist").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"INBOX\nlists/python\n&AMk-t&AOk-\n", ["INBOX", "lists/python", "&AMk-t&AOk-"]),
        ("V\t2\n\nINBOX\nlists\tpython\nÉté\nA & B\nhe\x01nre\nsmile \U0001f600\n".encode(),
         ["INBOX", "lists/python", "&AMk-t&AOk-", "A &- B", "smile &2D3eAA-"]),
    ],
)  # fmt: skip
def test_dovecots_list(home, content, names):
    """Read while there is none of ours, never written."""
    (home / "mail" / ".subscriptions").write_bytes(content)
    assert subscribed(home).names() == names
    add(home, "new")
    assert subscribed(home).names() == [*names, "new"]
    assert (home / "mail" / ".subscriptions").read_bytes() == content
    assert subscribed(home).remove(lambda line: True)
    assert subscribed(home).names() == []


def test_many_writers_lose_nothing(home):
    script = (
        "import sys; from mailcore.store.subscriptions import Subscriptions\n"
        "home, who = sys.argv[1:]\n"
        "for n in range(40):\n"
        "    name = f'{who}-{n}'\n"
        "    Subscriptions(home, home).add(name, lambda line: line == name)\n"
        "    if n % 2: Subscriptions(home, home).remove(lambda line: line == name)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(home), f"w{n}"], cwd=ROOT) for n in range(6)
    ]
    assert [writer.wait() for writer in writers] == [0] * 6
    assert sorted(subscribed(home).names()) == sorted(f"w{w}-{n}" for w in range(6) for n in range(0, 40, 2))
    assert sorted(os.listdir(home)) == [".mailboxlist", "mail"]


def test_a_writer_that_locks_nothing_comes_between(home, monkeypatch):
    """UW's programs replace the list whenever they like."""
    add(home, "a")
    fsync = os.fsync

    def disturbed(fd):
        fsync(fd)
        monkeypatch.setattr(os, "fsync", fsync)
        (home / "foreign").write_text("a\nfrom-alpine\n")
        os.rename(home / "foreign", home / ".mailboxlist")

    monkeypatch.setattr(os, "fsync", disturbed)
    add(home, "b")
    assert subscribed(home).names() == ["a", "from-alpine", "b"]
    assert sorted(os.listdir(home)) == [".mailboxlist", "mail"]


def test_a_full_disk_changes_nothing(home, monkeypatch):
    add(home, "a")

    def full(fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError):
        add(home, "b")
    monkeypatch.undo()
    assert subscribed(home).names() == ["a"]
    assert sorted(os.listdir(home)) == [".mailboxlist", "mail"]


def test_somebody_holds_the_lock(home, monkeypatch):
    import fcntl

    monkeypatch.setattr(subscriptions, "LOCK_SECONDS", 0.05)
    fd = os.open(home, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(InUse):
        add(home, "a")
    os.close(fd)
    assert add(home, "a")


def test_errors(home):
    with pytest.raises((DiskError, NoPermission)):
        add(home / "nowhere", "a")
    (home / ".mailboxlist").mkdir()
    with pytest.raises((DiskError, NoPermission)):
        subscribed(home).names()
