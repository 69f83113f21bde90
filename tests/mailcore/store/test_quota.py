"""mailcore.store.quota: what is counted, and what the kernel says."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from mailcore.errors import OutOfSpace
from mailcore.settings import Settings
from mailcore.store import quota
from mailcore.store.quota import Quota


def made(root: Path, limit: int) -> Quota:
    return Quota(Settings(quota_octets=limit), "fred", str(root / "mail"), str(root / "inbox"))


def test_files_and_inbox_count(tmp_path: Path) -> None:
    (tmp_path / "mail/a").mkdir(parents=True)
    (tmp_path / "mail/a/b").write_bytes(b"x" * 10)
    (tmp_path / "mail/c").write_bytes(b"x" * 5)
    os.symlink("/etc/passwd", tmp_path / "mail/link")
    assert made(tmp_path, 100).used() == 15  # and no INBOX yet
    (tmp_path / "inbox").write_bytes(b"x" * 100)
    assert made(tmp_path, 100).used() == 115


def test_an_inbox_in_the_root_counts_once(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_bytes(b"x" * 7)
    assert Quota(Settings(), "fred", str(tmp_path), str(tmp_path / "inbox")).used() == 7


def test_room(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_bytes(b"x" * 90)
    made(tmp_path, 100).room(10)
    with pytest.raises(OutOfSpace):
        made(tmp_path, 100).room(11)
    made(tmp_path, 0).room(10**12)


def test_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "on_disk", lambda path: None)
    assert made(tmp_path, 0).roots() == {}
    assert made(tmp_path, 100).roots() == {"mail": (0, 100)}
    monkeypatch.setattr(quota, "on_disk", lambda path: (1, 2))
    assert made(tmp_path, 100).roots() == {"mail": (0, 100), "disk": (1, 2)}


@pytest.mark.parametrize(
    ("hard", "soft", "used", "found"),
    [(0, 0, 5, None), (8, 0, 5, (5, 8192)), (8, 4, 5, (5, 4096)), (0, 4, 5, (5, 4096))],
)
def test_the_kernels_answer(hard: int, soft: int, used: int, found: tuple[int, int] | None) -> None:
    assert quota.parsed(struct.pack("<8QI4x", hard, soft, used, 0, 0, 0, 0, 0, 0)) == found


def test_where_nobody_counts(tmp_path: Path) -> None:
    assert quota.on_disk(str(tmp_path / "nothing")) is None
    assert quota.on_disk("/proc/self/status") is None
