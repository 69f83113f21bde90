"""mailcore.login.keykeeper: it loads once, forks for whoever asks, and goes when nobody can ask any more."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from mailcore.login import channel, keykeeper
from mailcore.login.accounts import Peer
from mailcore.settings import Settings
from tests.conftest import need_root
from tests.mailcore.login.parrot import SERVICE
from tests.playground import certificate, context

SECONDS = 10


@pytest.fixture
def settings(tmp_path):
    certificate(tmp_path).rename(tmp_path / "parrot.pem")
    (tmp_path / "empty").mkdir(mode=0o755)
    return Settings(tls_directory=str(tmp_path), gatekeeper_root=str(tmp_path / "empty"))


@pytest.fixture
def keeper(settings):
    keeper = keykeeper.start(SERVICE, settings)
    yield keeper
    keeper.close()
    assert ended(keeper.pid)


def ended(pid):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    return False


def ask(keeper):
    """A client, the channel to its gatekeeper, the clear end, and the gatekeeper's pidfd."""
    client, server = socket.socketpair()
    clear, far = socket.socketpair()
    ours, theirs = channel.pair()
    peer = Peer("local", local=True, secure=True)
    keeper.ask(peer, 60.0, (server.fileno(), server.fileno(), theirs.fileno(), far.fileno()))
    for end in (server, far, theirs):
        end.close()
    client.settimeout(SECONDS)
    return client, ours, clear, keykeeper.pidfd_of(ours)


def test_it_forks_a_gatekeeper(keeper):
    client, ours, clear, pidfd = ask(keeper)
    assert pidfd >= 0
    sealed = context().wrap_socket(client)
    assert sealed.recv(100) == b"HELLO\r\n"
    sealed.sendall(b"QUIT\r\n")
    assert ours.receive(channel.FAREWELL, 1) == [b"Logout"]
    os.close(pidfd)


def test_whoever_asked_can_end_it(keeper):
    client, ours, clear, pidfd = ask(keeper)
    sealed = context().wrap_socket(client)
    sealed.recv(100)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert ours.peek() == b""
    os.close(pidfd)


def test_one_that_nobody_waits_for_ends(keeper):
    client, ours, clear, pidfd = ask(keeper)
    sealed = context().wrap_socket(client)
    sealed.recv(100)
    ours.close()
    while sealed.recv(100):
        pass
    os.close(pidfd)


def test_it_keeps_no_descriptor(keeper):
    need_root()
    before = None
    for _ in range(3):
        client, ours, clear, pidfd = ask(keeper)
        client.close()
        ours.receive(channel.FAREWELL, 1)
        os.close(pidfd)
        count = len(os.listdir(f"/proc/{keeper.pid}/fd"))
        before = before or count
        assert count <= before


def test_nonsense_is_nothing(keeper):
    keeper.sock.send(b"nonsense")
    client, ours, clear, pidfd = ask(keeper)
    assert pidfd >= 0
    os.close(pidfd)


def shown(keeper):
    """The certificate that a client sees now."""
    client, ours, clear, pidfd = ask(keeper)  # all kept: a gatekeeper whose monitor goes ends in the middle of its word
    os.close(pidfd)
    with context().wrap_socket(client) as sealed:
        return sealed.getpeercert(True)


def test_renewed(keeper, tmp_path):
    first = shown(keeper)
    certificate(tmp_path, "new.example.org").rename(tmp_path / "parrot.pem")
    keeper.renew()
    until = time.monotonic() + SECONDS
    while shown(keeper) == first:
        assert time.monotonic() < until
    (tmp_path / "parrot.pem").write_text("broken")
    keeper.renew()
    time.sleep(0.3)
    assert shown(keeper) != first  # those in use stay


def test_a_certificate_that_cannot_be_used(settings, tmp_path):
    (tmp_path / "parrot.pem").write_text("broken")
    keeper = keykeeper.start(SERVICE, settings)
    assert ended(keeper.pid)
    with pytest.raises(OSError):
        keeper.ask(Peer("local"), 1.0, (0, 1, 0, 1))
    keeper.close()


# --- its place in a listener -------------------------------------------------------------------


def reaped(post):
    """What the listener does when a child ends."""
    pid, status = os.waitpid(-1, 0)
    post.note_end(pid, status)
    return pid


def test_the_post_is_filled_when_it_is_wanted(settings):
    post = keykeeper.Post(SERVICE, settings)
    post.rehearse()
    reaped(post)
    assert post.can_be_filled()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # nobody yet
    holder = post.holder()
    assert holder is not None and post.holder() is holder
    client, ours, clear, pidfd = ask(holder)
    with context().wrap_socket(client) as sealed:
        assert sealed.recv(100) == b"HELLO\r\n"
    os.close(pidfd)
    assert post.vacate() == holder.pid == reaped(post)


def test_without_a_certificate_nobody_holds_it(settings, tmp_path):
    (tmp_path / "parrot.pem").rename(tmp_path / "later")
    post = keykeeper.Post(SERVICE, settings)
    post.rehearse()
    assert not post.can_be_filled() and post.holder() is None and post.vacate() == 0
    (tmp_path / "later").rename(tmp_path / "parrot.pem")
    assert post.can_be_filled()


def test_keys_that_cannot_be_used_are_told_at_the_start(settings, tmp_path):
    good = (tmp_path / "parrot.pem").read_text()
    (tmp_path / "parrot.pem").write_text("broken")
    post = keykeeper.Post(SERVICE, settings)
    post.rehearse()
    assert post.can_be_filled()  # nobody knows yet
    reaped(post)
    assert not post.can_be_filled() and post.holder() is None
    (tmp_path / "parrot.pem").write_text(good)
    post.renew()
    reaped(post)
    assert post.can_be_filled()


def test_one_that_nobody_wants_goes_and_the_next_has_the_post(settings, monkeypatch):
    post = keykeeper.Post(SERVICE, settings)
    first = post.holder()
    post.tidy()
    assert post.holder() is first
    monkeypatch.setattr(keykeeper, "IDLE_SECONDS", -1)
    post.tidy()
    assert reaped(post) == first.pid
    second = post.holder()
    assert second is not None and second is not first and post.vacate() == reaped(post)


def test_one_that_dies_has_no_successor(settings):
    post = keykeeper.Post(SERVICE, settings)
    os.kill(post.holder().pid, signal.SIGKILL)
    reaped(post)
    assert post.holder() is None
