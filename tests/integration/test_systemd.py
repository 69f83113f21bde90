"""systemd: what the units give away, and both ways of socket activation by systemd's own program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.machine import PASSWORD, Daemon, Line, children, free_port, launcher, need, need_root, wait_for
from tests.playground import ROOT

UNITS = ROOT / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
EXPOSURE = 3.0  # systemd's own measure: 10 is unconfined, up to 5 is "OK"


@pytest.mark.parametrize("name", SERVICES)
def test_exposure(tmp_path, name):
    """S59."""
    analyze = need("systemd-analyze")
    shutil.copy(UNITS / name, tmp_path)
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(tmp_path / name)],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin"},
    )  # fmt: skip
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert found, done
    assert float(found[1]) <= EXPOSURE, done.stdout


@pytest.mark.parametrize("name", [path.name for path in sorted(UNITS.iterdir())])
def test_systemd_understands_every_line(tmp_path, name):
    analyze = need("systemd-analyze")
    for path in UNITS.iterdir():
        text = path.read_text().replace("/usr/local/libexec/", "/bin/true #")
        (tmp_path / path.name).write_text(re.sub(r"ExecStart=.*", "ExecStart=/bin/true", text))
    done = subprocess.run(
        [analyze, "verify", "--man=no", f"./{name}"], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    complaints = [line for line in done.stderr.splitlines() if line.startswith((str(tmp_path), "./", name))]
    assert not complaints, complaints


def test_the_units_take_away_the_same():
    """What stands behind the reasons in one of our two servers' units stands in all of them."""
    parts = {
        (UNITS / name).read_text().partition("# The program drops")[2]
        for name in SERVICES
        if not name.startswith("poppassd")
    }
    assert len(parts) == 1
    assert "CapabilityBoundingSet=" in parts.pop()


def test_every_socket_has_its_service():
    for path in UNITS.glob("*.socket"):
        accepts = "Accept=yes" in path.read_text()
        assert path.with_name(f"{path.stem}{'@' if accepts else ''}.service").exists()


def capabilities() -> str:
    """The units' bounding set in setpriv's words."""
    text = (UNITS / "imap@.service").read_text()
    names = re.search(r"CapabilityBoundingSet=(.*)", text)
    assert names
    return ",".join(["-all", *("+" + name.removeprefix("CAP_").lower() for name in names[1].split())])


@pytest.mark.parametrize("accept", [True, False], ids=["Accept=yes", "Accept=no"])
@pytest.mark.parametrize("server", ["imapd", "ipop3d"])
def test_activation(tmp_path, fred, server, accept):
    """A login, with no more capabilities than the unit leaves."""
    need_root()
    activate, setpriv = need("systemd-socket-activate"), need("setpriv")
    port = free_port()
    program = launcher(tmp_path / server, server)
    command = [setpriv, f"--bounding-set={capabilities()}", "--inh-caps=-all", str(program)]
    ways = ["--accept"] if accept else []
    daemon = Daemon(activate, "--inetd", *ways, f"--listen=127.0.0.1:{port}", *command, ports=(port,))
    try:
        for _ in range(2):
            one_session(server, port, fred)
        if not accept:  # the program took the listener's place
            assert Path(f"/proc/{daemon.process.pid}/cmdline").read_bytes().find(server.encode()) >= 0
        waiting = 0 if accept else 2  # a session that waits for its user, and its steward
        wait_for(lambda: len(children(daemon.process.pid)) <= waiting, "the sessions to end")
    finally:
        daemon.stop()


def test_several_sockets(tmp_path, fred):
    """As imapd.socket hands them over."""
    need_root()
    ports = (free_port(), free_port())
    program = launcher(tmp_path / "imapd", "imapd")
    listening = [f"--listen=127.0.0.1:{port}" for port in ports]
    daemon = Daemon(need("systemd-socket-activate"), *listening, str(program), ports=ports)
    try:
        for port in (*ports, *ports):
            one_session("imapd", port, fred)
    finally:
        daemon.stop()


def one_session(server: str, port: int, fred) -> None:
    line = Line(port)
    if server == "imapd":
        assert line.hear().startswith("* OK")
        line.say(f"a LOGIN {fred.name} {PASSWORD}")
        assert line.until("a")[-1].startswith("a OK")
        line.say("b SELECT INBOX")
        assert line.until("b")[-1].startswith("b OK")
        line.say("c LOGOUT")
        line.until("c")
    else:
        assert line.hear().startswith("+OK")
        line.ask(f"USER {fred.name}")
        assert line.ask(f"PASS {PASSWORD}").startswith("+OK")
        assert line.ask("QUIT").startswith("+OK")
    line.close()
