"""The only door to passlib: accounts from a passwd-file.

One account a line, `user:hash[:uid:gid:gecos:home[:location]]`; `#` starts a comment.  Without
uid the account is the system's user of that name.  The hash is any that passlib knows and
that is worth having today.  Only the checker comes here; passlib is imported on its first call.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from mailcore.login import accounts
from mailcore.login.accounts import Account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMES = (
    "sha512_crypt", "sha256_crypt", "bcrypt", "argon2", "scrypt", "pbkdf2_sha512", "pbkdf2_sha256", "pbkdf2_sha1",
    "apr_md5_crypt", "md5_crypt", "ldap_salted_sha1",
)  # fmt: skip
FILE_OCTETS = 16 * 1024 * 1024
# a hash of nothing anybody knows, where the file has none to spend the time of an unknown user on
NOBODYS = "$6$rounds=5000$mailcore$" + "." * 86

_context: Any = None


class Unusable(Exception):
    """The passwd-file cannot be used; the text says why."""


def verify(path: str, user: str, password: bytes) -> Account | None:
    """The account of `user`, if this is the password; an unknown user costs as much as a wrong password."""
    found: list[str] = []
    dummy = NOBODYS
    for fields in _entries(path):
        if dummy == NOBODYS and _known(fields[1]):
            dummy = fields[1]
        if not found and fields[0] == user:
            found = fields
    if not found or not _known(found[1]):
        _right(password, dummy)
        return None
    return _account(found) if _right(password, found[1]) else None


def preload() -> None:
    """Import passlib now, so that the forks of a listener need not."""
    _passlib()


def _entries(path: str) -> list[list[str]]:
    """The file's lines in fields, if nobody but its owner, who is root or us, can have written them."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not S_ISREG(status.st_mode) or status.st_size > FILE_OCTETS:
                raise Unusable("not a regular file of a sensible size")
            if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
                raise Unusable("somebody else can write it")
            text = file.read(FILE_OCTETS).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise Unusable(error.strerror or "cannot be read") from None
    lines = (line.rstrip("\r") for line in text.split("\n"))
    return [line.split(":", 6) for line in lines if ":" in line and not line.startswith("#")]


def _passlib() -> Any:
    global _context
    if _context is None:
        try:
            from passlib.context import CryptContext  # type: ignore[import-untyped]
        except ImportError:
            raise Unusable("passlib (libpass) is not installed") from None
        _context = CryptContext(schemes=list(SCHEMES))
    return _context


def _known(hashed: str) -> bool:
    return bool(hashed) and _passlib().identify(hashed) is not None


def _right(password: bytes, hashed: str) -> bool:
    try:
        return bool(_passlib().verify(password, hashed))
    except (ValueError, TypeError, ImportError, RuntimeError):
        return False  # a damaged hash, a password passlib refuses, a scheme without its library


def _account(fields: list[str]) -> Account | None:
    """The account of one line; None if its numbers are none."""
    name, _, uid, gid, _, home, location = fields + [""] * (7 - len(fields))
    if not uid:
        return accounts.named(name)
    if not all(number.isascii() and number.isdigit() and int(number[:11]) < 2**32 - 1 for number in (uid, gid)):
        return None
    return Account(name, int(uid), int(gid), home or "/", location)
