"""The real openbsd-inetd starts both servers: `nowait` for each connection, `wait` once."""

from __future__ import annotations

import imaplib
import poplib
import socket
import time

import pytest

from tests.integration.machine import PASSWORD, Daemon, Line, children, free_port, launcher, need, wait_for

OPTIONS = ("-o", "login_delay_seconds=0.2")


@pytest.fixture
def inetd(tmp_path, fred):
    """An inetd with both servers, no arguments on their lines but in the `wait` ones; the four ports."""
    program = need("inetd")
    ports = [free_port() for _ in range(4)]
    imapd, ipop3d = (launcher(tmp_path / name, name) for name in ("imapd", "ipop3d"))
    (tmp_path / "inetd.conf").write_text(
        f"127.0.0.1:{ports[0]} stream tcp nowait root {imapd} imapd\n"
        f"127.0.0.1:{ports[1]} stream tcp nowait root {ipop3d} ipop3d\n"
        f"127.0.0.1:{ports[2]} stream tcp wait root {imapd} imapd\n"
        f"127.0.0.1:{ports[3]} stream tcp wait root {ipop3d} ipop3d -o listen_idle_seconds=1\n"
    )
    fred.inbox.unlink(missing_ok=True)
    daemon = Daemon(program, "-i", str(tmp_path / "inetd.conf"), ports=tuple(ports))
    daemon.ports = ports
    yield daemon
    daemon.stop_all()


@pytest.mark.parametrize("which", [0, 2])
def test_imap_login_through_pam(inetd, fred, syslog, which):
    with imaplib.IMAP4("127.0.0.1", inetd.ports[which], timeout=20) as client:
        assert client.login(fred.name, PASSWORD)[0] == "OK"
        assert client.select("INBOX") == ("OK", [b"0"])
    assert fred.inbox.stat().st_uid == fred.uid
    if syslog is not None:
        wait_for(lambda: syslog.saw(f"Login user={fred.name} host=[127.0.0.1]"), "the log line")
        assert any(" imapd[" in line or line.partition(": ")[0].endswith("]") for line in syslog.lines)


@pytest.mark.parametrize("which", [1, 3])
def test_pop3_login_through_pam(inetd, fred, which):
    client = poplib.POP3("127.0.0.1", inetd.ports[which], timeout=20)
    client.user(fred.name)
    assert client.pass_(PASSWORD).startswith(b"+OK")
    assert client.stat() == (0, 0)
    client.quit()


def test_a_wrong_password_is_logged_for_fail2ban(inetd, fred, syslog):
    line = Line(inetd.ports[1])
    line.hear()
    line.ask(f"USER {fred.name}")
    before = time.monotonic()
    assert line.ask("PASS wrong").startswith("-ERR")
    assert time.monotonic() - before > 2.9
    line.close()
    if syslog is not None:
        text = f"Login failed user={fred.name} auth={fred.name} host=[127.0.0.1]"
        wait_for(lambda: syslog.saw(text), "the log line")
        entry = next(entry for entry in syslog.lines if text in entry)
        assert entry.startswith("<37>")  # auth.notice
        assert "ipop3d[" in entry
        assert PASSWORD not in "".join(syslog.lines)


@pytest.mark.parametrize("which", [0, 1])
def test_root_is_refused(inetd, which):
    line = Line(inetd.ports[which])
    line.hear()
    if which:
        line.ask("USER root")
    answer = line.ask("PASS x" if which else "a LOGIN root x")
    assert answer.startswith(("-ERR", "a NO"))
    line.close()


@pytest.mark.parametrize("which", [0, 1])
def test_nothing_but_the_protocol_reaches_the_client(inetd, which):
    """Descriptor 2 is the client too: a warning or traceback there would be heard."""
    line = Line(inetd.ports[which])
    greeting = line.hear()
    assert greeting.startswith("+OK" if which else "* OK")
    heard = [line.ask("nonsense") for _ in range(3)]
    line.socket.shutdown(socket.SHUT_WR)
    rest = line.file.read()
    assert all(answer.startswith(("-ERR", "* BAD", "nonsense BAD", "* BYE")) for answer in heard if answer)
    assert b"Traceback" not in rest
    line.close()


def test_the_listener_gives_the_socket_back(inetd):
    client = poplib.POP3("127.0.0.1", inetd.ports[3], timeout=20)
    assert len(children(inetd.process.pid)) == 1
    client.quit()
    wait_for(lambda: not children(inetd.process.pid), "the listener to end")
    poplib.POP3("127.0.0.1", inetd.ports[3], timeout=20).quit()  # inetd starts it anew
