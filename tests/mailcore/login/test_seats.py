"""mailcore.login.seats and standby: one process for the connections of one user, one after the other."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from mailcore.login import standby
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Entry
from mailcore.login.standby import Seat, Visit
from tests.mailcore.login.parrot import Parrot
from tests.mailcore.login.town import SECONDS, UID


def one_after_the_other(call, *users):
    """The processes of connections that come one after the other."""
    found = []
    for user in users:
        client = call(user)
        found.append(client.process())
        client.leave()
        time.sleep(0.1)  # for it to say that it is free
    return found


def test_the_same_process_serves_the_same_user(call):
    found = one_after_the_other(call(), *["fred"] * 5)
    assert len(set(found)) == 1


def test_another_user_has_another_process(call):
    if os.getuid():
        return
    found = one_after_the_other(call(), "fred", "wilma", "fred", "wilma")
    assert found[0] == found[2] != found[1] == found[3]
    assert [uid for _, uid in found[:2]] == [UID, UID + 1]


def test_two_at_once_are_two(call):
    begin = call()
    one, other = begin(), begin()
    assert one.process()[0] != other.process()[0]
    one.leave()
    other.leave()


def test_a_setting_switches_it_off(call):
    found = one_after_the_other(call(session_keep_seconds=0), "fred", "fred")
    assert found[0] != found[1]


def test_who_is_not_fenced_in_does_not_wait(call):
    found = one_after_the_other(call(service=Parrot()), "fred", "fred")
    assert found[0] != found[1]


def test_after_so_long_it_ends(call):
    begin = call(session_keep_seconds=1)
    ((pid, _),) = one_after_the_other(begin, "fred")
    os.kill(pid, 0)
    until = time.monotonic() + SECONDS
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{pid}")


def test_a_home_that_is_another_one(call, tmp_path):
    """The kernel keeps the process to the directory that was, whatever its name is now."""
    begin = call()
    (first,) = one_after_the_other(begin, "fred")
    (tmp_path / "fred").rename(tmp_path / "old")
    (tmp_path / "fred").mkdir()
    (second,) = one_after_the_other(begin, "fred")
    assert first != second


def test_one_that_was_killed(call):
    begin = call()
    ((pid, _),) = one_after_the_other(begin, "fred")
    os.kill(pid, signal.SIGKILL)
    ((other, _),) = one_after_the_other(begin, "fred")
    assert other != pid


def test_an_error_of_ours_ends_it(call):
    begin = call()
    client = begin()
    pid, _ = client.process()
    client.sock.sendall(b"CRASH\r\n")
    assert client.file.read().startswith(b"SORRY Internal error")
    assert one_after_the_other(begin, "fred")[0][0] != pid


def test_its_place_among_the_users_sessions_is_given_back(call):
    begin = call(user_sessions=1)
    one_after_the_other(begin, "fred", "fred", "fred")
    one = begin()
    assert one.welcome.startswith(b"WELCOME")
    assert begin().welcome.startswith(b"NO [SESSIONS]")
    one.leave()


def test_what_was_read_ahead_comes_along(call):
    begin = call()
    one_after_the_other(begin, "fred")
    sock = socket.create_connection(begin.where, timeout=SECONDS)
    sock.sendall(b"PASS fred secret\r\nONE\r\nTWO\r\nQUIT\r\n")
    heard = sock.makefile("rb").read().splitlines()
    assert heard[0] == b"HELLO" and heard[1].startswith(b"WELCOME fred") and heard[2:] == [b"ONE", b"TWO", b"BYE"]


# --- a seat by itself ------------------------------------------------------------------------


@pytest.fixture
def seat():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    visit = a_visit()
    seat = Seat(ours, visit, os.pidfd_open(os.getpid()))
    seat.free_since = time.monotonic()
    yield seat, theirs
    seat.close()
    theirs.close()


def a_visit(name="fred", method="LOGIN", home="/home/fred", read_ahead=b"more"):
    account = Account(name, 1000, 1000, home)
    return Visit(Peer("socket", "192.0.2.7"), account, Entry(account, b"tag", read_ahead, b"state", method), 0, [])


@pytest.mark.parametrize(
    "values, suits",
    [
        ({}, True),
        ({"name": "wilma"}, False),
        ({"home": "/home/other"}, False),
        ({"method": "ANONYMOUS"}, False),
        ({"method": "PLAIN"}, True),
    ],
)
def test_whom_it_suits(seat, values, suits):
    assert seat[0].suits(a_visit(**values)) is suits


def test_it_grows_old(seat):
    seat[0].visits = standby.MOST_VISITS
    assert not seat[0].suits(a_visit())
    seat[0].visits, seat[0].since = 1, time.monotonic() - standby.MOST_SECONDS
    assert not seat[0].suits(a_visit())


def test_a_busy_one_takes_nobody(seat):
    seat[0].free_since = 0.0
    assert not seat[0].suits(a_visit())


def test_what_is_told_of_a_visit(seat):
    ours, theirs = seat
    assert ours.offer(a_visit())
    visit = standby._next_visit(theirs, Account("fred", 1000, 1000, "/home/fred"))
    assert (visit.peer.address, visit.entry.tag, visit.entry.read_ahead) == ("192.0.2.7", b"tag", b"more")
    assert (visit.entry.state, visit.entry.method, visit.account.uid) == (b"state", "LOGIN", 1000)
    os.close(visit.fd)


def test_one_that_does_not_fit_goes_to_a_new_session(seat):
    assert not seat[0].offer(a_visit(read_ahead=b"x" * standby.VISIT_OCTETS))
    seat[1].close()
    assert not seat[0].offer(a_visit())


def test_no_more_visits(seat):
    ours, theirs = seat
    ours.sock.close()
    with pytest.raises(EOFError):
        standby._next_visit(theirs, Account("fred"))
    ours.sock, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
