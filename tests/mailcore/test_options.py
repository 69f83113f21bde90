"""mailcore.options: the command line of both servers."""

from __future__ import annotations

import pytest

from mailcore import VERSION, options
from mailcore.login import arrival, listener
from tests.mailcore.login.parrot import SERVICE


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(arrival, "shut_stderr", lambda: None)


@pytest.fixture
def given(monkeypatch):
    """What would be served, and where."""
    seen = []
    monkeypatch.setattr(arrival, "arrive", lambda service, options: seen.append(("arrive", list(options))) or 0)

    def listen(service, words, addresses, sealed):
        seen.append((addresses, sealed, words))
        return 0

    monkeypatch.setattr(listener, "listen", listen)
    return seen


def test_version(capsys):
    assert options.run(SERVICE, ["--version"]) == 0
    assert capsys.readouterr().out == f"parrot {VERSION}\n"


def test_help_names_every_option(capsys):
    assert options.run(SERVICE, ["--help"]) == 0
    told = capsys.readouterr().out
    for name in ("--listen", "--listen-tls", "--tls", "--passwd-file", "--mail-location", "-o", "--version", "--help"):
        assert name in told


def test_options_become_settings(given):
    arguments = ["--passwd-file", "/p", "--mail-location", "mbox:~/x", "-o", "fsync=no", "-o", "lock_seconds=5"]
    assert options.run(SERVICE, arguments) == 0
    assert given == [("arrive", ["fsync=no", "lock_seconds=5", "passwd_file=/p", "mail_location=mbox:~/x"])]


def test_listen(given):
    words = ["--listen", "[::1]:1143", "--listen-tls", "x:993", "--listen", "x:143", "-o", "fsync=no"]
    assert options.run(SERVICE, words) == 0
    assert given == [(("[::1]:1143", "x:143"), ("x:993",), ["fsync=no"])]


def test_tls_is_a_setting(given):
    assert options.run(SERVICE, ["--tls", "-o", "fsync=no"]) == 0
    assert given == [("arrive", ["fsync=no", "tls=true"])]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["argument"],
        ["--listen"],
        ["--listen", "x:1", "-o", "nonsense=1"],
        ["--listen", "x:1", "-o", "fsync"],
    ],
)
def test_what_is_wrong_is_said(given, capsys, arguments):
    assert options.run(SERVICE, arguments) == 2
    assert capsys.readouterr().err
    assert given == []


def test_an_address_that_is_none_is_said(capsys):
    assert options.run(SERVICE, ["--listen", "nonsense"]) == 2
    assert "HOST:PORT" in capsys.readouterr().err
