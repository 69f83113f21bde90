"""poppassd through a real inetd changes a real user's password: PAM's and the one in the file of secrets."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from mailcore.login import secrets
from tests.integration.machine import PASSWORD, Daemon, Line, free_port, launcher, need, need_root, run, wait_for
from tests.playground import ROOT

NEW = "Nachtigall im-Garten-7"
SERVICE = Path("/etc/pam.d/poppassd")


@pytest.fixture
def poppassd(tmp_path, fred):
    """inetd with poppassd, ipop3d, and poppassd as systemd fences it in; the sample of pam.d in its place."""
    need_root()
    kept = SERVICE.read_bytes() if SERVICE.exists() else None
    shutil.copy(ROOT / "pam.d/poppassd", SERVICE)
    clear = tmp_path / "cram-md5.pwd"
    option = f"-o cram_md5_file={clear}"
    ports = [free_port(), free_port(), free_port()]
    program = launcher(tmp_path / "poppassd", "poppassd")
    unit = (ROOT / "systemd/poppassd@.service").read_text()
    kept_ones = unit.partition("CapabilityBoundingSet=")[2].split("\n")[0].lower().replace("cap_", "+").split()
    fence = f"setpriv --bounding-set=-all,{','.join(kept_ones)} --inh-caps=-all --no-new-privs"
    (tmp_path / "inetd.conf").write_text(
        f"127.0.0.1:{ports[0]} stream tcp nowait root {program} poppassd {option}\n"
        f"127.0.0.1:{ports[1]} stream tcp nowait root {launcher(tmp_path / 'ipop3d', 'ipop3d')} ipop3d\n"
        f"127.0.0.1:{ports[2]} stream tcp nowait root {need('setpriv')} {fence} {program} {option}\n"
    )
    daemon = Daemon(need("inetd"), "-i", str(tmp_path / "inetd.conf"), ports=tuple(ports))
    daemon.ports, daemon.clear = ports, clear
    yield daemon
    daemon.stop()
    run(need("chpasswd"), text=f"{fred.name}:{PASSWORD}\n")
    SERVICE.unlink() if kept is None else SERVICE.write_bytes(kept)


@pytest.fixture
def xinetd(poppassd, tmp_path):
    """The port of poppassd behind a real xinetd, by its own sample; the port, the program and an option apart."""
    port = free_port()
    option = f"-o cram_md5_file={poppassd.clear}"
    changed = {"disable": "no", "port": str(port), "server": f"{tmp_path / 'poppassd'}\n\tserver_args = {option}"}
    text = (ROOT / "xinetd.d/poppassd").read_text()
    for name, value in changed.items():
        text, count = re.subn(rf"(?m)^(\t{name}\s+)=.*$", rf"\1= {value}", text)
        assert count == 1
    (tmp_path / "xinetd.conf").write_text(text)
    command = (need("xinetd"), "-dontfork", "-f", str(tmp_path / "xinetd.conf"), "-pidfile", str(tmp_path / "pid"))
    daemon = Daemon(*command, ports=(port,))
    yield port
    daemon.stop()


def test_through_xinetd(xinetd, poppassd, fred):
    secrets.put(str(poppassd.clear), secrets.TAB, fred.name.encode(), lambda _: PASSWORD.encode())
    assert change(xinetd, fred.name, "wrong-" + PASSWORD, NEW) == "500 Old password is wrong"
    assert change(xinetd, fred.name, PASSWORD, NEW) == "200 Password changed, thank you"
    assert secrets.secret(fred.name.encode(), str(poppassd.clear)) == NEW.encode()
    assert pop3_login(poppassd.ports[1], fred.name, NEW).startswith("+OK")


def test_the_mail_secret_is_another_one_than_the_systems(poppassd, fred):
    """As with a login the file of secrets counts; PAM keeps its password."""
    secrets.put(str(poppassd.clear), secrets.TAB, fred.name.encode(), lambda _: b"mail-secret")
    assert change(poppassd.ports[0], fred.name, PASSWORD, NEW) == "500 Old password is wrong"
    assert change(poppassd.ports[0], fred.name, "mail-secret", NEW) == "200 Password changed, thank you"
    assert secrets.secret(fred.name.encode(), str(poppassd.clear)) == NEW.encode()
    assert pop3_login(poppassd.ports[1], fred.name, PASSWORD).startswith("+OK")


def change(port, user, old, new):
    line = Line(port)
    assert line.hear().startswith("200 ")
    assert line.ask(f"USER {user}") == "200 Your password please"
    assert line.ask(f"PASS {old}") == "200 Your new password please"
    answer = line.ask(f"NEWPASS {new}")
    assert line.ask("QUIT") == "200 Bye"
    line.close()
    return answer


def pop3_login(port, user, password):
    line = Line(port)
    line.hear()
    line.ask(f"USER {user}")
    answer = line.ask(f"PASS {password}")
    line.close()
    return answer


def test_the_new_password_is_the_one_that_logs_in(poppassd, fred, syslog):
    before = time.monotonic()
    assert change(poppassd.ports[0], fred.name, "wrong-" + PASSWORD, NEW) == "500 Old password is wrong"
    assert time.monotonic() - before > 2.9
    assert pop3_login(poppassd.ports[1], fred.name, PASSWORD).startswith("+OK")
    assert change(poppassd.ports[0], fred.name, PASSWORD, "short") == "500 A new password has 8 to 200 characters"
    assert change(poppassd.ports[0], fred.name, PASSWORD, NEW) == "200 Password changed, thank you"
    assert pop3_login(poppassd.ports[1], fred.name, NEW).startswith("+OK")
    assert pop3_login(poppassd.ports[1], fred.name, PASSWORD).startswith("-ERR")
    if syslog is not None:
        text = f"Password changed user={fred.name} host=[127.0.0.1]"
        wait_for(lambda: syslog.saw(text), "the log line")
        assert syslog.saw(f"Login failed user={fred.name} auth={fred.name} host=[127.0.0.1]")
        everything = "".join(syslog.lines)
        assert "poppassd[" in everything
        assert PASSWORD not in everything and NEW not in everything


def test_the_clear_secret_changes_with_it(poppassd, fred):
    secrets.put(str(poppassd.clear), secrets.TAB, fred.name.encode(), lambda _: PASSWORD.encode())
    assert change(poppassd.ports[0], fred.name, PASSWORD, NEW) == "200 Password changed, thank you"
    assert secrets.secret(fred.name.encode(), str(poppassd.clear)) == NEW.encode()
    assert pop3_login(poppassd.ports[1], fred.name, NEW).startswith("+OK")


def test_a_password_that_is_too_old_can_be_changed(poppassd, fred):
    run(need("chage"), "--lastday", "0", fred.name)
    assert change(poppassd.ports[0], fred.name, PASSWORD, NEW) == "200 Password changed, thank you"
    assert pop3_login(poppassd.ports[1], fred.name, NEW).startswith("+OK")


def test_root_is_nobody_here(poppassd):
    assert change(poppassd.ports[0], "root", PASSWORD, NEW) == "500 Old password is wrong"


def test_the_units_capabilities_are_enough(poppassd, fred):
    secrets.put(str(poppassd.clear), secrets.TAB, fred.name.encode(), lambda _: PASSWORD.encode())
    assert change(poppassd.ports[2], fred.name, PASSWORD, NEW) == "200 Password changed, thank you"
    assert secrets.secret(fred.name.encode(), str(poppassd.clear)) == NEW.encode()
    assert pop3_login(poppassd.ports[1], fred.name, NEW).startswith("+OK")
