"""The checker that a listener keeps: with real processes, killed, replaced, and its files changed."""

from __future__ import annotations

import os
import signal

import pytest
from passlib.hash import sha512_crypt

from tests.conftest import need_root
from tests.integration.machine import Daemon, Line, children, free_port, kill, launcher, wait_for
from tests.integration.test_privileges import in_memory

UID = 30002  # nobody's: only the accounts file knows it
CHEAP = sha512_crypt.using(rounds=1000)
RIGHT, WRONG, CHANGED = "Kolibri-right-1", "Kolibri-wrong-2", "Kolibri-later-3"


class House:
    """imapd with a passwd-file and a standing checker."""

    def __init__(self, path, *more):
        (path / "home").mkdir()
        os.chown(path / "home", UID, UID)
        for place in (path, path.parent):
            place.chmod(0o755)
        self.home, self.passwd = path / "home", path / "passwd"
        self.write(RIGHT)
        options = (
            f"passwd_file={self.passwd}", "cram_md5_file=", f"gatekeeper_root={path}/empty", "run_directory=",
            f"mail_location=mbox:{self.home}/mail:INBOX={self.home}/inbox", f"index_directory={self.home}/index",
            "login_delay_seconds=0.01", "login_tries=1000", "session_keep_seconds=0", "penalty_seconds=0", *more,
        )  # fmt: skip
        self.port = free_port()
        words = [word for option in options for word in ("-o", option)]
        server = str(launcher(path / "imapd", "imapd"))
        self.daemon = Daemon(server, *words, "--listen", f"127.0.0.1:{self.port}", ports=(self.port,))
        self.pid = self.daemon.process.pid
        self.others: set[int] = set()  # the innkeeper, who comes with the first login
        assert not self.let_in(WRONG)
        desk = self.desk()
        assert self.let_in(RIGHT)
        wait_for(lambda: len(children(self.pid)) == 2, "the session to end")
        self.others = {*children(self.pid)} - {desk}

    def write(self, password):
        new = self.passwd.with_suffix(".new")
        new.write_text(f"fred:{CHEAP.hash(password)}:{UID}:{UID}::{self.home}\n")
        new.chmod(0o600)
        new.rename(self.passwd)

    def try_(self, password, user="fred"):
        """The answer to a login on a connection of its own."""
        line = Line(self.port)
        line.hear()
        answer = line.ask(f"a LOGIN {user} {password}")
        line.ask("a LOGOUT")
        line.close()
        return answer

    def let_in(self, password):
        return self.try_(password).startswith("a OK")

    def desk(self):
        """The pid of the checker that stays, when nobody is connected."""
        return wait_for(lambda: len(left := {*children(self.pid)} - self.others) == 1 and left.pop(), "the desk alone")

    def close(self):
        self.daemon.stop()


@pytest.fixture(params=["password_cache=false", "password_cache=true"])
def house(tmp_path, request):
    need_root()
    house = House(tmp_path, request.param)
    yield house
    house.close()


def test_three_hundred_logins(house):
    """They cross the replacement of the checker; and no password ever is in the listener's memory."""
    desks = set()
    for number in range(100):
        assert house.let_in(RIGHT)
        assert not house.let_in(WRONG)
        assert house.try_(RIGHT, "nobody-here").startswith("a NO")
        if number % 20 == 0:
            desks.add(house.desk())
    assert len(desks) >= 3
    assert in_memory(house.pid, "127.0.0.1")  # so the search finds what is there
    assert not in_memory(house.pid, RIGHT) and not in_memory(house.pid, WRONG)


def test_a_changed_file_counts_at_once(house):
    assert house.let_in(RIGHT) and house.let_in(RIGHT)
    desk = house.desk()
    house.write(CHANGED)
    assert not house.let_in(RIGHT) and house.let_in(CHANGED)
    house.passwd.unlink()
    assert "[UNAVAILABLE]" in house.try_(CHANGED)
    house.write(RIGHT)
    assert house.let_in(RIGHT) and not house.let_in(CHANGED)
    assert house.desk() == desk


def test_a_killed_checker_costs_one_question(house):
    assert house.let_in(RIGHT)
    desk = house.desk()
    kill(desk)
    assert house.let_in(RIGHT) and house.desk() != desk
    desk, before = house.desk(), children(house.pid)
    os.kill(desk, signal.SIGSTOP)
    line = Line(house.port)
    line.hear()
    line.say(f"a LOGIN fred {RIGHT}")
    wait_for(lambda: len(children(house.pid)) > len(before), "the gatekeeper")
    assert house.let_in(RIGHT)  # while it is busy another one answers
    os.kill(desk, signal.SIGKILL)
    assert line.hear().startswith("a NO [UNAVAILABLE]")
    assert line.ask(f"a LOGIN fred {WRONG}").startswith("a NO")  # the question that was lost is not asked again
    assert line.ask(f"a LOGIN fred {RIGHT}").startswith("a OK")
    line.close()


def test_it_ends_with_its_listener(house):
    assert house.let_in(RIGHT)
    desk = house.desk()
    os.kill(house.pid, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{desk}") or is_zombie(desk), "the checker to end")


def is_zombie(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def test_hup_makes_a_new_one(house):
    assert house.let_in(RIGHT)
    desk = house.desk()
    os.kill(house.pid, signal.SIGHUP)
    wait_for(lambda: not os.path.exists(f"/proc/{desk}"), "the checker of the old program to end")
    assert house.let_in(RIGHT) and not house.let_in(WRONG)
