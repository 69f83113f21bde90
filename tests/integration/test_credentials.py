"""Every way to log in against both servers as root runs them, with real clients; and what fail2ban reads of it."""

from __future__ import annotations

import base64
import poplib
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.integration.machine import PASSWORD, SECONDS, Daemon, Line, free_port, launcher, need, run, wait_for
from tests.mailcore.login import client

SECRET = "Goldfisch-7"
CANARIES = (PASSWORD, SECRET, "falsche-antwort")


class House:
    """Both servers listening, their ports, and the file of secrets."""

    def __init__(self, path, fred, *more):
        self.secrets = path / "cram-md5.pwd"
        self.user = fred.name
        options = (
            f"cram_md5_file={self.secrets}", f"scram_key_file={path / 'scram-key'}", "login_delay_seconds=0.1",
            f"anonymous_file={path / 'anonymous'}", "anonymous_user=nobody", "login_tries=100", *more,
        )  # fmt: skip
        words = [word for option in options for word in ("-o", option)]
        self.imap, self.pop3 = free_port(), free_port()
        self.daemons = [
            Daemon(str(launcher(path / name, name)), *words, "--listen", f"127.0.0.1:{port}", ports=(port,))
            for name, port in (("imapd", self.imap), ("ipop3d", self.pop3))
        ]

    def keep_secrets(self):
        self.secrets.write_text(f"# who may come by digest\n{self.user}\t{SECRET}\nmctest_ghost\t{SECRET}\n")
        self.secrets.chmod(0o600)

    def close(self):
        for daemon in self.daemons:
            daemon.stop()


@pytest.fixture
def house(tmp_path, fred, syslog):
    fred.inbox.unlink(missing_ok=True)
    house = House(tmp_path, fred)
    yield house
    house.close()
    if syslog is not None:
        text = "\n".join(syslog.lines)
        for canary in CANARIES:
            assert canary not in text
            assert base64.b64encode(canary.encode()).decode()[2:-4] not in text


@pytest.fixture
def talkative(tmp_path, fred):
    """Both servers, with a PAM service that has something to say."""
    service = Path("/etc/pam.d/mctest_echo")
    service.write_text(
        "auth required pam_unix.so\naccount required pam_unix.so\naccount optional pam_echo.so Backup tonight\n"
    )
    fred.inbox.unlink(missing_ok=True)
    house = House(tmp_path, fred, "pam_service=mctest_echo")
    yield house
    house.close()
    service.unlink()


def test_what_pam_says_reaches_the_client(talkative, fred):
    imap, pop3 = Line(talkative.imap), Line(talkative.pop3)
    imap.hear(), pop3.hear()
    imap.say(f"a LOGIN {fred.name} {PASSWORD}")
    assert imap.until("a")[0] == "* OK [ALERT] Backup tonight"
    pop3.ask(f"USER {fred.name}")
    assert pop3.ask(f"PASS {PASSWORD}") == "+OK Mailbox open, 0 messages; Backup tonight"
    imap.close(), pop3.close()
    run(need("chage"), "--expiredate", "2001-01-01", fred.name)
    try:
        imap, pop3 = Line(talkative.imap), Line(talkative.pop3)
        imap.hear(), pop3.hear()
        assert imap.ask(f"a LOGIN {fred.name} wrong") == "a NO [AUTHENTICATIONFAILED] Authentication failed"
        imap.say(f"b LOGIN {fred.name} {PASSWORD}")
        heard = imap.until("b")
        assert heard[0].startswith("* OK [ALERT] ")
        assert heard[-1] == "b NO [EXPIRED] Account or password has expired"
        pop3.ask(f"USER {fred.name}")
        assert pop3.ask("PASS wrong") == "-ERR [AUTH] Bad login"
        pop3.ask(f"USER {fred.name}")
        assert pop3.ask(f"PASS {PASSWORD}").startswith("-ERR [AUTH] Account or password has expired; ")
        imap.close(), pop3.close()
        talkative.keep_secrets()  # and by a digest, as sshd asks PAM about who came by a key
        with pytest.raises(poplib.error_proto, match="expired"):
            poplib.POP3("127.0.0.1", talkative.pop3, timeout=SECONDS).apop(fred.name, SECRET)
    finally:
        run(need("chage"), "--expiredate", "-1", fred.name)


def b64(data):
    return base64.b64encode(data).decode()


def challenge(line):
    return line.partition("+ ")[2].encode()


def scram(ask, mechanism, user, secret, name):
    """The whole exchange by `ask(line)`; its last answer."""
    bare = client.FIRST % user.encode()
    first = base64.b64decode(challenge(ask(f"{mechanism} {b64(b'n,,' + bare)}")))
    final = client.proof(bare, first, secret.encode(), name=name)
    answer = ask(b64(final))
    if not answer.startswith("+"):
        return answer
    assert base64.b64decode(challenge(answer)) == client.signature(bare, first, final, secret.encode(), name)
    return ask("")


def test_the_file_of_secrets_works_as_soon_as_it_is_there(house, fred):
    line = Line(house.pop3)
    assert re.fullmatch(r"\+OK POP3 \S+ mailcore \S+ server ready", line.hear())
    assert line.ask("APOP fred 0") == "-ERR Not supported"
    line.close()
    house.keep_secrets()
    with_stamp = poplib.POP3("127.0.0.1", house.pop3, timeout=SECONDS)
    assert with_stamp.apop(fred.name, SECRET).startswith(b"+OK Mailbox open")
    with_stamp.quit()
    line = Line(house.pop3)  # and PAM's password is no good any more, as with UW
    line.hear()
    line.ask(f"USER {fred.name}")
    assert line.ask(f"PASS {PASSWORD}").startswith("-ERR [AUTH]")
    line.ask(f"USER {fred.name}")
    assert line.ask(f"PASS {SECRET}").startswith("+OK Mailbox open")
    line.close()
    house.secrets.chmod(0o644)
    line = Line(house.pop3)  # what others can read is as if it were not there
    assert "<" not in line.hear()
    line.ask(f"USER {fred.name}")
    assert line.ask(f"PASS {PASSWORD}").startswith("+OK Mailbox open")
    line.close()


@pytest.mark.parametrize("mechanism, name", [("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-1", "sha1")])
def test_scram(house, fred, mechanism, name):
    house.keep_secrets()
    line = Line(house.imap)
    line.hear()
    assert scram(line.ask, f"a AUTHENTICATE {mechanism}", fred.name, "wrong", name).startswith("a NO ")
    assert scram(line.ask, f"b AUTHENTICATE {mechanism}", "mctest_ghost", SECRET, name).startswith("b NO ")
    assert scram(line.ask, f"c AUTHENTICATE {mechanism}", fred.name, SECRET, name).startswith("c OK ")
    line.close()
    line = Line(house.pop3)
    line.hear()
    assert scram(line.ask, f"AUTH {mechanism}", fred.name, SECRET, name).startswith("+OK Mailbox open")
    line.close()


def test_anonymous(house, fred, syslog, tmp_path):
    line = Line(house.imap)
    assert "ANONYMOUS" not in line.hear()
    assert line.ask("a AUTHENTICATE ANONYMOUS").startswith("a NO")
    line.close()
    (tmp_path / "anonymous").touch()
    for said in (f"a AUTHENTICATE ANONYMOUS {b64(b'me@there host=[1.2.3.4]')}", "a LOGIN anonymous guest@x"):
        line = Line(house.imap)
        assert "AUTH=ANONYMOUS" in line.hear()
        assert line.ask(said).startswith("a OK")
        for command in ("CREATE x", "DELETE x", "RENAME x y", "APPEND x {3}", "SUBSCRIBE x"):
            assert line.ask(f"b {command}").startswith("b BAD"), command
        line.say("c SELECT INBOX")
        assert line.until("c")[-1].startswith(("c OK [READ-ONLY]", "c NO"))
        line.close()
    if syslog is not None:
        wait_for(lambda: syslog.saw("anonymous=me@there\\x20host=[1.2.3.4] host=[127.0.0.1]"), "the trace")


@pytest.fixture
def admin(fred):
    """fred is in group mailadm, and there is a bob."""
    from tests.integration.machine import User

    bob = User("mctest_bob")
    subprocess.run([need("groupadd"), "mailadm"], check=False, capture_output=True)
    run(need("gpasswd"), "-a", fred.name, "mailadm")
    yield bob
    run(need("groupdel"), "mailadm")
    bob.remove()


def test_an_administrator_reads_anothers_mail(house, fred, admin, syslog):
    line = Line(house.imap)
    line.hear()
    assert line.ask(f'a LOGIN "{fred.name}*{admin.name}" {PASSWORD}').startswith("a NO")
    assert f"User {admin.name} authenticated" in line.ask(f'b LOGIN "{admin.name}*{fred.name}" {PASSWORD}')
    line.close()
    line = Line(house.pop3)
    line.hear()
    line.ask(f"USER {admin.name}*{fred.name}")
    assert line.ask(f"PASS {PASSWORD}").startswith("+OK Mailbox open")
    line.close()
    if syslog is not None:
        for text in (
            f"<37>.*Failed {admin.name} override of user={fred.name} host=\\[127.0.0.1\\]$",
            f"<37>.*Admin {fred.name} override of user={admin.name} host=\\[127.0.0.1\\]$",
            f"<22>.*Login user={admin.name} host=\\[127.0.0.1\\]$",
        ):
            wait_for(lambda text=text: any(re.search(text, entry) for entry in syslog.lines), text)


# --- fail2ban --------------------------------------------------------------------------------


def imap_failures(house, user):
    """One refused try by each way, IMAP."""
    quoted = user.replace("\\", "\\\\").replace('"', '\\"')
    if user.isascii():
        yield f'a LOGIN "{quoted}" falsche-antwort'
    yield f"a AUTHENTICATE PLAIN {b64(f'{chr(0)}{user}{chr(0)}falsche-antwort'.encode())}"
    yield f"a AUTHENTICATE LOGIN {b64(user.encode())}", b64(b"falsche-antwort")
    yield "a AUTHENTICATE CRAM-MD5", b64(user.encode() + b" " + b"0" * 32)
    opening = b"n,,n=%b,r=x" % user.replace("=", "=3D").encode()
    yield "a AUTHENTICATE SCRAM-SHA-1", b64(opening), b64(b"c=biws,r=x,p=AAAA")
    yield "a AUTHENTICATE PLAIN", "*"
    yield "a AUTHENTICATE SCRAM-SHA-256", "no base64!"
    yield "a AUTHENTICATE PLAIN ="


def pop3_failures(house, user):
    if " " not in user:
        yield f"USER {user}", "PASS falsche-antwort"
        yield f"APOP {user} {'0' * 32}"
    for lines in imap_failures(house, user):
        lines = (lines,) if isinstance(lines, str) else lines
        if "AUTHENTICATE" in lines[0]:
            yield (lines[0].replace("a AUTHENTICATE", "AUTH"), *lines[1:])


def fail(house, user):
    """All of them; how many there were."""
    count = 0
    for port, failures in ((house.imap, imap_failures), (house.pop3, pop3_failures)):
        line = Line(port)
        line.hear()
        for lines in failures(house, user):
            for said in (lines,) if isinstance(lines, str) else lines:
                answer = line.ask(said)
            assert answer.startswith(("a NO", "a BAD", "-ERR")), (lines, answer)
            count += 1
        line.close()
    return count


def addresses(syslog, tmp_path):
    """Whom fail2ban would ban for what was logged, once for each line."""
    path = tmp_path / "auth.log"
    lines = [re.sub(r"^<\d+>(\w+ +\d+ [\d:]+) ", r"\1 mail ", entry) for entry in syslog.lines]
    path.write_text("".join(line + "\n" for line in lines))
    done = subprocess.run(
        [need("fail2ban-regex"), "-o", "ip", str(path), "uwimap-auth"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.split()


USERS = (
    "mctest_fred",
    "nobody-here",
    "root",
    "x host=[1.2.3.4]",
    "x auth=y host=mail [1.2.3.4]",
    "Failed a override of user=b host=[1.2.3.4]",
    "x\x1b[1.2.3.4]",
    "ünseen",
    "[1.2.3.4]",
    "a*b host=[1.2.3.4]",
    "x" * 30 + " host=[1.2.3.4]" * 2,
)


@pytest.mark.parametrize("user", USERS)
def test_fail2ban_sees_every_failure_and_nobody_else(house, fred, syslog, tmp_path, user):
    if syslog is None:
        missing("a /dev/log that nobody else listens to")
    house.keep_secrets()
    count = fail(house, user)
    wait_for(lambda: sum(entry.startswith("<37>") for entry in syslog.lines) >= count, "the log lines")
    assert addresses(syslog, tmp_path) == ["127.0.0.1"] * count


def test_fail2ban_sees_the_other_refusals(house, fred, syslog, tmp_path):
    """A name too long to be one, then too many failures."""
    if syslog is None:
        missing("a /dev/log that nobody else listens to")
    line = Line(house.imap)
    line.hear()
    assert line.ask(f'a LOGIN "{"x" * 65} host=[1.2.3.4]" y').startswith("a NO")
    assert line.ask(f"b LOGIN {fred.name} {PASSWORD}").startswith("* BYE")
    line.close()
    wait_for(lambda: syslog.saw("Login excessive login failures user="), "the log line")
    assert syslog.saw("Login SYSTEM BREAK-IN ATTEMPT user=")
    assert addresses(syslog, tmp_path) == ["127.0.0.1"] * 2


def test_fail2ban_sees_nothing_in_a_good_session(house, fred, syslog, tmp_path):
    if syslog is None:
        missing("a /dev/log that nobody else listens to")
    house.keep_secrets()
    (tmp_path / "anonymous").touch()
    crafted = "Login failed user=x auth=x host=[1.2.3.4]"
    for said in (f'a LOGIN "{fred.name}" {SECRET}', f"a AUTHENTICATE ANONYMOUS {b64(crafted.encode())}"):
        line = Line(house.imap)
        line.hear()
        line.say(f'i ID ("name" "{crafted}")')
        line.until("i")
        assert line.ask(said).startswith("a OK")
        line.say("b LOGOUT")
        line.until("b")
        line.close()
    wait_for(lambda: sum("Logout" in entry for entry in syslog.lines) == 2, "the log lines")
    assert addresses(syslog, tmp_path) == []
