"""mailcore.login.change: a new password everywhere or nowhere, whatever happens meanwhile (S35, S36)."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from pathlib import Path

import pytest
from passlib.hash import bcrypt, sha512_crypt

from mailcore import log
from mailcore.login import accounts, change, pam, passwords, scram, secrets
from mailcore.login.accounts import Peer
from mailcore.login.pam import Outcome
from mailcore.settings import Settings
from tests.mailcore.login.test_secrets import die_at, in_a_child

USER = "nobody" if os.geteuid() == 0 else accounts.running().name
PEER = Peer("socket", "127.0.0.1", local=True)
OLD, NEW = b"old-canary-1", b"new-canary-2"


class Poppassd:
    name = "poppassd"
    pam_services = ("poppassd",)


class FakePam:
    """One user's password in a file, changed at once and for good as pam_unix does it."""

    def __init__(self, path: Path, password: bytes = OLD) -> None:
        self.path = path
        self.refuses = ""
        self.broken = False
        path.write_bytes(password)

    @property
    def password(self) -> bytes:
        return self.path.read_bytes()

    def authenticate(self, service, user, password, rhost="", session=False):
        if self.broken:
            return Outcome("UNAVAILABLE", user, [], "no PAM today")
        return Outcome("" if password == self.password else "WRONG", user, [])

    def change(self, service, user, old, new, rhost=""):
        outcome = self.authenticate(service, user, old)
        assert service == "poppassd"
        if not outcome.code and self.refuses:
            return Outcome("REFUSED", user, [self.refuses])
        if not outcome.code:
            secrets.replace(str(self.path), lambda _: new, None)
        return outcome


@pytest.fixture
def fake(tmp_path, monkeypatch):
    (tmp_path / "pam").mkdir()
    fake = FakePam(tmp_path / "pam" / "password")
    monkeypatch.setattr(pam, "authenticate", fake.authenticate)
    monkeypatch.setattr(pam, "change", fake.change)
    return fake


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(log, "_line", lambda level, text: lines.append(text))
    yield lines
    assert not any(b"canary" in line.encode() for line in lines)


@pytest.fixture
def cram(tmp_path):
    path = tmp_path / "cram-md5.pwd"
    path.write_bytes(b"# ours\n%s\t%s\r\nother\t%s\n" % (USER.encode(), OLD, OLD))
    path.chmod(0o600)
    return path


@pytest.fixture
def passwd(tmp_path):
    path = tmp_path / "passwd"
    uid = os.getuid() or 54321
    cheap = sha512_crypt.using(rounds=1000).hash
    verifier = scram.derive("SCRAM-SHA-256", OLD, iterations=4096).text()
    path.write_text(f"{USER}:{cheap(OLD)}:{uid}:{uid}::/:\n{USER}:{verifier}\nother:{cheap(OLD)}\n")
    path.chmod(0o600)
    return path


def settings(passwd="", cram="", **values):
    return Settings(passwd_file=str(passwd), cram_md5_file=str(cram), **values)


def ask(in_force, old=OLD, new=NEW, user=USER):
    return change.change(Poppassd, in_force, PEER, user.encode(), old, new)


def told(verdict):
    return verdict.right, verdict.code, verdict.text


def left(path: Path) -> list[str]:
    return sorted(name for name in os.listdir(path) if name.startswith((".", change.JOURNAL)) and name != change.LOCK)


def is_in(passwd: Path, password: bytes) -> bool:
    """Is this the password of both lines?"""
    first, second = passwd.read_text().splitlines()[:2]
    hashes = [line.split(":")[1] for line in (first, second)]
    both = [sha512_crypt.verify(password, hashes[0]), scram.parse(hashes[1]).matches(password)]
    assert both[0] == both[1]
    return both[0]


# --- everywhere ------------------------------------------------------------------------------


def test_pam_alone(fake, tmp_path, said):
    assert told(ask(settings(cram=tmp_path / "none"))) == (True, "", "")
    assert fake.password == NEW
    assert f"Password changed user={USER} host=[127.0.0.1]" in said
    assert left(tmp_path) == []


def test_pam_and_the_clear_secret(fake, cram, tmp_path, said):
    assert told(ask(settings(cram=cram))) == (True, "", "")
    assert (fake.password, secrets.secret(USER.encode(), str(cram))) == (NEW, NEW)
    assert cram.read_bytes() == b"# ours\n%s\t%s\r\nother\t%s\n" % (USER.encode(), NEW, OLD)
    assert left(tmp_path) == []


def test_the_passwd_file_and_the_clear_secret(cram, passwd, said):
    other = passwd.read_text().splitlines()[2]
    assert told(ask(settings(passwd, cram))) == (True, "", "")
    assert is_in(passwd, NEW)
    assert secrets.secret(USER.encode(), str(cram)) == NEW
    lines = passwd.read_text().splitlines()
    assert lines[2] == other
    assert lines[0].split(":")[2:] == [str(os.getuid() or 54321)] * 2 + ["", "/", ""]
    assert passwords.verify(str(passwd), USER, NEW)


def test_a_line_in_lower_case_is_the_one_that_counts(fake, cram):
    if USER.upper() == USER:
        return
    assert told(ask(settings(cram=cram), user=USER.upper())) == (True, "", "")
    assert secrets.secret(USER.encode(), str(cram)) == NEW


def test_a_place_with_another_password_keeps_it(fake, cram, passwd, tmp_path, said):
    """Who knows the secret for mail must not come to the password of the machine by it, nor the other way round."""
    cram.write_bytes(cram.read_bytes().replace(OLD, b"apart-from-it"))
    assert told(ask(settings(passwd, cram))) == (True, "", "")
    assert is_in(passwd, NEW)
    assert secrets.secret(USER.encode(), str(cram)) == b"apart-from-it"
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("present", "kind"),
    [
        (b"{SCRAM-SHA-1}4096,x,y,z", "{SCRAM-SHA-1}"),
        (b"$2b$05$" + b"." * 53, "$2b$"),
        (b"{BLF-CRYPT}$2y$05$" + b"." * 53, "$2b$"),
        (b"$1$salt$hash", "$6$"),
        (b"{SSHA}xxxx", "$6$"),
        (b"", "$6$"),
    ],
)
def test_a_hash_keeps_its_kind_where_that_is_a_good_one(present, kind):
    hashed = change.rehashed(present, NEW).decode()
    if kind == "$2b$" and not importlib.util.find_spec("bcrypt"):
        kind = "$6$"  # without its library nobody can have been let in by it
    assert hashed.startswith(kind)
    if kind == "$2b$":
        assert bcrypt.verify(NEW, hashed)
        assert change.rehashed(present, b"x" * 73).startswith(b"$6$")


# --- or nowhere ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        (OLD + b"x", NEW, (False, "", "")),
        (b"", NEW, (False, "", "")),
        (OLD[:-1] + b"\0", NEW, (False, "", "")),
        (OLD, b"short", (True, "NEW", "A new password has 8 to 200 characters")),
        (OLD, b"", (True, "NEW", "A new password has 8 to 200 characters")),
        (OLD, b"x" * 201, (True, "NEW", "A new password has 8 to 200 characters")),
        (OLD, b"tab\tinside", (True, "NEW", "A password has no TAB and no NUL")),
        (OLD, b"nul\0inside", (True, "NEW", "A password has no TAB and no NUL")),
        (OLD, b"line\ninside", (True, "NEW", "A password has no TAB and no NUL")),
        (OLD, OLD, (True, "NEW", "The new password is the old one")),
    ],
)
def test_what_changes_nothing(fake, cram, passwd, tmp_path, said, old, new, answer):
    for in_force in (settings(cram=cram), settings(passwd, cram)):
        before = fake.password, cram.read_bytes(), passwd.read_bytes()
        assert told(ask(in_force, old, new)) == answer
        assert (fake.password, cram.read_bytes(), passwd.read_bytes()) == before
        assert left(tmp_path) == []


@pytest.mark.parametrize("user", ["root", f"{USER}*{USER}", "", "mctest_unknown"])
def test_who_changes_nothing(fake, cram, said, user):
    cram.write_bytes(cram.read_bytes() + f"{user}\t".encode() + OLD + b"\n")
    assert not ask(settings(cram=cram), user=user).right
    assert fake.password == OLD


def test_pam_refuses_the_new_one(fake, cram, tmp_path, said):
    fake.refuses = "BAD PASSWORD: it is based on a dictionary word"
    assert told(ask(settings(cram=cram))) == (True, "NEW", fake.refuses)
    assert (fake.password, secrets.secret(USER.encode(), str(cram))) == (OLD, OLD)
    assert left(tmp_path) == []
    assert any(line.startswith(f"Password not changed user={USER} host=[127.0.0.1] reason=BAD") for line in said)


def test_pam_is_broken(fake, cram, tmp_path, said):
    fake.broken = True
    verdict = ask(settings(cram=cram))
    assert (verdict.right, verdict.code) == (False, "UNAVAILABLE")
    assert secrets.secret(USER.encode(), str(cram)) == OLD
    assert left(tmp_path) == []


def test_an_error_of_the_disk_takes_all_of_it_back(fake, cram, passwd, tmp_path, said, monkeypatch):
    real = secrets.replace

    def replace(path, *rest):
        if path == str(cram):
            raise OSError(28, "No space left on device")
        return real(path, *rest)

    monkeypatch.setattr(secrets, "replace", replace)
    for in_force in (settings(cram=cram), settings(passwd, cram)):
        verdict = ask(in_force)
        assert (verdict.right, verdict.code) == (False, "UNAVAILABLE")
        assert (fake.password, secrets.secret(USER.encode(), str(cram)), is_in(passwd, OLD)) == (OLD, OLD, True)
        assert left(tmp_path) == []


def test_a_file_that_must_not_be_believed_is_not_changed(fake, cram, said):
    cram.chmod(0o644)
    verdict = ask(settings(cram=cram))
    assert (verdict.right, verdict.code) == (False, "UNAVAILABLE")
    assert fake.password == OLD


def test_one_change_at_a_time(fake, cram, said, monkeypatch):
    monkeypatch.setattr(secrets, "LOCK_SECONDS", 0.1)
    in_force = settings(cram=cram)
    with change._locked(in_force):
        assert ask(in_force).code == "UNAVAILABLE"
    assert told(ask(in_force)) == (True, "", "")


# --- crashes (S36) ---------------------------------------------------------------------------


def settled(in_force, fake, cram, passwd) -> bytes:
    """After the next change has looked at what was left: the one password that all places have."""
    ask(in_force, b"not this one", NEW + b"x")
    clear = secrets.secret(USER.encode(), str(cram))
    assert clear in (OLD, NEW)
    if in_force.passwd_file:
        assert is_in(passwd, clear)
    else:
        assert fake.password == clear
    assert set(left(cram.parent)) <= {".cram-md5.pwd.new", ".passwd.new"}
    return clear


@pytest.mark.parametrize("with_pam", [True, False])
def test_a_kill_at_any_step_leaves_all_old_or_all_new(fake, cram, passwd, said, monkeypatch, with_pam):
    monkeypatch.setattr(change, "_hash", lambda kind, password: sha512_crypt.using(rounds=1000).hash(password).encode())
    in_force = settings("" if with_pam else passwd, cram)
    before = cram.read_bytes(), passwd.read_bytes()
    seen = set()
    for step in range(1, 300):
        cram.write_bytes(before[0])
        passwd.write_bytes(before[1])
        fake.path.write_bytes(OLD)

        def work(step: int = step) -> None:
            die_at(step)
            ask(in_force)

        status = in_a_child(work)
        seen.add(settled(in_force, fake, cram, passwd))
        if status == 0:
            break
        assert os.WIFSIGNALED(status)
    assert status == 0 and step > 40 and seen == {OLD, NEW}


def test_five_hundred_kills_at_any_moment(fake, cram, passwd, said):
    """Two who never rest change to and fro, and are killed in the middle of it."""
    in_force = settings(cram=cram)

    def work() -> None:
        while True:
            ask(in_force, OLD, NEW)
            ask(in_force, NEW, OLD)

    seen = []
    for round_ in range(500):
        pids = []
        for _ in range(2):
            pids.append(os.fork())
            if not pids[-1]:
                work()
        time.sleep(0.001 + round_ % 20 * 0.001)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        seen.append(settled(in_force, fake, cram, passwd))
    assert {OLD, NEW} == set(seen)
