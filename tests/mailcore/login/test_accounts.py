"""mailcore.login.accounts: names, and who runs us."""

from __future__ import annotations

import os
import pwd

import pytest

from mailcore.login import accounts
from mailcore.login.accounts import Peer


def test_a_system_user_is_found_in_any_case():
    name = pwd.getpwuid(1).pw_name
    assert accounts.named(name).uid == 1
    assert accounts.named(name.upper()).name == name


@pytest.mark.parametrize("name", ["no_such_user_here", "", "a\0b", "\udcff", "x" * 5000])
def test_an_odd_name_is_nobody(name):
    assert accounts.named(name) is None


def test_home_is_believed_when_it_is_a_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert accounts.running().home == str(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    assert accounts.running().home != str(tmp_path / "nowhere")
    assert accounts.running().uid == os.getuid()


def test_the_host_field_of_the_log():
    assert Peer("socket", "192.0.2.7").host == "[192.0.2.7]"
    assert Peer("socket", "2001:db8::1").host == "[2001:db8::1]"
    assert Peer("pipe").host == "UNKNOWN"
    assert Peer("pipe", origin="SSH_CLIENT=192.0.2.7").host == "SSH_CLIENT=192.0.2.7"
