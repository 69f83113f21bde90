"""mailcore.store.steward: how one starts, waits, and is told its names; what it does is in test_territory.py."""

from __future__ import annotations

import os
import signal
import time

import pytest

from mailcore.store import steward as house
from mailcore.store.steward import Steward


@pytest.fixture
def steward(tmp_path):
    (tmp_path / "home").mkdir()
    steward = Steward()
    steward.appoint([str(tmp_path / "fred"), "300", str(tmp_path / "home/.mailboxlist"), "", ""])
    yield steward
    steward.close()
    os.waitpid(-1, 0)


def test_names_are_said_once(steward, tmp_path):
    with pytest.raises(OSError):
        steward.appoint(["/etc/passwd", "300", "/etc/shadow", "", ""])
    with pytest.raises(FileNotFoundError):
        steward.read()
    assert os.readlink(f"/proc/self/fd/{steward.home()}") == str(tmp_path / "home")


def test_without_names_it_serves_nothing():
    steward = Steward()
    with pytest.raises(OSError, match="gone|Broken pipe|reset"):
        steward.read()
    steward.close()
    assert os.waitpid(-1, 0)[1]


def test_one_that_is_never_asked_ends_with_the_session(monkeypatch):
    monkeypatch.setattr(house, "at_hand", None)
    house.engage()
    house.at_hand.close()
    assert os.waitpid(-1, 0)[0]


def test_a_signal_to_all_of_the_group_does_not_end_it(steward, tmp_path):
    """The session says goodbye first, and may need a lock for it."""
    time.sleep(0.1)
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as children:
        (pid,) = map(int, children.read().split())
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(pid, number)
    assert steward.lock(str(tmp_path / "fred.lock"))
    steward.unlock()
