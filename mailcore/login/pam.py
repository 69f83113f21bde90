"""The only door to PAM (Linux-PAM, by ctypes): one question, one outcome.

Only the checker comes here.  Called are pam_authenticate, pam_acct_mgmt and pam_setcred as
UW did, and, only if asked, pam_open_session followed at once by pam_close_session (enough for
modules that prepare a home).  `change` asks pam_chauthtok for a new password in place of the
last two.  PAM's own delay is switched off: ours is the same for every failure.
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_uint, c_void_p

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# <security/_pam_types.h>
PAM_SUCCESS = 0
PAM_USER, PAM_RHOST, PAM_FAIL_DELAY = 2, 4, 10
PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_ERROR_MSG, PAM_TEXT_INFO = 1, 2, 3, 4
PAM_DISALLOW_NULL_AUTHTOK = 0x0001
PAM_ESTABLISH_CRED = 0x0002
PAM_BUF_ERR, PAM_CONV_ERR = 5, 19
_EXPIRED = {12, 13, 16, 27}  # NEW_AUTHTOK_REQD, ACCT_EXPIRED, CRED_EXPIRED, AUTHTOK_EXPIRED
_BROKEN = {1, 2, 3, 4, 5, 9, 26, 28}  # OPEN, SYMBOL, SERVICE, SYSTEM, BUF, AUTHINFO_UNAVAIL, ABORT, MODULE_UNKNOWN

_NEW_WANTED = 12  # PAM_NEW_AUTHTOK_REQD: the account is good, and its password is too old

WRONG, EXPIRED, UNAVAILABLE = "WRONG", "EXPIRED", "UNAVAILABLE"
DENIED = "DENIED"  # the password is right; the account rules say no, and not why
REFUSED = "REFUSED"  # the old password is right; the modules did not take the new one


class Outcome:
    """What PAM said: code "" is yes; `user` may be another one than was asked for."""

    __slots__ = ("code", "user", "messages", "detail")

    def __init__(self, code: str, user: str, messages: list[str], detail: str = "") -> None:
        self.code = code
        self.user = user
        self.messages = messages
        self.detail = detail


class _Message(Structure):
    _fields_ = [("style", c_int), ("text", c_char_p)]


class _Response(Structure):
    _fields_ = [("text", c_void_p), ("retcode", c_int)]


_CONV = CFUNCTYPE(c_int, c_int, POINTER(POINTER(_Message)), POINTER(POINTER(_Response)), c_void_p)
_DELAY = CFUNCTYPE(None, c_int, c_uint, c_void_p)


class _Conv(Structure):
    _fields_ = [("conv", _CONV), ("data", c_void_p)]


@_DELAY  # type: ignore[untyped-decorator]
def _no_delay(status: int, microseconds: int, data: int) -> None:
    """Replaces PAM's own sleep."""


class _Talk:
    """PAM's side of a login dialogue: gives the name and the password, keeps the messages."""

    def __init__(self, libc: Any, user: bytes, password: bytes) -> None:
        self.libc = libc
        self.answers = {PAM_PROMPT_ECHO_ON: user, PAM_PROMPT_ECHO_OFF: password}
        self.new = b""  # the answer where a new password is asked for, once it may be
        self.messages: list[str] = []

    def __call__(self, count: int, messages: Any, responses: Any, data: object) -> int:
        """pam_conv(3); PAM frees what is answered."""
        array = self.libc.calloc(count, ctypes.sizeof(_Response))
        if not array:
            return PAM_BUF_ERR
        answers = ctypes.cast(array, POINTER(_Response))
        for index in range(count):
            message = messages[index].contents
            if message.style in self.answers:
                answers[index].text = self.libc.strdup(self._answer(message.style, message.text or b""))
            elif message.style in (PAM_TEXT_INFO, PAM_ERROR_MSG):
                self.messages += _lines(message.text)
            else:
                self._free(array, answers, index)
                return PAM_CONV_ERR
        responses[0] = answers
        return PAM_SUCCESS

    def _answer(self, style: int, prompt: bytes) -> bytes:
        """Modules ask for a new password by that word ("New password:", "Retype new ..."), for the old one without."""
        new = style == PAM_PROMPT_ECHO_OFF and self.new and b"new" in prompt.lower()
        return self.new if new else self.answers[style]

    def _free(self, array: int, answers: Any, count: int) -> None:
        for index in range(count):
            self.libc.free(answers[index].text)
        self.libc.free(array)


def _lines(text: bytes | None) -> list[str]:
    """A module's message as lines fit for a client."""
    told = (text or b"").decode("ascii", "replace").replace("\ufffd", "?")
    lines = ("".join(ch for ch in line if " " <= ch < "\x7f").strip() for line in told.splitlines())
    return [line for line in lines if line]


def present() -> bool:
    """There is a libpam on this machine."""
    try:
        ctypes.CDLL("libpam.so.0")
    except OSError:
        return False
    return True


def authenticate(service: str, user: str, password: bytes, rhost: str = "", session: bool = False) -> Outcome:
    """Ask PAM whether `user` may come in from `rhost` (an address, "" unknown) with this password."""
    steps = [
        ("pam_authenticate", PAM_DISALLOW_NULL_AUTHTOK),
        ("pam_acct_mgmt", PAM_DISALLOW_NULL_AUTHTOK),
        ("pam_setcred", PAM_ESTABLISH_CRED),
    ]
    if session:
        steps += [("pam_open_session", 0), ("pam_close_session", 0)]
    return _ask(service, user, password, rhost, lambda libpam, handle, talk: _go(libpam, handle, steps))


def permitted(service: str, user: str, rhost: str = "") -> Outcome:
    """Ask PAM whether `user`, who proved himself by other means, may come in (as sshd does for keys)."""
    steps = [("pam_acct_mgmt", 0)]
    return _ask(service, user, b"", rhost, lambda libpam, handle, talk: _go(libpam, handle, steps))


def change(service: str, user: str, old: bytes, new: bytes, rhost: str = "") -> Outcome:
    """Ask PAM to take `new` in place of `old`; the outcome's messages say why it did not."""
    return _ask(service, user, old, rhost, lambda libpam, handle, talk: _steps_to_new(libpam, handle, talk, new))


def _ask(service: str, user: str, password: bytes, rhost: str, steps: Callable[..., tuple[str, int]]) -> Outcome:
    """One conversation with PAM, from its start to its end."""
    try:
        libpam, libc = _libraries()
    except OSError as error:
        return Outcome(UNAVAILABLE, user, [], str(error))
    name = user.encode("utf-8", "surrogateescape")
    talk = _Talk(libc, name, password)
    conv = _Conv(_CONV(talk), None)
    handle = c_void_p()
    status = libpam.pam_start(service.encode(), name, byref(conv), byref(handle))
    if status != PAM_SUCCESS:
        return Outcome(UNAVAILABLE, user, [], f"pam_start: {status}")
    try:
        libpam.pam_set_item(handle, PAM_FAIL_DELAY, ctypes.cast(_no_delay, c_void_p))
        if rhost:
            libpam.pam_set_item(handle, PAM_RHOST, rhost.encode())
        step, status = steps(libpam, handle, talk)
        detail = f"{step}: {(libpam.pam_strerror(handle, status) or b'').decode('ascii', 'replace')}"
        return Outcome(_code(step, status), _user(libpam, handle, user), talk.messages, detail)
    finally:
        libpam.pam_end(handle, status)


def _go(libpam: Any, handle: c_void_p, steps: list[tuple[str, int]]) -> tuple[str, int]:
    """The first step that fails and how, or the last one and PAM_SUCCESS."""
    name, status = "", PAM_SUCCESS
    for name, flags in steps:
        status = getattr(libpam, name)(handle, flags)
        if status != PAM_SUCCESS:
            break
    return name, status


def _steps_to_new(libpam: Any, handle: c_void_p, talk: _Talk, new: bytes) -> tuple[str, int]:
    """The same on the way to a new password, which one that is too old does not bar."""
    status = libpam.pam_authenticate(handle, PAM_DISALLOW_NULL_AUTHTOK)
    if status != PAM_SUCCESS:
        return "pam_authenticate", status
    status = libpam.pam_acct_mgmt(handle, PAM_DISALLOW_NULL_AUTHTOK)
    if status not in (PAM_SUCCESS, _NEW_WANTED):
        return "pam_acct_mgmt", status
    talk.new = new
    talk.messages.clear()  # "your password has expired" is no reason to give for a refusal
    return "pam_chauthtok", libpam.pam_chauthtok(handle, 0)


def _code(step: str, status: int) -> str:
    """Expiry is told only to who knows the password: after pam_authenticate said yes."""
    if status == PAM_SUCCESS:
        return ""
    if step == "pam_chauthtok":
        return REFUSED
    if status in _EXPIRED and step != "pam_authenticate":
        return EXPIRED
    if status in _BROKEN:
        return UNAVAILABLE
    return DENIED if step == "pam_acct_mgmt" else WRONG


def _user(libpam: Any, handle: c_void_p, user: str) -> str:
    item = c_char_p()
    if libpam.pam_get_item(handle, PAM_USER, byref(item)) != PAM_SUCCESS or not item.value:
        return user
    return item.value.decode("utf-8", "surrogateescape")


def _libraries() -> tuple[Any, Any]:
    libpam = ctypes.CDLL("libpam.so.0")
    libc = ctypes.CDLL(None)
    libc.calloc.restype = libc.strdup.restype = c_void_p
    libc.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    libc.strdup.argtypes = [c_char_p]
    libc.free.argtypes = [c_void_p]
    libc.free.restype = None
    libpam.pam_start.argtypes = [c_char_p, c_char_p, c_void_p, c_void_p]
    libpam.pam_set_item.argtypes = [c_void_p, c_int, c_void_p]
    libpam.pam_get_item.argtypes = [c_void_p, c_int, c_void_p]
    libpam.pam_strerror.argtypes = [c_void_p, c_int]
    libpam.pam_strerror.restype = c_char_p
    for name in (
        "pam_authenticate",
        "pam_acct_mgmt",
        "pam_setcred",
        "pam_chauthtok",
        "pam_open_session",
        "pam_close_session",
        "pam_end",
    ):
        getattr(libpam, name).argtypes = [c_void_p, c_int]
    return libpam, libc
