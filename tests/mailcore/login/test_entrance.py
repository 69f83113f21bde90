"""Who may come in at all: hosts.allow, caps, delays and front ends, through the whole monitor (S41-S43, S60-S62)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import pytest
from passlib.hash import sha512_crypt

import imapd.session
import ipop3d.session
from mailcore.login import gatekeeper
from mailcore.login.accounts import Peer
from mailcore.login.channel import FORWARDED, pack
from mailcore.settings import Settings
from tests.mailcore.login.parrot import SERVICE
from tests.mailcore.login.stage import Stage
from tests.playground import program

UID = os.getuid() or 54321
FAR = "192.0.2.7"
FRONT = "10.0.0.1"
RIGHT = b"PASS fred secret"
V1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 143"


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "passwd"
    hash_ = sha512_crypt.using(rounds=1000).hash("secret")
    path.write_text("".join(f"{name}:{hash_}:{UID}:{UID}::{tmp_path}\n" for name in ("fred", "barney")))
    path.chmod(0o600)
    (tmp_path / "empty").mkdir(mode=0o755)
    for name in ("allow", "deny"):
        (tmp_path / name).write_text("")
    return Settings(
        passwd_file=str(path),
        login_delay_seconds=0.0,
        disable_plaintext_auth=False,
        gatekeeper_root=str(tmp_path / "empty"),
        mail_location=f"mbox:{tmp_path}/mail:INBOX={tmp_path}/inbox",
        host_name="mail.example.org",
        run_directory=str(tmp_path / "run"),
        hosts_allow=str(tmp_path / "allow"),
        hosts_deny=str(tmp_path / "deny"),
        proxy_networks=FRONT,
        trusted_networks=f"{FRONT} 10.0.0.2",
    )


@pytest.fixture
def open_stage(settings, tmp_path):
    stages = []

    def open_stage(address=FAR, service=SERVICE):
        stages.append(Stage(settings, Peer("socket", address, 50000, 143), tmp_path, service))
        return stages[-1]

    yield open_stage
    for stage in stages:
        stage.kill()


class Pop(type(SERVICE)):
    name = "pop3"


# --- hosts.allow ---------------------------------------------------------------------------


def test_whom_hosts_deny_names_hears_nothing(open_stage, tmp_path):
    (tmp_path / "deny").write_text("parrot: 192.0.2.0/24 [2001:db8::]/32\n")
    for address in (FAR, "2001:db8::1"):
        stage = open_stage(address)
        assert stage.hear() == b""
        assert stage.wait() == 0
        assert stage.lines()[-1] == f"LOG_WARNING refused connect from {address}"
    assert open_stage("198.51.100.1").hear() == b"HELLO"
    (tmp_path / "allow").write_text("parrot: 192.0.2.7\n")
    assert open_stage().hear() == b"HELLO"


def test_a_pipe_is_no_host(open_stage, tmp_path, settings):
    (tmp_path / "deny").write_text("ALL: ALL\n")
    stage = Stage(settings, Peer("pipe", local=True), tmp_path)
    assert stage.hear() == b"HELLO"
    stage.kill()


@pytest.mark.parametrize("server", ["imapd", "ipop3d"])
@pytest.mark.parametrize("start", ["nowait", "wait"])
def test_the_programs_obey_in_every_launch_mode(ground, server, start):
    """A connected socket as inetd gives it, and a listening one."""
    deny = ground.path / "deny"
    ground.hand_over()
    options = [f"{name}={value}" for name, value in ground.options().items()]
    options += [f"hosts_deny={deny}", f"hosts_allow={ground.path}/allow"]
    words = [word for option in options for word in ("-o", option)]
    for rule, greeted in (("", True), (f"{server}: 127.\n", False), ("other: ALL\n", True)):
        deny.write_text(rule)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            with socket.create_connection(listening.getsockname(), timeout=20) as client:
                stdin = listening.accept()[0] if start == "nowait" else listening
                process = subprocess.Popen(
                    program(server, *words), stdin=stdin, stdout=stdin, cwd=ground.path, env={}, **ground.identity()
                )
                if start == "nowait":
                    stdin.close()
                assert bool(client.recv(1000)) is greeted, rule
            process.terminate()
            process.wait(20)


# --- caps ----------------------------------------------------------------------------------


def test_an_address_has_so_many_connections(open_stage, settings):
    settings.address_sessions = 6
    stages = [open_stage() for _ in range(6)]
    assert [stage.hear() for stage in stages] == [b"HELLO"] * 6
    refused = open_stage()
    assert refused.hear() == b"SORRY Too many connections from your address"
    assert refused.wait() == 0
    assert refused.lines()[-1] == "LOG_WARNING too many connections from 192.0.2.7"
    assert open_stage("192.0.2.8").hear() == b"HELLO"
    for stage in stages[:3]:
        os.kill(stage.pid, signal.SIGKILL)
        stage.wait()
    assert [open_stage().hear() for _ in range(3)] == [b"HELLO"] * 3
    assert open_stage().hear() != b"HELLO"


def test_this_machine_has_as_many_as_it_wants(open_stage, settings):
    settings.address_sessions = 1
    assert [open_stage("127.0.0.1").hear() for _ in range(3)] == [b"HELLO"] * 3


def test_a_user_has_so_many_sessions_whatever_happens_to_them(open_stage, settings):
    settings.user_sessions = 4
    stages = [open_stage() for _ in range(6)]
    answers = []
    for stage in stages:
        stage.hear()
        stage.say(RIGHT)
        answers.append(stage.hear())
    assert answers[:4] == [b"WELCOME fred tag state"] * 4
    assert answers[4:] == [b"NO [SESSIONS] Too many sessions of this user"] * 2
    assert "LOG_INFO Too many sessions of this user user=fred host=[192.0.2.7]" in stages[0].lines()
    assert not any("Login failed" in line for line in stages[0].lines())
    stages[5].say(b"PASS barney secret")
    assert stages[5].hear() == b"WELCOME barney tag state"
    for stage in stages[:2]:
        os.kill(stage.pid, signal.SIGKILL)
        stage.wait()
    stages[4].say(RIGHT)
    assert stages[4].hear() == b"WELCOME fred tag state"


def test_both_servers_say_it_in_their_words(open_stage, settings):
    settings.user_sessions = 1
    holder = open_stage()
    holder.say(RIGHT)
    assert [holder.hear() for _ in range(2)][1].startswith(b"WELCOME")
    stage = open_stage(service=imapd.session.SERVICE)
    stage.hear()
    stage.say(b"a LOGIN fred secret")
    assert stage.hear() == b"a NO [LIMIT] Too many sessions of this user"
    stage = open_stage(service=ipop3d.session.SERVICE)
    stage.hear()
    stage.say(b"USER fred", b"PASS secret")
    assert [stage.hear() for _ in range(2)][1] == b"-ERR [IN-USE] Too many sessions of this user"


# --- pace ----------------------------------------------------------------------------------


def test_wrong_passwords_of_an_address_wait_longer_and_right_ones_do_not(open_stage, settings):
    settings.penalty_seconds = 0.5
    spent = []
    for _ in range(5):
        stage = open_stage()
        stage.hear()
        began = time.monotonic()
        stage.say(b"PASS fred wrong")
        assert stage.hear() == b"NO [] "
        spent.append(time.monotonic() - began)
    assert min(spent[3:]) > 0.45 > max(spent[:3])
    stage = open_stage()
    began = time.monotonic()
    stage.say(b"PASS barney secret")
    assert [stage.hear() for _ in range(2)][1] == b"WELCOME barney tag state"
    assert time.monotonic() - began < 0.45


def test_who_hangs_up_early_is_counted_until_his_wait_is_over(open_stage, settings):
    settings.address_sessions = 1
    settings.penalty_seconds = 30.0
    settings.login_tries = 9
    stage = open_stage()
    stage.say(*[b"PASS fred wrong"] * 8)
    assert [stage.hear() for _ in range(4)] == [b"HELLO"] + [b"NO [] "] * 3
    stage.client.close()
    stage.file.close()
    assert open_stage().hear() == b"SORRY Too many connections from your address"


def test_penalties_never_open_anything(open_stage, settings):
    """S5: whatever the ledger says, only the right password is right."""
    settings.penalty_seconds = 0.01
    for _ in range(4):
        stage = open_stage()
        stage.say(*[b"PASS fred wrong"] * 6, b"QUIT")
        assert all(line.startswith(b"NO ") for line in [stage.hear() for _ in range(7)][1:])


def test_pop3_logins_are_apart(open_stage, settings):
    settings.pop3_login_delay_seconds = 60
    stage = open_stage(service=Pop())
    stage.say(RIGHT)
    assert [stage.hear() for _ in range(2)][1] == b"WELCOME fred tag state"
    stage.end()
    stage = open_stage(service=Pop())
    stage.say(RIGHT, b"PASS fred wrong", b"PASS barney secret")
    assert [stage.hear() for _ in range(4)][1:] == [
        b"NO [LOGIN-DELAY] Logins must be 60 seconds apart",
        b"NO [] ",
        b"WELCOME barney tag state",
    ]
    stage = open_stage()  # IMAP clients may come as often as they want
    stage.say(RIGHT)
    assert [stage.hear() for _ in range(2)][1] == b"WELCOME fred tag state"
    stage = open_stage(service=ipop3d.session.SERVICE)
    stage.say(b"USER fred", b"PASS secret")
    assert [stage.hear() for _ in range(3)][2] == b"-ERR [LOGIN-DELAY] Logins must be 60 seconds apart"


# --- timers and limits before login ----------------------------------------------------------


def test_who_says_nothing_is_gone_soon_and_who_says_something_has_time(open_stage, settings):
    settings.first_octet_seconds = 0.2
    stage = open_stage()
    assert [stage.hear(), stage.hear()] == [b"HELLO", b""]
    assert stage.wait() == 0
    assert "LOG_INFO Autologout user=??? host=[192.0.2.7]" in stage.lines()
    stage = open_stage()
    stage.say(b"WHAT")
    time.sleep(0.4)
    stage.say(b"WHAT")
    assert [stage.hear() for _ in range(3)] == [b"HELLO", b"WHAT", b"WHAT"]


def test_a_slow_client_has_the_login_time_and_no_more(open_stage, settings):
    """Slowloris, scaled: an octet now and then resets no timer."""
    settings.login_timeout_seconds = 0.6
    for service in (imapd.session.SERVICE, ipop3d.session.SERVICE):
        stage = open_stage(service=service)
        stage.hear()
        began = time.monotonic()
        try:
            while time.monotonic() - began < 10:
                stage.client.sendall(b"x")
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() - began < 5
        assert stage.wait() == 0


@pytest.mark.parametrize("service, end", [(imapd.session.SERVICE, b"* BYE"), (ipop3d.session.SERVICE, b"-ERR")])
def test_commands_before_login_have_a_limit(open_stage, settings, service, end):
    for count, last in ((settings.login_commands, b""), (settings.login_commands + 1, end)):
        stage = open_stage(service=service)
        stage.hear()
        stage.say(*[b"CAPA" if end == b"-ERR" else b"a NOOP"] * count)
        stage.client.shutdown(socket.SHUT_WR)
        said = stage.file.read()
        assert (b"Too many commands before login" in said) is bool(last)
        assert (said.count(b"+OK") or said.count(b"a OK")) == settings.login_commands


@pytest.mark.parametrize(
    "service, login",
    [
        (imapd.session.SERVICE, b"a NOOP\r\n" * 9 + b"a LOGIN fred secret\r\n"),
        (ipop3d.session.SERVICE, b"CAPA\r\n" * 9 + b"USER fred\r\nPASS secret\r\n"),
    ],
    ids=["imap", "pop3"],
)
def test_octets_before_login_have_a_limit(open_stage, settings, service, login):
    for octets, right in ((len(login), True), (len(login) - 1, False)):
        settings.login_read_octets = octets
        stage = open_stage(service=service)
        stage.client.sendall(login + b"QUIT\r\n")
        stage.client.shutdown(socket.SHUT_WR)
        said = []
        while line := stage.hear():
            said.append(line)
        assert any(b"Too much said before login" in line for line in said) is not right
        assert any("Login user=fred" in line for line in stage.lines()) or not right


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_a_sasl_response_has_a_limit(open_stage, settings, kind):
    settings.sasl_octets = 400
    service, auth = {
        "imap": (imapd.session.SERVICE, b"a AUTHENTICATE PLAIN"),
        "pop3": (ipop3d.session.SERVICE, b"AUTH PLAIN"),
    }[kind]
    for octets, too_long in ((400, False), (401, True)):
        stage = open_stage(service=service)
        stage.hear()
        stage.say(auth)
        assert stage.hear().startswith(b"+")
        stage.say(b"A" * octets)
        said = stage.hear().lower()
        assert (b"too long" in said) is too_long, said


def test_a_sasl_response_may_be_longer_than_a_line(open_stage, settings):
    from binascii import b2a_base64

    stage = open_stage(service=imapd.session.SERVICE)
    stage.hear()
    stage.say(b"a AUTHENTICATE PLAIN")
    stage.hear()
    stage.say(b2a_base64(b"\0fred\0" + b"x" * 9000, newline=False))
    assert stage.hear() == b"a NO [AUTHENTICATIONFAILED] Authentication failed"


# --- the PROXY protocol ----------------------------------------------------------------------


def test_a_proxy_says_whose_connection_it_is(open_stage):
    stage = open_stage(FRONT)
    stage.say(V1, RIGHT)
    assert [stage.hear() for _ in range(2)] == [b"HELLO", b"WELCOME fred tag state"]
    assert "LOG_INFO Login user=fred host=[192.0.2.1]" in stage.lines()
    assert "LOG_DEBUG connection from 192.0.2.1 via PROXY 10.0.0.1 session=-" in stage.lines()


def test_nothing_is_said_before_the_header(open_stage, settings):
    settings.proxy_seconds = 0.3
    for said, reason in ((b"", "late"), (b"WHAT is this, no header\r\n", "missing"), (V1 + b" 5\r\n", "wrong")):
        stage = open_stage(FRONT)
        stage.client.sendall(said)
        assert stage.hear() == b""
        assert stage.wait() == 0
        assert stage.lines()[-1] == f"LOG_INFO PROXY header {reason} user=??? host=[10.0.0.1]"


def test_a_header_that_need_not_come(open_stage, settings):
    settings.proxy_required = False
    settings.proxy_seconds = 0.2
    for said, host in ((b"", FRONT), (V1 + b"\r\n", "192.0.2.1")):
        stage = open_stage(FRONT)
        stage.client.sendall(said)
        assert stage.hear() == b"HELLO"
        stage.say(RIGHT)
        assert stage.hear().startswith(b"WELCOME")
        assert f"LOG_INFO Login user=fred host=[{host}]" in stage.lines()


@pytest.mark.parametrize("service", [imapd.session.SERVICE, ipop3d.session.SERVICE], ids=["imap", "pop3"])
@pytest.mark.parametrize("header", [V1 + b"\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)])
def test_a_header_from_anybody_else_is_a_bad_command(open_stage, service, header):
    stage = open_stage(service=service)
    stage.client.sendall(header)
    assert stage.hear()
    while line := stage.hear():
        assert line.split()[0] != b"OK"
    assert stage.wait() == 0
    assert "host=[192.0.2.7]" in stage.lines()[-1]


def test_the_rules_are_for_the_client_behind_the_proxy_too(open_stage, tmp_path):
    (tmp_path / "deny").write_text("ALL: 192.0.2.1\n")
    stage = open_stage(FRONT)
    stage.say(V1)
    assert stage.hear() == b""
    assert stage.wait() == 0
    assert stage.lines()[-1] == "LOG_WARNING refused connect from 192.0.2.1"
    stage = open_stage(FRONT)
    stage.say(V1.replace(b"192.0.2.1 ", b"192.0.2.3 "))
    assert stage.hear() == b"HELLO"
    (tmp_path / "deny").write_text("ALL: 10.0.0.1\n")
    stage = open_stage(FRONT)
    assert stage.hear() == b""


def test_the_cap_is_for_the_client_behind_the_proxy(open_stage, settings):
    settings.address_sessions = 2
    stages = [open_stage(FRONT) for _ in range(6)]
    for stage, client in zip(stages, (b"1", b"1", b"1", b"3", b"3", b"4"), strict=True):
        stage.say(V1.replace(b"192.0.2.1 ", b"192.0.2.%b " % client))
    heard = [stage.hear() for stage in stages[:2]] + [stage.hear() for stage in stages[2:]]
    assert heard.count(b"HELLO") == 5
    assert heard.count(b"SORRY Too many connections from your address") == 1
    local = [open_stage(FRONT) for _ in range(4)]  # a proxy that looks whether we live
    for stage in local:
        stage.say(b"PROXY UNKNOWN")
    assert [stage.hear() for stage in local] == [b"HELLO"] * 4


def test_what_passed_a_proxy_here_is_not_local(open_stage, settings):
    settings.disable_plaintext_auth = True
    settings.proxy_networks = "127.0.0.1"
    tls = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14\xc0\0\2\1\xc0\0\2\2\x9c\x40\0\x8f\x20\0\5\1\0\0\0\0"
    for header, answer in (
        (V1 + b"\r\n", b"NO [] "),
        (b"PROXY UNKNOWN\r\n", b"NO [] "),
        (V1.replace(b"192.0.2.1 ", b"127.0.0.1 ") + b"\r\n", b"NO [] "),
        (tls, b"WELCOME fred tag state"),
    ):
        stage = Stage(settings, Peer("socket", "127.0.0.1", 1, 143, local=True), stage_path(settings))
        stage.client.sendall(header)
        stage.say(RIGHT)
        assert [stage.hear() for _ in range(2)] == [b"HELLO", answer], header
        stage.kill()


def stage_path(settings):
    from pathlib import Path

    return Path(settings.run_directory).parent


FORGED = [
    (FAR, [b"192.0.2.1", b"1", b"0", b"PROXY", b""]),
    (FAR, [b"192.0.2.1", b"1", b"0", b"XCLIENT", b""]),
    (FRONT, [b"192.0.2.1", b"1", b"0", b"proxy", b""]),
    (FRONT, [b"192.0.2.1", b"65536", b"0", b"PROXY", b""]),
    (FRONT, [b"192.0.2.1", b"-1", b"0", b"PROXY", b""]),
    (FRONT, [b"192.0.2.1", b"1", b"2", b"PROXY", b""]),
    (FRONT, [b"192.0.2", b"1", b"0", b"PROXY", b""]),
    (FRONT, [b"192.0.2.1\n", b"1", b"0", b"PROXY", b""]),
    (FRONT, [b"", b"1", b"0", b"XCLIENT", b""]),
    (FRONT, [b"192.0.2.1", b"1", b"0", b"PROXY"]),
]


@pytest.mark.parametrize("address, fields", FORGED)
def test_a_gatekeeper_cannot_name_whom_it_likes(open_stage, monkeypatch, address, fields):
    forged(open_stage, monkeypatch, address, [fields])


def test_a_client_is_named_once(open_stage, monkeypatch):
    proxied = [FRONT.encode(), b"1", b"0", b"PROXY", b""]
    named = [b"10.0.0.2", b"1", b"0", b"ID", b""]
    forged(open_stage, monkeypatch, FRONT, [proxied, proxied])
    forged(open_stage, monkeypatch, FRONT, [named, named])
    forged(open_stage, monkeypatch, FRONT, [named, named[:3] + [b"XCLIENT", b""]])


def forged(open_stage, monkeypatch, address, frames):
    """Whatever the gatekeeper sends last is not answered."""

    def keep(service, settings, peer, in_fd, out_fd, monitor, parent, seconds):
        try:
            if address != FRONT:
                os.read(in_fd, 100)  # who is no proxy has spoken first
            for fields in frames:
                monitor._sock.send(pack(FORWARDED, fields))
                os.write(out_fd, b"!" if monitor._sock.recv(5000) else b"")
        finally:
            os._exit(0)

    monkeypatch.setattr(gatekeeper, "keep", keep)
    stage = open_stage(address)
    if address != FRONT:
        assert stage.hear() == b"HELLO"
        stage.say(b"WHAT")
    assert stage.file.read() == b"!" * (len(frames) - 1)
    assert stage.wait() == 1
    assert any(line.startswith("LOG_ALERT ") for line in stage.lines())


# --- ID and XCLIENT ----------------------------------------------------------------------------


@pytest.fixture
def front(open_stage, settings):
    """A connection from a trusted front end that is no proxy."""
    settings.proxy_networks = ""
    return lambda service, address=FRONT: open_stage(address, service)


def test_xclient_from_a_front_end(front):
    stage = front(ipop3d.session.SERVICE)
    assert stage.hear().startswith(b"+OK [XCLIENT] POP3 mail.example.org ")
    stage.say(b"CAPA")
    listed = [stage.hear() for _ in range(12)]
    assert b"XCLIENT" in listed and listed[-1] == b"."
    stage.say(b"XCLIENT ADDR=192.0.2.1 PORT=40000 SESSION=abc TTL=4 FORWARD=eA==", b"USER fred", b"PASS wrong")
    assert [stage.hear()[:10] for _ in range(3)] == [b"+OK Update", b"+OK User n", b"-ERR [AUTH"]
    lines = stage.lines()
    assert "LOG_DEBUG connection from 192.0.2.1 via XCLIENT 10.0.0.1 session=abc" in lines
    assert "auth.notice Login failed user=fred auth=fred host=[192.0.2.1]" in lines
    stage.say(b"XCLIENT ADDR=192.0.2.2")
    assert stage.hear() == b"-ERR You are not from trusted IP"


@pytest.mark.parametrize(
    "said",
    [
        b"XCLIENT",
        b"XCLIENT ADDR=host",
        b"XCLIENT ADDR=",
        b"XCLIENT ADDR",
        b"XCLIENT PORT=1",
        b"XCLIENT ADDR=192.0.2.1 PORT=65536",
        b"XCLIENT ADDR=192.0.2.1 NAME=x",
        b"XCLIENT ADDR=192.0.2.1 TTL=-1",
    ],
)
def test_a_wrong_xclient_changes_nothing(front, said):
    stage = front(ipop3d.session.SERVICE)
    stage.hear()
    stage.say(said, b"XCLIENT ADDR=192.0.2.1")
    assert [stage.hear()[:5] for _ in range(2)] == [b"-ERR ", b"+OK U"]


def test_xclient_of_anybody_else(open_stage):
    stage = open_stage(service=ipop3d.session.SERVICE)
    assert b"XCLIENT" not in stage.hear()
    stage.say(b"XCLIENT ADDR=192.0.2.1", b"CAPA", b"QUIT")
    heard = [stage.hear() for _ in range(14)]
    assert heard[0] == b"-ERR You are not from trusted IP"
    assert b"XCLIENT" not in heard


ID = (
    b'a ID ("name" "front" "x-originating-ip" "%b" "x-originating-port" "40000" '
    b'"x-session-id" "abc" "x-proxy-ttl" "%b")'
)


def test_id_from_a_front_end(front):
    stage = front(imapd.session.SERVICE)
    stage.hear()
    stage.say(ID % (b"2001:db8::1", b"4"), ID % (b"2001:db8::2", b"4"), b"b LOGIN fred wrong")
    assert [stage.hear()[:5] for _ in range(5)] == [b"* ID ", b"a OK ", b"* ID ", b"a OK ", b"b NO "]
    lines = stage.lines()
    assert "LOG_DEBUG connection from 2001:db8::1 via ID 10.0.0.1 session=abc" in lines
    assert "auth.notice Login failed user=fred auth=fred host=[2001:db8::1]" in lines


def test_id_of_anybody_else_moves_nobody(open_stage):
    stage = open_stage(service=imapd.session.SERVICE)
    stage.hear()
    stage.say(ID % (b"192.0.2.1", b"0"), b"b LOGIN fred wrong")
    assert [stage.hear()[:5] for _ in range(3)] == [b"* ID ", b"a OK ", b"b NO "]
    assert "auth.notice Login failed user=fred auth=fred host=[192.0.2.7]" in stage.lines()


def test_a_circle_of_front_ends_ends(front):
    stage = front(imapd.session.SERVICE)
    stage.hear()
    stage.say(ID % (b"192.0.2.1", b"0"))
    assert stage.hear() == b"* BYE Proxying loops"
    stage = front(ipop3d.session.SERVICE)
    stage.hear()
    stage.say(b"XCLIENT ADDR=192.0.2.1 TTL=0")
    assert stage.hear() == b"-ERR Proxying loops"


def test_the_rules_are_for_the_client_behind_a_front_end(front, tmp_path):
    (tmp_path / "deny").write_text("ALL: 192.0.2.1\n")
    for service, said in (
        (imapd.session.SERVICE, ID % (b"192.0.2.1", b"4")),
        (ipop3d.session.SERVICE, b"XCLIENT ADDR=192.0.2.1"),
    ):
        stage = front(service)
        stage.hear()
        stage.say(said)
        assert stage.hear() == b""
        assert stage.wait() == 0
        assert stage.lines()[-1] == "LOG_WARNING refused connect from 192.0.2.1"
