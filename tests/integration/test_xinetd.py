"""The real xinetd starts both servers, wait = no and wait = yes."""

from __future__ import annotations

import imaplib
import poplib

import pytest

from tests.integration.machine import PASSWORD, Daemon, free_port, launcher, need

SERVICE = """service mctest_{name}
{{
    type = UNLISTED
    disable = no
    socket_type = stream
    protocol = tcp
    bind = 127.0.0.1
    port = {port}
    wait = {wait}
    user = root
    server = {server}
}}
"""


@pytest.fixture
def xinetd(tmp_path, fred):
    program = need("xinetd")
    ports = {}
    text = "defaults\n{\n    log_type = FILE /dev/null\n}\n"
    for name in ("imapd", "ipop3d"):
        server = launcher(tmp_path / name, name)
        for wait in ("no", "yes"):
            ports[name, wait] = free_port()
            text += SERVICE.format(name=f"{name}_{wait}", port=ports[name, wait], wait=wait, server=server)
    conf = tmp_path / "xinetd.conf"
    conf.write_text(text)
    daemon = Daemon(
        program, "-dontfork", "-f", str(conf), "-pidfile", str(tmp_path / "pid"), ports=tuple(ports.values())
    )
    yield ports
    daemon.stop_all()


@pytest.mark.parametrize("wait", ["no", "yes"])
def test_imap_login_through_pam(xinetd, fred, wait):
    with imaplib.IMAP4("127.0.0.1", xinetd["imapd", wait], timeout=20) as client:
        assert client.login(fred.name, PASSWORD)[0] == "OK"
        assert client.select("INBOX")[0] == "OK"


@pytest.mark.parametrize("wait", ["no", "yes"])
def test_pop3_login_through_pam(xinetd, fred, wait):
    client = poplib.POP3("127.0.0.1", xinetd["ipop3d", wait], timeout=20)
    client.user(fred.name)
    assert client.pass_(PASSWORD).startswith(b"+OK")
    client.quit()


def test_three_wrong_passwords_end_it(xinetd, fred):
    client = poplib.POP3("127.0.0.1", xinetd["ipop3d", "no"], timeout=30)
    for _ in range(3):
        with pytest.raises(poplib.error_proto, match="AUTH"):
            client.user(fred.name)
            client.pass_("wrong")
    client.user(fred.name)
    with pytest.raises(poplib.error_proto, match="Too many"):
        client.pass_(PASSWORD)
    client.close()
