"""mailcore.login.forwarding: what a front end says of its client, value by value (S62)."""

from __future__ import annotations

import pytest

from mailcore.errors import Goodbye, Mistake
from mailcore.login.accounts import Peer
from mailcore.login.forwarding import Claim


@pytest.mark.parametrize(
    "values, fields",
    [
        ({"address": b"192.0.2.1"}, (b"192.0.2.1", b"0", b"0", b"XCLIENT", b"")),
        ({"address": b"2001:DB8::1", "port": b"65535"}, (b"2001:db8::1", b"65535", b"0", b"XCLIENT", b"")),
        ({"address": b"IPV6:2001:db8::1"}, (b"2001:db8::1", b"0", b"0", b"XCLIENT", b"")),
        ({"address": b"::ffff:192.0.2.1", "port": b"1"}, (b"192.0.2.1", b"1", b"0", b"XCLIENT", b"")),
        ({"address": b"192.0.2.1", "session": b"Ab/+1=" * 10}, (b"192.0.2.1", b"0", b"0", b"XCLIENT", b"Ab/+1=" * 10)),
        (
            {"address": b"192.0.2.1", "ttl": b"1", "our address": b"10.0.0.1", "our port": b"110", "text": b"\0"},
            (b"192.0.2.1", b"0", b"0", b"XCLIENT", b""),
        ),
    ],
)
def test_a_right_claim(values, fields):
    assert Claim("XCLIENT", values).question().fields == fields


@pytest.mark.parametrize(
    "changes",
    [
        {"address": b""},
        {"address": b"[UNAVAILABLE]"},
        {"address": b"host.example.org"},
        {"address": b"192.0.2.1/8"},
        {"address": b"192.0.2.1\0"},
        {"address": b"\xff" * 9},
        {"address": b"1" * 1000},
        {"address": b"fe80::1%eth0"},
        {"port": b"65536"},
        {"port": b"-1"},
        {"port": b""},
        {"port": b"1" * 400},
        {"port": b"\xb2"},
        {"ttl": b"256"},
        {"ttl": b"x"},
        {"ttl": b""},
        {"session": b"a b"},
        {"session": b"a\n"},
        {"session": b"x" * 65},
        {"our address": b"x"},
        {"our port": b"x"},
    ],
)
def test_a_wrong_claim(changes):
    with pytest.raises(Mistake):
        Claim("ID", {"address": b"192.0.2.1"} | changes)


def test_front_ends_that_run_in_a_circle_end():
    with pytest.raises(Goodbye, match="loops"):
        Claim("ID", {"address": b"192.0.2.1", "ttl": b"0"})


def test_an_applied_claim_moves_the_client_and_not_the_wire():
    peer = Peer("socket", "127.0.0.1", 5, 143, local=True)
    Claim("ID", {"address": b"192.0.2.1", "port": b"7"}).apply(peer)
    assert (peer.address, peer.port, peer.local, peer.secure) == ("192.0.2.1", 7, True, False)
    assert (peer.via, peer.host) == ("ID 127.0.0.1", "[192.0.2.1]")
