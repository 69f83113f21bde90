"""mailcore.login.provisions: which INBOX and which index directory root makes, and which never."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mailcore import log
from mailcore.login import provisions
from mailcore.login.accounts import Account
from mailcore.settings import Settings
from mailcore.store import index
from tests.conftest import need_root

FRED = Account("fred", 1000, 1000, "/home/fred")


# --- INBOX ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location, user, path",
    [
        ("mbox:~/mail:INBOX=/var/mail/%u", "fred", "/var/mail/fred"),
        ("mbox:~/mail:INBOX=/var/mail/all", "fred", "/var/mail/all"),
        ("mbox:~/mail:INBOX=/var/mail/%u", "fr%ued", "/var/mail/fr%ued"),
        ("mbox:~/mail:INBOX=/var/mail/%u/%u", "fred", ""),
        ("mbox:~/mail:INBOX=/var/mail/%n", "fred", ""),
        ("mbox:~/mail:INBOX=~/inbox", "fred", ""),
        ("mbox:~/mail:INBOX=%h/inbox", "fred", ""),
        ("mbox:~/mail:INBOX=/var/mail/", "fred", ""),
        ("mbox:~/mail", "fred", ""),
        ("mbox:~/mail:INBOX=/var/mail/%u", "", ""),
        ("mbox:~/mail:INBOX=/var/mail/%u", "../etc/passwd", ""),
        ("mbox:~/mail:INBOX=/var/mail/%u", "..", ""),
        ("mbox:~/mail:INBOX=/var/mail/%u", ".hidden", ""),
        ("mbox:~/mail:INBOX=/var/mail/%u", "fr\0ed", ""),
    ],
)
def test_which_file_is_inbox(location, user, path):
    assert provisions.inbox_path(location, user) == path


@pytest.fixture
def spool():
    """A directory on whose way there is nobody but root."""
    need_root()
    path = Path("/run/mailcore-test-spool")
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


def provide(spool, mode=0o755):
    spool.chmod(mode)
    provisions.provide_inbox(f"mbox:~/mail:INBOX={spool}/%u", FRED)
    return spool / "fred"


def test_a_missing_inbox_is_made_for_its_user(spool):
    status = provide(spool).lstat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777, status.st_size) == (1000, 1000, 0o600, 0)


def test_the_group_of_a_setgid_spool_stays(spool):
    os.chown(spool, 0, 8)
    assert provide(spool, 0o2775).stat().st_gid == 8


def test_an_inbox_that_is_there_is_left_alone(spool):
    (spool / "fred").write_text("mail")
    (spool / "fred").chmod(0o660)
    status = provide(spool).stat()
    assert (status.st_uid, status.st_mode & 0o777, status.st_size) == (0, 0o660, 4)


def test_a_dangling_link_is_left_alone(spool):
    (spool / "fred").symlink_to(spool / "target")
    provide(spool)
    assert not (spool / "target").exists()


@pytest.mark.parametrize("owner, mode", [(0, 0o1777), (0, 0o777), (1000, 0o755), (1001, 0o755)])
def test_nothing_is_made_where_somebody_else_can_write(spool, owner, mode):
    os.chown(spool, owner, 0)
    assert not provide(spool, mode).exists()
    os.chown(spool, 0, 0)


def test_nothing_is_made_where_the_users_group_can_write(spool):
    os.chown(spool, 0, 1000)
    assert not provide(spool, 0o775).exists()


def test_nothing_is_made_behind_a_users_link(spool, tmp_path):
    os.chown(tmp_path, 1000, 1000)
    (tmp_path / "link").symlink_to(spool)
    provisions.provide_inbox(f"mbox:~/mail:INBOX={tmp_path}/link/%u", FRED)
    assert list(spool.iterdir()) == []


# --- the index ------------------------------------------------------------------------


def test_login_and_store_mean_the_same_directory():
    assert provisions.INDEX_HOME == index.SHARED_HOME


def test_an_index_directory_is_made_for_its_user_alone(spool):
    old = os.umask(0)
    try:
        provisions.provide_index(FRED, str(spool))
    finally:
        os.umask(old)
    status = (spool / "fred").lstat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1000, 1000, 0o700)


def test_what_is_there_is_left_alone(spool):
    (spool / "fred").symlink_to("/etc")
    provisions.provide_index(FRED, str(spool))
    assert os.lstat("/etc").st_uid == 0
    assert (spool / "fred").is_symlink()


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\0b"])
def test_no_index_directory_for_odd_names(spool, name):
    provisions.provide_index(Account(name, 1000, 1000, "/"), str(spool))
    assert list(spool.iterdir()) == []


def test_no_index_directory_where_others_write_or_nothing_is(spool):
    spool.chmod(0o1777)
    provisions.provide_index(FRED, str(spool))
    provisions.provide_index(FRED, str(spool / "missing"))
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    "settings, location, made",
    [
        ({}, "", True),
        ({"index_directory": "~/index"}, "", False),
        ({"mail_location": "mbox:~/mail:INDEX=~/index"}, "", False),
        ({}, "mbox:~/mail:INDEX=/x/%u", False),
        ({}, "mbox:~/mail:INDEX=MEMORY", True),
    ],
)
def test_made_only_where_the_store_will_look(spool, monkeypatch, settings, location, made):
    monkeypatch.setattr(provisions.provide_index, "__defaults__", (str(spool),))
    provisions.provide(Settings(**settings), Account("fred", 1000, 1000, "/home/fred", location))
    assert (spool / "fred").exists() is made


def test_what_cannot_be_made_is_a_line_in_the_log(monkeypatch):
    lines = []
    monkeypatch.setattr(log, "warning", lines.append)

    def fail(*arguments):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(provisions, "provide_inbox", fail)
    monkeypatch.setattr(provisions, "provide_index", fail)
    provisions.provide(Settings(), FRED)
    assert lines == [
        "INBOX of fred cannot be made: Read-only file system",
        "index directory of fred cannot be made: Read-only file system",
    ]
