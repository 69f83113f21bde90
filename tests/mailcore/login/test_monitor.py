"""mailcore.login.monitor: one connection from greeting to goodbye, with all its processes."""

from __future__ import annotations

import os
import signal
import time

import pytest
from passlib.hash import sha512_crypt

from mailcore import log
from mailcore.login import channel, checker, gatekeeper, monitor
from mailcore.login.accounts import Peer, running
from mailcore.login.channel import EXTERNAL, FAREWELL, HAND_OVER, PASSWORD, PIECE, TROUBLE, pack
from mailcore.settings import Settings
from tests.mailcore.login.parrot import SERVICE
from tests.mailcore.login.stage import Stage

NETWORK = Peer("socket", "192.0.2.7", 50000, 143)
LOOPBACK = Peer("socket", "127.0.0.1", 50000, 143, local=True)
UID = os.getuid() or 54321
CANARY = "canary-secret"


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "passwd"
    cheap = sha512_crypt.using(rounds=1000)
    lines = [
        f"fred:{cheap.hash(CANARY)}:{UID}:{UID}::{tmp_path}",
        f"root:{cheap.hash(CANARY)}:0:0::/root",
        f"low:{cheap.hash(CANARY)}:1:1::/",
    ]
    path.write_text("".join(line + "\n" for line in lines))
    path.chmod(0o600)
    (tmp_path / "empty").mkdir(mode=0o755)
    return Settings(
        passwd_file=str(path),
        login_delay_seconds=0.0,
        first_valid_uid=2,
        gatekeeper_root=str(tmp_path / "empty"),
        run_directory=str(tmp_path / "run"),
        mail_location="mbox:~/mail",
    )


@pytest.fixture
def open_stage(settings, tmp_path):
    stages = []

    def open_stage(peer=LOOPBACK, service=SERVICE):
        stages.append(Stage(settings, peer, tmp_path, service))
        return stages[-1]

    yield open_stage
    for stage in stages:
        stage.kill()
        assert CANARY not in stage.log.read_text()


def test_the_right_password_opens_the_session(open_stage):
    stage = open_stage()
    assert stage.hear() == b"HELLO"
    stage.say(b"PASS fred canary-secret")
    assert stage.hear() == b"WELCOME fred tag state"
    stage.say(b"WHO", b"QUIT")
    assert stage.hear().split()[:2] == [b"%d" % UID, b"%d" % stage.pid]
    assert stage.hear() == b"BYE"
    assert stage.wait() == 0
    assert stage.lines() == [
        "LOG_DEBUG imap service init from 127.0.0.1",
        "LOG_INFO Login user=fred host=[127.0.0.1]",
        "LOG_INFO Logout user=fred host=[127.0.0.1]",
    ]


def test_everything_said_at_once_is_answered_in_order(open_stage):
    stage = open_stage()
    stage.say(b"WHAT", b"PASS fred wrong", b"PASS fred canary-secret", b"one", b"two", b"QUIT")
    answers = [stage.hear() for _ in range(7)]
    assert answers == [b"HELLO", b"WHAT", b"NO [] ", b"WELCOME fred tag state", b"one", b"two", b"BYE"]
    assert stage.wait() == 0


def test_a_long_read_ahead_is_handed_over_whole(open_stage):
    stage = open_stage()
    lines = [b"%06d " % n + b"x" * 90 for n in range(500)]
    stage.say(b"PASS fred canary-secret", *lines, b"QUIT")
    assert [stage.hear() for _ in range(2)] == [b"HELLO", b"WELCOME fred tag state"]
    assert [stage.hear() for _ in lines] == lines
    assert stage.end() == 0


def test_end_of_input_ends_well_in_both_states(open_stage):
    for said in ([], [b"WHAT"], [b"PASS fred canary-secret"], [b"PASS fred canary-secret", b"x"]):
        stage = open_stage()
        stage.say(*said)
        stage.client.shutdown(1)
        while stage.hear():
            pass
        assert stage.wait() == 0
    assert "LOG_INFO Unexpected client disconnect user=??? host=[127.0.0.1]" in stage.lines()
    assert "LOG_INFO Unexpected client disconnect user=fred host=[127.0.0.1]" in stage.lines()


REFUSED = (
    b"PASS fred wrong",
    b"PASS nobody-here x",
    b"PASS root canary-secret",
    b"PASS low canary-secret",
    b"PASS fred ",
)


@pytest.mark.parametrize("said", REFUSED)
def test_every_refusal_looks_the_same(open_stage, said):
    stage = open_stage()
    stage.hear()
    stage.say(said)
    assert stage.hear() == b"NO [] "
    user = said.split()[1].decode()
    assert f"auth.notice Login failed user={user} auth={user} host=[127.0.0.1]" in stage.lines()


def test_every_refusal_takes_the_same_time(open_stage, settings):
    settings.login_delay_seconds = 0.3
    spent = []
    for said in REFUSED:
        stage = open_stage()
        stage.hear()
        before = time.monotonic()
        stage.say(said)
        assert stage.hear() == b"NO [] "
        spent.append(time.monotonic() - before)
    assert min(spent) > 0.29
    assert max(spent) - min(spent) < 0.15


def test_after_too_many_tries_the_right_password_is_wrong(open_stage, settings):
    stage = open_stage()
    stage.say(*[b"PASS fred wrong"] * settings.login_tries, *[b"PASS fred canary-secret"] * 3)
    answers = [stage.hear() for _ in range(1 + settings.login_tries + 3)]
    assert answers[1:] == [b"NO [] "] * settings.login_tries + [b"NO [LIMIT] Too many login failures"] * 3
    assert "auth.notice Login excessive login failures user=fred auth=fred host=[127.0.0.1]" in stage.lines()


def test_any_order_of_wrong_passwords_never_opens(open_stage):
    """CVE-2005-0198: failures must never add up to a success."""
    for wrong in ([b"EXT"] * 5, [b"EXT fred", b"PASS x y", b"EXT"], [b"PASS fred \xff"] * 4, [b"PASS  "] * 9):
        stage = open_stage()
        stage.say(*wrong, b"QUIT")
        heard = [stage.hear() for _ in range(len(wrong) + 2)]
        assert heard[0] == b"HELLO"
        assert all(line.startswith(b"NO ") for line in heard[1:-1])
        assert heard[-1] == b"BYE"


def test_no_password_in_clear_from_the_network(open_stage, settings):
    stage = open_stage(NETWORK)
    stage.hear()
    stage.say(b"PASS fred canary-secret")
    assert stage.hear() == b"NO [] "
    assert "auth.notice Login disabled user=fred auth=fred host=[192.0.2.7]" in stage.lines()
    settings.disable_plaintext_auth = False
    stage = open_stage(NETWORK)
    stage.hear()
    stage.say(b"PASS fred canary-secret")
    assert stage.hear() == b"WELCOME fred tag state"


@pytest.mark.parametrize(
    "name, logged",
    [
        (b"x\nLogin", "x"),
        (b"a\xa0host=[1.2.3.4]", "a\\xa0host=[1.2.3.4]"),
        (b"\x1b[2Jfred", "\\x1b[2Jfred"),
        (b"back\\slash", "back\\x5cslash"),
        (b"x" * 64, "x" * 64),
    ],
)
def test_a_user_name_stays_one_word_of_the_log(open_stage, name, logged):
    stage = open_stage()
    stage.hear()
    stage.say(b"PASS " + name + b" x")
    stage.hear()
    stage.end()
    assert f"auth.notice Login failed user={logged} auth={logged} host=[127.0.0.1]" in stage.lines()


def test_an_overlong_name_is_an_attack(open_stage):
    stage = open_stage()
    stage.say(b"PASS " + b"x" * 65 + b" y", b"PASS fred canary-secret")
    assert [stage.hear() for _ in range(3)][1:] == [b"NO [] ", b"NO [LIMIT] Too many login failures"]
    assert (
        f"auth.notice Login SYSTEM BREAK-IN ATTEMPT user={'x' * 65} auth={'x' * 65} host=[127.0.0.1]" in stage.lines()
    )


# --- when our own code fails -------------------------------------------------------------


def test_a_crash_before_login(open_stage):
    stage = open_stage()
    stage.hear()
    stage.say(b"CRASH")
    name = stage.hear().decode().removeprefix("SORRY Internal error [").removesuffix("]")
    assert stage.hear() == b""
    assert stage.wait() == 1
    log = [line for line in stage.lines() if "LOG_ERR" in line]
    assert len(log) == 1
    assert f"[{name}] ValueError" in log[0]
    assert "parrot.py" in log[0]
    assert "secret words" not in stage.log.read_text()


def test_a_crash_after_login(open_stage):
    stage = open_stage()
    stage.say(b"PASS fred canary-secret", b"CRASH")
    assert [stage.hear() for _ in range(2)][1] == b"WELCOME fred tag state"
    name = stage.hear().decode().removeprefix("SORRY Internal error [").removesuffix("]")
    assert stage.wait() == 1
    assert any(f"[{name}]" in line and "ValueError" in line for line in stage.lines())


def test_a_server_can_log_an_error_before_login_and_go_on(open_stage):
    stage = open_stage()
    stage.say(b"NOTE", b"PASS fred canary-secret")
    stage.hear()
    name = stage.hear().decode().removeprefix("NOTED ")
    assert stage.hear() == b"WELCOME fred tag state"
    assert any(f"[{name}] RuntimeError" in line for line in stage.lines())


def test_a_checker_that_dies_is_no_verdict(open_stage, monkeypatch):
    monkeypatch.setattr(checker, "check", lambda *arguments: os._exit(0))
    stage = open_stage()
    stage.say(*[b"PASS fred canary-secret"] * 4, b"QUIT")
    answers = [stage.hear() for _ in range(6)]
    assert answers[1:4] == [b"NO [UNAVAILABLE] Temporary authentication failure"] * 3
    assert answers[4:] == [b"NO [LIMIT] Too many login failures", b"BYE"]


# --- a gatekeeper that a stranger has taken over -------------------------------------------

RIGHT = pack(PASSWORD, [b"fred", CANARY.encode()])
WRONG = pack(PASSWORD, [b"fred", b"wrong"])
ENTRY = [pack(HAND_OVER, [b"LOGIN", b"3", b"0", b"0"]), pack(PIECE, [b"tag"])]

FORGERIES = [
    [b"X"],
    [b"V\x04\0\x011\0\x04fred\0\0\0\0"],
    [b"P\x02\0"],
    [pack(PASSWORD, [b"fred"])],
    ENTRY,
    [WRONG, *ENTRY],
    [pack(EXTERNAL, [b""]), *ENTRY],
    [pack(EXTERNAL, [b"fred"]), *ENTRY],
    [WRONG] * 3 + [RIGHT, *ENTRY],
    [RIGHT, RIGHT],
    [RIGHT, pack(EXTERNAL, [b""])],
    [RIGHT, pack(HAND_OVER, [b"LOGIN", b"999999999", b"0", b"0"])],
    [RIGHT, ENTRY[0], WRONG],
    [RIGHT, ENTRY[1]],
    [pack(TROUBLE, [b"id", b"text"])] * 9,
    [pack(b"S", [])],  # no secrets, no stamp
    [pack(b"C", [b"fred", b"0" * 32]), *ENTRY],
    [pack(b"O", [b"fred", b"0" * 32]), *ENTRY],
    [pack(b"M", [b"SCRAM-SHA-256", b"fred", b"nonce"]), *ENTRY],
    [pack(b"N", [b"", b"", b""]), *ENTRY],
    [pack(b"Y", [b"me"]), *ENTRY],
    [pack(b"Z", [b"fred", b"let in"]), *ENTRY],
    [pack(b"Z", [b"fred", b"failed"])] * 40,
    [pack(FAREWELL, [b"Logout user=root host=[1.2.3.4]\n"])],
    [pack(FAREWELL, [b"x", b"y"])],
    [b"P" * 4097],
    [bytes(4096)],
]


@pytest.mark.parametrize("frames", FORGERIES)
def test_no_forged_frame_opens_a_session(open_stage, monkeypatch, frames):
    def keep(service, settings, peer, in_fd, out_fd, monitor, parent, seconds):
        try:
            for frame in frames:
                monitor._sock.send(frame)
                if frame[:1] in (PASSWORD, EXTERNAL, b"Z"):
                    monitor._sock.recv(5000)  # even a broken question is answered: as a wrong one
            monitor._sock.settimeout(0.5)
            monitor._sock.recv(5000)
        finally:
            os._exit(0)

    monkeypatch.setattr(gatekeeper, "keep", keep)
    stage = open_stage()
    assert stage.hear() == b"HELLO"
    stage.say(b"WHAT")
    assert stage.hear() == b""
    assert stage.wait() in (0, 1)
    assert not any("LOG_INFO Login " in line or "\n" in line for line in stage.lines())


@pytest.mark.parametrize("frames", [[], [RIGHT, ENTRY[0]]])
def test_a_gatekeeper_that_stays_is_ended(open_stage, monkeypatch, settings, frames):
    """With nothing said, or in the middle of its last word: a listener would wait for it with everybody."""
    from mailcore.login import monitor

    def keep(service, settings, peer, in_fd, out_fd, monitor, parent, seconds):
        for frame in frames:
            monitor._sock.send(frame)
        time.sleep(60)

    monkeypatch.setattr(monitor, "GRACE_SECONDS", 0)
    monkeypatch.setattr(monitor, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(gatekeeper, "keep", keep)
    settings.login_timeout_seconds = 1
    stage = open_stage()
    stage.say(b"WHAT")
    assert stage.hear() == b"HELLO" and stage.hear() == b""
    assert stage.wait() == 1


# --- ends --------------------------------------------------------------------------------


def test_a_killed_gatekeeper_ends_the_monitor(open_stage):
    stage = open_stage()
    stage.hear()
    stage.say(b"WHAT")
    stage.hear()
    os.kill(stage.gatekeeper(), signal.SIGKILL)
    assert stage.hear() == b""
    assert stage.wait() == 1
    assert "LOG_ALERT gatekeeper died host=[127.0.0.1]" in stage.lines()


def test_a_killed_monitor_ends_the_gatekeeper(open_stage):
    stage = open_stage()
    stage.hear()
    stage.say(b"WHAT")
    assert stage.hear() == b"WHAT"  # so it is locked in, and bound to the monitor
    os.kill(stage.pid, signal.SIGKILL)
    assert stage.hear() == b""


def test_term_before_login_says_goodbye(open_stage):
    stage = open_stage()
    stage.hear()
    stage.say(b"WHAT")
    stage.hear()
    os.kill(stage.pid, signal.SIGTERM)
    assert stage.hear() == b"SORRY Server shutting down"
    assert stage.wait() == 0
    assert "LOG_INFO Killed (terminated) user=??? host=[127.0.0.1]" in stage.lines()


def test_term_after_login_says_goodbye(open_stage):
    stage = open_stage()
    stage.say(b"PASS fred canary-secret")
    stage.hear()
    stage.hear()
    os.kill(stage.pid, signal.SIGTERM)
    assert stage.hear() == b"SORRY Server shutting down"
    assert stage.wait() == 0
    assert "LOG_INFO Killed (terminated) user=fred host=[127.0.0.1]" in stage.lines()


def test_a_silent_stranger_is_logged_out(open_stage, settings):
    settings.login_timeout_seconds = 0.2
    stage = open_stage()
    assert stage.hear() == b"HELLO"
    assert stage.hear() == b""
    assert stage.wait() == 0
    assert "LOG_INFO Autologout user=??? host=[127.0.0.1]" in stage.lines()


def test_a_slow_stranger_is_logged_out(open_stage, settings):
    settings.login_timeout_seconds = 1
    stage = open_stage()
    stage.hear()
    began = time.monotonic()
    try:
        while time.monotonic() - began < 5:
            stage.client.sendall(b"x")
            time.sleep(0.05)
    except OSError:
        pass
    assert time.monotonic() - began < 3
    assert stage.wait() == 0


# --- no password needed --------------------------------------------------------------------


def test_an_ordinary_user_on_his_pipe_is_in_at_once(open_stage, settings, monkeypatch):
    from mailcore.login import privileges

    settings.passwd_file = ""
    monkeypatch.setattr(privileges, "become", lambda account: None)
    me = running().name
    stage = open_stage(Peer("pipe", local=True, user=me))
    assert stage.hear() == b"WELCOME %s - -" % me.encode()
    assert f"LOG_INFO Preauthenticated user={me} host=UNKNOWN" in stage.lines()


@pytest.mark.parametrize("said, first", [(b"EXT", b"WELCOME"), (b"EXT somebody", b"NO")])
def test_external_lets_in_only_the_running_user(open_stage, settings, monkeypatch, said, first):
    from mailcore.login import privileges

    class Pop(type(SERVICE)):
        name = "pop3"

    settings.passwd_file = ""
    monkeypatch.setattr(privileges, "become", lambda account: None)
    stage = open_stage(Peer("pipe", local=True, user=running().name), Pop())
    assert stage.hear() == b"HELLO"
    stage.say(said)
    assert stage.hear().split()[0] == first


@pytest.mark.parametrize("peer", [LOOPBACK, NETWORK, Peer("local", local=True)])
def test_nobody_else_is_in_without_a_password(open_stage, settings, peer):
    settings.passwd_file = ""
    stage = open_stage(peer)
    assert stage.hear() == b"HELLO"
    stage.say(b"EXT")
    assert stage.hear() == b"NO [] "


def test_a_passwd_file_asks_for_a_password_on_pipes_too(open_stage):
    me = running().name
    stage = open_stage(Peer("pipe", local=True, user=me))
    assert stage.hear() == b"HELLO"
    stage.say(b"EXT " + me.encode())
    assert stage.hear() == b"NO [] "


# --- a checker that says nonsense ---------------------------------------------------------------


class Desk:
    """Says what it is told to say, and may take the question."""

    def __init__(self, says, takes):
        self.says, self.takes, self.answered = says, takes, None

    def ask(self, kind, kept, only_refuse, peer, fds):
        question, report = (channel.at(os.dup(fd)) for fd in fds)
        if self.takes:
            question.receive(PASSWORD, 2)
        if self.says is not None:
            report._sock.send(self.says)
        return True

    def release(self, answered):
        self.answered = answered


class House:
    def __init__(self, desk):
        self.desk = desk


REPORT = (b"fred", b"1", b"fred", b"1000", b"1000", b"/home/fred", b"", b"", b"", b"", b"", b"")


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize(
    "says",
    [
        None,
        b"R",
        b"R\0",
        b"\xff" * 40,
        pack(b"V", REPORT),
        pack(b"R", REPORT[:-1]),
        pack(b"R", (*REPORT[:3], b"x", *REPORT[4:])),
        pack(b"R", (*REPORT[:4], b"", *REPORT[5:])),
        pack(b"R", REPORT)[:-1],
        pack(b"R", REPORT) + b"!",
    ],
)
def test_nonsense_of_a_checker_costs_one_question(settings, monkeypatch, says, takes):
    monkeypatch.setattr(log, "error", lambda text: None)
    desk = Desk(says, takes)
    asking = monitor.Monitor(SERVICE, settings, LOOPBACK, (0, 1), house=House(desk))
    asking.channel, theirs = channel.pair()
    theirs.send(PASSWORD, b"fred", b"x")
    theirs.send(FAREWELL, b"Logout")
    steps = asking._ask_checker("password", b"", False)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(says is not None)
    _, verdict, kept = end.value.value
    assert (verdict.right, verdict.account, verdict.code, kept) == (False, None, "UNAVAILABLE", b"")
    assert desk.answered is False
    assert asking.channel.peek() == FAREWELL  # the question is over, whoever took it


def test_what_a_desk_says_is_believed(settings):
    desk = Desk(pack(b"R", REPORT), True)
    asking = monitor.Monitor(SERVICE, settings, LOOPBACK, (0, 1), house=House(desk))
    asking.channel, theirs = channel.pair()
    theirs.send(PASSWORD, b"fred", b"x")
    steps = asking._ask_checker("password", b"", False)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(True)
    assert end.value.value[1].right and end.value.value[1].account.uid == 1000
    assert desk.answered is True


def test_a_desk_whose_monitor_is_ended_has_not_answered(settings):
    desk = Desk(None, False)
    asking = monitor.Monitor(SERVICE, settings, LOOPBACK, (0, 1), house=House(desk))
    asking.channel, theirs = channel.pair()
    theirs.send(PASSWORD, b"fred", b"x")
    steps = asking._ask_checker("password", b"", False)
    next(steps)
    steps.close()
    assert desk.answered is False
