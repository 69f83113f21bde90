"""mailcore.login.parcel: packets with descriptors, fields, peers."""

from __future__ import annotations

import os
import socket

import pytest

from mailcore.login import parcel
from mailcore.login.accounts import Peer


@pytest.fixture
def ends():
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield one, other
    one.close()
    other.close()


@pytest.mark.parametrize("fields", [[], [b""], [b"a", b"", b"\0" * 5000], [bytes(range(256))] * 3])
def test_fields(fields):
    assert parcel.unpacked(parcel.packed(fields)) == fields


@pytest.mark.parametrize("data", [b"\0", b"\0\0\0", b"\0\0\0\x02a", b"\0\0\0\x01ab", b"\xff\xff\xff\xffabc"])
def test_what_was_cut(data):
    with pytest.raises(parcel.Cut):
        parcel.unpacked(data)


def test_descriptors(ends):
    one, other = ends
    reader, writer = os.pipe()
    parcel.send(one, b"words", (writer,))
    os.close(writer)
    data, fds = parcel.receive(other, 100, 2)
    assert data == b"words" and len(fds) == 1 and not os.get_inheritable(fds[0])
    os.write(fds[0], b"!")
    assert os.read(reader, 2) == b"!"
    os.close(fds[0])
    os.close(reader)


def test_a_packet_that_is_too_long_is_none(ends):
    one, other = ends
    parcel.send(one, b"x" * 101, ())
    assert parcel.receive(other, 100, 1) == (b"", [])


def test_nobody_is_waited_for(ends):
    one, other = ends
    with pytest.raises(BlockingIOError):
        for _ in range(10_000):
            parcel.send(one, b"x" * 1000, ())
    other.close()
    with pytest.raises(ConnectionError):
        parcel.send(one, b"x", ())


def test_a_peer():
    peer = Peer("socket", "2001:db8::7", 50000, 993, secure=True, user="fr\udce9d", origin="SSH_CLIENT=192.0.2.1")
    peer.sources, peer.stamp, peer.local_address = frozenset(("secrets", "stamp")), b"<1.2@host>", "192.0.2.2"
    peer.via, peer.offloaded = "PROXY 10.0.0.1", True
    peer.certificate = b"not told"
    again = parcel.peer_of(parcel.facts(peer))
    for name in Peer.__slots__:
        expected = {"bindings": {}, "certificate": b""}.get(name, getattr(peer, name))
        assert getattr(again, name) == expected and type(getattr(again, name)) is type(expected), name
