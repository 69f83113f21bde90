"""The grammar of separators, as a table."""

from __future__ import annotations

import time

import pytest

from mailcore.store.formats.mbox import fromline

NOON = 1795262400  # 21 Nov 2026 12:00:00 UTC

SEPARATORS = [
    # UW's ten forms (uw-behaviour 6.2)
    (b"From a@b Sat Nov 21 12:00 2026", b"a@b", NOON, 0),
    (b"From a@b Sat Nov 21 12:00:00 2026", b"a@b", NOON, 0),
    (b"From a@b Sat Nov 21 12:00 EST 2026", b"a@b", NOON + 18000, -300),
    (b"From a@b Sat Nov 21 12:00:00 GMT 2026", b"a@b", NOON, 0),
    (b"From a@b Sat Nov 21 12:00 +0130 2026", b"a@b", NOON - 5400, 90),
    (b"From a@b Sat Nov 21 12:00:00 -0700 2026", b"a@b", NOON + 25200, -420),
    (b"From a@b Sat Nov 21 12:00 2026 EDT", b"a@b", NOON + 14400, -240),
    (b"From a@b Sat Nov 21 12:00:00 2026 UT", b"a@b", NOON, 0),
    (b"From a@b Sat Nov 21 12:00 2026 -0330", b"a@b", NOON + 12600, -210),
    (b"From a@b Sat Nov 21 12:00:00 2026 +0000", b"a@b", NOON, 0),
    # only blanks, colons and the sign count; a date nobody can read is 1970
    (b"From x Xxx Yyy 99 77:88:99 abcd", b"x", 0, 0),
    # wider than UW
    (b"From a Sun Nov  1 12:00:00 2026", b"a", NOON - 20 * 86400, 0),
    (b"From a Sun Nov 1 2:00:00 2026", b"a", NOON - 20 * 86400 - 36000, 0),
    (b"From a Sat Nov 21 12:00:00 CEST 2026", b"a", NOON - 7200, 120),
    (b"From a Sat Nov 21 12:00:00 2026 CEST", b"a", NOON - 7200, 120),
    (b"From a Sat Nov 21 12:00:00 MET DST 2026", b"a", None, None),
    (b"From a Sat Nov 21 12:00:00 2026 +0000 (UTC)", b"a", NOON, 0),
    (b"From a Sat, Nov 21 12:00:00 2026", b"a", NOON, 0),
    (b"From a Sat Nov 21 12:00:00 2026 remote from host", b"a", NOON, 0),
    (b"From a Sat Nov 21 12:00:00 2026  \t", b"a", NOON, 0),
    (b"From a Sat Nov 21 12:00:00 2026\r\n", b"a", NOON, 0),
    (b"From  Sat Nov 21 12:00:00 2026\n", b"", NOON, 0),
    (b"From Sat Nov 21 12:00:00 2026\n", b"", NOON, 0),
    (b'From "a b"@c d Sat Nov 21 12:00:00 2026', b'"a b"@c d', NOON, 0),
    (b"From \xff\x00 Sat Nov 21 12:00:00 2026", b"\xff\x00", NOON, 0),
    (b"From a Sat Nov 21 12:00:00 2026 XYZZY", b"a", NOON, 0),
    (b"From a Sat Nov 21 12:00:00 2026 +9999", b"a", NOON, 0),
    (b"From a Fri Dec 31 23:59:60 9999", b"a", None, None),
]
OTHERS = [
    b"", b"From", b"From ", b"From me to you", b">From a@b Sat Nov 21 12:00:00 2026",
    b"from a@b Sat Nov 21 12:00:00 2026", b" From a@b Sat Nov 21 12:00:00 2026", b"From alice@b Nov 21 12:00:00 2026",
    b"From a@b Sat Nov 21 2026", b"From a@b Sat Nov 21 12-00-00 2026", b"From a@b Sat Nov 21 12:00:00",
    b"From a@b Sat Nov 21 12:00:00 2026 or so they say", b"From a@b, who wrote at 12:00:",
    b"From: a@b Sat Nov 21 12:00:00 2026", b"From " + b"x" * 1000 + b" Sat Nov 21 12:00:00 2026",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _greenwich(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("line", "sender", "seconds", "zone"), SEPARATORS)
def test_separators(line, sender, seconds, zone):
    assert fromline.is_separator(line)
    found = fromline.parse(line)
    assert found is not None and found[0] == sender
    if seconds is not None:
        assert found[1:] == (seconds, zone)


@pytest.mark.parametrize("line", OTHERS)
def test_other_lines(line):
    assert not fromline.is_separator(line)
    assert fromline.parse(line) is None


@pytest.mark.parametrize("zone", [0, 60, -330, 840, -720])
@pytest.mark.parametrize("seconds", [86400, NOON, 951782400, 4102444800, 2**31, 2**32])
def test_what_is_written_is_read(seconds, zone):
    assert fromline.parse(fromline.write("a@b", seconds, zone)) == (b"a@b", seconds, zone)


def test_a_year_out_of_reach_is_written_somehow():
    assert fromline.is_separator(fromline.write("a", 10**15, 0))


def test_time_is_linear():
    line = b"From " + b"Sat Nov 21 12:00 " * 55 + b"!"
    start = time.perf_counter()
    for _ in range(200):
        fromline.parse(line)
    assert time.perf_counter() - start < 1


def test_civil_days():
    assert fromline.timestamp(1970, 1, 1, 0, 0, 0) == 0
    assert fromline.timestamp(2000, 2, 29, 0, 0, 0) == 951782400
    assert fromline.timestamp(2026, 11, 21, 12, 0, 0) == NOON


def test_moment_is_what_parse_says():
    """However often, and whatever was reckoned before."""
    usual = b"From %b %b Nov %2d %b 2026\n"
    lines = [line + end for line, *_ in SEPARATORS for end in (b"\n", b"\r\n", b"")]
    senders = b"a@b", b"", b"abc", b"a b", b"x Sat Nov 21 12:00:00 2026 remote from", b" Sat", b"y" * 960, b"y" * 990
    for sender in senders:
        for clock in (b"12:00:00", b"99:99:99", b"12:0 :00", b"+2:00:00", b"12-00:00", b"12:00-00", b" 1:00:00"):
            lines += [usual % (sender, b"Sat", day, clock) for day in (21, 1, 99)]
    lines += [b"from a@b Sat Nov 21 12:00:00 2026\n", b">rom a@b Sat Nov 21 12:00:00 2026\n", b"", b"\n", b"From "]
    for _ in range(3):
        for line in lines:
            parsed = fromline.parse(line)
            assert fromline.moment(line) == (parsed and parsed[1:]), line
