"""Dates: what people and programs write, and what IMAP writes and reads."""

import datetime
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message import dates

NOON = int(datetime.datetime(2026, 11, 21, 12, 0, 5, tzinfo=datetime.UTC).timestamp())
MIDNIGHT = NOON - 12 * 3600 - 5


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (b"Sat, 21 Nov 2026 12:00:05 +0000", (NOON, 0)),
        (b"Sat, 21 Nov 2026 13:00:05 +0100 (CET)", (NOON, 60)),
        (b"21 Nov 2026 06:30:05 -0530", (NOON, -330)),
        (b"  sat,21 nov 26 12:00:05 gmt", (NOON, 0)),
        (b"Saturday, 21-November-2026 07:00:05 EST", (NOON, -300)),
        (b"Sat, 21 Nov 2026 12:00:05", (NOON, 0)),
        (b"Sat, 21 Nov 2026 12:00:05 XYZ", (NOON, 0)),
        (b"Sat, 21 Nov 2026 12:00:05 +9999", (NOON, 0)),
        (b"Sat, 21 Nov 2026 12:00 +0000", (NOON - 5, 0)),
        (b"Sat, 21 Nov 2026 12.00.05 +0000", (NOON, 0)),
        (b"Sat, 21 Nov 2026 12:00:05.123 +00:00", (NOON, 0)),
        (b"Sat, 21 Nov 2026", (MIDNIGHT, 0)),
        (b"Sat, 21 Nov 2026 99:99:99 +0000", (MIDNIGHT, 0)),
        (b"Sat Nov 21 12:00:05 2026", (NOON, 0)),
        (b"Sat Nov 21 14:00:05 CEST 2026", (NOON, 120)),
        (b"2026-11-21T12:00:05Z", (NOON, 0)),
        (b"2026-11-21 13:00:05+01:00", (NOON, 60)),
        (b"1 Jan 70 00:00:00 +0000", (0, 0)),
        (b"1 Jan 102 00:00:00 +0000", (1009843200, 0)),
        (b"31 Feb 2026 00:00:00 +0000", (1772496000, 0)),
        (b"", None),
        (b"not a date", None),
        (b"21 Foo 2026 12:00:00 +0000", None),
        (b"0 Nov 2026 12:00:00 +0000", None),
        (b"32 Nov 2026 12:00:00 +0000", None),
        (b"21 Nov 0000 12:00:00 +0000", None),
    ],
)
def test_rfc822(value, date):
    assert dates.rfc822(value) == date


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (b"Sat Nov 21 12:00 2026", (NOON - 3605, 60)),
        (b"Sat Nov 21 13:00:05 2026", (NOON, 60)),
        (b"Sat Nov 21 12:00 GMT 2026", (NOON - 5, 0)),
        (b"Sat Nov 21 07:00:05 EST 2026", (NOON, -300)),
        (b"Sat Nov 21 07:00 -0500 2026", (NOON - 5, -300)),
        (b"Sat Nov 21 07:00:05 -0500 2026", (NOON, -300)),
        (b"Sat Nov 21 07:00 2026 EST", (NOON - 5, -300)),
        (b"Sat Nov 21 07:00:05 2026 EST", (NOON, -300)),
        (b"Sat Nov 21 07:00 2026 -0500", (NOON - 5, -300)),
        (b"Sat Nov 21 07:00:05 2026 -0500", (NOON, -300)),
        (b"Sat Nov 21 07:00:05 2026 -0500 remote from x", (NOON, -300)),
        (b"Sat Nov 21 13:00:05 2026 remote from x", (NOON, 60)),
        (b"Sun Nov  1 01:00:00 2026", (NOON - 20 * 86400 - 43205, 60)),
        (b"Sun Nov 1 1:00:00 2026", (NOON - 20 * 86400 - 43205, 60)),
        (b"Xxx Yyy 99 77:88:99 abcd", None),
        (b"", None),
    ],
)
def test_from_line_date(value, date):
    assert dates.from_line_date(value, 60) == date


def test_the_default_zone_may_depend_on_the_date():
    asked = []
    assert dates.from_line_date(b"Sat Nov 21 12:00:05 2026", lambda seconds: asked.append(seconds) or -60) == (
        NOON + 3600,
        -60,
    )
    assert asked == [NOON]


def test_internal_date():
    assert dates.internal_date(837596665, -420) == b"17-Jul-1996 02:44:25 -0700"
    assert dates.internal_date(0, 0) == b" 1-Jan-1970 00:00:00 +0000"
    assert dates.internal_date(-1, 330) == b" 1-Jan-1970 05:29:59 +0530"
    assert dates.internal_date(10**15, 0).startswith(b"31-Dec-9999")
    assert dates.internal_date(-(10**15), 0).startswith(b" 1-Jan-0001")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        (b"1-Jan-1970", 0),
        (b"01-jan-1970", 0),
        (b"1-Feb-1994", 8797),
        (b"29-Feb-2024", 19782),
        (b"29-Feb-2023", None),
        (b"31-Apr-2023", None),
        (b"0-Jan-1970", None),
        (b"1-Jan-70", None),
        (b"1-Jan-0000", None),
        (b"1-January-1970", None),
        (b"1 Jan 1970", None),
        (b" 1-Jan-1970", None),
        (b"1-Jan-1970\n", None),
        (b"", None),
    ],
)
def test_imap_date(text, day):
    assert dates.imap_date(text) == day


@pytest.mark.parametrize(
    ("text", "date"),
    [
        (b"17-Jul-1996 02:44:25 -0700", (837596665, -420)),
        (b" 1-Jan-1970 00:00:00 +0000", (0, 0)),
        (b"01-Jan-1970 05:30:00 +0530", (0, 330)),
        (b"1-Jan-1970 00:00:00 +0000", None),
        (b" 1-Jan-1970 24:00:00 +0000", None),
        (b" 1-Jan-1970 00:60:00 +0000", None),
        (b" 1-Jan-1970 00:00:00 +0060", None),
        (b" 1-Jan-1970 00:00:00 0000", None),
        (b" 1-Jan-1970 00:00:00", None),
        (b"31-Jun-1970 00:00:00 +0000", None),
        (b" 1-Jan-1970  0:00:00 +0000", None),
    ],
)
def test_imap_date_time(text, date):
    assert dates.imap_date_time(text) == date


@given(st.integers(-62135510400, 253402214400), st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_what_we_write_we_read(seconds, zone):
    written = dates.internal_date(seconds, zone)
    assert len(written) == 26
    assert dates.imap_date_time(written) == (seconds, zone)
    assert dates.imap_date(written[:11].strip()) == dates.day(seconds, zone)


@given(st.dates())
def test_the_calendar_is_the_calendar(date):
    assert dates.ordinal(date.year, date.month, date.day) == date.toordinal() - datetime.date(1970, 1, 1).toordinal()


@given(st.binary() | st.text("0123456789:-+ ,.JanuryFebSatZT").map(str.encode))
def test_any_bytes(value):
    for read in (dates.rfc822, dates.imap_date_time, lambda value: dates.from_line_date(value, 0)):
        found = read(value)
        assert found is None or dates.internal_date(*found)
    dates.imap_date(value)


@pytest.mark.parametrize("piece", [b" ", b"a", b"1", b"-", b"1 Jan ", b"Jan 1 ", b"Sat, "])
def test_bombs(piece):
    start = time.process_time()
    dates.rfc822(piece * (1_000_000 // len(piece)))
    dates.rfc822(b"Sat, 21 Nov" + piece * (1_000_000 // len(piece)))
    dates.rfc822(b"21 Nov 2026 12:00:00" + piece * (1_000_000 // len(piece)))
    assert time.process_time() - start < 1
