"""mailcore.settings: where values come from, and complaints that name the place."""

from __future__ import annotations

import pytest

from mailcore.errors import BadSetting
from mailcore.settings import TABLE, Settings, load


def test_every_setting_says_what_it_is():
    for name, (value, meaning) in TABLE.items():
        assert getattr(Settings(), name) == value
        assert len(meaning) > 10, name


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        ("lock_seconds=5", "lock_seconds", 5),
        ("login_delay_seconds=0.5", "login_delay_seconds", 0.5),
        ("login_delay_seconds=0", "login_delay_seconds", 0.0),
        ("fsync=no", "fsync", False),
        ("fsync=true", "fsync", True),
        ("mailbox_mode=0o640", "mailbox_mode", 0o640),
        ("mail_location=mbox:~/m=x", "mail_location", "mbox:~/m=x"),
        (" host_name = h ", "host_name", "h"),
    ],
)
def test_options(option, name, value):
    assert getattr(load([option], "/nonexistent"), name) == value


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("nonsense=1", "no such setting: nonsense"),
        ("fsync", "name=value is wanted"),
        ("fsync=perhaps", "fsync is true or false"),
        ("lock_seconds=soon", "lock_seconds is a number"),
        ("lock_seconds=-1", "lock_seconds is a number"),
        ("login_delay_seconds=1.2.3", "login_delay_seconds is a number"),
    ],
)
def test_bad_options(option, complaint):
    with pytest.raises(BadSetting, match=complaint):
        load([option], "/nonexistent")


def test_the_file_gives_way_to_the_command_line(tmp_path):
    conf = tmp_path / "mailcore.conf"
    conf.write_text("lock_seconds = 7\nhost_name = 'mail'\n")
    settings = load(["host_name=other"], str(conf))
    assert (settings.lock_seconds, settings.host_name) == (7, "other")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# hello\n\nfsnyc = true\n", r"mailcore.conf:3: no such setting: fsnyc"),
        ("lock_seconds = 1\nfsync = 'maybe'\n", r"mailcore.conf:2: fsync is true or false"),
        ("fsync = \n", r"line 1"),
        ("lock_seconds = -4\n", r"mailcore.conf:1: lock_seconds cannot be negative"),
        ("[section]\nfsync = true\n", r"mailcore.conf:1: no such setting: section"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, text, complaint):
    conf = tmp_path / "mailcore.conf"
    conf.write_text(text)
    with pytest.raises(BadSetting, match=complaint):
        load([], str(conf))
