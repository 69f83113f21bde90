"""The real libpam and a real user."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailcore.login import checker, pam
from mailcore.login.accounts import Peer
from mailcore.settings import Settings
from tests.integration.machine import PASSWORD, need, need_root, run
from tests.playground import ROOT

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


UNIX = "auth required pam_unix.so\naccount required pam_unix.so\n"
DENYING = UNIX + "account required pam_deny.so\n"
SAMPLE = (ROOT / "pam.d/imap").read_text()  # Debian's rules turn an expired account into a plain refusal


@pytest.fixture
def service(request):
    """A PAM service of these rules."""
    path = Path("/etc/pam.d/mctest_imap")
    path.write_text(request.param)
    yield path.name
    path.unlink()


@pytest.mark.parametrize("service", [UNIX, SAMPLE], indirect=True, ids=["pam_unix", "sample"])
def test_an_expired_account_is_told_only_with_the_right_password(fred, service):
    run(need("chage"), "--expiredate", "2001-01-01", fred.name)
    try:
        verdict = check(fred.name, PASSWORD, pam_service=service)
        assert (verdict.right, verdict.code) == (False, "EXPIRED")
        assert verdict.alerts
        assert check(fred.name, "wrong", pam_service=service).code == ""
    finally:
        run(need("chage"), "--expiredate", "-1", fred.name)


@pytest.mark.parametrize("service", [DENYING], indirect=True, ids=["deny"])
def test_who_is_denied_for_another_reason_hears_none(fred, service):
    verdict = check(fred.name, PASSWORD, pam_service=service)
    assert (verdict.right, verdict.code, verdict.alerts) == (False, "", [])


def test_an_expired_password(fred):
    run(need("chage"), "--lastday", "0", fred.name)
    try:
        verdict = check(fred.name, PASSWORD)
        assert (verdict.right, verdict.code) == (False, "EXPIRED")
    finally:
        run(need("chage"), "--lastday", time.strftime("%Y-%m-%d"), fred.name)


def test_a_pam_session_can_be_opened(fred):
    assert pam.authenticate("imap", fred.name, PASSWORD.encode(), "192.0.2.7", session=True).code in ("", pam.WRONG)
