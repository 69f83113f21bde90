"""mailcore.login.names: a lookup has a time, and what it says is a host name or nothing."""

from __future__ import annotations

import time

import pytest

from mailcore.login import names, wrappers
from mailcore.settings import Settings


@pytest.mark.parametrize(
    "said, name",
    [
        ("mail.example.org", "mail.example.org"),
        ("paranoid", "paranoid"),
        ("_a-b.example.org", "_a-b.example.org"),
        ("", "unknown"),
        ("a b", "unknown"),
        ("a\nb", "unknown"),
        ("x" * 300, "unknown"),
        ("m\xfcll.example", "unknown"),
    ],
)
def test_only_a_host_name_comes_back(monkeypatch, said, name):
    monkeypatch.setattr(wrappers, "confirmed_name", lambda address: said)
    assert names.of("192.0.2.1", Settings()) == name


def test_a_resolver_that_waits_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(wrappers, "confirmed_name", lambda address: time.sleep(60))
    began = time.monotonic()
    assert names.of("192.0.2.1", Settings(name_seconds=0.2)) == "unknown"
    assert time.monotonic() - began < 10
