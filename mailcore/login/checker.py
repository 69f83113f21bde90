"""CHECKER: answers a question about a secret, in a process for it alone, which dies with it, or at a desk (desk.py).

It takes the question from the channel itself, so that the monitor
never has the password in its memory; it asks PAM, /etc/shadow, the passwd-file or the secrets file, and
reports.  SCRAM's two questions have a checker each: what the first leaves with the monitor is no more
than the challenge that the client hears.  The delay
after a wrong password is the monitor's: it counts from the question, so what was done here
cannot be told from the time it took.
"""

from __future__ import annotations

import os

from mailcore import log
from mailcore.login import accounts, channel, digests, passwords, privileges, scram, secrets, sources, verifiers
from mailcore.login.channel import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from mailcore.login.accounts import Account, Peer
    from mailcore.login.channel import Channel
    from mailcore.login.passwords import Proven
    from mailcore.settings import Settings

NEVER = b"\0\t\r\n"  # in no name and no password: they end fields and lines of the stores behind
KEPT = b"K"  # the frame in which the monitor keeps a SCRAM exchange
CERTIFICATE_SECONDS = 10  # to verify a chain; it takes milliseconds
SERVICE_DIRECTORIES = ("/etc/pam.d", "/usr/lib/pam.d")


def run(
    service: Any,
    settings: Settings,
    peer: Peer,
    question: Channel,
    report: Channel,
    client_fds: tuple[int, ...],
    only_refuse: bool,
    kind: str = "password",
    kept: bytes = b"",
) -> NoReturn:
    """The whole life of the process; the caller has just forked.

    `kept` is what the question before this one left with the monitor: a stamp, a SCRAM exchange.
    """

    def work() -> None:
        turn_away_from(client_fds)
        answer(Case(service, settings, peer, kept), question, report, only_refuse, kind)

    live(work)


def live(work: Callable[[], None]) -> NoReturn:
    """Do this as a process that knows secrets, and end."""
    status = 1
    try:
        privileges.keep_secrets()
        work()
        status = 0
    except channel.Forged as error:
        log.alert(f"gatekeeper: {error}")
    except BaseException as error:
        log.error(f"checker: {log.where(error)}")
    finally:
        os._exit(status)


class Case:
    """What a question is answered by; `kept` in: left by the question before, out: for the next one."""

    __slots__ = ("service", "settings", "peer", "kept", "proven")

    def __init__(
        self, service: Any, settings: Settings, peer: Peer, kept: bytes = b"", proven: Proven | None = None
    ) -> None:
        self.service = service
        self.settings = settings
        self.peer = peer
        self.kept = kept
        self.proven = proven


def answer(case: Case, question: Channel, report: Channel, only_refuse: bool, kind: str) -> None:
    """Take the question from its channel, and report; both then have no more to do here."""
    about = channel.QUESTIONS[kind]
    fields = question.receive(about.octet, about.fields)
    question.close()
    if only_refuse and kind == "change":
        fields = [fields[0], b"", b""]  # nothing is changed that is refused
    tried, verdict = _ANSWERS[kind](case, fields)
    if only_refuse and not about.challenge:
        verdict = Verdict(False)  # after the same work
    report.report(tried, verdict, case.kept)
    report.close()


def turn_away_from(client_fds: tuple[int, ...]) -> None:
    """No library asked here can speak to the client, or hold its connection open."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in {*client_fds, 0, 1, 2}:
        if fd != null:
            os.dup2(null, fd)
    if null > 2:
        os.close(null)


# --- questions -------------------------------------------------------------------------------


def _password(case: Case, fields: list[bytes]) -> tuple[str, Verdict]:
    user, password = fields
    return _text(user), check(case.service, case.settings, case.peer, user, password, case.proven)


def check(
    service: Any, settings: Settings, peer: Peer, user: bytes, password: bytes, proven: Proven | None = None
) -> Verdict:
    """Is this the password, and is this a user who may have a session?"""
    if not user or not password or any(octet in NEVER for octet in user + password):
        return Verdict(False)
    acting, user = _acting(user)
    name = _text(user)
    if sources.SECRETS in peer.sources and settings.cram_md5_only:
        verdict = _by_secret(Case(service, settings, peer), user, lambda secret: digests.clear(password, secret))
    elif settings.passwd_file:
        verdict = _by_file(settings, name, password, proven)
    elif _asks_shadow(settings):
        verdict = _by_shadow(name, password)
    else:
        verdict = _by_pam(service, settings, peer, name, password)
    return _admitted(settings, verdict, acting)


def _change(case: Case, fields: list[bytes]) -> tuple[str, Verdict]:
    from mailcore.login import change

    user, old, new = fields
    return _text(user), change.change(case.service, case.settings, case.peer, user, old, new)


def _apop(case: Case, fields: list[bytes]) -> tuple[str, Verdict]:
    user, digest = fields
    return _digest(case, user, lambda secret: digests.apop(case.peer.stamp, secret, digest))


def _cram_md5(case: Case, fields: list[bytes]) -> tuple[str, Verdict]:
    user, digest = fields
    stamp, case.kept = case.kept, b""
    return _digest(case, user, lambda secret: digests.cram_md5(stamp, secret, digest))


def _digest(case: Case, user: bytes, right: Callable[[bytes | None], bool]) -> tuple[str, Verdict]:
    if not user or any(octet in NEVER for octet in user):
        return _text(user), Verdict(False)
    acting, name = _acting(user)
    return _text(user), _admitted(case.settings, _by_secret(case, name, right), acting)


def _certificate(case: Case, fields: list[bytes]) -> tuple[str, Verdict]:
    """The user that a client's certificate names; the chain is verified once more, where no client can reach."""
    acting, certificate = fields
    name, complaint = _named_by(case.settings, certificate)
    if complaint:
        log.error(complaint)
    if not name or any(octet in NEVER for octet in name) or acting not in (b"", name):
        return _text(acting or name), Verdict(False)
    return _text(name), _admitted(case.settings, _of_account(case, name), b"")


def _named_by(settings: Settings, certificate: bytes) -> tuple[bytes, str]:
    """The name in a certificate and b"", or b"" and a complaint; it is taken apart by nobody, not by root."""
    from mailcore.login import nobody, tls  # OpenSSL, but no key

    def work() -> bytes:
        try:
            return b"+" + tls.name_in(certificate, store, settings.tls_username_field).encode()
        except tls.Refused as error:
            return b"-" + str(error).encode()

    try:
        store = tls.authorities(settings.tls_client_ca)
    except tls.Refused as error:
        return b"", str(error)
    said = nobody.ask(settings, work, channel.NAME_OCTETS + 1, CERTIFICATE_SECONDS)
    if said.startswith(b"+"):
        return said[1:], ""
    return b"", log.clean(said[1:]) or "client certificate: it took too long"


def _scram(case: Case, fields: list[bytes]) -> tuple[str, Verdict]:
    """The challenge; all that the proof needs later is what the client hears too."""
    mechanism, user, nonce = fields
    if _text(mechanism) not in scram.HASHES or len(user) > channel.NAME_OCTETS or len(nonce) > channel.NONCE_OCTETS:
        return _text(user), Verdict(False)
    try:
        verifier, _ = verifiers.find(case.settings, case.peer, _text(mechanism), _acting(user)[1])
        challenge = scram.server_first(nonce, scram.nonce(), verifier)
    except (passwords.Unusable, secrets.Unusable) as error:
        log.error(f"SCRAM: {error}")
        return _text(user), _unavailable()
    except ValueError:
        return _text(user), Verdict(False)
    case.kept = channel.pack(KEPT, (mechanism, user, challenge))
    return _text(user), Verdict(False, data=challenge)


def _scram_proof(case: Case, fields: list[bytes]) -> tuple[str, Verdict]:
    opening, closing, proof = fields
    mechanism, user, challenge = channel.unpack(case.kept, KEPT, 3, 3)
    case.kept = b""
    acting, name = _acting(user)
    try:
        verifier, known = verifiers.find(case.settings, case.peer, _text(mechanism), name)
    except (passwords.Unusable, secrets.Unusable) as error:
        log.error(f"SCRAM: {error}")
        return _text(user), _unavailable()
    signature = scram.prove(verifier, opening, challenge, closing, proof)
    if signature is None or not known:
        return _text(user), Verdict(False)
    verdict = _admitted(case.settings, _of_account(case, name), acting)
    verdict.data = signature if verdict.right else b""
    return _text(user), verdict


_ANSWERS = {
    "password": _password,
    "change": _change,
    "apop": _apop,
    "cram-md5": _cram_md5,
    "certificate": _certificate,
    "scram": _scram,
    "scram-proof": _scram_proof,
}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


# --- who may ---------------------------------------------------------------------------------


def _acting(user: bytes) -> tuple[bytes, bytes]:
    """`user*admin` (UW): whom he wants to be, b"" himself, and who he is."""
    acting, star, admin = user.partition(b"*")
    return (acting, admin) if star else (b"", user)


def _admitted(settings: Settings, verdict: Verdict, acting: bytes) -> Verdict:
    """The verdict on somebody who proved himself: is there a session for him, and as whom?"""
    if not verdict.right or verdict.account is None:
        return verdict
    if not _permitted(settings, verdict.account):
        return Verdict(False)
    return _override(settings, verdict, acting) if acting else verdict


def _override(settings: Settings, verdict: Verdict, acting: bytes) -> Verdict:
    """An administrator becomes another user; both must be users who may have a session."""
    admin, verdict.account = verdict.account, _named(settings, acting)
    verdict.override = admin.name if admin else ""
    if admin is None or not _is_admin(settings, admin) or not _permitted(settings, verdict.account):
        return Verdict(False, override=verdict.override)
    return verdict


def _is_admin(settings: Settings, account: Account) -> bool:
    """Listed in the group; and really that system user, where the name is from a passwd-file."""
    import grp
    import pwd

    try:
        listed = account.name in grp.getgrnam(settings.admin_group).gr_mem if settings.admin_group else False
        return listed and pwd.getpwnam(account.name).pw_uid == account.uid
    except KeyError:
        return False


def _named(settings: Settings, user: bytes) -> Account | None:
    """The account of a name, from where accounts are."""
    if settings.passwd_file:
        return passwords.account(settings.passwd_file, _text(user))
    return accounts.named(_text(user))


def _permitted(settings: Settings, account: Account | None) -> bool:
    """Root never, system users not unless settings say so, and not root we are only ourselves."""
    if account is None or account.uid <= 0 or account.uid < settings.first_valid_uid:
        return False
    return os.geteuid() == 0 or bool(settings.passwd_file) or account.uid == os.geteuid()


# --- where passwords are -----------------------------------------------------------------------


def _by_secret(case: Case, user: bytes, right: Callable[[bytes | None], bool]) -> Verdict:
    """The secrets file knows the secret, and the user is one of this host or of the passwd-file."""
    try:
        secret = secrets.secret(user, case.settings.cram_md5_file)
    except secrets.Unusable as error:
        log.error(str(error))
        return _unavailable()
    return _of_account(case, user) if right(secret) else Verdict(False)


def _of_account(case: Case, user: bytes) -> Verdict:
    """Somebody proved himself without PAM: his account, if it has not expired."""
    settings = case.settings
    try:
        account = _named(settings, user)
    except passwords.Unusable as error:
        log.error(f"passwd_file {settings.passwd_file}: {error}")
        return _unavailable()
    if account is None or settings.passwd_file or os.geteuid():
        return Verdict(account is not None, account)
    if _asks_shadow(settings):
        from mailcore.login import shadow

        return _aged(account, shadow.permitted(account.name))
    from mailcore.login import pam

    outcome = pam.permitted(pam_service(case.service, settings), account.name, rhost=case.peer.address)
    return _judged_by_pam(outcome)


def _by_file(settings: Settings, name: str, password: bytes, proven: Proven | None) -> Verdict:
    try:
        account = passwords.verify(settings.passwd_file, name, password, proven)
    except passwords.Unusable as error:
        log.error(f"passwd_file {settings.passwd_file}: {error}")
        return _unavailable()
    if account is not None and proven is not None and not _permitted(settings, account):
        proven.forget(name)  # who is never let in costs the full work each time
    if account is not None and settings.passwd_file_upgrade:
        _upgrade(settings.passwd_file, name, password)
    return Verdict(account is not None, account)


def _upgrade(path: str, name: str, password: bytes) -> None:
    """A better hash, if the file can have it; nobody is kept out because it cannot."""
    try:
        passwords.upgrade(path, name, password)
    except (OSError, ValueError, secrets.Unusable) as error:
        log.warning(f"passwd_file {path}: no better hash for {log.clean(name)}: {error}")


def asks_pam(settings: Settings) -> bool:
    """PAM has a word in this host's logins; its modules are made for a process that soon ends."""
    return not settings.passwd_file and not _asks_shadow(settings)


def _asks_shadow(settings: Settings) -> bool:
    """/etc/shadow is asked if the setting says so, or where there is no PAM to ask."""
    if settings.password_source:
        return str(settings.password_source) == "shadow"
    from mailcore.login import pam

    return not pam.present()


def _by_shadow(name: str, password: bytes) -> Verdict:
    from mailcore.login import shadow

    account = accounts.named(name)
    outcome = shadow.authenticate(account.name if account else name, password)
    return _aged(account, outcome)


def _aged(account: Account | None, outcome: Any) -> Verdict:
    from mailcore.login import shadow

    if outcome.code == shadow.UNAVAILABLE:
        log.error(f"shadow: {outcome.detail}")
        return _unavailable()
    if outcome.code == shadow.EXPIRED:
        return _expired(outcome.messages)
    return Verdict(not outcome.code and account is not None, None if outcome.code else account, alerts=outcome.messages)


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
    return _judged_by_pam(outcome)


def _judged_by_pam(outcome: Any) -> Verdict:
    from mailcore.login import pam

    if outcome.code == pam.UNAVAILABLE:
        log.error(f"PAM: {outcome.detail}")
        return _unavailable()
    if outcome.code == pam.EXPIRED or outcome.code == pam.DENIED and _has_expired(outcome.user):
        return _expired(outcome.messages)
    if outcome.code:
        return Verdict(False)
    account = accounts.named(outcome.user)
    return Verdict(account is not None, account, alerts=outcome.messages)


def _has_expired(user: str) -> bool:
    """Debian's common-account turns an expired account into a plain no; shadow(5) tells which it was."""
    from mailcore.login import shadow

    return os.geteuid() == 0 and shadow.permitted(user).code == shadow.EXPIRED


def _expired(messages: list[str]) -> Verdict:
    return Verdict(False, None, "EXPIRED", "Account or password has expired", messages)


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
