"""imapd.extensions.quota: transcripts/imapd/quota.txt tells most."""

from __future__ import annotations

import pytest

from mailcore.store import quota
from tests.imapd.conversation import at_home
from tests.playground import Ground


def test_without_limits_there_are_no_roots(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "on_disk", lambda path: None)
    assert at_home(ground).say(b"a GETQUOTAROOT INBOX\r\n").startswith(b"* QUOTAROOT INBOX\r\na OK")


def test_the_file_systems_quota(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "on_disk", lambda path: (1025, 10240))
    assert at_home(ground).say(b"a GETQUOTA disk\r\n").startswith(b"* QUOTA disk (STORAGE 2 10)\r\n")


def test_rename_of_inbox_takes_no_more_room(ground: Ground) -> None:
    ground.place("INBOX", b"From a Sat Nov 21 12:00:00 2026\nSubject: a\n\n" + b"b\n" * 100 + b"\n")
    assert b"a OK" in at_home(ground, quota_octets=250).say(b"a RENAME INBOX old\r\n")
