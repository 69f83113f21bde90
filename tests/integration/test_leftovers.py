"""S44: logins that are broken off leave no process, no descriptor and no file behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.integration.machine import (
    Daemon,
    Line,
    children,
    descriptors,
    free_port,
    launcher,
    need,
    need_root,
    wait_for,
)

ABORTS = 500  # for each server
WAYS = {
    "imapd": [[], ["a AUTHENTICATE PLAIN"], ["a AUTHENTICATE PLAIN", "*"], ["a AUTHENTICATE PLAIN", "!!"],
              ["a LOGIN {5}"]],
    "ipop3d": [[], ["AUTH PLAIN"], ["AUTH PLAIN", "*"], ["AUTH PLAIN", "!!"], ["USER fred"]],
}  # fmt: skip


def temporary() -> set[str]:
    """The files below the places for temporary ones that are nobody else's at work here."""
    return {
        str(Path(place, name))
        for place in ("/var/tmp", "/run/mailcore", "/dev/shm")
        if os.path.isdir(place)
        for name in os.listdir(place)
        if not name.startswith(("tmp", "pytest", "mailcore-"))
    }


def settled(pid):
    """Its descriptors are the same for a while: a listener closes a connection some time after its client."""
    seen = descriptors(pid)
    time.sleep(0.5)
    return descriptors(pid) == seen


@pytest.mark.parametrize("server", WAYS)
def test_nothing_is_left(tmp_path, server):
    need_root()
    port = free_port()
    program = launcher(tmp_path / server, server, "-o", "login_delay_seconds=0")
    (tmp_path / "inetd.conf").write_text(f"127.0.0.1:{port} stream tcp wait root {program} {server}\n")
    daemon = Daemon(need("inetd"), "-i", str(tmp_path / "inetd.conf"), ports=(port,))
    try:
        line = Line(port)
        line.hear()
        (listener,) = children(daemon.process.pid)
        line.close()
        wait_for(lambda: not children(listener), "the first session to end")
        wait_for(lambda: settled(listener), "the connection to be closed")
        before = descriptors(listener), temporary()
        for number in range(ABORTS):
            line = Line(port)
            line.hear()
            for word in WAYS[server][number % len(WAYS[server])]:
                line.ask(word)
            line.close()
        wait_for(lambda: not children(listener), "all sessions to end")
        wait_for(lambda: (descriptors(listener), temporary()) == before, "nothing to be left")
    finally:
        daemon.stop()
