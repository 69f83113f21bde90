"""The only door to syslog.

UW's facilities and wording: LOG_MAIL for what happens, LOG_AUTH for refused logins (what
fail2ban reads).  One event is one line; whatever a stranger chose is written with its
controls and 8-bit octets as \\xNN, and cut.  Never a password, never mail.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

FIELD_OCTETS = 80  # UW cuts there

_syslog: ModuleType | None = None
_confess: Callable[[BaseException], str] | None = None


def open_log(ident: str) -> None:
    """Name the lines of this process (`imapd[123]: …`)."""
    global _syslog
    import syslog

    syslog.openlog(ident, syslog.LOG_PID, syslog.LOG_MAIL)
    _syslog = syslog


def close_log(confess: Callable[[BaseException], str] | None = None) -> None:
    """No more lines from this process: it has no way to syslog, or none that it may use.

    `confess` then takes what `tracebacks` is given, and returns the id.
    """
    global _syslog, _confess
    if _syslog is not None:
        _syslog.closelog()
    _syslog, _confess = None, confess


def clean(value: bytes | str) -> str:
    """What a stranger wrote, fit for one field of a log line."""
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    cut = data[:FIELD_OCTETS]
    return "".join(chr(octet) if 0x20 <= octet < 0x7F and octet != 0x5C else f"\\x{octet:02x}" for octet in cut)


def word(value: str) -> str:
    """One field of a line: no blanks either, so that fail2ban finds its end."""
    return clean(value).replace(" ", "\\x20")


def _line(level: str, text: str) -> None:
    if _syslog is not None:
        _syslog.syslog(getattr(_syslog, level), " ".join(text.split("\n")))


def debug(text: str) -> None:
    _line("LOG_DEBUG", text)


def info(text: str) -> None:
    """What happened: logins, logouts."""
    _line("LOG_INFO", text)


def warning(text: str) -> None:
    """Something an administrator should see some day."""
    _line("LOG_WARNING", text)


def error(text: str) -> None:
    """Something went wrong."""
    _line("LOG_ERR", text)


def alert(text: str) -> None:
    """Something an administrator should see now."""
    _line("LOG_ALERT", text)


def refused(text: str) -> None:
    """A login that was not let in (auth.notice, as UW)."""
    if _syslog is not None:
        _syslog.syslog(_syslog.LOG_AUTH | _syslog.LOG_NOTICE, " ".join(text.split("\n")))


_FACILITIES = (
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user", "uucp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_OTHER_NAMES = {"panic": "emerg", "error": "err", "warn": "warning", "security": "auth"}


def is_severity(value: str) -> bool:
    """Is it `level` or `facility.level`, in the words of syslog.conf(5)?"""
    return _severity(value) is not None


def _severity(value: str) -> tuple[str, str] | None:
    facility, dot, level = value.lower().rpartition(".")
    facility, level = (_OTHER_NAMES.get(word, word) for word in (facility, level))
    return (facility, level) if level in _LEVELS and (not dot or facility in _FACILITIES) else None


def at(severity: str, text: str) -> None:
    """A line with the severity that an administrator asks for; mail.warning without one."""
    facility, level = _severity(severity) or ("", "warning")
    if _syslog is not None:
        priority = getattr(_syslog, f"LOG_{level.upper()}")
        if facility:
            priority |= getattr(_syslog, f"LOG_{facility.upper()}")
        _syslog.syslog(priority, " ".join(text.split("\n")))


def tracebacks(error_: BaseException) -> str:
    """Log an error of our own with an id; the id is all the client hears."""
    if _confess is not None:
        return _confess(error_)
    import binascii
    import os
    import traceback

    name = binascii.hexlify(os.urandom(4)).decode()
    for line in "".join(traceback.format_exception(error_)).splitlines():
        error(f"[{name}] {line}")
    return name


def where(error_: BaseException) -> str:
    """An error's class and the places it came from, innermost first, on one line.

    For processes that hold passwords or can import nothing: no value is told, except what the
    operating system says of a call.
    """
    places = []
    trace = error_.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    told = f": {error_}" if isinstance(error_, (OSError, ImportError)) else ""
    return " < ".join([type(error_).__name__ + told, *reversed(places)])
