"""mailcore.login.rundir: only a directory and files that nobody else can have put there."""

from __future__ import annotations

import os

import pytest

from mailcore import log
from mailcore.login import rundir
from mailcore.settings import Settings
from tests.conftest import need_root


def test_directories_are_made_and_private_ones_are_private(tmp_path):
    settings = Settings(run_directory=str(tmp_path / "run"))
    os.close(rundir.open_directory(settings, "sessions"))
    os.close(rundir.open_directory(settings, "sessions"))
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "run/sessions").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("spoil", ["mode", "link", "file", "nowhere", "empty", "owner"])
def test_what_cannot_be_trusted_is_not_used(tmp_path, spoil, monkeypatch):
    logged = []
    monkeypatch.setattr(log, "error", logged.append)
    run = tmp_path / "run"
    settings = Settings(run_directory="" if spoil == "empty" else str(run))
    if spoil == "mode":
        run.mkdir()
        run.chmod(0o777)
    elif spoil == "link":
        run.symlink_to(tmp_path)
    elif spoil == "file":
        run.write_text("")
    elif spoil == "nowhere":
        settings.run_directory = "/proc/nowhere/run"
    elif spoil == "owner":
        need_root()
        run.mkdir()
        os.chown(run, 54321, 54321)
    with pytest.raises(rundir.Unusable):
        rundir.open_directory(settings)
    assert len(logged) == (0 if spoil == "empty" or os.getuid() else 1)


def test_a_file_is_ours_and_no_link(tmp_path):
    directory = rundir.open_directory(Settings(run_directory=str(tmp_path)))
    os.close(rundir.open_file(directory, "ledger"))
    assert (tmp_path / "ledger").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to("ledger")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(OSError):
            rundir.open_file(directory, name)
    os.close(directory)
