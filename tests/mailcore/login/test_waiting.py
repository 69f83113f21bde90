"""mailcore.login.waiting: who has been greeted and says nothing."""

from __future__ import annotations

import os
import socket

import pytest

from imapd.session import SERVICE as IMAP
from ipop3d.session import SERVICE as POP3
from mailcore import log
from mailcore.errors import Terminated
from mailcore.login import waiting
from mailcore.login.access import TurnedAway
from mailcore.login.accounts import Peer
from mailcore.login.waiting import WaitingRoom
from mailcore.poppassd.session import SERVICE as POPPASSD
from mailcore.settings import Settings
from mailcore.wire import Wait


@pytest.fixture
def lines(monkeypatch):
    told = []
    monkeypatch.setattr(log, "info", told.append)
    return told


class Guest:
    """A connection, and the room that it waits in."""

    def __init__(self, tmp_path, service=IMAP, **values):
        fixed = {"tls_directory": str(tmp_path), "cram_md5_file": "", "anonymous_file": "", "nologin_file": ""}
        self.room = WaitingRoom(service, Settings(**{"hosts_allow": "", "hosts_deny": "", **fixed, **values}))
        self.client, server = socket.socketpair()
        self.client.settimeout(5)
        self.fd = server.detach()
        self.peer = Peer("socket", "192.0.2.7", 50000, 143)

    def come(self):
        return self.room.receive(self.fd, self.peer)

    def heard(self):
        return self.client.recv(1000)


@pytest.mark.parametrize("service, sign", [(IMAP, b"* OK [CAPABILITY IMAP4rev1 "), (POP3, b"+OK POP3 ")])
def test_the_greeting(service, sign, tmp_path):
    guest = Guest(tmp_path, service)
    caller = guest.come()
    assert guest.heard().startswith(sign)
    assert caller is not None and guest.room.first() == [caller] and caller.peer.greeted
    caller.close()


def test_two_pipes(tmp_path, lines):
    """Heard on one descriptor, told on the other; who closes his end without a word has gone."""
    guest = Guest(tmp_path)
    (heard, theirs), (said, told) = os.pipe(), os.pipe()
    caller = guest.room.receive(heard, Peer("pipe", local=True), patient=True, out_fd=told)
    assert caller is not None and os.read(said, 1000).startswith(b"* OK [CAPABILITY IMAP4rev1 ")
    assert caller.said_nothing() and os.write(theirs, b"x") and not caller.said_nothing()
    os.close(theirs)
    guest.room.gone(caller)
    assert os.read(said, 1) == b""
    os.close(said)


@pytest.mark.parametrize("service", [IMAP, POP3, POPPASSD])
def test_nobody_is_greeted_twice(service, tmp_path):
    """The gatekeeper goes on where the room left off."""
    guest = Guest(tmp_path, service, poppassd_remote=True)
    caller = guest.come()
    assert type(next(service.strangers(guest.room.settings, caller.peer))) is Wait
    caller.close()


SILENT = {
    IMAP: b"* BYE Autologout; idle for too long\r\n",
    POP3: b"-ERR Autologout; idle for too long\r\n",
    POPPASSD: b"500 Idle for too long\r\n",
}


@pytest.mark.parametrize("service", SILENT)
def test_silence(service, tmp_path, lines):
    """The words are those of a gatekeeper, which has the same conversation."""
    guest = Guest(tmp_path, service, poppassd_remote=True, first_octet_seconds=0.0)
    guest.come()
    guest.heard()
    for caller in guest.room.overdue():
        guest.room.dismiss(caller)
    assert guest.heard() == SILENT[service] and guest.heard() == b""
    assert lines == ["Autologout user=??? host=[192.0.2.7]"]
    assert not guest.room


def test_nobody_is_overdue_before_his_time(tmp_path):
    guest = Guest(tmp_path, first_octet_seconds=1000.0)
    guest.come()
    assert not [*guest.room.overdue()] and len(guest.room) == 1
    guest.room.let_go(guest.fd).close()


def test_the_whole_time_for_a_login_counts(tmp_path):
    guest = Guest(tmp_path, first_octet_seconds=1000.0, login_timeout_seconds=0)
    guest.come()
    assert [*guest.room.overdue()]


def test_under_tls_nothing_is_said_in_clear(tmp_path, lines):
    guest = Guest(tmp_path, tls=True, tls_handshake_seconds=0)
    caller = guest.come()
    assert caller.talk is None and caller.peer.secure and not caller.peer.greeted
    for caller in guest.room.overdue():
        guest.room.dismiss(caller)
    assert guest.heard() == b""
    assert lines == ["Unable to accept SSL connection, too slow user=??? host=[192.0.2.7]"]


def test_we_end(tmp_path, lines):
    guest = Guest(tmp_path)
    guest.come()
    guest.heard()
    guest.room.shut(Terminated("Server shutting down", "Killed (terminated)"))
    assert guest.heard() == b"* BYE Server shutting down\r\n" and guest.heard() == b""
    assert lines == ["Killed (terminated) user=??? host=[192.0.2.7]"]


def test_nologin(tmp_path, lines):
    (tmp_path / "nologin").touch()
    guest = Guest(tmp_path, nologin_file=str(tmp_path / "nologin"))
    assert guest.come() is None and not guest.room
    assert guest.heard().startswith(b"* BYE Service not available") and guest.heard() == b""
    assert lines == ["Logout user=??? host=[192.0.2.7]"]


def test_only_from_here(tmp_path, lines):
    guest = Guest(tmp_path, POPPASSD)
    assert guest.come() is None
    assert guest.heard().startswith(b"500 Passwords are changed from the mail host") and guest.heard() == b""
    assert lines == ["Refused, not from this host user=??? host=[192.0.2.7]"]


def test_who_may_not_come_hears_no_greeting(tmp_path):
    (tmp_path / "deny").write_text("ALL: ALL\n")
    guest = Guest(tmp_path, hosts_deny=str(tmp_path / "deny"))
    with pytest.raises(TurnedAway):
        guest.come()
    guest.client.setblocking(False)
    with pytest.raises(BlockingIOError):
        guest.heard()


def test_who_has_gone_before_the_greeting(tmp_path, lines):
    guest = Guest(tmp_path)
    guest.client.close()
    assert guest.come() is None
    assert lines == ["Unexpected client disconnect user=??? host=[192.0.2.7]"]


def test_said_nothing(tmp_path, monkeypatch):
    """The kernel is asked how much is there; not an octet is taken."""
    guest = Guest(tmp_path)
    caller = guest.come()
    assert caller.said_nothing()
    guest.client.send(b"a NOOP\r\n")
    guest.client.shutdown(socket.SHUT_WR)
    assert not caller.said_nothing()
    server = socket.socket(fileno=caller.fd)
    assert server.recv(100) == b"a NOOP\r\n"
    assert caller.said_nothing()
    server.detach()
    caller.close()


def test_nothing_of_a_client_is_read_here():
    """S1: in this module, and in the listener, there is no call that could read from a connection."""
    from pathlib import Path

    for name in ("waiting", "listener", "seats"):
        text = Path(waiting.__file__).with_name(f"{name}.py").read_text()
        assert "recv" not in text and "os.read" not in text.replace("os.read(bell", ""), name
