"""mailcore.login.innkeeper: who forks the sessions, and what becomes of clients when it dies."""

from __future__ import annotations

import os
import signal
import socket

from mailcore.login import innkeeper, seats
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Entry
from mailcore.login.standby import Visit
from tests.conftest import need_root
from tests.mailcore.login.parrot import Parrot
from tests.mailcore.login.town import SECONDS, Homely


def test_what_is_told_of_a_visit():
    account = Account("fr\xe9d\udcff", 1000, 1001, "/home/fred", "mbox:~/mail")
    entry = Entry(account, b"tag", b"read\0ahead", b"state", "PLAIN")
    packet = innkeeper.written(Visit(Peer("socket", "192.0.2.7", port=7), account, entry, 5, [6]))
    visit = innkeeper.read(packet, 8, [9])
    assert [getattr(visit.account, name) for name in Account.__slots__] == [
        getattr(account, name) for name in Account.__slots__
    ]
    assert [getattr(visit.entry, name) for name in Entry.__slots__[1:]] == [
        getattr(entry, name) for name in Entry.__slots__[1:]
    ]
    assert (visit.peer.address, visit.peer.port, visit.fd, visit.slots) == ("192.0.2.7", 7, 8, [9])
    assert visit.entry.account is visit.account


class Slow(Homely):
    """Leaves a mark in a file when the logged-in half is imported, and stops there if it is told to."""

    def __init__(self, path, work=lambda: None):
        self.path, self.work = path, work

    def preload(self):
        with self.path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        self.work()


def hired(path):
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_it_comes_with_the_first_login(call, tmp_path):
    begin = call(service=Slow(tmp_path / "hired"))
    sock = socket.create_connection(begin.where, timeout=SECONDS)
    assert sock.recv(100) == b"HELLO\r\n"
    sock.sendall(b"WHAT\r\n")
    assert sock.recv(100) == b"WHAT\r\n"
    assert hired(tmp_path / "hired") == []
    one, other = begin(), begin()
    (pid,) = hired(tmp_path / "hired")
    for client in (one, other):
        with open(f"/proc/{client.process()[0]}/status") as status:
            assert f"PPid:\t{pid}\n" in status.read()


def test_when_it_dies_another_comes_and_nobody_is_hurt(call, tmp_path):
    begin = call(service=Slow(tmp_path / "hired"))
    one = begin()
    (pid,) = hired(tmp_path / "hired")
    os.kill(pid, signal.SIGKILL)
    other = begin()
    assert other.welcome.startswith(b"WELCOME") and one.say(b"still") == b"still\r\n"
    assert len(hired(tmp_path / "hired")) == 2


def test_when_it_hangs_another_comes(call, tmp_path, monkeypatch):
    monkeypatch.setattr(seats, "START_SECONDS", 0.3)
    begin = call(service=Slow(tmp_path / "hired"))
    one = begin()
    (pid,) = hired(tmp_path / "hired")
    os.kill(pid, signal.SIGSTOP)
    other = begin("wilma")
    assert other.welcome.startswith(b"WELCOME") and one.say(b"still") == b"still\r\n"
    assert len(hired(tmp_path / "hired")) == 2


def test_a_login_on_its_way_has_a_second_try(call, tmp_path):
    """It dies with the order in its hands."""

    def die_once():
        if len(hired(tmp_path / "hired")) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    begin = call(service=Slow(tmp_path / "hired", die_once))
    assert begin().welcome.startswith(b"WELCOME")
    assert len(hired(tmp_path / "hired")) == 2


def test_and_no_third(call, tmp_path):
    begin = call(service=Slow(tmp_path / "hired", lambda: os.kill(os.getpid(), signal.SIGKILL)))
    client = begin()
    assert client.welcome == b"SORRY No session can begin now\r\n" and client.file.read() == b""
    assert len(hired(tmp_path / "hired")) == 2


def test_it_holds_nothing_of_its_guests(call, tmp_path):
    """Neither a client nor a seat: a session that ends is gone for all."""
    need_root()
    begin = call(service=Slow(tmp_path / "hired"))
    clients = [begin() for _ in range(3)]
    (pid,) = hired(tmp_path / "hired")
    held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert len([name for name in held if name.startswith("socket:")]) == 1, held
    for client in clients:
        session = client.process()[0]
        held = [os.readlink(f"/proc/{session}/fd/{fd}") for fd in os.listdir(f"/proc/{session}/fd")]
        assert len({name for name in held if name.startswith("socket:")}) == 2, held  # the client and the seat


def test_a_service_without_a_logged_in_half(call):
    assert call(service=Parrot())().welcome.startswith(b"WELCOME")
