"""Who is who: user, groups, root directory, descriptors and capabilities of every process at each step."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.machine import (
    PASSWORD,
    Daemon,
    Line,
    children,
    descriptors,
    free_port,
    launcher,
    need,
    need_root,
    status,
    wait_for,
)  # fmt: skip

NOTHING = "0" * 16
NOBODY = "65534"


@pytest.fixture(params=["imapd", "ipop3d"])
def line(request, tmp_path, fred):
    """A connection to a server that inetd started, and the pid of its monitor."""
    program = need("inetd")
    port = free_port()
    (tmp_path / "inetd.conf").write_text(
        f"127.0.0.1:{port} stream tcp nowait root {launcher(tmp_path / request.param, request.param)} {request.param}\n"
    )
    daemon = Daemon(program, "-i", str(tmp_path / "inetd.conf"), ports=(port,))
    line = Line(port)
    line.imap = request.param == "imapd"
    assert line.hear().startswith("* OK" if line.imap else "+OK")
    (line.monitor,) = children(daemon.process.pid)
    yield line
    line.close()
    daemon.stop()


def speak(line):
    """One command, so that the gatekeeper is past its greeting."""
    assert line.ask("a CAPABILITY" if line.imap else "NOOP")
    if line.imap:
        line.hear()


def log_in(line, fred):
    if line.imap:
        line.say(f"b LOGIN {fred.name} {PASSWORD}")
        assert line.until("b")[-1].startswith("b OK")
    else:
        line.ask(f"USER {fred.name}")
        assert line.ask(f"PASS {PASSWORD}").startswith("+OK")


def test_before_login(line):
    speak(line)
    (gatekeeper,) = children(line.monitor)
    monitor, keeper = status(line.monitor), status(gatekeeper)
    assert monitor["Uid"] == ["0"] * 4
    assert keeper["Uid"] == [NOBODY] * 4
    assert keeper["Gid"] == [NOBODY] * 4
    assert keeper["Groups"] == []
    assert keeper["CapEff"] == keeper["CapPrm"] == keeper["CapAmb"] == [NOTHING]
    assert keeper["NoNewPrivs"] == ["1"]
    assert os.readlink(f"/proc/{gatekeeper}/root") == "/run/mailcore/empty"
    assert os.listdir(f"/proc/{gatekeeper}/root/") == []
    held = descriptors(gatekeeper)
    assert len(held) == 3, held
    assert held[0] == held[1]
    assert all(name.startswith("socket:") for name in held.values())
    assert os.stat(f"/proc/{gatekeeper}/mem").st_uid == 0  # not dumpable: /proc shows it as root's


def test_the_limits_of_the_gatekeeper(line):
    speak(line)
    (gatekeeper,) = children(line.monitor)
    limits = {}
    with open(f"/proc/{gatekeeper}/limits") as table:
        for row in list(table)[1:]:
            limits[row[:25].strip()] = row[25:67].split()
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max processes"] == ["0", "0"]
    assert limits["Max open files"] == ["2", "2"]
    assert int(limits["Max cpu time"][1]) <= 20
    assert int(limits["Max address space"][1]) < 1 << 30


def test_after_login(line, fred):
    log_in(line, fred)
    assert children(line.monitor) == []
    session = status(line.monitor)
    assert session["Uid"] == [str(fred.uid)] * 4
    assert session["Gid"] == [str(fred.gid)] * 4
    assert session["Groups"] == [str(fred.gid)]
    assert session["CapEff"] == session["CapPrm"] == session["CapAmb"] == [NOTHING]
    assert session["Umask"] == ["0077"]
    assert os.readlink(f"/proc/{line.monitor}/cwd") == str(fred.home)
    assert os.readlink(f"/proc/{line.monitor}/root") == "/"
    held = descriptors(line.monitor)
    client = held[0]
    assert held[1] == client
    assert held[2] == "/dev/null"
    slots = {fd: name for fd, name in held.items() if name.startswith("/run/mailcore/sessions/")}
    assert len(slots) == 1  # the user's, for the cap (caps.py)
    for fd in slots:
        flags = Path(f"/proc/{line.monitor}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0]
        assert int(flags, 8) & os.O_ACCMODE == os.O_RDONLY
    for fd, name in held.items():
        if fd > 2 and fd not in slots:  # what the session opened as the user, and syslog: nothing else that root left
            assert name != client
            assert not name.startswith(("/etc/shadow", "/run/mailcore", "/proc"))
    assert os.stat(f"/proc/{line.monitor}/mem").st_uid == 0


def test_the_password_is_in_no_memory_after_login(line, fred):
    """It was in the gatekeeper and the checker, which are gone."""
    log_in(line, fred)
    assert in_memory(line.monitor, fred.name)  # so the search finds what is there
    assert not in_memory(line.monitor, PASSWORD)


def in_memory(pid, word):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for row in maps:
            span, rights = row.split()[:2]
            if "w" in rights:
                start, end = (int(number, 16) for number in span.split("-"))
                memory.seek(start)
                if word.encode() in memory.read(end - start):
                    return True
    return False


def test_a_killed_gatekeeper_ends_the_monitor(line):
    speak(line)
    (gatekeeper,) = children(line.monitor)
    os.kill(gatekeeper, signal.SIGKILL)
    assert line.hear() == ""
    wait_for(lambda: not os.path.exists(f"/proc/{line.monitor}"), "the monitor to end")


def test_a_terminated_monitor_ends_the_gatekeeper(line):
    speak(line)
    (gatekeeper,) = children(line.monitor)
    os.kill(line.monitor, signal.SIGTERM)
    assert line.hear().startswith("* BYE" if line.imap else "-ERR")
    for pid in (line.monitor, gatekeeper):
        wait_for(lambda pid=pid: not os.path.exists(f"/proc/{pid}"), "both to end")


def test_no_octet_from_the_client_is_read_by_root(tmp_path, fred):
    """S1: from the first to the last system call, who reads descriptor 0 is not root."""
    need_root()
    strace = need("strace")
    port = free_port()
    server = launcher(tmp_path / "ipop3d", "ipop3d")
    trace = tmp_path / "trace"
    (tmp_path / "inetd.conf").write_text(
        f"127.0.0.1:{port} stream tcp nowait root {strace} strace -ff -o {trace} "
        f"-e trace=read,readv,pread64,recvfrom,recvmsg,recvmmsg,setresuid,fork,clone,clone3,vfork {server}\n"
    )
    daemon = Daemon(need("inetd"), "-i", str(tmp_path / "inetd.conf"), ports=(port,))
    line = Line(port)
    line.hear()
    line.ask(f"USER {fred.name}")
    assert line.ask(f"PASS {PASSWORD}").startswith("+OK")
    assert line.ask("QUIT").startswith("+OK")
    line.close()
    daemon.stop()
    readers = 0
    for path in tmp_path.glob("trace.*"):
        dropped = False
        for row in path.read_text().splitlines():
            dropped = dropped or row.startswith(("setresuid(65534", f"setresuid({fred.uid},")) and row.endswith("= 0")
            if row.startswith(("read(0,", "readv(0,", "recvfrom(0,", "recvmsg(0,", "pread64(0,")):
                readers += 1
                assert dropped, f"{path.name}: {row}"
    assert readers >= 3
