"""imapd.alerts: when a client hears of alert files and of a shutdown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imapd.alerts import Alerts, closed
from mailcore.errors import Goodbye
from mailcore.settings import Settings
from mailcore.store.notices import Notices
from tests.imapd.conversation import at_home
from tests.playground import Ground


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        alert_file=str(tmp_path / "alert"), user_alert_file="~/.imapalert", nologin_file=str(tmp_path / "nologin")
    )


def told(alerts: Alerts, now: float) -> list[tuple[str, str]]:
    return [(status.code, status.text) for status in alerts.told(now)]


def test_each_line_is_told_once_and_again_when_the_file_changes(settings: Settings, tmp_path: Path) -> None:
    alerts = Alerts(settings, Notices(settings, str(tmp_path)))
    (tmp_path / "alert").write_text("one\n\n  two\r\n")
    os.utime(tmp_path / "alert", ns=(1, 1))
    assert told(alerts, 100) == [("ALERT", "one"), ("ALERT", "two")]
    assert told(alerts, 300) == []
    (tmp_path / ".imapalert").write_bytes(b"mine \xff")
    assert told(alerts, 301) == []  # looked a second ago
    assert told(alerts, 361) == [("ALERT", "mine \ufffd")]
    os.utime(tmp_path / "alert", ns=(2, 2))
    assert told(alerts, 500) == [("ALERT", "one"), ("ALERT", "two")]


def test_shutdown(settings: Settings, tmp_path: Path) -> None:
    alerts = Alerts(settings, Notices(settings, str(tmp_path)))
    assert not closed(settings) and told(alerts, 100) == []
    (tmp_path / "nologin").touch()
    assert closed(settings) and told(alerts, 200) == [("ALERT", "Server shutting down shortly")]
    assert told(alerts, 201) == []
    (tmp_path / "nologin").unlink()
    assert told(alerts, 300) == []  # it was called off
    (tmp_path / "nologin").touch()
    assert told(alerts, 400) == [("ALERT", "Server shutting down shortly")]
    with pytest.raises(Goodbye):
        told(alerts, 460)


def test_without_the_files_names_nothing_is_looked_for(tmp_path: Path) -> None:
    settings = Settings(alert_file="", user_alert_file="", nologin_file="")
    assert told(Alerts(settings, Notices(settings, str(tmp_path))), 100) == [] and not closed(settings)


def test_an_alert_cannot_be_an_answer(ground: Ground) -> None:
    (ground.home / ".imapalert").write_bytes(b"[READ-ONLY] x\ra1 OK done\x1b[2J {5}\n")
    said = at_home(ground).say(b"a1 NOOP\r\n").split(b"\r\n")
    assert [line[:13] for line in said[:-2]] == [b"* OK [ALERT] "] * 2
    assert said[-2] == b"a1 OK NOOP completed" and not said[1].endswith(b"}")
