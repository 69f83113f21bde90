"""What a mailbox may cost: memory by its messages, not by its octets (R33); recovery by the tail (R34)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mailcore.store import files

MIB = 1024 * 1024
OPEN = """
import resource, sys
from mailcore.settings import Settings
from mailcore.store.namespace import Store
root = sys.argv[1]
settings = Settings(mail_location=f"mbox:{root}/mail:INBOX={root}/inbox", index_directory=f"{root}/home/index")

def look(name):
    with Store("fred", root, settings) as store, store.open(name) as box:
        for uid in list(box.uids)[:: max(1, len(box) // 5)]:
            box.flags(uid), len(box.text(uid))
        return len(box)

def used():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024

open(f"{root}/mail/small", "w").close()
look("small")
before = used()
print(look("INBOX"), used() - before)
"""


def used(spool) -> list[int]:
    """Messages, and octets of memory at most, in a process of its own."""
    command = [sys.executable, "-c", OPEN, str(spool.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.fixture
def place(spool):
    (spool.root / "mail").mkdir()
    (spool.home / "index").mkdir()
    return spool


def test_large_messages_are_not_held(place):
    """The scan streams: 96 MiB, and one message of 48, take a few chunks."""
    with open(place.path, "wb") as file:
        for mibs in (1, 48, 30, 17):
            file.write(place.message(f"m{mibs}", "x" * 99 + "\n"))
            file.seek(-2, 1)
            for _ in range(mibs):
                file.write((b"y" * 127 + b"\n") * (MIB // 128))
            file.write(b"\n")
    assert used(place)[0] == 4
    assert used(place)[1] < 24 * MIB


@pytest.mark.parametrize("count", [30_000])
def test_small_messages_are_numbers(place, count):
    """First a scan, then from the index."""
    mail = place.message("m", "body")
    place.path.write_bytes(mail * count)
    (first, scanned), (again, known) = used(place), used(place)
    assert first == again == count
    assert scanned < 8 * MIB + 750 * count and known < 2 * MIB + 220 * count, (scanned / count, known / count)


def test_recovery_costs_the_tail(spool, monkeypatch):
    """Octets read, octets written, syncs: a few times the tail that is redone, and nothing of what is before it."""
    body = "line of a long body\n" * 5000
    spool.path.write_bytes(b"".join(spool.message(f"m{number}", body) for number in range(60)))
    box = spool.open()
    tail = len(spool.message("m0", body)) * 9
    with monkeypatch.context() as patch:
        patch.setattr(files, "truncate", died)
        with pytest.raises(KeyboardInterrupt):
            box.remove([51])
    box._file.unlock()
    costs = {"read": 0, "write": 0, "sync": 0}
    for name in costs:
        monkeypatch.setattr(files, name, counted(costs, name, getattr(files, name)))
    spool.open()
    assert costs["write"] < 1.2 * tail and costs["sync"] <= 4
    # each octet of the tail is summed, compared and copied; then all is scanned once
    assert costs["read"] < spool.path.stat().st_size + 8 * tail, costs


def died(*_: object) -> None:
    raise KeyboardInterrupt


def counted(costs, name, real):
    def call(*arguments):
        done = real(*arguments)
        costs[name] += len(done) if name == "read" else len(arguments[1]) if name == "write" else 1
        return done

    return call
