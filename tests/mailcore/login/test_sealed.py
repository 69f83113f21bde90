"""mailcore.login.sealed: the parrot under TLS, with all the processes of a connection."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time

import pytest
from passlib.hash import sha512_crypt

from mailcore.login.accounts import Peer
from mailcore.settings import Settings
from tests.mailcore.login.parrot import Parrot
from tests.mailcore.login.stage import Stage
from tests.playground import certificate, context, program

UID = os.getuid() or 54321
SECONDS = 10


class Polite(Parrot):
    """The parrot with one word more: TLS."""

    def strangers(self, settings, peer):
        from mailcore.login.channel import StartTLS
        from mailcore.wire import Wire

        if not peer.secure:
            wire = Wire(settings.login_timeout_seconds)
            if not peer.greeted:
                yield b"HELLO\r\n"
            line = yield from wire.line(settings.login_line_octets)
            if line == b"TLS":
                yield b"GO ON\r\n"
                return StartTLS()
        return (yield from super().strangers(settings, peer))


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "passwd"
    path.write_text(f"fred:{sha512_crypt.using(rounds=1000).hash('secret')}:{UID}:{UID}::{tmp_path}\n")
    path.chmod(0o600)
    (tmp_path / "empty").mkdir(mode=0o755)
    certificate(tmp_path).rename(tmp_path / "parrot.pem")
    return Settings(
        passwd_file=str(path), login_delay_seconds=0.0, gatekeeper_root=str(tmp_path / "empty"),
        mail_location="mbox:~/mail", tls_directory=str(tmp_path), tls_handshake_seconds=1,
    )  # fmt: skip


@pytest.fixture
def open_stage(settings, tmp_path):
    stages = []

    def open_stage(**values):
        for name, value in values.items():
            setattr(settings, name, value)
        stages.append(Stage(settings, Peer("local", local=True), tmp_path, Polite()))
        return stages[-1]

    yield open_stage
    for stage in stages:
        stage.kill()


def sealed(stage):
    """The client goes on under TLS."""
    stage.file.close()
    stage.client = context().wrap_socket(stage.client)
    stage.file = stage.client.makefile("rb")
    return stage


def test_at_once(open_stage):
    stage = sealed(open_stage(tls=True))
    assert stage.hear() == b"HELLO"
    stage.say(b"PASS fred secret", b"one")
    assert [stage.hear(), stage.hear()] == [b"WELCOME fred tag state", b"one"]
    stage.say(b"WHO", b"QUIT")
    assert stage.hear().split()[:2] == [b"%d" % UID, b"%d" % stage.pid]
    assert stage.hear() == b"BYE" and stage.hear() == b""
    assert stage.wait() == 0
    assert "LOG_INFO Login user=fred host=UNKNOWN" in stage.lines()


def test_in_the_middle(open_stage):
    stage = open_stage()
    assert stage.hear() == b"HELLO"
    stage.say(b"TLS", b"PASS fred secret")
    assert stage.hear() == b"GO ON"
    sealed(stage)
    stage.say(b"NOTE")
    assert stage.hear().startswith(b"NOTED")  # there is no second greeting
    stage.say(b"EXT fred")
    assert stage.hear().startswith(b"NO")  # and not WELCOME: what was said in clear is gone
    assert stage.end() == 0


def test_the_end_is_said_in_tls(open_stage):
    """A client that hears no close_notify must think that somebody has cut the connection (RFC 8446 §6.1)."""
    strict = context()
    strict.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0x80)
    for _ in range(20):
        stage = open_stage(tls=True)
        stage.file.close()
        with strict.wrap_socket(stage.client, suppress_ragged_eofs=False) as client:
            client.sendall(b"QUIT\r\n")
            while client.recv(100):
                pass
        stage.wait()


def test_only_where_there_is_a_certificate(open_stage, tmp_path):
    (tmp_path / "parrot.pem").unlink()
    stage = open_stage()
    stage.hear()
    stage.say(b"TLS")
    stage.hear()
    assert stage.hear() == b"" and stage.wait() == 1
    assert any("not a frame that may come now" in line for line in stage.lines())


def test_no_certificate_is_one_line(open_stage, tmp_path):
    stage = open_stage(tls=True, tls_certificate=str(tmp_path / "missing.pem"))
    assert stage.hear() == b"" and stage.wait() == 0
    told = [line for line in stage.lines() if "DEBUG" not in line]
    assert told == [f"LOG_ERR no certificate: looked for {tmp_path / 'missing.pem'}"]


@pytest.mark.parametrize("said", [b"", b"a NOOP\r\n", b"\x16\x03\x01\x02\x00\x01"])
def test_a_handshake_that_fails_is_one_line(open_stage, said):
    stage = open_stage(tls=True)
    stage.client.sendall(said)
    stage.client.shutdown(1)
    while stage.client.recv(1000):
        pass
    assert stage.wait() == 0
    told = [line for line in stage.lines() if "DEBUG" not in line]
    assert len(told) == 1 and ("Unable to accept SSL" in told[0] or "Unexpected client" in told[0])


def test_a_handshake_has_its_time(open_stage):
    stage = open_stage(tls=True)
    began = time.monotonic()
    assert stage.client.recv(10) == b""
    assert 0.9 < time.monotonic() - began < SECONDS
    assert stage.wait() == 0
    assert "LOG_INFO Unable to accept SSL connection, too slow user=??? host=UNKNOWN" in stage.lines()


def test_term_is_told_to_the_client(open_stage):
    stage = sealed(open_stage(tls=True))
    stage.hear()
    os.kill(stage.pid, signal.SIGTERM)
    assert stage.hear() == b"SORRY Server shutting down"
    assert stage.wait() == 0


def test_term_after_the_login_too(open_stage):
    stage = sealed(open_stage(tls=True))
    stage.hear()
    stage.say(b"PASS fred secret", b"x")
    assert [stage.hear(), stage.hear()] == [b"WELCOME fred tag state", b"x"]
    pump = stage.gatekeeper()
    os.kill(pump, signal.SIGTERM)  # is for the session
    os.kill(stage.pid, signal.SIGTERM)
    assert stage.hear() == b"SORRY Server shutting down"
    assert stage.wait() == 0


def test_the_gatekeeper_does_not_outlive_its_monitor(open_stage):
    stage = sealed(open_stage(tls=True))
    stage.hear()
    gatekeeper = os.pidfd_open(stage.gatekeeper())
    os.kill(stage.pid, signal.SIGKILL)
    import select

    assert select.select([gatekeeper], [], [], SECONDS)[0]
    with pytest.raises((ssl.SSLError, OSError, AssertionError)):
        assert stage.client.recv(10)


def test_a_proxy_speaks_before_tls(settings, tmp_path):
    """PROXY header in clear, then TLS, the client of the proxy in the log."""
    settings.tls, settings.proxy_networks, settings.run_directory = True, "192.0.2.7", ""
    stage = Stage(settings, Peer("socket", "192.0.2.7", 5000, 9999), tmp_path, Polite())
    stage.client.sendall(b"PROXY TCP4 198.51.100.1 192.0.2.2 1234 993\r\n")
    sealed(stage)
    assert stage.hear() == b"HELLO"
    stage.say(b"PASS fred secret", b"QUIT")
    assert [stage.hear(), stage.hear()] == [b"WELCOME fred tag state", b"BYE"]
    assert stage.end() == 0
    assert any("Login user=fred" in line and "198.51.100.1" in line for line in stage.lines())


def test_it_can_do_nothing(open_stage):
    stage = sealed(open_stage(tls=True))
    stage.hear()
    stage.say(b"OPEN /etc/passwd")
    answer = stage.hear()
    assert answer in (b"Too many open files", b"No such file or directory", b"Operation not permitted"), answer
    if os.geteuid() == 0:
        with open(f"/proc/{stage.gatekeeper()}/status") as file:
            assert "Uid:\t65534\t65534\t65534\t65534" in file.read()


def test_a_crash_is_told_under_tls(open_stage):
    stage = sealed(open_stage(tls=True))
    stage.hear()
    stage.say(b"CRASH")
    assert stage.hear().startswith(b"SORRY Internal error [")
    stage.end()
    assert any("ValueError" in line for line in stage.lines())


# --- what is locked in before the greeting, and comes from a cold start ---------------------------


@pytest.fixture
def start(ground):
    """One connection by TCP to a program that was just started, as inetd does it; its client's end."""
    certificate(ground.path)
    ground.accounts(("fred", "secret"))
    ground.secrets(("fred", "secret"))
    ground.hand_over()
    processes = []

    def start(server, *options):
        settings = ground.options() | {"tls_directory": ground.path, "passwd_file": ground.path / "passwd"}
        words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        words += [word for option in options for word in ("-o", option)]
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname(), timeout=SECONDS)
            theirs = listening.accept()[0]
        command = program(server, *words)
        processes.append(subprocess.Popen(command, stdin=theirs, stdout=theirs, env={}, cwd="/", **ground.identity()))
        theirs.close()
        return client

    yield start
    for process in processes:
        process.terminate()
        process.wait(SECONDS)


@pytest.mark.parametrize("server", ["imapd", "ipop3d"])
def test_all_is_there_that_the_mechanisms_need(start, server):
    """Nothing can be imported after the lock, which comes before a handshake and before a PROXY header."""
    auth = b"AUTH SCRAM-SHA-256\r\n" if server == "ipop3d" else b"a AUTHENTICATE SCRAM-SHA-256\r\n"
    proxied = start(server, "proxy_networks=127.0.0.1")
    proxied.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 143\r\n")
    for talk in (proxied, context().wrap_socket(start(server, "tls=true"))):
        file = talk.makefile("rwb")
        assert file.readline().startswith((b"* OK [CAPABILITY", b"+OK POP3"))
        for said in (auth, b"biwsbj1mcmVkLHI9eA==\r\n"):  # n,,n=fred,r=x
            file.write(said)
            file.flush()
            assert file.readline().startswith(b"+ ")
        file.close()
        talk.close()


def test_nobody_gets_in_under_tls_while_nologin_is_there(start, ground):
    """A gatekeeper under TLS cannot see the file when it greets; the session does."""
    (ground.path / "nologin").touch()
    talk = context().wrap_socket(start("imapd", "tls=true", f"nologin_file={ground.path / 'nologin'}"))
    file = talk.makefile("rwb")
    file.write(b"a LOGIN fred secret\r\n")
    file.flush()
    assert file.readline().startswith(b"* OK [CAPABILITY")
    assert file.readline().startswith(b"* BYE Service not available")
    assert file.readline() == b""
    file.close()
    talk.close()
