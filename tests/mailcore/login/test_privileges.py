"""mailcore.login.privileges: paths of INBOX files, and the ways down.

Who really is who, process by process, is in tests/integration/test_privileges.py.
"""

from __future__ import annotations

import ast
import os
import resource
from pathlib import Path

import pytest

from mailcore.login import privileges
from mailcore.login.accounts import Account
from mailcore.settings import Settings
from tests.conftest import need_root

FRED = Account("fred", 1000, 1000, "/home/fred")


def in_a_fork(work):
    """What `work()` returns, done by a child that may change itself."""
    out, into = os.pipe()
    in_a_fork.into = into  # for a child that closes everything else
    pid = os.fork()
    if pid == 0:
        try:
            os.write(into, repr(work()).encode())
        except BaseException as error:
            os.write(into, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(into)
    with open(out, "rb") as file:
        answer = file.read().decode()
    os.waitpid(pid, 0)
    return answer


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
    assert privileges.inbox_path(location, user) == path


@pytest.fixture
def spool():
    """A directory on whose way there is nobody but root."""
    need_root()
    path = Path("/run/mailcore-test-spool")
    path.mkdir(mode=0o755)
    yield path
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


def provide(spool, mode=0o755):
    spool.chmod(mode)
    privileges.provide_inbox(f"mbox:~/mail:INBOX={spool}/%u", FRED)
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
    privileges.provide_inbox(f"mbox:~/mail:INBOX={tmp_path}/link/%u", FRED)
    assert list(spool.iterdir()) == []


# --- the user ------------------------------------------------------------------------


def test_become_is_for_good():
    need_root()

    def work():
        privileges.become(Account("fred", 54321, 54322, "/"))
        status = Path("/proc/self/status").read_text()
        caps = [line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "CapPrm"))]
        return os.getresuid(), os.getresgid(), os.getgroups(), caps, os.umask(0)

    zeros = "0000000000000000"
    assert in_a_fork(work) == repr(((54321,) * 3, (54322,) * 3, [54322], [zeros, zeros], 0o077))


@pytest.mark.parametrize("uid, gid", [(0, 1), (-1, 1), (1, -1)])
def test_nobody_becomes_root(uid, gid):
    need_root()
    assert in_a_fork(lambda: privileges.become(Account("fred", uid, gid, "/"))).startswith("NotSafe")


def test_a_way_back_ends_it(monkeypatch):
    need_root()
    monkeypatch.setattr(os, "setresuid", lambda *ids: None)
    answer = in_a_fork(lambda: privileges.become(Account("fred", 54321, 54322, "/")))
    assert answer.startswith("NotSafe")


def test_capabilities_that_stay_end_it(monkeypatch):
    need_root()
    monkeypatch.setattr(privileges, "_capabilities", lambda fd: 1)
    answer = in_a_fork(lambda: privileges.become(Account("fred", 54321, 54322, "/")))
    assert answer == "NotSafe: capabilities are left"


def test_a_passwd_file_name_does_not_inherit_a_system_users_groups():
    import grp
    import pwd

    member = next((name for group in grp.getgrall() for name in group.gr_mem), None)
    account = Account(member or "root", 54321, 54322, "/")
    assert privileges.groups(account) == [54322]
    entry = pwd.getpwuid(1)
    assert entry.pw_gid in privileges.groups(Account(entry.pw_name, 1, entry.pw_gid, "/"))


def test_home_is_where_the_session_stands(tmp_path):
    def work(home):
        privileges.become(Account("fred", os.getuid() or 54321, 54322, home))
        return os.getcwd(), os.environ["HOME"], os.environ["USER"]

    tmp_path.chmod(0o755)
    assert in_a_fork(lambda: work("/usr")) == repr(("/usr", "/usr", "fred"))
    assert in_a_fork(lambda: work("/no/such/home")) == repr(("/", "/no/such/home", "fred"))


# --- the gatekeeper ------------------------------------------------------------------


def test_confined_nothing_can_be_opened_forked_or_regained(tmp_path):
    root = tmp_path / "empty"
    root.mkdir(mode=0o755)
    settings = Settings(gatekeeper_root=str(root))
    me = os.getpid()

    def work():
        privileges.confine(settings, [0, 1, in_a_fork.into], me)
        return [_tried(call) for call in CALLS]

    answers = ast.literal_eval(in_a_fork(work))
    assert "possible" not in answers
    assert len(answers) == len(CALLS)


CALLS = [
    lambda: os.open("/etc/passwd", os.O_RDONLY),
    lambda: os.open("/", os.O_RDONLY),
    lambda: os.fork(),
    lambda: os.dup(3),
    lambda: os.pipe(),
    lambda: os.execv("/bin/sh", ["sh"]),
    lambda: os.memfd_create("x"),
    lambda: os.write(2, b"x"),
    lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)),
]


def _is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _tried(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "possible"


def test_confined_there_is_no_core_no_ptrace_and_no_new_privilege(tmp_path):
    root = tmp_path / "empty"
    root.mkdir(mode=0o755)
    me = os.getpid()

    def work():
        status_fd = os.open("/proc/self/status", os.O_RDONLY)
        privileges.confine(Settings(gatekeeper_root=str(root)), [fd for fd in range(3, 64) if _is_open(fd)], me)
        status = os.read(status_fd, 8192).decode()
        limits = [resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in ("CORE", "NPROC")]
        return limits, [line.split()[1] for line in status.splitlines() if line.startswith("NoNewPrivs")]

    assert in_a_fork(work) == repr(([(0, 0), (0, 0)], ["1"]))


@pytest.mark.parametrize("spoil", ["file", "writable", "owner", "link"])
def test_a_root_directory_that_is_not_empty_and_roots_is_refused(tmp_path, spoil):
    need_root()
    root = tmp_path / "empty"
    root.mkdir(mode=0o755)
    if spoil == "file":
        (root / "x").touch()
    elif spoil == "writable":
        root.chmod(0o777)
    elif spoil == "owner":
        os.chown(root, 1000, 1000)
    else:
        (tmp_path / "link").symlink_to(root)
        root = tmp_path / "link"
    me = os.getpid()
    answer = in_a_fork(lambda: privileges.confine(Settings(gatekeeper_root=str(root)), [1], me))
    assert answer.startswith(("NotSafe", "NotADirectoryError", "OSError")), answer


@pytest.mark.parametrize("user", ["root", "no_such_user_here"])
def test_the_gatekeeper_is_never_root(tmp_path, user):
    need_root()
    me = os.getpid()
    settings = Settings(gatekeeper_user=user, gatekeeper_root=str(tmp_path / "empty"))
    assert in_a_fork(lambda: privileges.confine(settings, [1], me)).startswith("NotSafe")
