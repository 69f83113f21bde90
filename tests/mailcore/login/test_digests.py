"""mailcore.login.digests: the RFCs' own examples, and all that is almost right."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.login import digests

APOP = (b"<1896.697170952@dbc.mtview.ca.us>", b"tanstaaf", b"c4c9334bac560ecc979e58001b3e22fb")  # RFC 1939 §7
CRAM = (
    b"<1896.697170952@postoffice.reston.mci.net>",
    b"tanstaaftanstaaf",
    b"b913a602c7eda7a495b4e6e7334d3890",
)  # RFC 2195 §2


@pytest.mark.parametrize(("prove", "example"), [(digests.apop, APOP), (digests.cram_md5, CRAM)])
def test_the_rfc_example(prove, example):
    stamp, secret, digest = example
    assert prove(stamp, secret, digest) is True
    wrong = [
        (stamp, secret, digest.upper()),  # UW and RFC 1939: lower case only
        (stamp, secret, digest[:-1]),
        (stamp, secret, digest + b" "),
        (stamp, secret, b""),
        (stamp, secret, bytes.fromhex(digest.decode())),
        (stamp, secret + b"x", digest),
        (stamp, secret[:-1], digest),
        (stamp, b"", digest),
        (stamp[1:], secret, digest),
        (stamp, None, digest),
        (stamp, secret, b"\xe9" * 32),
    ]
    assert [prove(*case) for case in wrong] == [False] * len(wrong)


def test_nobody_proves_the_secret_of_nobody():
    stamp = APOP[0]
    nobodys = digests.NOBODYS
    assert not digests.apop(stamp, None, hashlib.md5(stamp + nobodys).hexdigest().encode())
    assert not digests.cram_md5(stamp, None, hmac.new(nobodys, stamp, "md5").hexdigest().encode())
    assert not digests.clear(nobodys, None)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_secret(stamp, secret):
    """Also beyond 64 octets, where HMAC hashes its key, and beyond 128, where UW's APOP cut it off."""
    assert digests.apop(stamp, secret, hashlib.md5(stamp + secret).hexdigest().encode())
    assert digests.cram_md5(stamp, secret, hmac.new(secret, stamp, "md5").hexdigest().encode())
    assert digests.clear(secret, secret)
    assert not digests.clear(secret + b"x", secret)


@pytest.mark.parametrize("host", ["mail.example.org", "", "h" * 300, "a b<c>@d\r\n", "bücher.example", "\udcff"])
def test_a_stamp_is_a_message_id_and_never_comes_twice(host):
    stamps = {digests.stamp(host) for _ in range(200)}
    assert len(stamps) == 200
    for stamp in stamps:
        assert len(stamp) <= digests.STAMP_OCTETS
        left, at, right = stamp[1:-1].partition(b"@")
        assert stamp[:1] + at + stamp[-1:] == b"<@>"
        assert all(part.isdigit() for part in left.split(b".")) and right
        assert all(octet in b"abcdefghijklmnopqrstuvwxyz0123456789.-" for octet in right.lower())
