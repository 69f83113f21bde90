"""SCRAM verifiers of this host's users, and of everybody else: nobody can tell from a challenge who is there.

What lives here: where a verifier comes from (a passwd-file, or the clear secret), and the host's key.  What
does not: SCRAM (scram.py).  Only the checker comes here.

A user without a verifier gets a decoy.  Its salt is made of his name and a key that outlives the
connection, or asking twice would tell; its iterations and the length of its salt are those of some real
verifier.  A verifier derived from a clear secret has its salt from the same key, and the derivation's
cost is spent for everybody where anybody needs it.

The key is root's own small file under /var/lib/mailcore, made at need: it tells nothing but must stay.
Not root, it lies beside the file of accounts; where it cannot be written at all, it is made of
/etc/machine-id, which strangers on the network do not know either.
"""

from __future__ import annotations

import os

from mailcore.login import passwords, scram, secrets
from mailcore.login.scram import Verifier
from mailcore.login.sources import SECRETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.login.accounts import Peer
    from mailcore.settings import Settings

KEY_OCTETS = 32
MACHINE = "/etc/machine-id"
CLEAR = ("PLAIN", "CLEARTEXT", "CLEAR")
NOBODYS = b"no user has this password"


def find(settings: Settings, peer: Peer, mechanism: str, user: bytes) -> tuple[Verifier, bool]:
    """The verifier of `user`, and whether it is one: False is a decoy.  passwords' or secrets' Unusable."""
    key = host_key(settings)
    clear: bytes | None = None
    derives = SECRETS in peer.sources
    ready: list[Verifier] = []
    shapes: list[Verifier] = []
    if settings.passwd_file and not (derives and settings.cram_md5_only):
        mine, everybody = passwords.hashes(settings.passwd_file, user.decode("utf-8", "surrogateescape"))
        ready, shapes = _written(mechanism, mine), _written(mechanism, everybody)
        clear = _clear(mine[:1])
        derives = derives or any(passwords.split(hashed)[0] in CLEAR for hashed in everybody)
    if SECRETS in peer.sources and clear is None:
        clear = secrets.secret(user, settings.cram_md5_file)
    decoy = _decoy(mechanism, user, key, shapes, derives)
    if derives:
        derived = scram.derive(mechanism, NOBODYS if clear is None else clear, salt(mechanism, user, key))
        if clear is not None and not ready:
            return derived, True
    return (ready[0], True) if ready else (decoy, False)


def _written(mechanism: str, hashes: list[str]) -> list[Verifier]:
    found = []
    for hashed in hashes:
        if passwords.split(hashed)[0] == mechanism:
            try:
                found.append(scram.parse(hashed))
            except ValueError:
                continue
    return found


def _clear(hashes: list[str]) -> bytes | None:
    for scheme, rest in map(passwords.split, hashes):
        if scheme in CLEAR and rest:
            return rest.encode("utf-8", "surrogateescape")
    return None


def salt(mechanism: str, user: bytes, key: bytes) -> bytes:
    """The salt that this user has here for ever, known or not."""
    return scram.decoy(mechanism, user, key).salt


def _decoy(mechanism: str, user: bytes, key: bytes, shapes: list[Verifier], derives: bool) -> Verifier:
    """A decoy in the shape of one of the verifiers that are there, always the same one for a name."""
    decoy = scram.decoy(mechanism, user, key)
    choice = int.from_bytes(decoy.server_key[-4:], "big") % max(len(shapes) + derives, 1)
    if choice < len(shapes):
        decoy.iterations = shapes[choice].iterations
        decoy.salt = (decoy.salt + decoy.stored_key)[: len(shapes[choice].salt)]
    return decoy


# --- the host's key ------------------------------------------------------------------------


def host_key(settings: Settings) -> bytes:
    """The key of all decoys and derived salts, made if it is not there."""
    path = _key_path(settings)
    try:
        key, _ = secrets.read(path)
        return key if len(key) >= KEY_OCTETS else _make_key(path)
    except (OSError, secrets.Unusable):
        return _machine_key(path)


def _key_path(settings: Settings) -> str:
    if os.geteuid() == 0:
        return str(settings.scram_key_file)
    beside = settings.passwd_file or settings.cram_md5_file
    return os.path.join(os.path.dirname(os.path.abspath(beside)), ".scram-key")


def _make_key(path: str) -> bytes:
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)

    def first(text: bytes) -> bytes:
        return text if len(text) >= KEY_OCTETS else os.urandom(KEY_OCTETS)  # somebody else may have been faster

    secrets.replace(path, first, secrets.SECRET_BITS)
    return secrets.read(path)[0]


def _machine_key(path: str) -> bytes:
    import hashlib

    try:
        with open(MACHINE, "rb") as file:
            machine = file.read(64)
    except OSError:
        machine = os.uname().nodename.encode()
    return hashlib.sha256(b"mailcore scram %b %b" % (machine, path.encode())).digest()
