"""mailcore.login.pace: wrong passwords wait longer, POP3 logins come apart."""

from __future__ import annotations

import pytest

from mailcore.login import ledger, pace
from mailcore.login.accounts import Peer
from mailcore.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(run_directory=str(tmp_path / "run"), pop3_login_delay_seconds=60)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    for module in (ledger, pace):
        monkeypatch.setattr(module, "monotonic", lambda: Clock.now)
    return Clock


def test_the_wait_grows_to_its_cap(settings, clock):
    waits = [pace.penalty(settings, Peer("socket", "192.0.2.7")) for _ in range(10)]
    assert waits == [0, 0, 0, 1, 2, 4, 8, 15, 15, 15]


def test_it_is_forgotten_step_by_step(settings, clock):
    peer = Peer("socket", "192.0.2.7")
    for _ in range(100):
        pace.penalty(settings, peer)
    clock.now += settings.penalty_forget_seconds * (pace.MOST - 5)
    assert pace.penalty(settings, peer) == 4  # the sixth: five were left
    clock.now += settings.penalty_forget_seconds * pace.MOST
    assert pace.penalty(settings, peer) == 0


@pytest.mark.parametrize(
    "first, second, together",
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
def test_whose_wrong_passwords_count_together(settings, clock, first, second, together):
    for _ in range(20):
        pace.penalty(settings, Peer("socket", first))
    assert bool(pace.penalty(settings, Peer("socket", second))) is together


@pytest.mark.parametrize(
    "peer, changes",
    [
        (Peer("pipe"), {}),
        (Peer("socket", "127.0.0.1", local=True), {}),
        (Peer("socket", "192.0.2.7"), {"penalty_seconds": 0.0}),
        (Peer("socket", "192.0.2.7"), {"run_directory": ""}),
    ],
)
def test_who_never_waits(settings, peer, changes):
    for name, value in changes.items():
        setattr(settings, name, value)
    assert [pace.penalty(settings, peer) for _ in range(20)] == [0.0] * 20


def test_this_machine_waits_too_if_told_so(settings):
    settings.spare_local = False
    assert sum(pace.penalty(settings, Peer("socket", "127.0.0.1", local=True)) for _ in range(20)) > 100


def test_a_client_behind_a_front_end_here_is_not_this_machine(settings):
    peer = Peer("socket", "127.0.0.1", local=True)
    peer.comes_from("192.0.2.7", 1, "XCLIENT")
    assert peer.local
    assert sum(pace.penalty(settings, peer) for _ in range(20)) > 100


def test_logins_are_apart(settings, clock):
    assert not pace.too_soon(settings, "fred")
    clock.now += 59.9
    assert pace.too_soon(settings, "fred")
    assert not pace.too_soon(settings, "barney")
    clock.now += 0.2
    assert not pace.too_soon(settings, "fred")  # asking too soon has not made it longer
    assert pace.too_soon(settings, "fred")


def test_logins_need_not_be_apart(settings):
    settings.pop3_login_delay_seconds = 0
    assert not any(pace.too_soon(settings, "fred") for _ in range(3))
