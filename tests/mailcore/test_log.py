"""mailcore.log: strangers write no log lines of their own."""

from __future__ import annotations

import syslog

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore import log


def test_clean_shows_what_it_hides():
    assert log.clean(b"fred") == "fred"
    assert log.clean(b"a\nb\tc\\d\xff") == "a\\x0ab\\x09c\\x5cd\\xff"
    assert log.clean("gr\u00fcn") == "gr\\xc3\\xbcn"
    assert log.clean("\udcff") == "\\xff"


@given(st.binary(max_size=300))
def test_clean_is_one_short_printable_field(data):
    said = log.clean(data)
    assert all(" " <= letter <= "~" for letter in said)
    assert len(said) <= 4 * log.FIELD_OCTETS


@pytest.mark.parametrize(
    "severity, priority",
    [
        ("", syslog.LOG_WARNING),
        ("info", syslog.LOG_INFO),
        ("MAIL.Err", syslog.LOG_MAIL | syslog.LOG_ERR),
        ("local3.panic", syslog.LOG_LOCAL3 | syslog.LOG_EMERG),
        ("security.warn", syslog.LOG_AUTH | syslog.LOG_WARNING),
        ("authpriv.notice", syslog.LOG_AUTHPRIV | syslog.LOG_NOTICE),
    ],
)
def test_a_line_with_a_severity_of_its_own(monkeypatch, severity, priority):
    lines = []
    monkeypatch.setattr(syslog, "syslog", lambda *line: lines.append(line))
    monkeypatch.setattr(log, "_syslog", syslog)
    log.at(severity, "one\ntwo")
    assert lines == [(priority, "one two")]
    assert not severity or log.is_severity(severity)


@pytest.mark.parametrize("severity", ["", "loud", "mail.", ".info", "mail.loud", "loud.info", "mail.info.x"])
def test_what_is_no_severity(severity):
    assert not log.is_severity(severity)
