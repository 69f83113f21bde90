"""inotify: what wakes IDLE, what does not, and how soon."""

from __future__ import annotations

import os
import select
import threading
import time

import pytest

from mailcore.store import watch as module
from mailcore.store.watch import Watch

SOON_SECONDS = 0.05


@pytest.fixture
def box(tmp_path):
    path = tmp_path / "box"
    path.write_bytes(b"")
    return path


def woken(watch, seconds=1.0):
    """Whether the descriptor says something within `seconds`."""
    return bool(select.select([watch.fd], [], [], seconds)[0])


def told(watch, seconds=1.0):
    """Whether a watched file is told of; events about others are drained away."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if woken(watch, left) and watch.drain():
            return True
    return False


def silent(watch):
    return not told(watch, 0.05)


def test_a_delivery(box):
    with Watch([str(box)]) as watch:
        assert silent(watch)
        with box.open("ab") as file:
            file.write(b"From fred\n")
        assert told(watch) and silent(watch)


def test_a_delivery_is_told_soon(box):
    with Watch([str(box)]) as watch:
        delivered = []

        def deliver():
            time.sleep(0.05)
            delivered.append(time.monotonic())
            with box.open("ab") as file:
                file.write(b"From fred\n")

        thread = threading.Thread(target=deliver)
        thread.start()
        assert told(watch, 5)
        heard = time.monotonic()
        thread.join()
        assert heard - delivered[0] < SOON_SECONDS


def test_a_writer_that_keeps_the_file_open(box):
    with Watch([str(box)]) as watch, box.open("ab", buffering=0) as file:
        file.write(b"From fred\n")
        assert told(watch)


@pytest.mark.parametrize("change", ["chmod", "truncate", "unlink", "rename away"])
def test_other_changes(box, change):
    box.write_bytes(b"x")
    with Watch([str(box)]) as watch:
        if change == "chmod":
            box.chmod(0o400)
        elif change == "truncate":
            os.truncate(box, 0)
        elif change == "unlink":
            box.unlink()
        else:
            box.rename(box.parent / "away")
        assert told(watch)


def test_a_file_replaced_by_rename_is_watched_on(box):
    """An editor's way to save; some program of ours may hold the old inode open."""
    with box.open("rb"), Watch([str(box)]) as watch:
        for _ in range(3):
            fresh = box.parent / "fresh"
            fresh.write_bytes(b"new")
            os.rename(fresh, box)
            assert told(watch)
            told(watch, 0.05)
            with box.open("ab") as file:
                file.write(b"more")
            assert told(watch) and silent(watch)


def test_a_file_that_comes_and_goes(box):
    box.unlink()
    with Watch([str(box)]) as watch:
        for _ in range(3):
            assert silent(watch)
            box.write_bytes(b"From fred\n")
            assert told(watch)
            told(watch, 0.05)
            with box.open("ab") as file:
                file.write(b"more")
            assert told(watch)
            told(watch, 0.05)
            box.unlink()
            assert told(watch)


def test_neighbours_do_not_wake_us(box):
    """A spool of ten thousand users: their mail and their locks are not ours."""
    with Watch([str(box)]) as watch:
        (box.parent / "other").write_bytes(b"x")
        (box.parent / "other.lock").write_bytes(b"x")
        (box.parent / "other.lock").unlink()
        (box.parent / "box.lock").write_bytes(b"x")
        assert not woken(watch, 0.05)


def test_neighbours_are_not_told_while_the_file_is_missing(box):
    box.unlink()
    with Watch([str(box)]) as watch:
        (box.parent / "other").write_bytes(b"x")
        (box.parent / "box.lock").write_bytes(b"x")
        assert silent(watch)
        box.write_bytes(b"x")
        assert told(watch)


def test_several_files(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "missing")]
    for path in paths[:2]:
        path.write_bytes(b"")
    with Watch() as watch:
        watch.add([str(paths[0])])
        watch.add([str(path) for path in paths[1:]])
        for path in paths:
            with path.open("ab") as file:
                file.write(b"x")
            assert told(watch)
            told(watch, 0.05)


def test_more_events_than_one_read(box, monkeypatch):
    monkeypatch.setattr(module, "READ_OCTETS", 64)
    with Watch([str(box)]) as watch:
        for n in range(20):
            box.chmod(0o600 if n % 2 else 0o640)
        assert told(watch) and silent(watch)


def test_where_nothing_can_tell(tmp_path, box, monkeypatch):
    with Watch([str(tmp_path / "no" / "such" / "place")]) as watch:
        assert watch.fd == -1 and not watch.drain()
    monkeypatch.setattr(module.Watch, "_elsewhere", lambda *_: True)
    with Watch([str(box)]) as watch:
        assert watch.fd == -1 and not watch.drain()
        watch.add([str(box)])
    watch.close()


def test_a_network_file_system_is_elsewhere(box, monkeypatch):
    """statfs(2) tells; every file system here is local."""
    watch = Watch([str(box)])
    assert watch.fd >= 0
    kind = _kind(watch, str(box))
    monkeypatch.setattr(module, "ELSEWHERE", {kind})
    assert watch._elsewhere(str(box))
    watch.close()


def _kind(watch, path):
    """The type of a file system by stat(1)."""
    import subprocess

    return int(subprocess.run(["stat", "-f", "-c", "%t", path], capture_output=True, check=True).stdout, 16)


def test_no_descriptor_is_left(box):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        Watch([str(box)]).close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_comes_and_goes_in_a_directory(tmp_path):
    """A watch for entries and one for a missing file are one watch of the kernel: neither loses its events."""
    directory = tmp_path / "mail"
    directory.mkdir()
    with Watch([str(directory / "missing")]) as watch:
        watch.add([str(directory)], entries=True)
        watch.add([str(directory / "missing too")])
        for change in (
            lambda: (directory / "a").write_bytes(b""),
            lambda: (directory / "a").rename(directory / "b"),
            lambda: (directory / "b").unlink(),
            lambda: (directory / "sub").mkdir(),
            lambda: (directory / "sub").rename(tmp_path / "sub"),
        ):
            change()
            assert told(watch)
            told(watch, 0.05)
        (directory / "a.lock").write_bytes(b"")
        (directory / "a.lock").unlink()
        assert silent(watch)
