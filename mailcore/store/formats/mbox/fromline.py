"""The line that separates messages in an mbox: bytes in, date and sender out.

What lives here: the grammar of "From " lines, reading and writing.  What does not: where in a
file such a line counts (scan.py: at the start and after an empty line).

There is no standard; RFC 4155 §3 describes one form.  What is accepted is what UW's macro
VALID accepted (uw-behaviour 6.2: it looked at blanks and colons only, so "Xxx Yyy 99
77:88:99 abcd" is a date to separate by), and more: days and hours of one digit, zones of any
length and of two words ("MET DST"), "(UTC)" after the zone, blanks at the end.
"""

from __future__ import annotations

from time import gmtime, localtime

from mailcore.expressions import Expression

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

LINE_OCTETS = 1000  # a longer line separates nothing
YEAR_10000 = 253402300800  # its first second: years have four digits

# RFC 3501 and RFC 822 §5.1 name these; everybody else's names mean several things
_ZONES = {
    b"UT": 0, b"GMT": 0, b"UTC": 0, b"Z": 0, b"WET": 0, b"EST": -300, b"EDT": -240, b"CST": -360, b"CDT": -300,
    b"MST": -420, b"MDT": -360, b"PST": -480, b"PDT": -420, b"BST": 60, b"CET": 60, b"MET": 60, b"CEST": 120,
    b"MEST": 120, b"EET": 120, b"EEST": 180,
}  # fmt: skip
_MONTHS = {name: number for number, name in enumerate(
    (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
)}  # fmt: skip
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_WORD = rb"\S{3}"
_ZONE = rb"(?: ([+-]?[A-Za-z0-9]{1,6}(?: DST)?))?"
_DATE = Expression(
    rb" (" + _WORD + rb"),? {1,2}(" + _WORD + rb") {1,2}(\S{1,2}) (\S{1,2}):(\S{2})(?::(\S{2}))?"
    + _ZONE + rb" (\S{4})" + _ZONE + rb"(?: \([A-Za-z]{1,6}\))?(?: remote from [^\n]*)?[ \t]*\r?\n?\Z"
)  # fmt: skip
_USUAL = Expression(rb"From \S* (\S{3}) (\S{3}) ([ \d]\d) \d\d:\d\d:\d\d (\d{4})\n")  # as ctime(3) has it
# the same told without `re`, which a cold session may do without: letters as `a`, digits as `0`
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE = bytes.maketrans(_LETTERS + b"0123456789", b"a" * len(_LETTERS) + b"0" * 10)
_USUAL_SHAPES = (b" aaa aaa 00 00:00:00 0000", b" aaa aaa  0 00:00:00 0000")
_KEPT = 5000
_midnights: dict[bytes, int] = {}  # b"Sat Nov 21  2026": its first second, zone not counted
_zones: dict[int, int] = {}  # ten minutes: this machine's zone then


def is_separator(line: bytes) -> bool:
    """Is this line (with or without its line end) a separator?"""
    if not line.startswith(b"From ") or len(line) > LINE_OCTETS:
        return False
    return line.removesuffix(b"\n")[4:][-25:].translate(_SHAPE) in _USUAL_SHAPES or _DATE.search(line, 4) is not None


def parse(line: bytes) -> tuple[bytes, int, int] | None:
    """Sender, unix seconds and zone minutes of a separator; None if it is none.

    A date that separates but cannot be read is 1-Jan-1970 (as UW).  Without a zone the date
    is local time of that day.
    """
    if len(line) > LINE_OCTETS or not line.startswith(b"From "):
        return None
    found = _DATE.search(line, 4)
    if found is None:
        return None
    seconds, zone = _instant(found)
    return line[5 : found.start()].strip(), seconds, zone


def moment(line: bytes) -> tuple[int, int] | None:
    """Unix seconds and zone minutes as `parse` tells them; in the usual form, a day is reckoned once."""
    date = line[-25:-1]
    midnight = _midnights.get(date[:11] + date[19:])
    if midnight is None or line.find(b" ", 5) != len(line) - 26 or not line.startswith(b"From ") or date[13] != 58:
        return _moment(line)
    clock = date[11:13] + date[14:16] + date[17:19]
    if not clock.isdigit() or date[16] != 58 or len(line) > LINE_OCTETS:
        return _moment(line)
    seconds = midnight + int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:])
    zone = _zones.get(seconds // 600)
    if zone is None:
        zone = _zones[seconds // 600] = local_zone(seconds)
    return seconds - zone * 60, zone


def _moment(line: bytes) -> tuple[int, int] | None:
    parsed = parse(line)
    usual = _USUAL.fullmatch(line)
    if parsed is not None and usual is not None and usual[2].lower() in _MONTHS:
        if len(_midnights) + len(_zones) > _KEPT:
            _midnights.clear()
            _zones.clear()
        date = line[-25:-1]
        day = int(usual[4]), _MONTHS[usual[2].lower()], int(usual[3])
        _midnights[date[:11] + date[19:]] = timestamp(*day, 0, 0, 0)
    return parsed and parsed[1:]


def _instant(found: re.Match[bytes]) -> tuple[int, int]:
    _, month_name, day, hour, minute, second, before, year, after = found.groups()
    if before is not None and before.isdigit() and len(before) == 4 and not year.isdigit():
        before, year, after = None, before, year  # "2026 CEST": the year came first
    month = _MONTHS.get(month_name.lower())
    if month is None or not (day + hour + minute + (second or b"") + year).isdigit():
        return 0, 0
    seconds = timestamp(int(year), month, int(day), int(hour), int(minute), int(second or 0))
    zone = _zone(before or after)
    if zone is None:
        zone = local_zone(seconds)
    return seconds - zone * 60, zone


def _zone(text: bytes | None) -> int | None:
    """Minutes east of Greenwich; None: not known."""
    if text is None:
        return None
    if text[:1] in b"+-" and len(text) == 5 and text[1:].isdigit():
        minutes = int(text[1:3]) * 60 + int(text[3:5])
        if minutes < 24 * 60:
            return -minutes if text[:1] == b"-" else minutes
        return None
    return _ZONES.get(text.upper())


def timestamp(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """Seconds since 1970 of a date as it is written, zone not counted (days by civil reckoning)."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
    return days * 86400 + hour * 3600 + minute * 60 + second


def local_zone(seconds: int) -> int:
    """This machine's zone at a moment, in minutes."""
    try:
        return localtime(seconds).tm_gmtoff // 60
    except (OverflowError, ValueError, OSError):
        return 0


def write(sender: str, seconds: int, zone: int) -> bytes:
    """A separator as UW wrote them: zone after the year (uw-behaviour 6.2, form 10)."""
    local = seconds + zone * 60
    when = gmtime(local if 0 <= local < YEAR_10000 else 0)
    sign, minutes = ("-", -zone) if zone < 0 else ("+", zone)
    date = (
        f"{_DAYS[when.tm_wday]} {_MONTH_NAMES[when.tm_mon - 1]} {when.tm_mday:2} "
        f"{when.tm_hour:02}:{when.tm_min:02}:{when.tm_sec:02} {when.tm_year:04} "
        f"{sign}{minutes // 60:02}{minutes % 60:02}"
    )
    return f"From {sender} {date}\n".encode("ascii", "replace")
