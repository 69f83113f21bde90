"""mailcore.login.networks: addresses and networks as people write them."""

from __future__ import annotations

import pytest

from mailcore.errors import BadSetting
from mailcore.login import networks


@pytest.mark.parametrize(
    "text, inside, outside",
    [
        ("10.0.0.0/8", ["10.0.0.1", "10.255.255.255", "::ffff:10.1.1.1"], ["11.0.0.0", "9.9.9.9", "::1", "", "x"]),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.8"]),
        ("192.0.2.0/255.255.255.0", ["192.0.2.1"], ["192.0.3.1"]),
        ("fd00::/8, 127.0.0.1", ["fd12::1", "127.0.0.1"], ["fe80::1", "127.0.0.2"]),
        ("[2001:db8::]/32 [::1]", ["2001:db8:ffff::", "::1"], ["2001:db9::"]),
        ("0.0.0.0/0", ["1.2.3.4"], ["::1"]),
        ("", [], ["10.0.0.1"]),
    ],
)
def test_who_is_in_a_network(text, inside, outside):
    found = networks.parse("x", text)
    assert all(networks.contain(found, address) for address in inside)
    assert not any(networks.contain(found, address) for address in outside)


@pytest.mark.parametrize("text", ["10", "10.0.0.1/33", "10.0.0.1/8", "fd00::/129", "host", "10.0.0.0/", "::/255.0.0.0"])
def test_what_is_no_network(text):
    with pytest.raises(BadSetting, match="trusted_networks"):
        networks.parse("trusted_networks", text)


@pytest.mark.parametrize(
    "address, whole",
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("pipe", "pipe"),
    ],
)
def test_a_customer_with_ipv6_has_a_64(address, whole):
    assert networks.neighbourhood(address) == whole
