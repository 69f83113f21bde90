"""gatekeeper_visits: gatekeepers of a real listener that serve one call of an address after the other, and forget."""

from __future__ import annotations

import base64
import os
import secrets
import signal

import pytest
from passlib.hash import sha512_crypt

from tests.conftest import need_root
from tests.integration.machine import Daemon, Line, children, descriptors, free_port, kill, launcher, status, wait_for

VISITS = 12


class House:
    """imapd with two users of a passwd-file."""

    def __init__(self, path):
        self.path, self.port = path, free_port()
        for place in (path, path.parent, path / "mail"):
            place.mkdir(exist_ok=True)
            place.chmod(0o755)
        self.passwords = {}
        self.give("fred", "secret", 54321)
        options = (
            "gatekeeper_visits=1000", f"passwd_file={path}/passwd", f"run_directory={path}/run",
            f"gatekeeper_root={path}/empty", "login_delay_seconds=0", f"mail_location=mbox:~/mail:INBOX={path}/mail/%u",
            "session_keep_seconds=1", f"tls_directory={path}", "index_directory=~/index",
        )  # fmt: skip
        words = [word for option in options for word in ("-o", option)]
        program = str(launcher(path / "imapd", "imapd"))
        self.daemon = Daemon(program, *words, "--listen", f"127.0.0.1:{self.port}", ports=(self.port,))
        self.listener = self.daemon.process.pid

    def give(self, user, password, uid):
        """A user, or another password for one."""
        home = self.path / user
        home.mkdir(exist_ok=True)
        os.chown(home, uid, uid)
        self.passwords[user] = f"{user}:{sha512_crypt.using(rounds=1000).hash(password)}:{uid}:{uid}::{home}\n"
        new = self.path / "passwd.new"
        new.write_text("".join(self.passwords.values()))
        new.chmod(0o600)
        new.rename(self.path / "passwd")

    def log_in(self, user="fred", password="secret"):
        line = Line(self.port)
        assert line.hear().startswith("* OK ")
        line.say(f"a LOGIN {user} {password}")
        return line, line.until("a")[-1]

    def visit(self, user="fred", password="secret"):
        """A whole session; the gatekeeper that waits then."""
        line, answer = self.log_in(user, password)
        assert answer.startswith("a OK"), answer
        line.say("b SELECT INBOX")
        assert line.until("b")[-1].startswith("b OK")
        line.say("c LOGOUT")
        line.until("c")
        line.close()
        (pid,) = self.gatekeepers()
        return pid

    def gatekeepers(self):
        return [pid for pid in children(self.listener) if status(pid)["Uid"][0] == "65534"]


@pytest.fixture
def house(tmp_path):
    need_root()
    house = House(tmp_path)
    yield house
    house.daemon.stop()


def test_two_users_of_one_machine(house):
    house.give("wilma", "other", 54322)
    first = house.visit()
    assert {house.visit(), house.visit("wilma", "other"), house.visit()} == {first}
    assert list(descriptors(first)) == [1]


def test_a_wrong_password_ends_it(house):
    first = house.visit()
    line, answer = house.log_in("fred", "wrong")
    assert answer.startswith("a NO")
    line.say("b LOGIN fred secret")
    assert line.until("b")[-1].startswith("b OK")
    line.close()
    wait_for(lambda: not house.gatekeepers(), "its end")
    assert house.visit() != first


def test_one_that_is_killed(house):
    first = house.visit()
    kill(first)
    assert house.visit() != first  # whether the listener knows already or not


def test_term_ends_the_waiting_and_the_busy(house):
    house.visit()
    busy = Line(house.port)
    busy.hear()
    busy.say("a NOOP")
    busy.until("a")
    (pid,) = house.gatekeepers()
    house.daemon.process.terminate()
    assert busy.hear() == "* BYE Server shutting down"
    assert house.daemon.process.wait(10) == 0
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the gatekeeper's end")


def test_hup_ends_the_waiting(house):
    """The busy one goes on with who was there; the new listener has gatekeepers of its own."""
    first = house.visit()
    busy = Line(house.port)
    busy.hear()
    busy.say("a NOOP")
    busy.until("a")
    other = house.log_in()[0]
    house.daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(house.gatekeepers()) < 2, "the end of the one that waits")
    assert house.gatekeepers() == [first]
    other.say("b NOOP")
    assert other.until("b")[-1].startswith("b OK")
    busy.say("b LOGIN fred secret")
    assert busy.until("b")[-1].startswith("b OK")
    for line in (busy, other):
        line.say("c LOGOUT")
        line.until("c")
        line.close()
    wait_for(lambda: not house.gatekeepers(), "its end: nobody calls the old listener any more")
    assert house.visit() != first


def memory(pid):
    """All that it can write, octet by octet."""
    whole = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as file:
        for line in maps:
            place, rights = line.split()[:2]
            if "w" in rights:
                start, end = (int(word, 16) for word in place.split("-"))
                file.seek(start)
                whole += file.read(end - start)
    return whole


def nothing_of(words, octets):
    return not any(word in octets for word in words)


def plain(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


WAYS = {
    "LOGIN": "{tag} LOGIN {user} {password}\r\n",
    "literals": "{tag} LOGIN {user} {{20+}}\r\n{password}\r\n",
    "PLAIN": "{tag} AUTHENTICATE PLAIN {plain}\r\n",
    "PLAIN without an initial response": "{tag} AUTHENTICATE PLAIN\r\n{plain}\r\n",
    "other commands before": "x CAPABILITY\r\ny ID NIL\r\nz NOOP\r\n{tag} LOGIN {user} {password}\r\n",
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_in_its_memory(house, way):
    """Name, password, tag, what was sent ahead: looked for in all of its memory while it waits."""
    house.visit()  # whatever the listener knows itself, its forks have too: so this one is older than the secrets
    for _ in range(VISITS):
        user, password, tag, ahead = (secrets.token_hex(10) for _ in range(4))
        house.give(user, password, 54323)
        line = Line(house.port)
        line.hear()
        words = WAYS[way].format(user=user, password=password, tag=tag, plain=plain(user, password))
        line.file.write(f"{words}{ahead} LOGOUT\r\n".encode())
        line.file.flush()
        heard = line.file.read().decode()
        assert f"{ahead} OK" in heard
        line.close()
        (pid,) = house.gatekeepers()
        words = [word.encode() for word in (user, password, tag, ahead, plain(user, password)[2:-4])]
        wait_for(lambda pid=pid, words=words: nothing_of(words, memory(pid)), f"{way}: an end of {words}", 2)
