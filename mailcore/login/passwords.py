"""The only door to passlib: accounts and hashes from a passwd-file.

One account a line, `user:hash[:uid:gid:gecos:home[:location]]`; `#` starts a comment.  Without
uid the account is the system's user of that name.  A file of htpasswd is one, and so is Dovecot's: its
`{SCHEME}` before a hash is understood, and a shell where we have the location is passed over.

The first line of a user is his account and his password.  Further lines of his can only add SCRAM
verifiers.  Only the checker comes here; passlib is imported when a hash needs it.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from mailcore.login import accounts, digests
from mailcore.login.accounts import Account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Stamp = tuple[str, int, int, int, int, int]  # path, device, inode, size, mtime, ctime

SCHEMES = (
    "sha512_crypt", "sha256_crypt", "bcrypt", "argon2", "scrypt", "pbkdf2_sha512", "pbkdf2_sha256", "pbkdf2_sha1",
    "apr_md5_crypt", "md5_crypt", "ldap_salted_sha512", "ldap_salted_sha256", "ldap_salted_sha1",
)  # fmt: skip
WEAK = ("apr_md5_crypt", "md5_crypt", "ldap_salted_sha512", "ldap_salted_sha256", "ldap_salted_sha1")
ROUNDS = 100_000  # of a sha512_crypt that we write: about 40 ms, what a distribution's own hashes cost
FILE_OCTETS = 16 * 1024 * 1024
# a hash of nothing anybody knows, where the file has none to spend the time of an unknown user on
NOBODYS = "$6$rounds=5000$mailcore$" + "." * 86

SYSTEMS = ("$y$", "$gy$", "$7$")  # of libcrypt, which knows more than passlib
SHA = {"$6$": 86, "$5$": 43}  # libcrypt has these at once, passlib is 35 ms to import; the length of the digest
CRYPT = ("CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "BLF-CRYPT", "ARGON2I", "ARGON2ID")

KEY_OCTETS = 32
GRAIN_NS = 2_000_000_000  # a file that was written a moment ago can be written again without a new time

_context: Any = None
_stays = False  # this process answers many questions
_parsed: tuple[Stamp | None, list[list[str]]] = (None, [])


class Unusable(Exception):
    """The passwd-file cannot be used; the text says why."""


# --- the file ------------------------------------------------------------------------------


def verify(path: str, user: str, password: bytes, proven: Proven | None = None) -> Account | None:
    """The account of `user`, if this is the password; an unknown user costs as much as a wrong password."""
    found: list[str] = []
    dummy = NOBODYS
    for fields in _entries(path):
        if dummy == NOBODYS and _known(fields[1]):
            dummy = fields[1]
        if not found and fields[0] == user:
            found = fields
    usable = bool(found) and _known(found[1])
    hashed = found[1] if usable else dummy
    known = proven is not None and proven.knows(user, password, hashed)
    right = known or _right(password, hashed)
    account = _account(found) if right and usable else None
    if account is not None and proven is not None:
        proven.keep(user, password, hashed)
    return account


class Proven:
    """Passwords that were right in this process, as digests under a key that nobody else has.

    A digest is of user, hash and password together: it is worth nothing when the line in the file changes, and
    a wrong password always pays for the hash.
    """

    __slots__ = ("_key", "_digests")

    def __init__(self) -> None:
        self._key = os.urandom(KEY_OCTETS)
        self._digests: dict[str, bytes] = {}

    def knows(self, user: str, password: bytes, hashed: str) -> bool:
        """Was this the password of this user with this hash?"""
        return digests.same(self._digest(user, password, hashed), self._digests.get(user, b""))

    def keep(self, user: str, password: bytes, hashed: str) -> None:
        self._digests[user] = self._digest(user, password, hashed)

    def forget(self, user: str) -> None:
        self._digests.pop(user, None)

    def _digest(self, user: str, password: bytes, hashed: str) -> bytes:
        from _blake2 import blake2b  # hashlib would bring OpenSSL

        digest = blake2b(key=self._key)
        for field in (user.encode("utf-8", "surrogateescape"), hashed.encode("utf-8", "surrogateescape"), password):
            digest.update(b"%d:" % len(field) + field)
        return bytes(digest.digest())


def account(path: str, user: str) -> Account | None:
    """The account of `user`, whatever his password."""
    for fields in _entries(path):
        if fields[0] == user:
            return _account(fields)
    return None


def hashes(path: str, user: str) -> tuple[list[str], list[str]]:
    """The hash fields of `user`, and those of everybody."""
    lines = _entries(path)
    return [fields[1] for fields in lines if fields[0] == user], [fields[1] for fields in lines]


def text(path: str) -> str:
    """What is in the file, if nobody but its owner, who is root or us, can have written it."""
    return _read(path)[1]


def _read(path: str, known: Stamp | None = None) -> tuple[Stamp, str]:
    """The file's stamp, and what is in it if that is not `known`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not S_ISREG(status.st_mode) or status.st_size > FILE_OCTETS:
                raise Unusable("not a regular file of a sensible size")
            if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
                raise Unusable("somebody else can write it")
            stamp = path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
            return stamp, "" if stamp == known else file.read(FILE_OCTETS).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise Unusable(error.strerror or "cannot be read") from None


def stay() -> None:
    """This process answers many questions: it takes a file apart once, as long as nobody has written it."""
    global _stays
    _stays = True


def _entries(path: str) -> list[list[str]]:
    """The file's lines in fields."""
    global _parsed
    known, entries = _parsed
    stamp, whole = _read(path, known)
    if stamp != known:
        lines = (line.rstrip("\r") for line in whole.split("\n"))
        entries = [line.split(":", 6) for line in lines if ":" in line and not line.startswith("#")]
        if _stays and _is_settled(stamp):
            _parsed = stamp, entries
    return entries


def _is_settled(stamp: Stamp) -> bool:
    """Whoever writes the file from now on gives it another stamp."""
    from time import time_ns

    return time_ns() - max(stamp[4:]) > GRAIN_NS


def _account(fields: list[str]) -> Account | None:
    """The account of one line; None if its numbers are none."""
    name, _, uid, gid, _, home, location = fields + [""] * (7 - len(fields))
    if not uid:
        return accounts.named(name)
    if not all(number.isascii() and number.isdigit() and int(number[:11]) < 2**32 - 1 for number in (uid, gid)):
        return None
    if location.startswith(("/", ":")) or ":" not in location:
        location = ""  # a shell, as Dovecot's files and /etc/passwd have it here
    return Account(name, int(uid), int(gid), home or "/", location)


def upgrade(path: str, user: str, password: bytes) -> None:
    """Put a better hash in the place of a weak one; the password has just been right.

    secrets.Unusable, OSError, or ValueError when it cannot be written.
    """
    from mailcore.login import secrets

    hashed = next(fields[1] for fields in _entries(path) if fields[0] == user)
    better = _better(hashed, password)
    if not better:
        return

    def line(present: bytes | None) -> bytes:
        old, colon, rest = (present or b"").partition(b":")
        return (better.encode() if old == hashed.encode() else old) + colon + rest

    secrets.put(path, secrets.COLON, user.encode("utf-8", "surrogateescape"), line)


# --- one hash ------------------------------------------------------------------------------


def preload(path: str) -> None:
    """Import what the hashes of a passwd-file need now, so that the forks of a listener need not."""
    for _, hashed, *_ in _entries(path):
        scheme, rest = split(hashed)
        if scheme in _OURS:
            continue
        if rest.startswith(SYSTEMS) or _is_sha(rest):
            from mailcore.login import shadow

            shadow.preload()
        else:
            _passlib()


def _is_sha(rest: str) -> bool:
    """A whole hash of SHA-crypt, which needs no passlib."""
    return len(rest.rpartition("$")[2]) == SHA.get(rest[:3])


def _passlib() -> Any:
    global _context
    if _context is None:
        try:
            from passlib.context import CryptContext  # type: ignore[import-untyped]
        except ImportError:
            raise Unusable("passlib (libpass) is not installed") from None
        _context = CryptContext(schemes=list(SCHEMES), sha512_crypt__default_rounds=ROUNDS)
    return _context


def split(hashed: str) -> tuple[str, str]:
    """The scheme before a hash, in capitals ("" without one), and the hash as its own library writes it."""
    name, brace, rest = hashed[1:].partition("}")
    if not hashed.startswith("{") or not brace:
        return "", hashed
    name = name.upper()
    return ("", rest) if name in CRYPT else (name, rest if name in _OURS else hashed)


def _known(hashed: str) -> bool:
    scheme, rest = split(hashed)
    if scheme in _OURS:
        return bool(rest)
    return rest.startswith(SYSTEMS) or _is_sha(rest) or (bool(rest) and _passlib().identify(rest) is not None)


def _right(password: bytes, hashed: str) -> bool:
    scheme, rest = split(hashed)
    try:
        if scheme in _OURS:
            return _OURS[scheme](password, rest, hashed)
        if rest.startswith(SYSTEMS):
            return _by_system(password, rest)
        if _is_sha(rest):
            return _by_system_or_passlib(password, rest)
        return bool(_passlib().verify(password, rest))
    except (ValueError, TypeError, ImportError, RuntimeError):
        return False  # a damaged hash, a password passlib refuses, a scheme without its library


def _better(hashed: str, password: bytes) -> str:
    """A better hash of the password, "" if this one is good enough or SCRAM lives by it."""
    scheme, rest = split(hashed)
    if scheme in _OURS or rest.startswith(SYSTEMS) or _is_sha(rest) or _passlib().identify(rest) not in WEAK:
        return ""
    new = str(_passlib().hash(password))
    return "{SHA512-CRYPT}" + new if hashed.startswith("{") else new


def _by_system(password: bytes, hashed: str) -> bool:
    from mailcore.login import shadow

    return shadow.matches(password, hashed.encode())


def _by_system_or_passlib(password: bytes, hashed: str) -> bool:
    from mailcore.login import shadow

    try:
        return _by_system(password, hashed)
    except shadow.NoLibcrypt:
        return bool(_passlib().verify(password, hashed))


def _clear(password: bytes, rest: str, hashed: str) -> bool:
    return digests.same(password, rest.encode("utf-8", "surrogateescape"))


def _pbkdf2(password: bytes, rest: str, hashed: str) -> bool:
    """Dovecot's own: $1$salt$rounds$hexadecimal of PBKDF2-HMAC-SHA1."""
    import hashlib
    import hmac

    empty, one, salt, rounds, digest = rest.split("$")
    if empty or one != "1" or not (rounds.isascii() and rounds.isdigit() and 0 < int(rounds[:9]) <= 10_000_000):
        return False
    derived = hashlib.pbkdf2_hmac("sha1", password, salt.encode(), int(rounds), 20)
    return hmac.compare_digest(derived.hex(), digest.lower())


def _scram(password: bytes, rest: str, hashed: str) -> bool:
    from mailcore.login import scram

    return scram.parse(hashed).matches(password)


_OURS: dict[str, Callable[[bytes, str, str], bool]] = {
    "PLAIN": _clear,
    "CLEARTEXT": _clear,
    "CLEAR": _clear,
    "PBKDF2": _pbkdf2,
    "SCRAM-SHA-1": _scram,
    "SCRAM-SHA-256": _scram,
}
