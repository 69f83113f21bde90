"""The system's own hashes: libcrypt (crypt(3), so yescrypt too) by ctypes, and /etc/shadow where there is no PAM.

Only the checker comes here, as root.  What shadow(5) says of ages is honoured; it is told only to
who knows the password.
"""

from __future__ import annotations

import ctypes

from mailcore.login import digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATH = "/etc/shadow"
DAY_SECONDS = 86400
# nobody's password, for users that have none and where the file has none
NOBODYS = b"$6$rounds=5000$mailcore$" + b"." * 86

_library: Any = None

WRONG, EXPIRED, UNAVAILABLE = "WRONG", "EXPIRED", "UNAVAILABLE"


class NoLibcrypt(OSError):
    """libcrypt is not there."""


class Outcome:
    """What was found: code "" is yes; `messages` are for the user."""

    __slots__ = ("code", "messages", "detail")

    def __init__(self, code: str, messages: list[str], detail: str = "") -> None:
        self.code = code
        self.messages = messages
        self.detail = detail


class Entry:
    """A line of shadow(5); days since 1970, -1 where a field is empty."""

    __slots__ = ("name", "hashed", "changed", "longest", "warn", "ends")

    def __init__(self, line: bytes) -> None:
        fields = (line.split(b":") + [b""] * 9)[:9]
        self.name = fields[0]
        self.hashed = fields[1]
        self.changed, _, self.longest, self.warn, _, self.ends = (_days(field) for field in fields[2:8])


def _days(field: bytes) -> int:
    return int(field) if field.isdigit() and len(field) <= 9 else -1


def authenticate(user: str, password: bytes, path: str = PATH) -> Outcome:
    """Is this the password in /etc/shadow, and may it still be used?"""
    entries = _entries(path)
    if isinstance(entries, str):
        return Outcome(UNAVAILABLE, [], entries)
    name = user.encode("utf-8", "surrogateescape")
    entry = next((entry for entry in entries if entry.name == name), None)
    dummy = next((entry.hashed for entry in entries if entry.hashed.startswith(b"$")), NOBODYS)
    usable = entry is not None and not entry.hashed.startswith((b"!", b"*")) and len(entry.hashed) > 1
    try:
        right = matches(password, entry.hashed if entry is not None and usable else dummy)
    except NoLibcrypt as error:
        return Outcome(UNAVAILABLE, [], str(error))
    if entry is None or not usable or not right:
        return Outcome(WRONG, [])
    return age(entry)


def permitted(user: str, path: str = PATH) -> Outcome:
    """May this user, who proved himself by other means, come in?  Somebody without a line has no ages."""
    entries = _entries(path)
    if isinstance(entries, str):
        return Outcome(UNAVAILABLE, [], entries)
    name = user.encode("utf-8", "surrogateescape")
    return next((age(entry) for entry in entries if entry.name == name), Outcome("", []))


def age(entry: Entry, today: int = -1) -> Outcome:
    """shadow(5): the account's last day, a password that must be changed, and warnings before it."""
    if today < 0:
        from time import time

        today = int(time()) // DAY_SECONDS
    if 0 <= entry.ends <= today:
        return Outcome(EXPIRED, ["Account has expired"])
    if entry.changed == 0:
        return Outcome(EXPIRED, ["Password must be changed"])
    left = entry.changed + entry.longest - today if entry.changed > 0 and entry.longest >= 0 else 100_000
    if left < 0:
        return Outcome(EXPIRED, ["Password has expired"])
    if left <= max(entry.warn, 0):
        return Outcome("", [f"Password expires in {left} day(s)" if left else "Password expires today!"])
    return Outcome("", [])


def _entries(path: str) -> list[Entry] | str:
    """The lines of the file, or why it cannot be used."""
    from mailcore.login import secrets

    try:
        text, status = secrets.read(path, secrets.HASH_BITS)
    except secrets.Unusable as error:
        return str(error)
    if status is None:
        return f"{path} is missing"
    return [Entry(line) for line in text.split(b"\n") if line]


# --- libcrypt --------------------------------------------------------------------------------


def matches(password: bytes, hashed: bytes) -> bool:
    """Is this the password of a crypt(3) hash?  NoLibcrypt if nobody can tell."""
    if b"\0" in password or not hashed:
        return False
    crypted = _libcrypt().crypt(password, hashed)  # one question for each process: it need not be reentrant
    if not crypted or crypted.startswith(b"*"):
        return False  # a hash it does not know
    return digests.same(crypted, hashed)


def preload() -> None:
    """Load libcrypt now, so that the forks of a listener need not."""
    try:
        _libcrypt()
    except NoLibcrypt:
        pass


def _libcrypt() -> Any:
    global _library
    if _library is None:
        _library = _loaded()
    return _library


def _loaded() -> Any:
    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.crypt.restype = ctypes.c_char_p
        library.crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        return library
    raise NoLibcrypt("libcrypt.so.1 cannot be loaded")
