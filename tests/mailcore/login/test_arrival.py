"""mailcore.login.arrival: what stdin is decides what we are."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from mailcore import settings
from mailcore.login import arrival, listener, monitor
from tests.mailcore.login.parrot import SERVICE
from tests.playground import program


def in_a_fork(fds, work):
    """Run `work` with these descriptors as 0, 1 and 2; its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            for number, fd in enumerate(fds):
                if fd is None:
                    os.close(number)
                else:
                    os.dup2(fd, number)
            os._exit(work())
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def seen(monkeypatch, tmp_path):
    path = tmp_path / "seen"

    def told(text):
        path.write_text(text)
        return 42

    monkeypatch.setattr(settings, "CONF", str(tmp_path / "no.conf"))
    monkeypatch.setattr(listener, "adopt", lambda service, settings, fds, given: told(f"listener {fds}"))
    monkeypatch.setattr(monitor, "serve", lambda service, settings, peer: told(f"{peer.kind} {peer.address}"))
    return path


def test_each_kind_of_stdin(seen, tmp_path):
    listening = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listening.getsockname())
    server, _ = listening.accept()
    one, other = socket.socketpair()
    out, into = os.pipe()
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    for fd, kind in (
        (listening.fileno(), "listener [0]"),
        (server.fileno(), "socket 127.0.0.1"),
        (one.fileno(), "local "),
        (out, "pipe "),
        (file, "pipe "),
    ):
        assert in_a_fork((fd, fd, fd), lambda: arrival.arrive(SERVICE)) == 42
        assert seen.read_text() == kind
    for thing in (listening, client, server, one, other):
        thing.close()
    for fd in (out, into, file):
        os.close(fd)


def test_stderr_never_reaches_the_client(tmp_path):
    one, other = socket.socketpair()
    out, into = os.pipe()
    elsewhere = os.open(tmp_path / "errors", os.O_RDWR | os.O_CREAT)

    def work():
        arrival.shut_stderr()
        os.write(2, b"traceback")
        return 7

    for fds in ((one.fileno(),) * 3, (one.fileno(), one.fileno(), None), (out, into, into)):
        assert in_a_fork(fds, work) == 7
    other.setblocking(False)
    with pytest.raises(BlockingIOError):
        other.recv(100)
    os.set_blocking(out, False)
    with pytest.raises(BlockingIOError):
        os.read(out, 100)
    assert in_a_fork((out, into, elsewhere), work) == 7
    assert (tmp_path / "errors").read_bytes() == b"traceback"  # a person's own stderr stays his


def test_a_wrong_setting_is_said_to_each_in_his_way(seen, tmp_path, monkeypatch):
    from mailcore import log

    logged = tmp_path / "log"
    monkeypatch.setattr(log, "open_log", lambda ident: None)
    monkeypatch.setattr(log, "error", lambda text: logged.write_text(text))
    one, other = socket.socketpair()
    assert in_a_fork((one.fileno(),) * 3, lambda: arrival.arrive(SERVICE, ["nonsense=1"])) == 2
    assert other.recv(1000) == b"SORRY Server is not set up\r\n"
    assert "nonsense" in logged.read_text()
    errors = os.open(tmp_path / "errors", os.O_RDWR | os.O_CREAT)
    out, into = os.pipe()
    assert in_a_fork((out, into, errors), lambda: arrival.arrive(SERVICE, ["nonsense=1"])) == 2
    assert (tmp_path / "errors").read_text().startswith("parrot: no such setting: nonsense") or "nonsense" in (
        tmp_path / "errors"
    ).read_text()


@pytest.mark.parametrize("way, greeting", [("pipe", b"* PREAUTH"), ("UNIX socket", b"* PREAUTH"), ("TCP", b"* OK")])
def test_an_ordinary_user_is_known_where_no_network_is(ground, way, greeting):
    """S16: never on a network socket, whoever started us, not even on loopback."""
    ground.hand_over()
    words = [word for name, value in ground.options().items() for word in ("-o", f"{name}={value}")]
    ours = theirs = None
    if way == "TCP":
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours = socket.create_connection(listening.getsockname(), timeout=20)
            theirs = listening.accept()[0]
    elif way == "UNIX socket":
        ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        program("imapd", *words), stdin=theirs or subprocess.PIPE, stdout=theirs or subprocess.PIPE,
        env={"HOME": str(ground.home)}, cwd="/", **ground.identity(),
    )  # fmt: skip
    file = ours.makefile("rb") if ours else process.stdout
    assert file.readline().startswith(greeting)
    process.terminate()
    process.wait(20)
    for thing in (file, ours, theirs, process.stdin):
        if thing:
            thing.close()
