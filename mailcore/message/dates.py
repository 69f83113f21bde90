"""Dates: of Date fields and From_ lines as people and programs write them, and of IMAP.

What lives here: text to Unix seconds with the zone it was told in (minutes east), and back.
What does not: the local zone, which whoever calls knows (no os on this floor).

Days are counted from 1 January 1970 (an ordinal); SEARCH compares days as their senders
wrote them, without regard to the zone (RFC 3501 §6.4.4).
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Date = tuple[int, int]  # Unix seconds, zone minutes

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_EPOCH = 719162  # days from 1 January of the year 1 to 1 January 1970
_LAST_DAY = 2932896  # 31 December 9999: four digits are all that IMAP has for a year

# RFC 5322 §4.3, and the European and Asian names that programs still write.  Any other name
# is 0, as the RFC says: nobody knows what it means.
_ZONE_TABLE = """UT 0 UTC 0 GMT 0 Z 0 EST -300 EDT -240 CST -360 CDT -300 MST -420 MDT -360 PST -480 PDT -420
    AKST -540 AKDT -480 HST -600 AST -240 ADT -180 NST -210 NDT -150 WET 0 WEST 60 BST 60
    CET 60 MET 60 MEZ 60 CEST 120 MEST 120 MESZ 120 EET 120 EEST 180 MSK 180 MSD 240 JST 540 KST 540"""
_ZONE_WORDS = _ZONE_TABLE.split()
_ZONES = {name.encode(): int(minutes) for name, minutes in zip(_ZONE_WORDS[::2], _ZONE_WORDS[1::2], strict=True)}

_TIME = rb"(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:\.\d{1,9})?)?"
_ZONE = rb"([+-]\d{4}|[+-]\d\d:\d\d|[A-Za-z]{1,5})"
# 21 Nov 2026 12:00:00 +0100, with or without a day of the week, dashes and seconds
_RFC822 = re.compile(
    rb"\s*+(?:[A-Za-z]{2,9}+[.,]*+\s*+)?(\d{1,2})[\s-]*+([A-Za-z]{3})[a-z]{0,6}[.,]?[\s-]*+(\d{2,4})"
    rb"(?:[\s,]++" + _TIME + rb"(?:\s*+" + _ZONE + rb")?)?"
)
# Sat Nov 21 12:00:00 2026, the zone before or after the year (asctime, date(1), From_ lines)
_ASCTIME = re.compile(
    rb"\s*+(?:[A-Za-z]{3}[a-z]{0,6},?\s++)?([A-Za-z]{3})[a-z]{0,6}\s++(\d{1,2}),?\s++" + _TIME + rb"\s++"
    rb"(?:" + _ZONE + rb"\s++)?(\d{4}|\d\d(?!\d))(?:\s++" + _ZONE + rb"(?![A-Za-z0-9]))?"
)
# 2026-11-21T12:00:00+01:00 (RFC 3339)
_ISO = re.compile(rb"\s*+(\d{4})-(\d\d)-(\d\d)(?:[T\s]\s*+" + _TIME + rb"(?:\s*+" + _ZONE + rb")?)?")

_IMAP_DATE = re.compile(rb"(\d{1,2})-([A-Za-z]{3})-(\d{4})")
_IMAP_DATE_TIME = re.compile(rb"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


# --- calendar --------------------------------------------------------------------------


def ordinal(year: int, month: int, day: int) -> int:
    """Days since 1 January 1970; a day past the end of its month counts on into the next one."""
    before = year - 1
    leap = month > 2 and _leap(year)
    days = before * 365 + before // 4 - before // 100 + before // 400
    return days - _EPOCH + _DAYS_BEFORE[month - 1] + leap + day - 1


def day(seconds: int, zone_minutes: int) -> int:
    """The ordinal of the day that it was where the date was written."""
    return (seconds + zone_minutes * 60) // 86400


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _calendar(days: int) -> tuple[int, int, int]:
    """Year, month and day of an ordinal: the inverse of `ordinal`."""
    days += _EPOCH
    cycles, days = divmod(days, 146097)
    centuries = min(days // 36524, 3)
    days -= centuries * 36524
    fours, days = divmod(days, 1461)
    years = min(days // 365, 3)
    days -= years * 365
    year = cycles * 400 + centuries * 100 + fours * 4 + years + 1
    month = 12
    while days < _DAYS_BEFORE[month - 1] + (month > 2 and _leap(year)):
        month -= 1
    return year, month, days - _DAYS_BEFORE[month - 1] - (month > 2 and _leap(year)) + 1


# --- reading what others wrote -----------------------------------------------------------


def rfc822(value: bytes) -> Date | None:
    """The date of a Date field (RFC 5322 §3.3, §4.3), asctime and RFC 3339 forms too; None if it is none."""
    found = _RFC822.match(value)
    if found:
        number, name, year, hour, minute, second, zone = found.groups()
        month = _MONTH.get(name.lower(), 0)
        return _date(_year(year), month, int(number), (hour, minute, second), _zone(zone))
    return from_line_date(value, 0) or _iso(value)


def from_line_date(value: bytes, default_zone: int | Callable[[int], int]) -> Date | None:
    """The date of a From_ line (`Sat Nov 21 12:00:00 2026`); None if it is none.

    Without a zone it is told in `default_zone`: minutes, or a function that is given the
    seconds as they would be in UTC (daylight saving time depends on them).
    """
    found = _ASCTIME.match(value)
    if not found:
        return None
    name, number, hour, minute, second, zone, year, late_zone = found.groups()
    date = _date(_year(year), _MONTH.get(name.lower(), 0), int(number), (hour, minute, second), 0)
    if date is None:
        return None
    zone = zone or late_zone
    minutes = _zone(zone) if zone else default_zone if isinstance(default_zone, int) else default_zone(date[0])
    return date[0] - minutes * 60, minutes


def _iso(value: bytes) -> Date | None:
    found = _ISO.match(value)
    if not found:
        return None
    year, month, number, hour, minute, second, zone = found.groups()
    return _date(int(year), int(month), int(number), (hour, minute, second), _zone(zone))


def _year(digits: bytes) -> int:
    """RFC 5322 §4.3: two digits are 1950-2049, three count from 1900."""
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(digits) == 3 else year


def _zone(zone: bytes | None) -> int:
    """Minutes east of UTC."""
    if not zone:
        return 0
    sign = zone[:1]
    if sign not in (b"+", b"-"):
        return _ZONES.get(zone.upper(), 0)
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    if minutes >= 24 * 60 or zone[-2] > 0x35:  # no such place on this planet
        return 0
    return -minutes if sign == b"-" else minutes


def _date(year: int, month: int, number: int, time: tuple[bytes | None, ...], zone: int) -> Date | None:
    if not (1 <= month <= 12 and 1 <= number <= 31 and 1 <= year <= 9999):
        return None
    hour, minute, second = (int(part) if part else 0 for part in time)
    if hour > 23 or minute > 59 or second > 60:
        hour = minute = second = 0  # the day is worth keeping
    return ordinal(year, month, number) * 86400 + hour * 3600 + minute * 60 + second - zone * 60, zone


# --- IMAP --------------------------------------------------------------------------------


def internal_date(seconds: int, zone_minutes: int) -> bytes:
    """`17-Jul-1996 02:44:25 -0700`, the day padded with a blank (RFC 3501 §9 date-time, unquoted)."""
    days, rest = divmod(seconds + zone_minutes * 60, 86400)
    year, month, number = _calendar(min(max(days, -_EPOCH), _LAST_DAY))
    hours, minutes = divmod(min(abs(zone_minutes), 99 * 60 + 59), 60)
    return b"%2d-%b-%04d %02d:%02d:%02d %b%02d%02d" % (
        *(number, MONTHS[month - 1], year),
        *(rest // 3600, rest // 60 % 60, rest % 60),
        *(b"-" if zone_minutes < 0 else b"+", hours, minutes),
    )


def imap_date(text: bytes) -> int | None:
    """The ordinal of `1-Feb-1994` (RFC 3501 §9 date-text); None if there is no such day."""
    found = _IMAP_DATE.fullmatch(text)
    return _known_day(found[3], found[2], found[1]) if found else None


def imap_date_time(text: bytes) -> Date | None:
    """`17-Jul-1996 02:44:25 -0700`, unquoted (RFC 3501 §9 date-time); None if there is no such time."""
    found = _IMAP_DATE_TIME.fullmatch(text)
    if not found:
        return None
    days = _known_day(found[3], found[2], found[1])
    hour, minute, second, zone_hours, zone_minutes = (int(found[group]) for group in (4, 5, 6, 8, 9))
    if days is None or hour > 23 or minute > 59 or second > 60 or zone_minutes > 59 or zone_hours > 23:
        return None
    zone = (zone_hours * 60 + zone_minutes) * (-1 if found[7] == b"-" else 1)
    return days * 86400 + hour * 3600 + minute * 60 + second - zone * 60, zone


def _known_day(year: bytes, name: bytes, number: bytes) -> int | None:
    """A day that is in the calendar."""
    month, in_year, of_month = _MONTH.get(name.lower(), 0), int(year), int(number)
    if not month or not in_year or not 1 <= of_month <= _MONTH_DAYS[month - 1] + (month == 2 and _leap(in_year)):
        return None
    return ordinal(in_year, month, of_month)
