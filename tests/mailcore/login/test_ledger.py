"""mailcore.login.ledger: a bounded table of numbers and times."""

from __future__ import annotations

import os

import pytest

from mailcore.login import ledger
from mailcore.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(run_directory=str(tmp_path / "run"))


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(ledger, "monotonic", lambda: Clock.now)
    return Clock


def read(settings, key):
    return ledger.change(settings, "x", key, lambda row: None)


def write(settings, key, value):
    return ledger.change(settings, "x", key, lambda row: value)


def test_what_is_written_is_read(settings, clock):
    assert read(settings, "fred") == (0, 0.0)
    assert write(settings, "fred", 7) == (0, 0.0)
    clock.now = 2000.5
    assert write(settings, "fred", 8) == (7, 1000.0)
    assert read(settings, "fred") == (8, 2000.5)
    assert read(settings, "barney") == (0, 0.0)
    assert write(settings, "fred", 2**40) and read(settings, "fred")[0] == ledger.LARGEST


def test_the_file_does_not_grow_and_the_oldest_are_forgotten(settings, clock):
    for number in range(ledger.SETS * ledger.WAYS * 2):
        clock.now += 1
        write(settings, str(number), 1)
    size = os.path.getsize(f"{settings.run_directory}/x")
    assert size <= ledger.SETS * ledger.WAYS * ledger.ROW_OCTETS
    assert all(read(settings, str(number))[0] for number in range(number - 1000, number + 1))
    assert sum(read(settings, str(number))[0] for number in range(1000)) < 200


def test_changes_of_many_processes_all_count(settings):
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            for _ in range(100):
                ledger.change(settings, "x", "fred", lambda row: row[0] + 1)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    assert read(settings, "fred")[0] == 400


@pytest.mark.parametrize("content", [b"", b"x" * 7, os.urandom(200_000)])
def test_a_broken_file_is_only_forgotten(settings, content):
    write(settings, "fred", 1)
    with open(f"{settings.run_directory}/x", "wb") as file:
        file.write(content)
    write(settings, "fred", 2)
    assert read(settings, "fred")[0] == 2


def test_without_a_directory_nothing_is_known():
    settings = Settings(run_directory="")
    assert write(settings, "fred", 1) == (0, 0.0)
    assert read(settings, "fred") == (0, 0.0)
