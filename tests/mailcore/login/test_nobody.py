"""mailcore.login.nobody: a child that is nobody, has a pipe and a time, and nothing else."""

from __future__ import annotations

import os
import time

import pytest

from mailcore.login import nobody
from mailcore.settings import Settings


def ask(work, octets=300, seconds=10.0):
    return nobody.ask(Settings(), work, octets, seconds)


def test_what_it_says_comes_back():
    assert ask(lambda: b"mail.example.org") == b"mail.example.org"
    assert ask(lambda: b"x" * 400) == b"x" * 300


def test_who_it_is():
    ids = ask(lambda: repr((os.getresuid(), os.getresgid(), os.getgroups())).encode())
    if os.geteuid():
        assert ids == repr((os.getresuid(), os.getresgid(), os.getgroups())).encode()
    else:
        assert ids == repr(((65534,) * 3, (65534,) * 3, [])).encode()
        assert ask(lambda: b"root" if os.access("/etc/shadow", os.R_OK) else b"nobody") == b"nobody"


def test_it_has_no_connection():
    fds = ask(lambda: b" ".join(os.readlink(f"/proc/self/fd/{fd}").encode() for fd in range(4096) if _is_open(fd)))
    assert [name.partition(b":")[0] for name in fds.split()] == [b"/dev/null"] * 3 + [b"pipe"]


def _is_open(fd):
    return os.path.exists(f"/proc/self/fd/{fd}") or os.path.islink(f"/proc/self/fd/{fd}")


def test_one_that_waits_is_not_waited_for():
    began = time.monotonic()
    assert ask(lambda: time.sleep(60), seconds=0.2) == b""
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("user", ["root", "no-such-user"])
def test_one_that_cannot_be_nobody_does_nothing(user):
    if os.geteuid() == 0:
        assert nobody.ask(Settings(gatekeeper_user=user), lambda: b"done", 10, 10.0) == b""


def test_one_that_dies_says_nothing():
    def die():
        raise SystemError

    assert ask(die) == b""
