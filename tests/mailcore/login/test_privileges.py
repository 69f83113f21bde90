"""mailcore.login.privileges: the ways down, and the fence.

Who really is who, process by process, is in tests/integration/test_privileges.py.
"""

from __future__ import annotations

import ast
import os
import resource
from pathlib import Path

import pytest

from mailcore import log
from mailcore.login import landlock, privileges, syscalls
from mailcore.login.accounts import Account
from mailcore.settings import Settings
from mailcore.store.formats.mbox import torn
from tests.conftest import need_root
from tests.mailcore.login.fork import in_a_fork

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
        limits_fd = os.open("/proc/self/limits", os.O_RDONLY)
        privileges.confine(Settings(gatekeeper_root=str(root)), [status_fd, limits_fd, in_a_fork.into], me)
        status, limits = os.read(status_fd, 8192).decode(), os.read(limits_fd, 8192).decode()
        asked = ("Max core", "Max processes", "NoNewPrivs", "Seccomp:")
        return [line.split() for line in (limits + status).splitlines() if line.startswith(asked)]

    core, processes, no_new, filtered = ast.literal_eval(in_a_fork(work))
    assert core[-3:-1] == processes[-3:-1] == ["0", "0"]
    assert no_new[1] == "1"
    assert filtered[1] == "2"


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


# --- the fence -----------------------------------------------------------------------


class Land:
    """A territory of one directory."""

    def __init__(self, path):
        self.path = path
        self.entered = False

    def enter(self):
        self.entered = True
        return [(str(self.path), "tree")]


def fenced(tmp_path, settings, calls):
    """The log, and what the calls answer, in a process that fenced itself in."""

    def work():
        lines = []
        for level in ("debug", "info"):
            setattr(log, level, lines.append)
        privileges.fence(settings, Land(tmp_path))
        return lines, [_tried(call) for call in calls], resource.getrlimit(resource.RLIMIT_DATA)[1]

    return ast.literal_eval(in_a_fork(work))


REACHES = [
    lambda: os.open("/etc/passwd", os.O_RDONLY),
    lambda: os.fork(),
    lambda: os.open(privileges.__file__, os.O_RDONLY),
    lambda: os.open("/dev/null", os.O_RDWR),
    lambda: os.open("/proc/self/mounts", os.O_RDONLY),
    lambda: os.open(torn.STARTED, os.O_RDONLY),
]


def test_fenced_in(tmp_path):
    lines, answers, octets = fenced(tmp_path, Settings(session_octets=200 << 20), REACHES)
    assert answers == ["PermissionError", "PermissionError", "possible", "possible", "possible", "possible"]
    assert (lines, octets) == ([], 200 << 20)


def test_the_fence_switched_off_is_a_line_in_the_log(tmp_path):
    lines, answers, octets = fenced(tmp_path, Settings(confine_session=False), REACHES[:1])
    assert answers == ["possible"]
    assert lines == ["confine_session is false: the session may do whatever its user may"]
    assert octets == 256 << 20


def test_a_kernel_that_can_do_neither_is_a_debug_line_for_each(tmp_path, monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(syscalls, "MACHINES", {})
    lines, answers, _ = fenced(tmp_path, Settings(), REACHES[:1])
    assert answers == ["possible"]
    assert ["Landlock" in lines[0], "seccomp" in lines[1], len(lines)] == [True, True, 2]


def test_a_fence_that_breaks_ends_the_session(tmp_path, monkeypatch):
    def fail(places):
        raise OSError("Landlock does not take its rules")

    monkeypatch.setattr(landlock, "enclose", fail)
    assert in_a_fork(lambda: privileges.fence(Settings(), Land(tmp_path))).startswith("NotSafe")


def test_groups_that_stay_end_it(monkeypatch):
    need_root()
    monkeypatch.setattr(os, "setgroups", lambda groups: None)
    monkeypatch.setattr(os, "getgroups", lambda: [0, 8])
    monkeypatch.setattr(privileges, "_change", lambda uid, gid, fd: None)
    answer = in_a_fork(lambda: privileges.become(Account("fred", 54321, 54322, "/")))
    assert answer == "NotSafe: groups are left"
