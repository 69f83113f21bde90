"""mailcore.login.certificates: which port speaks TLS, and which file is found."""

from __future__ import annotations

import sys

import pytest

from mailcore.login import certificates
from mailcore.login.accounts import Peer
from mailcore.login.certificates import at_once, candidates, find, is_name, key_of, offered, others
from mailcore.settings import Settings


class Imap:
    name, program = "imap", "imapd"


class Pop3:
    name, program = "pop3", "ipop3d"


@pytest.mark.parametrize(
    "service, port, argv0, tls, expected",
    [
        (Imap, 143, "imapd", False, False),
        (Imap, 993, "imapd", False, True),
        (Imap, 995, "imapd", False, False),
        (Pop3, 995, "ipop3d", False, True),
        (Pop3, 110, "ipop3d", False, False),
        (Imap, 5993, "imapd", False, True),  # simap in the table below
        (Pop3, 5995, "ipop3d", False, True),  # spop3
        (Imap, 5995, "imapd", False, False),
        (Imap, 1143, "/usr/local/libexec/simapd", False, True),
        (Imap, 143, "/usr/local/libexec/simapd", False, False),  # UW: a port with a name of its own decides
        (Imap, 1143, "imapd", True, True),
        (Imap, 143, "imapd", True, True),
        (Imap, 0, "imapd", False, False),
        (Imap, 0, "", False, False),
    ],
)
def test_tls_at_once(monkeypatch, service, port, argv0, tls, expected):
    monkeypatch.setattr(sys, "argv", [argv0])
    monkeypatch.setattr(certificates, "_number", lambda name: {"simap": 5993, "spop3": 5995}.get(name, 0))
    assert at_once(service, Settings(tls=tls), port) is expected


def test_services_are_looked_up():
    assert certificates._number("no-such-service-here") == 0


def test_where_is_looked():
    assert candidates("imapd", Settings(), "192.0.2.1")[:3] == [
        "/etc/ssl/certs/imapd-192.0.2.1.pem",
        "/etc/ssl/certs/imapd.pem",
        "/etc/pki/tls/certs/imapd-192.0.2.1.pem",
    ]
    assert len(candidates("ipop3d", Settings())) == 4
    assert candidates("imapd", Settings(tls_directory="/x")) == ["/x/imapd.pem"]
    assert candidates("imapd", Settings(tls_directory="/x", tls_certificate="/y.pem"), "::1") == ["/y.pem"]


def test_the_address_comes_first(tmp_path):
    settings = Settings(tls_directory=str(tmp_path))
    assert find("imapd", settings, "::1") == ""
    (tmp_path / "imapd.pem").touch()
    assert find("imapd", settings, "::1") == str(tmp_path / "imapd.pem")
    (tmp_path / "imapd-::1.pem").touch()
    assert find("imapd", settings, "::1") == str(tmp_path / "imapd-::1.pem")
    assert find("ipop3d", settings) == ""


def test_the_key_lies_beside_or_inside(tmp_path):
    for name in ("certs", "certs/private", "private"):
        (tmp_path / name).mkdir()
    path = str(tmp_path / "certs" / "imapd.pem")
    settings = Settings(tls_certificate=path)
    assert key_of(path, settings) == path
    (tmp_path / "private" / "imapd.pem").touch()
    assert key_of(path, settings) == str(tmp_path / "private" / "imapd.pem")
    (tmp_path / "certs" / "private" / "imapd.pem").touch()
    assert key_of(path, settings) == str(tmp_path / "certs" / "private" / "imapd.pem")
    assert key_of(path, Settings(tls_certificate=path, tls_key="/k.pem")) == "/k.pem"
    assert key_of("/other/x.pem", Settings(tls_certificate=path, tls_key="/k.pem")) == "/other/x.pem"


def test_names_are_those_of_files_that_are_there(tmp_path):
    for name in ("imapd.pem", "imapd-Mail.Example.org.pem", "imapd-rsa.pem", "imapd-.pem", "imapd-a b.pem",
                 "imapd-x.pem.old", "ipop3d-y.pem", "imapd-192.0.2.1.pem"):  # fmt: skip
        (tmp_path / name).touch()
    found = others("imapd", str(tmp_path / "imapd.pem"), 100)
    assert set(found) == {"mail.example.org", "rsa", "192.0.2.1"}
    assert found["mail.example.org"] == str(tmp_path / "imapd-Mail.Example.org.pem")
    assert len(others("imapd", str(tmp_path / "imapd.pem"), 2)) == 2


@pytest.mark.parametrize("name", ["", "a/b", "..\0", "a_b", "é", "x" * 256, "a b"])
def test_no_names(name):
    assert not is_name(name)


def test_starttls_is_offered_where_it_would_work(tmp_path):
    settings = Settings(tls_directory=str(tmp_path))
    assert not offered(Imap, settings, Peer("socket"))
    (tmp_path / "imapd.pem").touch()
    assert offered(Imap, settings, Peer("socket"))
    assert offered(Imap, settings, Peer("local"))
    assert not offered(Imap, settings, Peer("pipe"))
    assert not offered(Pop3, settings, Peer("socket"))
