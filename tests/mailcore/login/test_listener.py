"""mailcore.login.listener: callers, children, signals."""

from __future__ import annotations

import errno
import os
import signal
import socket
import time

import pytest

from mailcore import log
from mailcore.dialogue import SEND_SECONDS, tune
from mailcore.login import access, listener
from mailcore.login.listener import Listener
from mailcore.login.sockets import open_sockets
from mailcore.settings import Settings
from tests.conftest import need_root
from tests.mailcore.login.parrot import SERVICE

SECONDS = 10


@pytest.fixture
def start(tmp_path):
    """A listener in a fork: its address and its pid."""
    pids = []

    def start(address="127.0.0.1:0", idle_seconds=0, **values):
        (sock,) = open_sockets(address)
        (tmp_path / "empty").mkdir(mode=0o755, exist_ok=True)
        values = {"gatekeeper_root": str(tmp_path / "empty"), "listen_idle_seconds": idle_seconds, **values}
        pid = os.fork()
        if pid == 0:
            try:
                log.open_log = lambda ident: None
                os._exit(Listener(SERVICE, Settings(**values), [sock]).run())
            finally:
                os._exit(99)
        where = sock.getsockname()[:2]
        sock.close()
        pids.append(pid)
        return where, pid

    yield start
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def call(where):
    client = socket.create_connection(where, timeout=SECONDS)
    file = client.makefile("rb")
    return client, file


def ended(pid, seconds=SECONDS):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    raise AssertionError("still there")


def test_a_caller_who_cannot_be_looked_at(start, monkeypatch):
    """No descriptor is left for it, or he has gone: that is one caller less."""
    there, asked = access.peer_of, []

    def peer_of(fd):
        asked.append(fd)
        if len(asked) == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return there(fd)

    monkeypatch.setattr(access, "peer_of", peer_of)
    where, _ = start()
    with socket.create_connection(where, timeout=SECONDS) as caller:
        assert caller.recv(100) == b""
    with socket.create_connection(where, timeout=SECONDS) as caller:
        assert caller.recv(100) == b"HELLO\r\n"


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_every_connection_is_served(start, address):
    where, _ = start(address)
    for _ in range(5):
        client, file = call(where)
        assert file.readline() == b"HELLO\r\n"
        client.sendall(b"QUIT\r\n")
        assert file.read() == b"BYE\r\n"


def test_many_at_once_up_to_the_cap(start):
    """Silent ones do not count; who speaks does."""
    where, _ = start(listen_children=3)
    calls = [call(where) for _ in range(4)]
    assert [file.readline() for _, file in calls] == [b"HELLO\r\n"] * 4
    for client, file in calls[:3]:
        client.sendall(b"WHAT\r\n")
        assert file.readline() == b"WHAT\r\n"
    calls[3][0].sendall(b"WHAT\r\n")
    calls[3][0].settimeout(0.3)
    with pytest.raises(TimeoutError):
        calls[3][0].recv(1)
    calls[0][0].sendall(b"QUIT\r\n")
    calls[3][0].settimeout(SECONDS)
    assert calls[3][0].recv(100) == b"WHAT\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_ends_it_and_its_children(start, number):
    where, pid = start()
    client, file = call(where)
    assert file.readline() == b"HELLO\r\n"
    client.sendall(b"WHAT\r\n")
    assert file.readline() == b"WHAT\r\n"
    os.kill(pid, number)
    assert file.readline() == b"SORRY Server shutting down\r\n"
    assert ended(pid) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where, timeout=SECONDS)


def test_it_ends_where_nobody_calls(start):
    where, pid = start(idle_seconds=0.3)
    client, file = call(where)
    file.readline()
    time.sleep(0.6)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)  # not while somebody is served
    client.sendall(b"QUIT\r\n")
    assert ended(pid, 3) == 0


def test_what_is_accepted_is_tuned():
    """The options of a listening socket are those of its connections: no process need set them again."""
    (sock,) = open_sockets("127.0.0.1:0")
    tune(sock.fileno())
    listening = socket.socket(fileno=sock.detach())
    with listening, socket.create_connection(listening.getsockname()), listening.accept()[0] as connection:
        seconds = connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16)[:8]
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert int.from_bytes(seconds, "little") == SEND_SECONDS


def test_children_are_reaped(start):
    where, pid = start()
    for _ in range(3):
        client, file = call(where)
        client.sendall(b"QUIT\r\n")
        file.read()
    time.sleep(0.3)
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        assert children.read().split() == []


def test_a_child_has_no_other_connection(start):
    """A session must not hold the listening socket or its neighbours' connections."""
    need_root()  # nobody else may look into it
    where, pid = start()
    calls = [call(where) for _ in range(3)]
    for client, file in calls:
        file.readline()
        client.sendall(b"WHAT\r\n")
        file.readline()
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        for child in children.read().split():
            sockets = [os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")]
            mine = {name for name in sockets if name.startswith("socket:")}
            assert len(mine) == 2, sockets  # the connection and the channel


def test_a_sockets_owner_gets_it_back(monkeypatch):
    (sock,) = open_sockets("127.0.0.1:0")
    seen = []
    monkeypatch.setattr(listener.Listener, "run", lambda self: seen.append(self) or 0)
    pid = os.fork()
    if pid == 0:
        status = listener.adopt(SERVICE, Settings(listen_idle_seconds=7), [sock.fileno()], ())
        os._exit(status or int(seen[0].idle_seconds))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    sock.close()
