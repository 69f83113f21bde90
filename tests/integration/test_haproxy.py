"""HAProxy in front of both servers, by PROXY version 1 and 2, with its health checks."""

from __future__ import annotations

import imaplib
import poplib
import socket
import subprocess
import time

import pytest

from tests.conftest import need
from tests.integration.machine import Daemon, answers, free_port, wait_for
from tests.playground import program

CLIENT = "127.0.0.5"

CONFIG = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen one
    bind 127.0.0.1:{one}
    server mail 127.0.0.1:{server} send-proxy
listen two
    bind 127.0.0.1:{two}
    server mail 127.0.0.1:{server} send-proxy-v2 check inter 200ms
listen none
    bind 127.0.0.1:{none}
    server mail 127.0.0.1:{server}
"""


class Front:
    def __init__(self, ground, server):
        haproxy = need("haproxy")
        self.ports = {name: free_port() for name in ("server", "one", "two", "none")}
        self.deny = ground.path / "deny"
        self.deny.write_text("")
        self.server = server
        options = ground.options() | {
            "passwd_file": str(ground.accounts(("fred", "secret"))),
            "proxy_networks": "127.0.0.1",
            "disable_plaintext_auth": "false",
            "hosts_allow": "",
            "hosts_deny": str(self.deny),
            "run_directory": str(ground.path / "run"),
        }
        ground.place("INBOX", b"")
        ground.hand_over()
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        self.process = subprocess.Popen(
            program(server, "--listen", f"127.0.0.1:{self.ports['server']}", *words),
            stdout=subprocess.DEVNULL, cwd=ground.path, env={}, **ground.identity(),
        )  # fmt: skip
        wait_for(lambda: answers(self.ports["server"]), server)
        config = ground.path / "haproxy.cfg"
        config.write_text(CONFIG.format(**self.ports))
        self.proxy = Daemon(haproxy, "-db", "-f", str(config), ports=(self.ports["one"], self.ports["two"]))

    def connect(self, name, source=CLIENT):
        where = ("127.0.0.1", self.ports[name])
        return socket.create_connection(where, timeout=20, source_address=(source, 0))

    def greeting(self, name):
        """b"" where we were refused."""
        with self.connect(name) as client:
            try:
                return client.recv(1000)
            except ConnectionResetError:
                return b""

    def end(self):
        self.proxy.stop()
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(params=["imapd", "ipop3d"])
def front(ground, request):
    front = Front(ground, request.param)
    yield front
    front.end()


def test_the_client_behind_haproxy_is_the_client(front):
    for name in ("one", "two"):
        assert front.greeting(name).startswith((b"* OK", b"+OK"))
    front.deny.write_text(f"ALL: {CLIENT}\n")
    for name in ("one", "two"):
        assert front.greeting(name) == b""
    front.deny.write_text("ALL: 127.0.0.6\n")
    for name in ("one", "two"):
        assert front.greeting(name).startswith((b"* OK", b"+OK"))


def test_a_connection_without_a_header_hears_nothing(front):
    began = time.monotonic()
    assert front.greeting("none") == b""
    assert time.monotonic() - began > 4  # proxy_seconds


def test_clients_log_in_through_it(front):
    for name in ("one", "two"):
        if front.server == "imapd":
            imap = imaplib.IMAP4("127.0.0.1", front.ports[name], timeout=20)
            imap.login("fred", "secret")
            imap.logout()
        else:
            pop = poplib.POP3("127.0.0.1", front.ports[name], timeout=20)
            pop.user("fred")
            assert pop.pass_("secret").startswith(b"+OK")
            pop.quit()
