"""The real libpam and a real user."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailcore.login import checker, pam
from mailcore.login.accounts import Peer
from mailcore.settings import Settings
from tests.integration.machine import PASSWORD, need, need_root, run

PEER = Peer("socket", "192.0.2.7", local=False)


class Imap:
    pam_services = ("imap",)


@pytest.fixture(autouse=True)
def _root():
    need_root()


def check(user, password, **values):
    return checker.check(Imap, Settings(**values), PEER, user.encode(), password.encode())


def test_right_and_wrong(fred):
    verdict = check(fred.name, PASSWORD)
    assert verdict.right
    assert (verdict.account.name, verdict.account.uid, verdict.account.gid) == (fred.name, fred.uid, fred.gid)
    assert verdict.account.home == str(fred.home)
    for user, password in ((fred.name, PASSWORD + "x"), ("mctest_nobody", PASSWORD), ("root", PASSWORD)):
        verdict = check(user, password)
        assert (verdict.right, verdict.account, verdict.code, verdict.text) == (False, None, "", "")


def test_capitals_in_the_name(fred):
    assert check(fred.name.upper(), PASSWORD).account.name == fred.name


def test_pams_own_delay_is_off(fred):
    before = time.monotonic()
    assert not check(fred.name, "wrong").right
    assert time.monotonic() - before < 1


def test_low_uids_are_refused(fred):
    assert not check(fred.name, PASSWORD, first_valid_uid=fred.uid + 1).right
    assert check(fred.name, PASSWORD, first_valid_uid=fred.uid).right


def test_a_locked_account(fred):
    run(need("usermod"), "--lock", fred.name)
    try:
        verdict = check(fred.name, PASSWORD)
        assert (verdict.right, verdict.code) == (False, "")
    finally:
        run(need("usermod"), "--unlock", fred.name)


@pytest.fixture
def plain_service():
    """A PAM service of pam_unix alone: Debian's own rules turn an expired account into a plain refusal."""
    path = Path("/etc/pam.d/mctest_imap")
    path.write_text("auth required pam_unix.so\naccount required pam_unix.so\n")
    yield path.name
    path.unlink()


def test_an_expired_account_is_told_only_with_the_right_password(fred, plain_service):
    run(need("chage"), "--expiredate", "2001-01-01", fred.name)
    try:
        verdict = check(fred.name, PASSWORD, pam_service=plain_service)
        assert (verdict.right, verdict.code) == (False, "EXPIRED")
        assert verdict.alerts
        assert check(fred.name, "wrong", pam_service=plain_service).code == ""
        assert not check(fred.name, PASSWORD).right
    finally:
        run(need("chage"), "--expiredate", "-1", fred.name)


def test_an_expired_password(fred):
    run(need("chage"), "--lastday", "0", fred.name)
    try:
        verdict = check(fred.name, PASSWORD)
        assert (verdict.right, verdict.code) == (False, "EXPIRED")
    finally:
        run(need("chage"), "--lastday", time.strftime("%Y-%m-%d"), fred.name)


def test_a_pam_session_can_be_opened(fred):
    assert pam.authenticate("imap", fred.name, PASSWORD.encode(), "192.0.2.7", session=True).code in ("", pam.WRONG)
