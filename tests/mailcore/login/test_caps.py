"""mailcore.login.caps: slots that the kernel gives back."""

from __future__ import annotations

import os
import signal
import time

import pytest

from mailcore.login import caps
from mailcore.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(run_directory=str(tmp_path / "run"))


def hold(settings, key, cap):
    """A process that takes a slot and keeps it; (pid, whether it got one)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            caps.take(settings, key, cap)
            os.write(writer, b"1")
        except caps.Full:
            os.write(writer, b"0")
        while True:
            signal.pause()
    os.close(writer)
    got = os.read(reader, 1) == b"1"
    os.close(reader)
    return pid, got


def end(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_sessions_of_killed_processes_are_over(settings):
    """S43: spawn many, kill -9 half, and exactly so many may come again."""
    spawned = [hold(settings, "user fred", 120) for _ in range(200)]
    holders = [pid for pid, got in spawned if got]
    try:
        assert len(holders) == 120
        began = time.monotonic()
        end(holders[:60])
        again = [hold(settings, "user fred", 120) for _ in range(80)]
        assert time.monotonic() - began < 5
        spawned = [(pid, got) for pid, got in spawned if pid not in holders[:60]] + again
        assert sum(got for _, got in again) == 60
    finally:
        end(pid for pid, _ in spawned)


def test_a_slot_is_held_by_the_last_process_that_has_it(settings):
    slot = caps.take(settings, "user fred", 1)
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    os.close(slot)
    try:
        with pytest.raises(caps.Full):
            caps.take(settings, "user fred", 1)
    finally:
        end([child])
    os.close(caps.take(settings, "user fred", 1))


def test_keys_do_not_touch_each_other(settings):
    names = ["user fred", "user fre", "address fred", "user ../../x", "u \udcff"]
    names += ["user " + "x" * 300, "user " + "x" * 301]
    slots = [caps.take(settings, name, 1) for name in names]
    for name in names:
        with pytest.raises(caps.Full):
            caps.take(settings, name, 1)
    for slot in slots:
        os.close(slot)


def test_no_cap_and_no_directory_hold_nothing(settings):
    assert caps.take(settings, "user fred", 0) == caps.NO_SLOT
    assert not os.path.exists(settings.run_directory)
    settings.run_directory = ""
    assert caps.take(settings, "user fred", 1) == caps.NO_SLOT


def test_slots_that_nobody_holds_are_swept_away(settings, monkeypatch):
    monkeypatch.setattr(caps, "SWEEP_EVERY", 1 << 30)
    kept = caps.take(settings, "user kept", 1)
    for number in range(50):
        os.close(caps.take(settings, f"address {number}", 1))
    directory = f"{settings.run_directory}/{caps.DIRECTORY}"
    assert len(os.listdir(directory)) == 51
    monkeypatch.setattr(caps, "SWEEP_EVERY", 1)
    new = caps.take(settings, "user new", 1)
    assert len(os.listdir(directory)) == 2
    with pytest.raises(caps.Full):
        caps.take(settings, "user kept", 1)
    os.close(kept)
    os.close(new)


def test_who_sweeps_takes_nobodys_slot(settings, monkeypatch):
    """Many come and go while every one of them sweeps: there are never two in one slot."""
    monkeypatch.setattr(caps, "SWEEP_EVERY", 1)
    mark = f"{settings.run_directory}.mark"
    pids = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                done = 0
                while done < 50:
                    try:
                        slot = caps.take(settings, "user fred", 1)
                    except caps.Full:
                        continue
                    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                    os.unlink(mark)
                    os.close(slot)
                    done += 1
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 8
