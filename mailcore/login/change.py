"""A new password in every place that had the old one, or in none.

What lives here: which places there are, and the order of the steps.  What does not: verifying
(checker.py), how one place is changed (pam.py, secrets.py), and talking about it (mailcore/poppassd).
Only the checker comes here, as root.

The old password is verified as a login verifies it.  Then every place that has it gets the new one:
PAM (where there is no passwd-file), the passwd-file, and /etc/cram-md5.pwd if the user has a line
there.  A place where his password is another one keeps that: who knows the one must not come to the
other by it.

    1  take the lock; finish what a crash has left
    2  write the journal: who, and each file's lines before and after
    3  PAM, the only one that may say no to the new password: then the journal goes, nothing has changed
    4  the files, one after the other; if a disk fails: the files back, then PAM
    5  remove the journal

A crash leaves the journal, which whoever changes a password next reads first.  If PAM takes the new
password (or is not part of it) the files are brought to the new state, else they have the old one
still: step 4 begins only when PAM has changed, and going back ends with PAM.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from hmac import compare_digest
from time import monotonic, sleep

from mailcore import log
from mailcore.login import accounts, checker, pam, secrets
from mailcore.login.channel import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from mailcore.login.accounts import Peer
    from mailcore.settings import Settings

SERVICE = "poppassd"  # PAM's service for new passwords
NEW_REFUSED = "NEW"  # the verdict's code: the old password is right, the new one was not taken
JOURNAL, NEW_JOURNAL, LOCK = "poppassd.journal", ".poppassd.journal.new", ".poppassd.lock"  # beside the file of secrets
BCRYPT_OCTETS = 72  # bcrypt looks at no more


class Unfinished(Exception):
    """A place could not be changed; the text says which and why, for the log."""


class Edit:
    """The lines of one user in one file: what stands behind his name before and after."""

    __slots__ = ("path", "separator", "user", "before", "after")

    def __init__(
        self, path: str, separator: bytes, user: bytes, before: Sequence[bytes], after: Sequence[bytes]
    ) -> None:
        self.path = path
        self.separator = separator
        self.user = user
        self.before = list(before)
        self.after = list(after)

    def make(self) -> None:
        self._replace(self.before, self.after)

    def undo(self) -> None:
        self._replace(self.after, self.before)

    def _replace(self, old: list[bytes], new: list[bytes]) -> None:
        secrets.replace(self.path, lambda text: self._changed(text, old, new), secrets.forbidden(self.separator))

    def _changed(self, text: bytes, old: list[bytes], new: list[bytes]) -> bytes:
        lines = text.splitlines(keepends=True)
        found = _lines(lines, self.separator, self.user)
        if [rest for _, rest in found] != old:
            raise Unfinished(f"{self.path}: somebody else has changed it")
        for (index, _), rest in zip(found, new, strict=True):
            end = lines[index][len(lines[index].rstrip(b"\r\n")) :]
            lines[index] = self.user + self.separator + rest + end
        return b"".join(lines)


def _lines(lines: Sequence[bytes], separator: bytes, user: bytes) -> list[tuple[int, bytes]]:
    """Where the user's lines are, and what stands behind his name."""
    pairs = ((index, secrets.entry(line, separator)) for index, line in enumerate(lines))
    return [(index, pair[1]) for index, pair in pairs if pair and pair[0] == user]


# --- one change --------------------------------------------------------------------------------


def change(service: Any, settings: Settings, peer: Peer, user: bytes, old: bytes, new: bytes) -> Verdict:
    """The verdict is about the old password; its code and text say what came of the new one."""
    if b"*" in user:  # one who may act for another may not change the other's password
        return Verdict(False)
    try:
        if any(os.path.lexists(_beside(settings, name)) for name in (JOURNAL, NEW_JOURNAL)):
            with _locked(settings):
                finish(settings)
        proof = checker.check(service, settings, peer, user, old)
        if not proof.right and proof.code != "EXPIRED":
            return proof
        name = user.decode("utf-8", "surrogateescape")
        account = proof.account or accounts.named(name)
        if account is None or not checker._permitted(settings, account):
            return Verdict(False)
        text = _unfit(settings, old, new)
        if not text:
            with _locked(settings):
                finish(settings)
                text = _everywhere(settings, peer, user, account.name, old, new)
    except (Unfinished, secrets.Unusable, OSError, ValueError) as error:
        log.error(f"Password not changed: {error}")
        return Verdict(False, None, "UNAVAILABLE", "Password cannot be changed now")
    about = f"user={_word(account.name)} host={_word(peer.host)}"
    log.info(f"Password not changed {about} reason={_word(text)}" if text else f"Password changed {about}")
    return Verdict(True, account, NEW_REFUSED if text else "", text)


def _word(text: str) -> str:
    return log.clean(text).replace(" ", "\\x20")


def _unfit(settings: Settings, old: bytes, new: bytes) -> str:
    """Why this can be nobody's password, for the client; "" if it can."""
    least, most = settings.new_password_least_octets, settings.new_password_most_octets
    if any(octet in checker.NEVER for octet in new):
        return "A password has no TAB and no NUL"
    if not least <= len(new) <= most or not new:
        return f"A new password has {least} to {most} characters"
    return "The new password is the old one" if compare_digest(old, new) else ""


def _everywhere(settings: Settings, peer: Peer, user: bytes, name: str, old: bytes, new: bytes) -> str:
    """Change every place that has the old password; why the new one was refused, or ""."""
    edits = _edits(settings, user, old, new)
    with_pam = not settings.passwd_file
    if len(edits) + with_pam > 1:
        _write_journal(settings, name if with_pam else "", new, edits)
    if with_pam:
        outcome = pam.change(SERVICE, name, old, new, peer.address)
        if outcome.code == pam.WRONG and edits:
            log.info(f"PAM has another password of user={_word(name)}, and keeps it")
            with_pam = False
            _write_journal(settings, "", new, edits)
        elif outcome.code:
            _drop_journal(settings)
            if outcome.code == pam.REFUSED:
                return "; ".join(outcome.messages) or "The new password was not accepted"
            raise Unfinished(f"PAM: {outcome.detail}")
    if not (edits or with_pam):
        raise Unfinished(f"no place has the password of user={_word(name)}")
    _make(settings, edits, (name, old, new) if with_pam else None)
    return ""


def _make(settings: Settings, edits: Sequence[Edit], in_pam: tuple[str, bytes, bytes] | None) -> None:
    """Change the files; if one cannot be changed, none is, and PAM goes back too."""
    done: list[Edit] = []
    try:
        for edit in edits:
            edit.make()
            done.append(edit)
    except Exception as error:
        for edit in reversed(done):
            edit.undo()
        if in_pam:
            name, old, new = in_pam
            outcome = pam.change(SERVICE, name, new, old)
            if outcome.code:
                log.alert(f"PAM has a new password of user={_word(name)}, the files have not: {outcome.detail}")
                raise
        _drop_journal(settings)
        raise Unfinished(str(error)) from None
    _drop_journal(settings)


# --- the places --------------------------------------------------------------------------------


def _edits(settings: Settings, user: bytes, old: bytes, new: bytes) -> list[Edit]:
    """What is to be changed in the files that have the old password."""
    edits = []
    if settings.passwd_file:
        edits += _in_passwd_file(settings.passwd_file, user, old, new)
    if path := _clear_file(settings):
        edits += _in_clear(path, user, old, new)
    return edits


def _clear_file(settings: Settings) -> str:
    path = str(settings.cram_md5_file)
    return path if path and secrets.ready(path) else ""


def _in_clear(path: str, user: bytes, old: bytes, new: bytes) -> list[Edit]:
    """The line that counts of /etc/cram-md5.pwd, and those that would count if it were removed."""
    known = secrets.secret(user, path)
    if known is None or not compare_digest(known, old):
        return []
    lines = secrets.read(path)[0].splitlines()
    name = user if _lines(lines, secrets.TAB, user) else user.lower()
    before = [rest for _, rest in _lines(lines, secrets.TAB, name)]
    return [Edit(path, secrets.TAB, name, before, [new] * len(before))]


def _in_passwd_file(path: str, user: bytes, old: bytes, new: bytes) -> list[Edit]:
    """All lines of the user: each keeps its kind of hash, and the fields behind it."""
    from mailcore.login import passwords

    if passwords.verify(path, user.decode("utf-8", "surrogateescape"), old) is None:
        return []
    lines = secrets.read(path, secrets.HASH_BITS)[0].splitlines()
    before = [rest for _, rest in _lines(lines, secrets.COLON, user)]
    after = []
    for rest in before:
        hashed, colon, fields = rest.partition(b":")
        after.append(rehashed(hashed, new) + colon + fields)
    return [Edit(path, secrets.COLON, user, before, after)]


def rehashed(hashed: bytes, password: bytes) -> bytes:
    """A hash of `password` like the present one where that is a good kind, else the best we have."""
    from mailcore.login import scram

    scheme = hashed[1:].partition(b"}")[0].decode("ascii", "replace").upper() if hashed.startswith(b"{") else ""
    if scheme in scram.HASHES:
        return scram.derive(scheme, password).text().encode()
    bare = hashed.partition(b"}")[2] if scheme else hashed
    if bare.startswith(b"$2") and len(password) > BCRYPT_OCTETS:
        bare = b""
    kinds = {b"$2": "bcrypt", b"$argon2": "argon2"}
    return _hash(next((kind for start, kind in kinds.items() if bare.startswith(start)), "sha512_crypt"), password)


def _hash(kind: str, password: bytes) -> bytes:
    from mailcore.login import passwords

    known = passwords._passlib()
    try:
        return str(known.handler(kind).hash(password)).encode()
    except (RuntimeError, ImportError):  # its library is gone
        return str(known.handler("sha512_crypt").hash(password)).encode()


# --- the journal -------------------------------------------------------------------------------


def _beside(settings: Settings, name: str) -> str:
    beside = settings.passwd_file or settings.cram_md5_file or secrets.PATH
    return os.path.join(os.path.dirname(os.path.abspath(beside)), name)


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """One change at a time on this host."""
    import fcntl

    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(_beside(settings, LOCK), flags, 0o600)
    try:
        deadline = monotonic() + secrets.LOCK_SECONDS
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic() > deadline:
                    raise Unfinished("somebody else is changing a password") from None
                sleep(0.02)
        yield
    finally:
        os.close(fd)


def _write_journal(settings: Settings, pam_user: str, new: bytes, edits: Sequence[Edit]) -> None:
    """The new password itself is in it only where PAM must be asked for it, beside a file that has it in clear too."""
    fields = [pam_user.encode("utf-8", "surrogateescape"), new if pam_user else b""]
    for edit in edits:
        lines = (b"\n".join(edit.before), b"\n".join(edit.after))
        fields += [os.fsencode(edit.path), edit.separator, edit.user, *lines]
    secrets.replace(_beside(settings, JOURNAL), lambda _: b"\0".join(fields), None)


def _drop_journal(settings: Settings) -> None:
    _remove(_beside(settings, JOURNAL))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fsync(folder)
    os.close(folder)


def finish(settings: Settings) -> None:
    """Bring a change that a crash has cut short to its end; the lock is held."""
    text, status = secrets.read(_beside(settings, JOURNAL))
    if status is None:
        _remove(_beside(settings, NEW_JOURNAL))  # of a crash before it was whole
        return
    pam_user, new, *fields = text.split(b"\0")
    user = pam_user.decode("utf-8", "surrogateescape")
    if not user or _pam_has(user, new):
        for start in range(0, len(fields), 5):
            path, separator, name, before, after = fields[start : start + 5]
            edit = Edit(os.fsdecode(path), separator, name, before.split(b"\n"), after.split(b"\n"))
            try:
                edit.make()
            except Unfinished:
                pass  # it has been made, or somebody has written there since
    log.warning("a change of password that was cut short is settled")
    _drop_journal(settings)


def _pam_has(user: str, password: bytes) -> bool:
    outcome = pam.authenticate(SERVICE, user, password)
    if outcome.code == pam.UNAVAILABLE:
        raise Unfinished(f"PAM: {outcome.detail}")
    return outcome.code in ("", pam.EXPIRED)
