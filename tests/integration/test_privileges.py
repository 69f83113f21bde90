"""Who is who: user, groups, root directory, descriptors and capabilities of every process at each step."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.machine import (
    INDEX_HOME,
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
from tests.playground import interpreter, tree

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


def shared(pid, other):
    """The descriptors that two processes both hold, apart from /dev/null."""
    return set(descriptors(pid).values()) & set(descriptors(other).values()) - {"/dev/null"}


def wait_until_fenced(line):
    """The OK of a login goes out first; the next answer comes from behind the fence."""
    line.ask("c NOOP" if line.imap else "NOOP")


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
    assert keeper["Seccomp"] == ["2"]
    assert os.readlink(f"/proc/{gatekeeper}/root") == "/run/mailcore/empty"
    assert os.listdir(f"/proc/{gatekeeper}/root/") == []
    held = descriptors(gatekeeper)
    assert len(held) == 3, held
    assert held[0] == held[1]
    assert all(name.startswith("socket:") for name in held.values())
    assert os.stat(f"/proc/{gatekeeper}/mem").st_uid == 0  # not dumpable: /proc shows it as root's


def test_the_monitor_dumps_no_core_once_there_is_a_password(line, fred):
    """S40; before that it has no secret and never reads one, the checker inherits it."""
    line.ask(f"b LOGIN {fred.name} wrong" if line.imap else f"USER {fred.name}")
    if not line.imap:
        line.ask("PASS wrong")
    assert limits(line.monitor)["Max core file size"] == ["0", "0"]


def limits(pid):
    with open(f"/proc/{pid}/limits") as table:
        return {row[:25].strip(): row[25:67].split() for row in list(table)[1:]}


def test_the_limits_of_the_gatekeeper(line):
    speak(line)
    (gatekeeper,) = children(line.monitor)
    of = limits(gatekeeper)
    assert of["Max core file size"] == ["0", "0"]
    assert of["Max processes"] == ["0", "0"]
    assert of["Max open files"] == ["2", "2"]
    assert int(of["Max cpu time"][1]) <= 20
    assert int(of["Max address space"][1]) < 1 << 30


def test_after_login(line, fred):
    log_in(line, fred)
    wait_until_fenced(line)
    for steward in children(line.monitor):  # not the user's spool directory, or folders: somebody must lock
        assert status(steward)["Uid"] == [str(fred.uid)] * 4
        assert status(steward)["CapPrm"] == [NOTHING]
        wait_for(lambda pid=steward: not shared(pid, line.monitor), "the steward to let go")
    session = status(line.monitor)
    assert session["Uid"] == [str(fred.uid)] * 4
    assert session["Gid"] == [str(fred.gid)] * 4
    assert session["Groups"] == [str(fred.gid)]
    assert session["CapEff"] == session["CapPrm"] == session["CapAmb"] == [NOTHING]
    assert session["Umask"] == ["0077"]
    assert session["NoNewPrivs"] == ["1"]
    assert session["Seccomp"] == ["2"]
    of = limits(line.monitor)
    assert of["Max core file size"] == ["0", "0"]
    assert of["Max data size"] == [str(256 << 20)] * 2
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


SPY = """
import os, sys
sys.path[:0] = [{tree!r}]
from mailcore.store import namespace
was = namespace.Store.open
def open_(store, name, readonly=False):
    import socket
    told = []
    for path in {paths!r}:
        try:
            os.close(os.open(path, os.O_RDONLY))
            told.append("open")
        except PermissionError:
            told.append("closed")
    for call in (lambda: socket.create_connection(("127.0.0.1", 9)), os.fork, lambda: os.execv("/bin/true", ["true"])):
        try:
            call()
            told.append("possible")
        except PermissionError:
            told.append("refused")
    with open(os.environ["HOME"] + "/mail/told", "w") as file:
        file.write(" ".join(told))
    return was(store, name, readonly)
namespace.Store.open = open_
from imapd.__main__ import main
raise SystemExit(main())
"""


def spied(tmp_path, fred):
    """imapd with code of a stranger in its session: what it reaches, tried when a mailbox is opened."""
    secret = fred.home / "diary"
    secret.write_text("dear diary")
    secret.chmod(0o644)
    (fred.home / "mail").mkdir(exist_ok=True)
    os.chown(fred.home / "mail", fred.uid, fred.gid)
    paths = ["/etc/issue", "/etc/hostname", str(secret), str(fred.home), "/root", "/tmp", "/usr/lib", str(fred.inbox)]
    fred.inbox.touch()
    os.chown(fred.inbox, fred.uid, fred.gid)
    launch = tmp_path / "imapd"
    launch.write_text(f"#!{interpreter()} -IS\n" + SPY.format(tree=str(tree()), paths=paths))
    launch.chmod(0o755)
    return launch, fred.home / "mail/told"


REACHED = "closed closed closed closed closed closed open open refused refused refused"


def one_select(line, fred, login=True):
    assert line.hear().startswith("* OK" if login else "* PREAUTH")
    if login:
        line.say(f"a LOGIN {fred.name} {PASSWORD}")
        assert line.until("a")[-1].startswith("a OK")
    line.say("b SELECT INBOX")
    assert line.until("b")[-1].startswith("b OK")
    line.say("c LOGOUT")
    line.until("c")


@pytest.mark.parametrize("way", ["nowait", "listener"])
def test_a_session_reaches_its_mail_and_nothing_else(tmp_path, fred, way):
    """S57 and S58, from inside the process."""
    launch, told = spied(tmp_path, fred)
    port = free_port()
    wait = "nowait" if way == "nowait" else "wait"
    (tmp_path / "inetd.conf").write_text(f"127.0.0.1:{port} stream tcp {wait} root {launch} imapd\n")
    daemon = Daemon(need("inetd"), "-i", str(tmp_path / "inetd.conf"), ports=(port,))
    line = Line(port)
    one_select(line, fred)
    line.close()
    daemon.stop()
    assert told.read_text() == REACHED


def test_a_preauthenticated_session_too(tmp_path, fred):
    launch, told = spied(tmp_path, fred)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and str(parent) not in ("/", "/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [str(launch)], input=b"b SELECT INBOX\r\nc LOGOUT\r\n", capture_output=True, timeout=60,
        user=fred.uid, group=fred.gid, extra_groups=[], env={"HOME": str(fred.home)}, cwd="/",
    )  # fmt: skip
    assert done.stdout.startswith(b"* PREAUTH"), done
    assert b"\r\nb OK" in done.stdout
    assert told.read_text() == REACHED


def test_switched_off_it_reaches_what_its_user_may(tmp_path, fred):
    launch, told = spied(tmp_path, fred)
    port = free_port()
    option = "import os, sys\nsys.argv[1:] = ['-o', 'confine_session=false']"
    launch.write_text(launch.read_text().replace("import os, sys", option))
    (tmp_path / "inetd.conf").write_text(f"127.0.0.1:{port} stream tcp nowait root {launch} imapd\n")
    daemon = Daemon(need("inetd"), "-i", str(tmp_path / "inetd.conf"), ports=(port,))
    line = Line(port)
    line.hear()
    line.say(f"a LOGIN {fred.name} {PASSWORD}")
    line.until("a")
    assert status(line_monitor(daemon))["Seccomp"] == ["0"]
    line.close()
    daemon.stop()


def line_monitor(daemon):
    (monitor,) = children(daemon.process.pid)
    return monitor


def test_deliveries_and_folders_work_behind_the_fence(line, fred):
    """Locks by the setgid helper, subscriptions in the home, folders made and moved, a large APPEND."""
    fred.inbox.write_text("From a@example.org Sat Nov 14 08:00:00 2026\nSubject: x\n\nbody\n\n")
    os.chown(fred.inbox, fred.uid, fred.gid)
    log_in(line, fred)
    if not line.imap:
        assert line.ask("DELE 1").startswith("+OK")
        assert line.ask("QUIT").startswith("+OK")
        assert fred.inbox.stat().st_size == 0
        return
    commands = [
        "CREATE work/a", "RENAME work/a play", "SUBSCRIBE play", "SELECT INBOX", "STORE 1 +FLAGS (\\Deleted keyword)",
        "COPY 1 play", "EXPUNGE", "DELETE play", "UNSUBSCRIBE play", 'LSUB "" *',
    ]  # fmt: skip
    for number, command in enumerate(commands):
        line.say(f"x{number} {command}")
        assert line.until(f"x{number}")[-1].startswith(f"x{number} OK"), command
    size = 2 << 20
    line.say(f"y APPEND INBOX {{{size}+}}")
    line.say("Subject: x\r\n\r\n" + "x" * (size - 14))
    assert line.until("y")[-1].startswith("y OK")
    assert not fred.inbox.with_name(fred.name + ".lock").exists()
    assert fred.inbox.stat().st_size >= size


def test_an_index_directory_is_made_for_the_user(line, fred):
    made = not INDEX_HOME.exists()
    INDEX_HOME.mkdir(exist_ok=True)
    try:
        log_in(line, fred)
        wait_until_fenced(line)
        if line.imap:
            line.say("d SELECT INBOX")
            line.until("d")
        found = (INDEX_HOME / fred.name).stat()
        assert (found.st_uid, found.st_mode & 0o777) == (fred.uid, 0o700)
    finally:
        shutil.rmtree(INDEX_HOME / fred.name, ignore_errors=True)
        if made:
            INDEX_HOME.rmdir()
