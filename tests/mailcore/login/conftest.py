"""What the tests of the login share."""

from __future__ import annotations

import os
import signal

import pytest
from passlib.hash import sha512_crypt

from mailcore import log
from mailcore.login.listener import Listener
from mailcore.login.sockets import open_sockets
from mailcore.settings import Settings
from tests.mailcore.login.town import UID, Homely, Town


@pytest.fixture
def call(tmp_path):
    """Start a listener for fred and wilma; call it, log in."""
    hashed = sha512_crypt.using(rounds=1000).hash("secret")
    lines = []
    for number, user in enumerate(("fred", "wilma")):
        (tmp_path / user).mkdir()
        lines.append(f"{user}:{hashed}:{UID + number}:{UID + number}::{tmp_path / user}\n")
    (tmp_path / "passwd").write_text("".join(lines))
    (tmp_path / "passwd").chmod(0o600)
    (tmp_path / "empty").mkdir(mode=0o755)
    for path in (tmp_path, tmp_path.parent):
        path.chmod(0o755)  # the users see their homes
    pids = []

    def start(service=None, **values):
        (sock,) = open_sockets("127.0.0.1:0")
        fixed = {"passwd_file": str(tmp_path / "passwd"), "gatekeeper_root": str(tmp_path / "empty")}
        fixed |= {"run_directory": str(tmp_path / "run"), "login_delay_seconds": 0.0}
        pid = os.fork()
        if pid == 0:
            try:
                log.open_log = lambda ident: None
                os._exit(Listener(service or Homely(), Settings(**fixed | values), [sock]).run())
            finally:
                os._exit(99)
        pids.append(pid)
        where = sock.getsockname()
        sock.close()
        return Town(where)

    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
