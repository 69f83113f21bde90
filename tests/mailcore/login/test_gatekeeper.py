"""mailcore.login.gatekeeper: hears nothing before it is locked in, and ends with one frame."""

from __future__ import annotations

import os

import pytest

from mailcore import log
from mailcore.errors import Goodbye
from mailcore.login import channel, gatekeeper
from mailcore.login.accounts import Peer
from mailcore.login.channel import pair
from mailcore.login.gatekeeper import Doorstep, confess, talk
from mailcore.settings import Settings
from mailcore.wire import Wait
from tests.mailcore.login.parrot import SERVICE

PEER = Peer("pipe", local=True)


@pytest.fixture
def fds():
    out, into = os.pipe()
    client, ours = os.pipe()
    yield out, into, client, ours
    for fd in (out, into, client, ours):
        try:
            os.close(fd)
        except OSError:
            pass


def test_the_greeting_comes_before_the_lock_and_the_lock_before_the_first_octet(fds):
    out, into, client, ours = fds
    seen = []

    def lock_in():
        seen.append(os.read(client, 100))
        os.write(into, b"QUIT\r\n")

    monitor, theirs = pair()
    talk(SERVICE, Settings(), PEER, Doorstep(Settings(), out, ours, lock_in), theirs)
    assert seen == [b"HELLO\r\n"]
    assert os.read(client, 100) == b"BYE\r\n"
    assert monitor.receive(channel.FAREWELL, 1) == [b"Logout"]


def test_a_lock_that_fails_hears_nothing(fds):
    out, into, client, ours = fds
    os.write(into, b"QUIT\r\n")

    def lock_in():
        raise OSError("no lock")

    _, theirs = pair()
    with pytest.raises(OSError, match="no lock"):
        talk(SERVICE, Settings(), PEER, Doorstep(Settings(), out, ours, lock_in), theirs)
    assert os.read(out, 100) == b"QUIT\r\n"


def test_all_that_is_read_before_login_has_a_limit(fds):
    out, into, client, ours = fds
    doorstep = Doorstep(Settings(login_read_octets=10), out, ours, lambda: None)
    os.write(into, b"12345")
    doorstep.hear(Wait(1))
    os.write(into, b"67890")
    doorstep.hear(Wait(1))
    with pytest.raises(Goodbye):
        doorstep.hear(Wait(1))


@pytest.mark.parametrize(
    "said, ending",
    [(b"", b"Unexpected client disconnect"), (b"WHAT\r\n", b"Unexpected client disconnect"), (b"QUIT\r\n", b"Logout")],
)
def test_the_farewell_says_why(fds, said, ending):
    out, into, client, ours = fds
    os.write(into, said)
    os.close(into)
    monitor, theirs = pair()
    talk(SERVICE, Settings(), PEER, Doorstep(Settings(), out, ours, lambda: None), theirs)
    assert monitor.receive(channel.FAREWELL, 1) == [ending]


def test_the_login_timer_is_for_the_whole_time(fds):
    out, into, client, ours = fds
    monitor, theirs = pair()
    settings = Settings()
    settings.login_timeout_seconds = 0.05
    talk(SERVICE, settings, PEER, Doorstep(settings, out, ours, lambda: None), theirs)
    assert monitor.receive(channel.FAREWELL, 1) == [b"Autologout"]


def test_a_confession_tells_no_value():
    monitor, theirs = pair()
    try:
        int("my password")
    except ValueError as error:
        name = confess(error, theirs)
    told = monitor.receive(channel.TROUBLE, 2)
    assert told[0] == name.encode()
    assert b"ValueError" in told[1]
    assert b"test_gatekeeper.py" in told[1]
    assert b"password" not in told[1].replace(b"passwords.py", b"")


def test_an_id_logged_by_a_server_goes_to_the_monitor():
    monitor, theirs = pair()
    log.close_log(lambda error: confess(error, theirs))
    try:
        name = log.tracebacks(RuntimeError("x"))
    finally:
        log.close_log()
    assert monitor.receive(channel.TROUBLE, 2)[0] == name.encode()


def test_it_imports_nothing_after_the_lock(monkeypatch, fds):
    """What is needed before login is there before the lock: an import would fail in an empty directory."""
    out, into, client, ours = fds
    import builtins
    import sys

    def lock_in():
        real = builtins.__import__

        def watch(name, *arguments, **keywords):
            assert name in sys.modules, f"{name} imported after the lock"
            return real(name, *arguments, **keywords)

        monkeypatch.setattr(builtins, "__import__", watch)
        os.write(into, b"WHAT\r\nNOTE\r\nQUIT\r\n")

    _, theirs = pair()
    talk(SERVICE, Settings(), PEER, Doorstep(Settings(), out, ours, lock_in), theirs)
    assert gatekeeper.__name__ == "mailcore.login.gatekeeper"
