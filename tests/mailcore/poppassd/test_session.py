"""mailcore.poppassd.session: who may talk at all, what is logged, and that nobody ever comes in (S35).

The dialogue itself is in tests/transcripts/poppassd.
"""

from __future__ import annotations

import os
import time

import pytest
from passlib.hash import sha512_crypt

from mailcore.errors import Broken
from mailcore.login import gatekeeper, passwords, secrets
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Entry, Question
from mailcore.poppassd.session import SERVICE, answer
from mailcore.settings import Settings
from tests.mailcore.login.stage import Stage

NETWORK = Peer("socket", "192.0.2.7", 50000, 106)
LOOPBACK = Peer("socket", "127.0.0.1", 50000, 106, local=True)
UID = os.getuid() or 54321
CANARY = "canary-secret"
NEW = b"canary-five"


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "passwd"
    path.write_text(f"fred:{sha512_crypt.using(rounds=1000).hash(CANARY)}:{UID}:{UID}::{tmp_path}\n")
    path.chmod(0o600)
    (tmp_path / "empty").mkdir(mode=0o755)
    empty = str(tmp_path / "empty")
    return Settings(passwd_file=str(path), cram_md5_file="", login_delay_seconds=0.0, gatekeeper_root=empty)


@pytest.fixture
def open_stage(settings, tmp_path):
    stages = []

    def open_stage(peer=LOOPBACK):
        stages.append(Stage(settings, peer, tmp_path, SERVICE))
        return stages[-1]

    yield open_stage
    for stage in stages:
        stage.kill()
        assert "canary" not in stage.log.read_text()


def change(stage, user="fred", old=CANARY, new="canary-two"):
    stage.say(f"USER {user}".encode(), f"PASS {old}".encode(), f"NEWPASS {new}".encode())
    assert stage.hear() == b"200 Your password please"
    assert stage.hear() == b"200 Your new password please"
    return stage.hear()


def test_a_change_lets_nobody_in(open_stage, settings):
    stage = open_stage()
    assert stage.hear().startswith(b"200 ")
    assert change(stage) == b"200 Password changed, thank you"
    assert change(stage) == b"500 Old password is wrong"
    assert change(stage, old="canary-two", new="canary-three") == b"200 Password changed, thank you"
    stage.say(b"QUIT")
    assert stage.hear() == b"200 Bye"
    assert stage.hear() == b""
    assert stage.end() == 0
    lines = stage.lines()
    assert [line for line in lines if "assword" in line or "Login" in line] == [
        "LOG_INFO Password changed user=fred host=[127.0.0.1]",
        "auth.notice Login failed user=fred auth=fred host=[127.0.0.1]",
        "LOG_INFO Password changed user=fred host=[127.0.0.1]",
    ]
    assert "LOG_INFO Logout user=fred host=[127.0.0.1]" in lines


def test_there_is_no_session():
    with pytest.raises(Broken):
        SERVICE.session(Settings(), LOOPBACK, None, Entry(None))


def test_a_wrong_password_waits_and_three_are_enough(open_stage, settings):
    settings.login_delay_seconds = 0.3
    stage = open_stage()
    stage.hear()
    for user in ("fred", "george", "root"):
        before = time.monotonic()
        assert change(stage, user, "canary-wrong") == b"500 Old password is wrong"
        assert time.monotonic() - before >= 0.29
    assert change(stage) == b"500 Too many failures"
    assert stage.hear() == b""
    assert passwords.verify(settings.passwd_file, "fred", CANARY.encode())  # right, but too late: nothing was changed
    stage.end()
    failed = [line for line in stage.lines() if line.startswith("auth.notice")]
    assert failed[0] == "auth.notice Login failed user=fred auth=fred host=[127.0.0.1]"
    assert failed[3] == "auth.notice Login excessive login failures user=fred auth=fred host=[127.0.0.1]"


def test_only_this_host(open_stage):
    stage = open_stage(NETWORK)
    assert stage.hear() == b"500 Passwords are changed from the mail host itself only"
    assert stage.hear() == b""
    stage.end()
    assert any("not from this host" in line and "[192.0.2.7]" in line for line in stage.lines())


def test_from_elsewhere_both_settings_are_needed(open_stage, settings):
    settings.poppassd_remote = True
    stage = open_stage(NETWORK)
    assert stage.hear().startswith(b"200 ")
    assert change(stage) == b"500 Old password is wrong"
    stage.end()
    settings.disable_plaintext_auth = False
    stage = open_stage(NETWORK)
    stage.hear()
    assert change(stage) == b"200 Password changed, thank you"


def test_a_user_on_his_own_pipe_is_asked_too(open_stage, settings):
    settings.passwd_file = ""
    stage = open_stage(Peer("pipe", local=True, user="fred"))
    assert stage.hear().startswith(b"200 ")
    stage.say(b"QUIT")
    assert stage.hear() == b"200 Bye"


@pytest.mark.parametrize("only", [True, False])
def test_the_old_password_is_the_one_that_logs_in(open_stage, settings, tmp_path, only):
    """Where there is a file of secrets it is that one (cram_md5_only); the other place keeps what it has."""
    file = tmp_path / "secrets"
    secrets.put(str(file), secrets.TAB, b"fred", lambda _: b"canary-mail")
    settings.cram_md5_file, settings.cram_md5_only = str(file), only
    stage = open_stage()
    stage.hear()
    right, wrong = ("canary-mail", CANARY) if only else (CANARY, "canary-mail")
    assert change(stage, old=wrong, new="canary-four") == b"500 Old password is wrong"
    assert change(stage, old=right, new="canary-four") == b"200 Password changed, thank you"
    assert secrets.secret(b"fred", str(file)) == (b"canary-four" if only else b"canary-mail")
    kept = passwords.verify(settings.passwd_file, "fred", CANARY.encode())
    assert (kept is not None) == only
    george = change(stage, user="george", old="canary-four")
    assert george == b"500 Old password is wrong"


def test_a_file_of_secrets_that_others_can_read_is_not_asked(open_stage, settings, tmp_path):
    file = tmp_path / "secrets"
    file.write_text("fred\tcanary-mail\n")
    file.chmod(0o644)
    settings.cram_md5_file = str(file)
    stage = open_stage()
    stage.hear()
    assert change(stage, old="canary-mail") == b"500 Old password is wrong"
    assert any("cram_md5_file" in line or str(file) in line for line in stage.lines())


def test_a_gatekeeper_that_was_taken_over_comes_in_by_no_question(open_stage, settings, tmp_path, monkeypatch):
    """Also with the right password, which opens sessions elsewhere."""
    def keep(service, settings, peer, in_fd, out_fd, monitor, parent, seconds):
        try:
            for kind, fields in (("password", (b"fred", CANARY.encode())), ("change", (b"fred", CANARY.encode(), NEW))):
                os.write(out_fd, b"right\r\n" if monitor.ask(Question(kind, fields)).right else b"wrong\r\n")
            monitor.hand_over(Entry(Account("fred")))
            monitor._sock.recv(100)
        finally:
            os._exit(0)

    monkeypatch.setattr(gatekeeper, "keep", keep)
    stage = open_stage()
    stage.hear()
    stage.say(b"WHAT")
    assert [stage.hear() for _ in range(3)] == [b"right", b"right", b""]
    assert stage.wait() == 1
    assert any(line.startswith("LOG_ALERT gatekeeper: not a frame") for line in stage.lines())


def test_names_cannot_write_into_the_log(open_stage):
    stage = open_stage()
    stage.hear()
    assert change(stage, "fr ed\x1b user=root host=[192.0.2.1]", "wrong") == b"500 Old password is wrong"
    stage.end()
    assert any("user=fr\\x20ed\\x1b\\x20user=root\\x20host=[192.0.2.1] auth=" in line for line in stage.lines())


def test_too_much_is_too_much(open_stage, settings):
    settings.login_commands = 4
    stage = open_stage()
    stage.hear()
    stage.say(b"x" * 10_000)
    assert stage.hear() == b"500 Line too long"
    stage.say(*[b"NOOP"] * 5)
    assert [stage.hear() for _ in range(5)][-1] == b"500 Too many commands"
    assert stage.hear() == b""


def test_an_answer_is_one_line():
    assert answer(500, "BAD\r\n200 fine \xe9") == b"500 BAD??200 fine ?\r\n"
