"""mailcore.login.desk: one checker for many questions."""

from __future__ import annotations

import hashlib
import hmac
import os
import random
import select
import signal
import time
from pathlib import Path

import pytest
from passlib.hash import sha512_crypt

from mailcore import log
from mailcore.login import channel, checker, desk, parcel, passwords, privileges
from mailcore.login.accounts import Peer
from mailcore.login.desk import Desk
from mailcore.settings import Settings
from tests.mailcore.login import client
from tests.mailcore.login.parrot import SERVICE

SECONDS = 10
UID = os.getuid() or 54321
HASHED = sha512_crypt.using(rounds=1000).hash("secret")
OTHER = sha512_crypt.using(rounds=1000).hash("changed")


class House:
    """As much of a listener as a desk needs."""

    service = SERVICE

    def __init__(self, settings):
        self.settings = settings

    def leave(self, keep):
        for entry in os.listdir("/proc/self/fd"):
            if int(entry) > 2 and int(entry) not in keep:
                try:
                    os.close(int(entry))
                except OSError:
                    pass  # the listing's own


class Reception:
    """A desk, and what gatekeepers and monitors do with it."""

    def __init__(self, settings):
        self.settings = settings
        self.peer = Peer("socket", "192.0.2.7")
        self.desk = Desk(House(settings))

    def post(self, kind, *fields, frame=None, kept=b"", only_refuse=False):
        """Put a question; where its report will be, or None if the desk does not take it."""
        gatekeeper, monitor = channel.pair()
        gatekeeper._sock.send(frame if frame is not None else channel.pack(channel.QUESTIONS[kind].octet, fields))
        reader, writer = channel.pair()
        taken = self.desk.ask(kind, kept, only_refuse, self.peer, (monitor.fileno(), writer.fileno()))
        for end in (gatekeeper, monitor, writer):
            end.close()
        return reader if taken else None

    def report(self, reader):
        """Wait for it: who, the verdict, what is kept; None if none comes."""
        select.select([reader], [], [], SECONDS)
        try:
            return reader.read_report()
        except EOFError:
            return None
        finally:
            reader.close()

    def ask(self, kind, *fields, **about):
        told = self.report(self.post(kind, *fields, **about))
        self.desk.release(told is not None)
        return told

    def password(self, user=b"fred", password=b"secret", **about):
        told = self.ask("password", user, password, **about)
        return told and told[1].right

    @property
    def pid(self):
        """Of who sits there."""
        told = Path(f"/proc/self/fdinfo/{self.desk._pidfd}").read_text()
        return int(told.partition("Pid:")[2].split()[0])


@pytest.fixture
def files(tmp_path):
    passwd = tmp_path / "passwd"
    passwd.write_text(f"fred:{HASHED}:{UID}:{UID}::/home/fred\nzero:{HASHED}:0:0::/\nlocked:!{HASHED}:{UID}:{UID}::/\n")
    passwd.chmod(0o600)
    return passwd


@pytest.fixture
def open_desk(files, tmp_path, monkeypatch):
    monkeypatch.setattr(log, "open_log", lambda ident: None)
    monkeypatch.setattr(privileges, "keep_secrets", lambda: None)  # or an ordinary user's test could not look
    made = []

    def start(**values):
        fixed = {"passwd_file": str(files), "cram_md5_file": "", "scram_key_file": str(tmp_path / "key")}
        made.append(Reception(Settings(**fixed | values)))
        return made[-1]

    yield start
    for reception in made:
        reception.desk._busy = False
        reception.desk.close()
    assert alone()


def alone():
    """All children end, and are reaped."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return True
    return False


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize(
    "user, password, only_refuse, right",
    [
        (b"fred", b"secret", False, True),
        (b"fred", b"wrong", False, False),
        (b"fred", b"secret", True, False),
        (b"nobody", b"secret", False, False),
        (b"zero", b"secret", False, False),
        (b"locked", b"secret", False, False),
        (b"", b"secret", False, False),
        (b"fr\0ed", b"secret", False, False),
    ],
)
def test_answers(open_desk, cache, user, password, only_refuse, right):
    here = open_desk(password_cache=cache)
    for _ in range(3):  # the second time is as the first
        tried, verdict, kept = here.ask("password", user, password, only_refuse=only_refuse)
        assert (tried.encode(), verdict.right, verdict.code, kept) == (user, right, "", b"")
        assert (verdict.account is not None and verdict.account.home == "/home/fred") == right


def test_the_same_process_answers_until_it_has_answered_enough(open_desk, monkeypatch):
    monkeypatch.setattr(desk, "MOST_QUESTIONS", 10)
    here, pids = open_desk(), []
    for number in range(25):
        reader = here.post("password", b"fred", b"secret" if number % 2 else b"wrong")
        pids.append(here.pid)
        told = here.report(reader)
        here.desk.release(True)
        assert told[1].right == bool(number % 2)
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [10, 10, 5]


@pytest.mark.parametrize(("limit", "other"), [("MOST_SECONDS", "IDLE_SECONDS"), ("IDLE_SECONDS", "MOST_SECONDS")])
def test_nobody_sits_there_for_long(open_desk, monkeypatch, limit, other):
    monkeypatch.setattr(desk, other, 10_000)
    here = open_desk()
    assert here.desk._sock is None  # nor before the first question
    assert here.password()
    here.desk.expire()
    assert here.desk._sock is not None
    clock = time.monotonic() + getattr(desk, limit)
    monkeypatch.setattr(desk, "monotonic", lambda: clock)
    here.desk.expire()
    assert here.desk._sock is None
    assert alone()
    assert here.password()


def test_who_was_forgotten_goes_by_itself(open_desk, monkeypatch):
    monkeypatch.setattr(desk, "MOST_SECONDS", 1)
    monkeypatch.setattr(desk, "LATE_SECONDS", 0)
    assert open_desk().password()
    assert alone()


def test_it_ends_with_the_listener(open_desk):
    here = open_desk()
    assert here.password()
    here.desk._sock.close()
    pid, status = os.waitpid(here.pid, 0)
    assert status == 0


def test_closing(open_desk):
    here = open_desk()
    assert here.password()
    reader = here.post("password", b"fred", b"secret")
    here.desk.close()
    assert here.report(reader)[1].right  # not in the middle of a question
    here.desk.release(True)
    assert alone()
    assert here.post("password", b"fred", b"secret") is None


def test_one_question_at_a_time(open_desk):
    here = open_desk()
    reader = here.post("password", b"fred", b"secret")
    assert here.post("password", b"fred", b"secret") is None
    assert here.report(reader)[1].right
    assert here.post("password", b"fred", b"secret") is None  # before the monitor has read the report
    here.desk.release(True)
    assert here.password()


@pytest.mark.parametrize("kind", [kind for kind, about in channel.QUESTIONS.items() if kind not in desk.KINDS])
def test_what_is_not_answered_there(open_desk, kind):
    assert open_desk().post(kind, *[b"x"] * channel.QUESTIONS[kind].fields) is None


def test_where_pam_has_a_word_there_is_no_desk(open_desk, monkeypatch):
    from mailcore.login import pam

    for present, source, asked in ((True, "", False), (True, "shadow", True), (False, "", True), (False, "pam", False)):
        monkeypatch.setattr(pam, "present", lambda present=present: present)
        here = open_desk(passwd_file="", password_source=source)
        assert (here.post("password", b"fred", b"secret") is not None) == asked
        assert here.desk._busy == asked


@pytest.mark.parametrize("user", [b"fred", b"nobody", b"zero", b"locked"])
@pytest.mark.parametrize("password", [b"secret", b"wrong"])
def test_who_answers_is_the_same_for_everybody(open_desk, user, password):
    here = open_desk(password_cache=True)
    assert here.password()
    pid = here.pid
    here.password(user, password)
    assert here.pid == pid


def test_a_killed_one_is_replaced(open_desk):
    here = open_desk()
    assert here.password()
    held = os.listdir("/proc/self/fd")
    os.kill(here.pid, signal.SIGKILL)
    os.waitpid(here.pid, 0)
    assert here.password()  # it had gone before: nobody noticed
    assert len(os.listdir("/proc/self/fd")) == len(held)


def test_one_that_dies_over_a_question_costs_no_more_than_that(open_desk):
    here = open_desk()
    assert here.password()
    os.kill(here.pid, signal.SIGSTOP)
    reader = here.post("password", b"fred", b"secret")
    os.kill(here.pid, signal.SIGKILL)
    assert here.report(reader) is None
    here.desk.release(False)
    assert here.password()


def test_one_that_hangs_is_ended(open_desk):
    here = open_desk()
    assert here.password()
    os.kill(here.pid, signal.SIGSTOP)
    here.post("password", b"fred", b"secret").close()
    here.desk.release(False)  # CHECK_SECONDS are over
    assert alone()
    assert here.password()


# --- what is in its files now counts ------------------------------------------------------------


def in_place(path, text):
    path.write_text(text)


def renamed(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(path)


@pytest.mark.parametrize("write", [in_place, renamed])
@pytest.mark.parametrize("age_seconds", [0.0, 2.1])
@pytest.mark.parametrize("cache", [False, True])
def test_a_changed_file_counts_at_once(open_desk, files, write, age_seconds, cache):
    here = open_desk(password_cache=cache)
    time.sleep(age_seconds)  # younger than that it is read each time
    for _ in range(3):
        assert here.password() and not here.password(b"fred", b"changed")
    assert len(OTHER) == len(HASHED)
    write(files, files.read_text().replace(HASHED, OTHER))
    assert not here.password() and here.password(b"fred", b"changed")
    write(files, files.read_text().replace("fred", "carl"))
    assert not here.password(b"fred", b"changed") and here.password(b"carl", b"changed")


def test_a_file_that_must_not_be_believed_any_more(open_desk, files):
    here = open_desk()
    assert here.password()
    files.chmod(0o666)
    assert here.ask("password", b"fred", b"secret")[1].code == "UNAVAILABLE"
    files.chmod(0o600)
    assert here.password()
    files.unlink()
    assert here.ask("password", b"fred", b"secret")[1].code == "UNAVAILABLE"


def test_a_better_hash_is_written(open_desk, files):
    from passlib.hash import md5_crypt

    files.write_text(f"fred:{md5_crypt.hash('secret')}:{UID}:{UID}::/home/fred\n")
    here = open_desk(passwd_file_upgrade=True, password_cache=True)
    for expected in (True, True, True):
        assert here.password() == expected
        assert files.read_text().startswith("fred:$6$")
        assert not here.password(b"fred", b"wrong")


# --- the other ways to log in -------------------------------------------------------------------


def test_digests_ask_the_file_of_secrets(open_desk, tmp_path):
    path = tmp_path / "secrets"
    path.write_text("fred\tsecret\n")
    path.chmod(0o600)
    here = open_desk(cram_md5_file=str(path))
    stamp = b"<1896.697170952@mail.example.org>"
    here.peer.sources, here.peer.stamp = frozenset({"secrets", "stamp"}), stamp
    for secret, right in ((b"secret", True), (b"wrong", False), (b"secret", True)):
        digest = hmac.new(secret, stamp, "md5").hexdigest().encode()
        assert here.ask("cram-md5", b"fred", digest, kept=stamp)[1].right == right
        digest = hashlib.md5(stamp + secret).hexdigest().encode()
        assert here.ask("apop", b"fred", digest)[1].right == right
        assert here.password(b"fred", secret) == right
    path.write_text("fred\tchanged\n")
    assert here.password(b"fred", b"changed") and not here.password()


@pytest.mark.parametrize("user, secret, right", [(b"fred", b"secret", True), (b"fred", b"x", False),
                                                 (b"nobody", b"secret", False)])  # fmt: skip
def test_the_two_steps_of_scram(open_desk, files, user, secret, right):
    files.write_text(f"fred:{{PLAIN}}secret:{UID}:{UID}::/home/fred\n")
    here = open_desk()
    here.peer.sources = frozenset({"verifiers"})
    bare = b"n=%b,r=clientsnonce" % user
    _, first, kept = here.ask("scram", b"SCRAM-SHA-256", user, b"clientsnonce")
    closing = b"c=biws," + first.data.split(b",")[0]
    proof = client.bound(bare, first.data, closing, secret)
    verdict = here.ask("scram-proof", bare, closing, proof, kept=kept)[1]
    assert verdict.right == right and bool(verdict.data) == right


# --- passwords that were right before -------------------------------------------------------------


@pytest.fixture
def hashes(monkeypatch):
    """How many hashes were worked out, in whatever process, since this was asked last."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    monkeypatch.setattr(House, "leave", lambda self, keep: None)
    right = passwords._right

    def counted(password, hashed):
        os.write(writer, b"!")
        return right(password, hashed)

    monkeypatch.setattr(passwords, "_right", counted)

    def count():
        try:
            return len(os.read(reader, 4096))
        except BlockingIOError:
            return 0

    yield count
    os.close(reader)
    os.close(writer)


WRONG_EACH_TIME = [(b"fred", b"wrong"), (b"nobody", b"secret"), (b"zero", b"secret"), (b"locked", b"secret")]


@pytest.mark.parametrize("cache", [False, True])
def test_only_a_right_password_is_known_again(open_desk, hashes, cache):
    here = open_desk(password_cache=cache)
    assert here.password() and hashes() == 1
    for user, password in WRONG_EACH_TIME * 3:
        assert not here.password(user, password) and hashes() == 1
    assert here.password() and hashes() == (0 if cache else 1)
    assert not here.password(only_refuse=True) and hashes() == 1  # the same work, whatever would be right


def test_it_is_known_of_this_line_only(open_desk, files, hashes):
    here = open_desk(password_cache=True)
    assert here.password() and hashes() == 1
    files.write_text(files.read_text() + f"wilma:{HASHED}:{UID}:{UID}::/\n")
    assert here.password(b"wilma") and hashes() == 1
    again = sha512_crypt.using(rounds=1001).hash("secret")
    files.write_text(files.read_text().replace(f"fred:{HASHED}", f"fred:{again}"))
    assert here.password() and hashes() == 1
    assert here.password() and hashes() == 0
    files.write_text(files.read_text().replace("fred:", "fred:!"))
    assert not here.password() and hashes() == 1


def test_nobody_who_comes_after_knows_it(open_desk, hashes, monkeypatch):
    monkeypatch.setattr(desk, "MOST_QUESTIONS", 2)
    here = open_desk(password_cache=True)
    assert [(here.password(), hashes()) for _ in range(4)] == [(True, 1), (True, 0)] * 2


@pytest.mark.parametrize(
    "user, password, hashed, known",
    [
        ("fred", b"secret", "hash", True),
        ("fred", b"secres", "hash", False),
        ("fred", b"secret", "hasH", False),
        ("fred", b"", "hash", False),
        ("fre", b"dsecret", "hash", False),
        ("fred", b"hsecret", "has", False),
        ("wilma", b"secret", "hash", False),
        ("", b"", "", False),
    ],
)
def test_proven(user, password, hashed, known):
    proven = passwords.Proven()
    assert not proven.knows(user, password, hashed)
    proven.keep("fred", b"secret", "hash")
    assert proven.knows(user, password, hashed) == known
    assert b"secret" not in repr(proven._digests).encode()
    assert not passwords.Proven().knows(user, password, hashed)  # another process has another key
    proven.forget("fred")
    assert not proven.knows("fred", b"secret", "hash")


# --- whatever comes -------------------------------------------------------------------------------


def test_random_questions(open_desk):
    """What a gatekeeper that was taken over may put into its channel."""
    dice, here = random.Random(5), open_desk(password_cache=True)
    for _ in range(150):
        kind = dice.choice(desk.KINDS)
        fields = [dice.randbytes(dice.choice((0, 1, 5, 600))) for _ in range(channel.QUESTIONS[kind].fields)]
        frame = bytearray(channel.pack(channel.QUESTIONS[kind].octet, fields))
        if dice.random() < 0.4:
            frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
        told = here.ask(kind, frame=bytes(frame), kept=dice.randbytes(dice.choice((0, 40))))
        assert told is None or not told[1].right
    assert here.password() and not here.password(b"fred", b"x")


def test_random_requests(open_desk):
    """What no listener of ours says: the process ends, or waits for the next; it lets nobody in."""
    dice, here = random.Random(6), open_desk()
    for number in range(80):
        assert here.desk._sock is not None or here.password()
        whole = parcel.packed([b"password", b"0", b"", *parcel.facts(here.peer)])
        data = dice.choice((dice.randbytes(40), whole[: dice.randrange(len(whole))], b"x" * 20_000))
        fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(number % 4)]
        try:
            parcel.send(here.desk._sock, data, fds)
        except OSError:
            pass
        for fd in fds:
            os.close(fd)
        told = here.ask("password", b"fred", b"secret")
        assert told is None or told[1].right


def test_what_it_has(open_desk):
    """No descriptor but the one it hears from."""
    here = open_desk()
    assert here.password()
    places, until = f"/proc/{here.pid}/fd", time.monotonic() + SECONDS
    while len(os.listdir(places)) > 4 and time.monotonic() < until:
        time.sleep(0.01)  # it has just reported
    held = {fd: os.readlink(f"{places}/{fd}") for fd in os.listdir(places)}
    assert [held.pop(fd) for fd in "012"] == ["/dev/null"] * 3
    assert len(held) == 1 and held.popitem()[1].startswith("socket:")


def test_nobody_looks_into_its_memory(open_desk, monkeypatch):
    """No core, no ptrace, before it hears anything."""
    reader, writer = os.pipe()
    here = open_desk()
    monkeypatch.setattr(House, "leave", lambda self, keep: None)
    monkeypatch.setattr(privileges, "keep_secrets", lambda: os.write(writer, b"kept by %d\n" % os.getpid()))
    monkeypatch.setattr(checker, "turn_away_from", lambda fds: os._exit(7))
    posted = here.post("password", b"fred", b"secret")
    assert posted is None or here.report(posted) is None  # it has gone sooner or later
    told = os.read(reader, 4096).split(b"\n")
    assert len(told) == 3 and told[0] == b"kept by %d" % os.getpid() and told[1] != told[0]
    os.close(reader)
    os.close(writer)


def test_a_fork_that_fails(open_desk, monkeypatch):
    from mailcore.login import monitor

    here = open_desk()

    def no_fork():
        raise BlockingIOError

    monkeypatch.setattr(monitor, "fork", no_fork)
    assert here.post("password", b"fred", b"secret") is None
    monkeypatch.undo()
    monkeypatch.setattr(log, "open_log", lambda ident: None)
    assert here.password()


def test_pam_is_asked_only_where_nothing_else_is():
    assert checker.asks_pam(Settings()) in (True, False)
    assert not checker.asks_pam(Settings(passwd_file="/x"))
    assert not checker.asks_pam(Settings(password_source="shadow"))
    assert checker.asks_pam(Settings(password_source="pam"))
