"""mailcore.login.checker: who is let in, whatever asks."""

from __future__ import annotations

import os

import pytest

from mailcore.login import accounts, checker, pam, passwords
from mailcore.login.accounts import Account, Peer
from mailcore.settings import Settings
from tests.mailcore.login.parrot import SERVICE

PEER = Peer("socket", "192.0.2.7")


@pytest.fixture
def asked(monkeypatch):
    """Every backend says yes, and what they were asked."""
    seen = []

    def by_file(path, user, password, proven):
        seen.append(("file", user, password))
        return Account(user, 1000, 1000, "/home/fred")

    def by_pam(service, user, password, rhost, session):
        seen.append(("pam", service, user, password, rhost, session))
        return pam.Outcome("", user, ["hello"])

    monkeypatch.setattr(passwords, "verify", by_file)
    monkeypatch.setattr(pam, "authenticate", by_pam)
    monkeypatch.setattr(accounts, "named", lambda name: Account(name, 1000, 1000, "/home/fred"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return seen


@pytest.mark.parametrize("values", [{"passwd_file": "/x"}, {}])
@pytest.mark.parametrize(
    "user, password",
    [
        (b"", b"x"),
        (b"fred", b""),
        *((b"fr" + octet + b"ed", b"x") for octet in (b"\0", b"\t", b"\r", b"\n")),
        *((b"fred", b"x" + octet) for octet in (b"\0", b"\t", b"\r", b"\n")),
    ],
)
def test_what_no_backend_is_ever_asked(asked, values, user, password):
    verdict = checker.check(SERVICE, Settings(**values), PEER, user, password)
    assert not verdict.right
    assert asked == []


def test_pam_is_asked_with_the_client_address(asked):
    verdict = checker.check(SERVICE, Settings(pam_service="mail"), PEER, b"fred", b"secret")
    assert verdict.right
    assert verdict.alerts == ["hello"]
    assert asked == [("pam", "mail", "fred", b"secret", "192.0.2.7", False)]


def test_the_passwd_file_takes_the_place_of_pam(asked):
    assert checker.check(SERVICE, Settings(passwd_file="/x"), PEER, b"fred", b"secret").right
    assert asked == [("file", "fred", b"secret")]


@pytest.mark.parametrize("values", [{"passwd_file": "/x"}, {}])
@pytest.mark.parametrize(
    "uid, first, right",
    [(0, 0, False), (0, 1, False), (1, 1, True), (999, 1000, False), (1000, 1000, True), (-1, 0, False)],
)
def test_root_and_low_uids_are_refused_after_the_same_work(asked, monkeypatch, values, uid, first, right):
    account = Account("fred", uid, 1000, "/")
    monkeypatch.setattr(accounts, "named", lambda name: account)
    monkeypatch.setattr(passwords, "verify", lambda *a: asked.append("file") or account)
    verdict = checker.check(SERVICE, Settings(first_valid_uid=first, **values), PEER, b"fred", b"secret")
    assert (verdict.right, verdict.code, verdict.text) == (right, "", "")
    assert (verdict.account is account) == right
    assert len(asked) == 1


@pytest.mark.parametrize("code, told", [("EXPIRED", "EXPIRED"), ("UNAVAILABLE", "UNAVAILABLE"), ("WRONG", "")])
def test_what_is_told_of_a_refusal(asked, monkeypatch, code, told):
    monkeypatch.setattr(pam, "authenticate", lambda *a, **k: pam.Outcome(code, "fred", ["m"], "detail"))
    verdict = checker.check(SERVICE, Settings(), PEER, b"fred", b"secret")
    assert not verdict.right
    assert verdict.account is None
    assert verdict.code == told


@pytest.mark.parametrize("wanted", [True, False])
def test_a_weak_hash_is_bettered_when_it_was_right(tmp_path, wanted):
    from passlib.hash import md5_crypt

    path = tmp_path / "passwd"
    path.write_text(f"fred:{md5_crypt.hash('secret')}:1000:1000::/\n")
    path.chmod(0o600)
    settings = Settings(passwd_file=str(path), passwd_file_upgrade=wanted)
    for password, right in ((b"wrong", False), (b"secret", True), (b"secret", True)):
        assert checker.check(SERVICE, settings, PEER, b"fred", password).right == right
        assert path.read_text().startswith("fred:$6$") == (right and wanted)


def test_a_hash_that_cannot_be_bettered_keeps_nobody_out(monkeypatch):
    def refuse(*arguments):
        raise OSError("read-only file system")

    monkeypatch.setattr(passwords, "verify", lambda path, user, *rest: Account(user, 1000, 1000, "/"))
    monkeypatch.setattr(passwords, "upgrade", refuse)
    settings = Settings(passwd_file="/x", passwd_file_upgrade=True)
    assert checker.check(SERVICE, settings, PEER, b"fred", b"secret").right


def test_an_unusable_file_is_unavailable(monkeypatch):
    verdict = checker.check(SERVICE, Settings(passwd_file="/nowhere"), PEER, b"fred", b"secret")
    assert (verdict.right, verdict.code) == (False, "UNAVAILABLE")


def test_not_root_pam_lets_in_only_ourselves(asked, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert checker.check(SERVICE, Settings(), PEER, b"fred", b"secret").right
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    assert not checker.check(SERVICE, Settings(), PEER, b"fred", b"secret").right
    assert checker.check(SERVICE, Settings(passwd_file="/x"), PEER, b"fred", b"secret").right


def test_pam_may_change_the_user(asked, monkeypatch):
    monkeypatch.setattr(pam, "authenticate", lambda *a, **k: pam.Outcome("", "mapped", []))
    assert checker.check(SERVICE, Settings(), PEER, b"fred", b"x").account.name == "mapped"
    monkeypatch.setattr(accounts, "named", lambda name: None)
    assert not checker.check(SERVICE, Settings(), PEER, b"fred", b"x").right


@pytest.mark.parametrize("files, name", [(["pop3", "pop"], "pop3"), (["pop"], "pop"), (["pop3"], "pop3"), ([], "pop")])
def test_the_pam_service_name(tmp_path, monkeypatch, files, name):
    class Pop:
        pam_services = ("pop3", "pop")

    for file in files:
        (tmp_path / file).touch()
    monkeypatch.setattr(checker, "SERVICE_DIRECTORIES", (str(tmp_path),))
    assert checker.pam_service(Pop, Settings()) == name
    assert checker.pam_service(Pop, Settings(pam_service="mine")) == "mine"
