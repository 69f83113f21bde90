"""mailcore.store.notices: what is read, and how much of it."""

from __future__ import annotations

import os
from pathlib import Path

from mailcore.settings import Settings
from mailcore.store.notices import Notices, notice_paths
from mailcore.store.steward import Steward


def settings(**more: object) -> Settings:
    return Settings(alert_file="/nonexistent/alert", **more)  # type: ignore[arg-type]


def test_no_more_than_the_limit(tmp_path: Path) -> None:
    (tmp_path / ".imapalert").write_bytes(b"x" * 100)
    assert Notices(settings(alert_octets=10), str(tmp_path)).fresh() == [b"x" * 10]


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    for make in (lambda path: os.mkfifo(path), lambda path: os.symlink("/etc/passwd", path), lambda path: path.mkdir()):
        path = tmp_path / ".imapalert"
        make(path)
        assert Notices(settings(), str(tmp_path)).fresh() == []
        path.rmdir() if path.is_dir() else path.unlink()


def test_the_steward_opens_them(tmp_path: Path) -> None:
    (tmp_path / ".imapalert").write_bytes(b"hello\n")
    notices = Notices(settings(), str(tmp_path))
    steward = Steward()
    steward.appoint([str(tmp_path / "fred"), "300", str(tmp_path / "list"), *notice_paths(settings(), str(tmp_path))])
    notices.file = steward
    assert notices.fresh() == [b"hello"]
    assert notices.fresh() == []
    steward._sock.close()
    os.waitpid(-1, 0)
