"""mailcore.login.sockets: addresses to listen on."""

from __future__ import annotations

import pytest

from mailcore.login.sockets import BadAddress, open_sockets, split


@pytest.mark.parametrize(
    "address, parts",
    [
        ("127.0.0.1:1143", ("127.0.0.1", 1143)),
        ("[::1]:1143", ("::1", 1143)),
        ("localhost:0", ("localhost", 0)),
        (":143", ("", 143)),
    ],
)
def test_addresses(address, parts):
    assert split(address) == parts


@pytest.mark.parametrize(
    "address", ["", "1143", "host", "host:", "host:imap", "::1:1143", "h:65536", "h:-1", "h:\u0661"]
)
def test_no_addresses(address):
    with pytest.raises(BadAddress):
        split(address)


def test_a_port_in_use_is_said(tmp_path):
    (sock,) = open_sockets("127.0.0.1:0")
    with pytest.raises(BadAddress):
        open_sockets(f"127.0.0.1:{sock.getsockname()[1]}")
    sock.close()
