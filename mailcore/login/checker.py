"""CHECKER: one process for one password, which dies with it.

A fork of the monitor that takes the question from the channel itself, so that the monitor
never has the password in its memory; it asks PAM or the passwd-file and reports.  The delay
after a wrong password is the monitor's: it counts from the question, so what was done here
cannot be told from the time it took.
"""

from __future__ import annotations

import os

from mailcore import log
from mailcore.login import accounts, channel, privileges
from mailcore.login.channel import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from mailcore.login.accounts import Account, Peer
    from mailcore.login.channel import Channel
    from mailcore.settings import Settings

NEVER = b"\0\t\r\n"  # in no name and no password: they end fields and lines of the stores behind
SERVICE_DIRECTORIES = ("/etc/pam.d", "/usr/lib/pam.d")


def run(
    service: Any,
    settings: Settings,
    peer: Peer,
    question: Channel,
    report: Channel,
    client_fds: tuple[int, ...],
    only_refuse: bool,
) -> NoReturn:
    """The whole life of the process; the caller has just forked."""
    status = 1
    try:
        privileges.keep_secrets()
        _turn_away_from(client_fds)
        user, *words = _question(question)
        question.close()
        tried = user.decode("utf-8", "surrogateescape")
        verdict = Verdict(False) if only_refuse else _judged(service, settings, peer, user, words)
        report.report(tried, verdict)
        status = 0
    except channel.Forged as error:
        log.alert(f"gatekeeper: {error}")
    except BaseException as error:
        log.error(f"checker: {log.where(error)}")
    finally:
        os._exit(status)


def _turn_away_from(client_fds: tuple[int, ...]) -> None:
    """No library asked here can speak to the client, or hold its connection open."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in {*client_fds, 0, 1, 2}:
        if fd != null:
            os.dup2(null, fd)


def _question(question: Channel) -> list[bytes]:
    if question.peek() == channel.CHANGE:
        return question.receive(channel.CHANGE, 3)
    return question.receive(channel.PASSWORD, 2)


def _judged(service: Any, settings: Settings, peer: Peer, user: bytes, words: list[bytes]) -> Verdict:
    if len(words) == 1:
        return check(service, settings, peer, user, words[0])
    from mailcore.login import change

    return change.change(service, settings, peer, user, *words)


def check(service: Any, settings: Settings, peer: Peer, user: bytes, password: bytes) -> Verdict:
    """Is this the password, and is this a user who may have a session?"""
    if not user or not password or any(octet in NEVER for octet in user + password):
        return Verdict(False)
    name = user.decode("utf-8", "surrogateescape")
    verdict = (
        _by_file(settings, name, password) if settings.passwd_file else _by_pam(service, settings, peer, name, password)
    )
    if verdict.right and not _permitted(settings, verdict.account):
        return Verdict(False)
    return verdict


def _permitted(settings: Settings, account: Account | None) -> bool:
    """Root never, system users not unless settings say so, and not root we are only ourselves."""
    if account is None or account.uid <= 0 or account.uid < settings.first_valid_uid:
        return False
    return os.geteuid() == 0 or bool(settings.passwd_file) or account.uid == os.geteuid()


def _by_file(settings: Settings, name: str, password: bytes) -> Verdict:
    from mailcore.login import passwords

    try:
        account = passwords.verify(settings.passwd_file, name, password)
    except passwords.Unusable as error:
        log.error(f"passwd_file {settings.passwd_file}: {error}")
        return _unavailable()
    return Verdict(account is not None, account)


def _by_pam(service: Any, settings: Settings, peer: Peer, name: str, password: bytes) -> Verdict:
    from mailcore.login import pam

    account = accounts.named(name)
    outcome = pam.authenticate(
        pam_service(service, settings),
        account.name if account else name,
        password,
        rhost=peer.address,
        session=settings.pam_open_session,
    )
    if outcome.code == pam.UNAVAILABLE:
        log.error(f"PAM: {outcome.detail}")
        return _unavailable()
    if outcome.code == pam.EXPIRED:
        return Verdict(False, None, "EXPIRED", "Account or password has expired", outcome.messages)
    if outcome.code:
        return Verdict(False)
    account = accounts.named(outcome.user)
    return Verdict(account is not None, account, alerts=outcome.messages)


def _unavailable() -> Verdict:
    return Verdict(False, None, "UNAVAILABLE", "Temporary authentication failure")


def pam_service(service: Any, settings: Settings) -> str:
    """The PAM service name: the setting, else the first of the service's names that has a file."""
    if settings.pam_service:
        return str(settings.pam_service)
    for name in service.pam_services:
        if any(os.path.exists(f"{directory}/{name}") for directory in SERVICE_DIRECTORIES):
            return str(name)
    names = " or ".join(service.pam_services)
    log.warning(f"no PAM service file {names} in /etc/pam.d: PAM uses the rules of its service 'other'")
    return str(service.pam_services[-1])
