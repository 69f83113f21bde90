"""What this host can verify a client by, beside passwords: looked at once a connection, before the greeting.

What lives here: whether the files are there and may be believed.  What does not: reading a secret (the
checker does).  The monitor keeps the answer in `Peer.sources`; the gatekeeper, which sees no file, offers
by it, and the monitor takes no question without its source.

    secrets     /etc/cram-md5.pwd: CRAM-MD5
    stamp       the same, and a greeting that carries a stamp: APOP
    change      poppassd, which changes passwords and lets nobody in
    verifiers   something to make or read a SCRAM verifier from
    anonymous   the file that allows it, and a user for it
    authorities TLS of our own, and somebody who vouches for client certificates (the monitor adds it)
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.login.accounts import Peer
    from mailcore.settings import Settings

SECRETS, STAMP, VERIFIERS, ANONYMOUS = "secrets", "stamp", "verifiers", "anonymous"
CHANGE, AUTHORITIES = "change", "authorities"
_looked: tuple[object, bool] = (None, False)  # the passwd-file as it was looked at last, and what was found
IN_FILE = ("{SCRAM-SHA-", "{PLAIN}", "{CLEAR")  # what of a passwd-file SCRAM can work with


def survey(settings: Settings, peer: Peer, purpose: str) -> list[str]:
    """Fill in what `peer` may be offered ("imap", "pop3" or "poppassd"); complaints for the log."""
    complaints: list[str] = []
    found = set()
    if settings.cram_md5_file and _is_there(settings.cram_md5_file) and _is_ready(settings.cram_md5_file, complaints):
        found |= {SECRETS, VERIFIERS}
    if purpose == "poppassd":
        peer.sources = frozenset(found & {SECRETS} | {CHANGE})  # the old password is asked where a login asks it
        return complaints
    if settings.passwd_file and not (SECRETS in found and settings.cram_md5_only) and _has_verifiers(settings):
        found.add(VERIFIERS)
    if purpose == "imap" and settings.anonymous_user and os.path.exists(settings.anonymous_file):
        found.add(ANONYMOUS)
    if purpose == "pop3" and SECRETS in found:
        from mailcore.login import digests

        peer.stamp = digests.stamp(settings.host_name or os.uname().nodename)
        found.add(STAMP)
    peer.sources = frozenset(found)
    return complaints


def _is_there(path: str) -> bool:
    """Most hosts have no such file, and their cold starts need not load who would read it."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass  # whatever is wrong with it, `_is_ready` says
    return True


def _is_ready(path: str, complaints: list[str]) -> bool:
    from mailcore.login import secrets

    try:
        return secrets.ready(path)
    except secrets.Unusable as error:
        complaints.append(f"{error}: APOP and CRAM-MD5 are off")
        return False


def _has_verifiers(settings: Settings) -> bool:
    """The passwd-file holds something for SCRAM; one that must not be believed holds nothing."""
    global _looked
    from mailcore.login import passwords

    try:
        status = os.stat(settings.passwd_file)
        stamp = (settings.passwd_file, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if stamp != _looked[0]:
            text = passwords.text(settings.passwd_file)
            _looked = (stamp, any(mark in text for mark in IN_FILE))
    except (OSError, passwords.Unusable):
        return False  # the checker says so when somebody logs in
    return _looked[1]
