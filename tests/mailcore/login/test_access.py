"""mailcore.login.access: what a descriptor is, and where passwords may be said in clear."""

from __future__ import annotations

import os
import socket

import pytest

from mailcore.login import access
from mailcore.login.accounts import Peer
from mailcore.settings import Settings


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
