"""mailcore.login.access: what a descriptor is, and where passwords may be said in clear."""

from __future__ import annotations

import os
import socket

import pytest

from mailcore.errors import BadSetting
from mailcore.login import access
from mailcore.login.accounts import Peer
from mailcore.settings import Settings
from tests.conftest import need_root


@pytest.mark.parametrize("family, address", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_tcp_connection(family, address):
    with socket.socket(family) as listening:
        listening.bind((address, 0))
        listening.listen()
        assert access.is_listening(listening.fileno())
        with socket.socket(family) as client:
            client.connect(listening.getsockname())
            server, _ = listening.accept()
            with server:
                peer = access.peer_of(server.fileno())
                assert not access.is_listening(server.fileno())
                assert (peer.kind, peer.address, peer.local, peer.secure) == ("socket", address, True, False)
                assert (peer.port, peer.local_port) == (client.getsockname()[1], listening.getsockname()[1])
                assert peer.user == ""  # nobody is let in without a password on a network socket


def test_an_ipv4_client_of_an_ipv6_socket():
    with socket.socket(socket.AF_INET6) as listening:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(("::", 0))
        listening.listen()
        with socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
            server, _ = listening.accept()
            with server:
                assert access.peer_of(server.fileno()).address == "127.0.0.1"


def test_a_client_that_is_gone_is_a_stranger():
    with socket.socket() as never:
        peer = access.peer_of(never.fileno())
    assert (peer.kind, peer.address, peer.local, peer.user) == ("socket", "", False, "")


def test_a_unix_socket_and_a_pipe_are_local():
    one, other = socket.socketpair()
    with one, other:
        assert access.peer_of(one.fileno()).kind == "local"
        assert access.peer_of(one.fileno()).local
    out, into = os.pipe()
    peer = access.peer_of(out)
    os.close(out)
    os.close(into)
    assert (peer.kind, peer.local) == ("pipe", True)
    assert bool(peer.user) == (os.geteuid() != 0)


@pytest.mark.parametrize("euid, user", [(0, False), (1, True)])
def test_only_an_ordinary_user_is_known_by_his_pipe(monkeypatch, euid, user):
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    monkeypatch.setenv("SSH_CLIENT", "192.0.2.7 50000 22")
    out, into = os.pipe()
    peer = access.peer_of(out)
    os.close(out)
    os.close(into)
    assert bool(peer.user) == user
    assert peer.host == ("SSH_CLIENT=192.0.2.7" if user else "UNKNOWN")


@pytest.mark.parametrize(
    "address, loopback",
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("128.0.0.1", False),
        ("10.0.0.1", False),
        ("::2", False),
        ("127.evil:", False),
        ("", False),
    ],
)
def test_loopback(address, loopback):
    assert access.is_loopback(address) == loopback


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("disabled", [False, True])
def test_where_a_password_may_be_said_in_clear(local, secure, disabled):
    peer = Peer("socket", "192.0.2.7", local=local, secure=secure)
    allowed = access.plaintext_allowed(Settings(disable_plaintext_auth=disabled), peer)
    assert allowed == (local or secure or not disabled)


# --- before the greeting -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["proxy_networks", "trusted_networks"])
def test_a_network_that_is_none_is_heard_of_at_the_start(name):
    with pytest.raises(BadSetting, match=name):
        access.check(Settings(**{name: "10.0.0.1/40"}))
    access.check(Settings(**{name: "10.0.0.0/8 fd00::/8"}))


def test_a_connection_knows_its_own_end():
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()):
        server, _ = listening.accept()
        with server:
            assert access.peer_of(server.fileno()).local_address == "127.0.0.1"


def test_without_files_and_caps_nothing_is_loaded_or_opened(tmp_path, monkeypatch):
    settings = Settings(hosts_allow=str(tmp_path / "a"), hosts_deny="", address_sessions=0)
    monkeypatch.setattr(os, "open", None)
    access.receive(None, settings, Peer("socket", "192.0.2.7"))
    access.receive(None, Settings(hosts_allow="", hosts_deny=""), Peer("socket", "127.0.0.1", local=True))


@pytest.mark.parametrize(
    "peer, proxy, trusted",
    [
        (Peer("socket", "10.0.0.1"), True, True),
        (Peer("socket", "10.0.0.2"), False, False),
        (Peer("pipe", "10.0.0.1"), False, False),
        (Peer("local"), False, False),
    ],
)
def test_who_is_a_front_end(peer, proxy, trusted):
    settings = Settings(proxy_networks="10.0.0.1", trusted_networks="10.0.0.1")
    assert access.is_proxy(settings, peer) is proxy
    assert access.is_trusted(settings, peer) is trusted
    assert not access.is_proxy(Settings(), peer) and not access.is_trusted(Settings(), peer)


def test_a_front_end_behind_a_proxy_names_its_client_once():
    settings = Settings(proxy_networks="10.0.0.1", trusted_networks="10.0.0.0/8")
    peer = Peer("socket", "10.0.0.1")
    access.apply(peer, "PROXY", "10.0.0.2", 7, False)
    assert access.is_trusted(settings, peer) and not access.is_proxy(settings, peer)
    access.apply(peer, "XCLIENT", "10.0.0.1", 7)
    assert not access.is_trusted(settings, peer) and not access.is_proxy(settings, peer)
    assert peer.via == "PROXY 10.0.0.1 XCLIENT 10.0.0.2"


def test_no_header_comes_behind_starttls():
    peer = Peer("socket", "10.0.0.1")
    peer.greeted = True
    assert not access.is_proxy(Settings(proxy_networks="10.0.0.1"), peer)


def test_the_sockets_that_systemd_lends(monkeypatch):
    """LISTEN_FDS counts for the process it is meant for, and only what listens is a listener's."""
    seen = []
    monkeypatch.setattr(access, "is_listening", lambda fd: seen.append(fd) or fd in (3, 4))
    assert access.lent_sockets() == []
    monkeypatch.setenv("LISTEN_FDS", "3")
    for pid, fds in ((os.getpid() + 1, []), (os.getpid(), [3, 4])):
        monkeypatch.setenv("LISTEN_PID", str(pid))
        assert access.lent_sockets() == fds
    monkeypatch.setenv("LISTEN_FDS", "-1")
    assert access.lent_sockets() == []
    monkeypatch.setattr(access, "is_listening", lambda fd: fd == 0)
    assert access.lent_sockets() == [0]


@pytest.mark.parametrize("visitor", [0, 54321, 54322])
def test_who_comes_by_a_unix_socket(visitor, tmp_path):
    """Preauthenticated is only the user himself; root could be him."""
    need_root()
    tmp_path.chmod(0o777)
    tmp_path.parent.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "door"))
        listening.listen()
        os.chmod(tmp_path / "door", 0o777)
        client = os.fork()
        if client == 0:
            try:
                os.setresuid(visitor, visitor, visitor)
                with socket.socket(socket.AF_UNIX) as caller:
                    caller.connect(str(tmp_path / "door"))
                    caller.recv(1)
            finally:
                os._exit(0)
        server, _ = listening.accept()
        os.seteuid(54321)
        try:
            assert access._is_ours(server) is (visitor != 54322)
        finally:
            os.seteuid(0)
            server.close()
            os.waitpid(client, 0)
