"""mailcore.login.syscalls: the numbers are the kernel's, and the calls arrive."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mailcore.login import syscalls
from tests.conftest import missing

HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), r"#define __NR_(\w+)\s+(\d+)"),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), r"#define __NR(?:3264)?_(\w+)\s+(\d+)"),
}


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_of_the_kernel(machine):
    header, pattern = HEADERS[machine]
    if not header.exists():
        missing(str(header))
    column = syscalls.MACHINES[machine][0]
    theirs = {name: int(number) for name, number in re.findall(pattern, header.read_text())}
    theirs.setdefault("newfstatat", theirs.get("fstatat", -1))
    for name, numbers in syscalls.NUMBERS.items():
        assert numbers[column] == theirs.get(name, -1), name


def test_a_call_and_its_failure():
    getpid, close = (syscalls.NUMBERS[name][syscalls.MACHINES[os.uname().machine][0]] for name in ("getpid", "close"))
    assert syscalls.call(getpid) == os.getpid()
    assert syscalls.call(close, 9999) == -1
    assert syscalls.prctl(12345, 0) == -1


def test_an_address_is_where_the_octets_are():
    word = syscalls.Octets(b"mailcore")
    out, into = os.pipe()
    write = syscalls.NUMBERS["writev"][syscalls.MACHINES[os.uname().machine][0]]
    iovec = word.address.to_bytes(8, "little") + len(b"mailcore").to_bytes(8, "little")
    assert syscalls.call(write, into, iovec, 1) == 8
    assert os.read(out, 100) == b"mailcore"
    os.close(out)
    os.close(into)


def test_only_what_is_kept_stays_open():
    child = os.fork()
    if child == 0:
        try:
            os.dup2(2, 50)
            os.dup2(2, 1000)
            os.dup2(2, 0)
            syscalls.close_others((50, 2, 0, 2, 7000))  # in any order, whether they are there or not
            left = [fd for fd in range(2000) if os.path.exists(f"/proc/self/fd/{fd}")]
            os._exit(0 if left == [0, 2, 50] else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
