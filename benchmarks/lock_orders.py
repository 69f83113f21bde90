"""All pairs of neighbours, each with its own order of locks, on one mail file with us (security-reliability R8, D3).

    python -m benchmarks.lock_orders [SECONDS]

For each pair, each of the two counts in its own place of one file, and we in both, for so many
seconds (default 10), with pauses inside and between: two neighbours that share no lock harm each
other, but nobody may harm us nor we them.  Printed: turns of each, the longest wait; the exit status is 1 if a
count was lost, somebody had no turn, or anybody waited 10 seconds.

Who holds a lock and waits for the next gives up after a while and begins anew, as these programs
do (Postfix: deliver_lock_attempts; procmail: LOCKTIMEOUT; UW: 5 minutes), only sooner here.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import Process, Queue
from multiprocessing.pool import ThreadPool
from time import monotonic, sleep
from typing import Any

from mailcore.settings import Settings
from mailcore.store.locking import Locks

LONGEST_SECONDS = 10
PATIENCE_SECONDS = 0.2
AT_ONCE = 4  # pairs, each with a file of its own: they sleep most of the time

# p: fcntl, f: flock, d: dot lock; security-reliability D3
PROGRAMS = {
    "Debian policy": "pd", "Postfix": "pd", "Exim": "dp", "procmail": "dp", "mail.local": "df", "mutt": "pd",
    "alpine": "df", "Dovecot": "dp", "popa3d": "f",
}  # fmt: skip
ORDERS = sorted(set(PROGRAMS.values()) | {"p", "d", "dpf", "fd"})


def take(fd: int, path: str, kind: str) -> bool:
    try:
        if kind == "p":
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif kind == "f":
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.close(os.open(path + ".lock", os.O_CREAT | os.O_EXCL, 0o600))
        return True
    except OSError:
        return False


def give(fd: int, path: str, held: str) -> None:
    for kind in reversed(held):
        if kind == "p":
            fcntl.lockf(fd, fcntl.LOCK_UN)
        elif kind == "f":
            fcntl.flock(fd, fcntl.LOCK_UN)
        else:
            os.unlink(path + ".lock")


def neighbour(fd: int, path: str, order: str) -> Callable[[], None]:
    """Wait for each lock with those before it held, for a while."""
    held = ""
    while held != order:
        until = monotonic() + PATIENCE_SECONDS
        while not take(fd, path, order[len(held)]):
            if monotonic() > until:
                give(fd, path, held)
                held = ""
                sleep(random.random() * PATIENCE_SECONDS)
                break
            sleep(0.002)
        else:
            held += order[len(held)]
    return lambda: give(fd, path, order)


def ours(fd: int, path: str, _: str) -> Callable[[], None]:
    locks = Locks(path, Settings(lock_seconds=2 * LONGEST_SECONDS))
    locks.acquire(fd, True)
    return locks.release


def count(path: str, order: str, places: tuple[int, ...], seconds: float, results: Queue[Any]) -> None:
    """Take turns; tell where, how many, and the longest wait."""
    turns, longest = 0, 0.0
    lock = neighbour if order else ours
    end = monotonic() + seconds
    while monotonic() < end or not turns:
        fd = os.open(path, os.O_RDWR)
        start = monotonic()
        release = lock(fd, path, order)
        longest = max(longest, monotonic() - start)
        numbers = [int(os.pread(fd, 20, place)) for place in places]
        sleep(random.random() / 500)
        for place, number in zip(places, numbers, strict=True):
            os.pwrite(fd, b"%020d" % (number + 1), place)
        release()
        os.close(fd)
        turns += 1
        sleep(random.random() / 200)
    results.put((places, order, turns, longest))


def run(pair: tuple[str, str], seconds: float) -> tuple[bool, str]:
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "mail")
        with open(path, "wb") as file:
            file.write(b"0" * 40)
        results: Queue[Any] = Queue()
        who = ((pair[0], (0,)), (pair[1], (20,)), ("", (0, 20)))
        workers = [Process(target=count, args=(path, *one, seconds, results), daemon=True) for one in who]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(seconds + 3 * LONGEST_SECONDS)
        if any(worker.exitcode != 0 for worker in workers):
            return False, "somebody waits for ever"
        told = [results.get() for _ in workers]
        with open(path, "rb") as file:
            counted = int(file.read(20)) + int(file.read(20))
    lost = sum(turns * len(places) for places, _, turns, _ in told) - counted
    longest = max(wait for *_, wait in told)
    words = "  ".join(f"{order or 'ours'} {turns} ({wait:.2f} s)" for _, order, turns, wait in sorted(told))
    return not lost and longest < LONGEST_SECONDS, f"{words}  lost {lost}"


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    bad = 0
    pairs = list(itertools.combinations_with_replacement(ORDERS, 2))
    with ThreadPool(AT_ONCE) as pool:
        results = pool.imap(lambda pair: run(pair, seconds), pairs)
        for pair, (right, words) in zip(pairs, results, strict=True):
            bad += not right
            print(f"{'ok ' if right else 'BAD'} {pair[0]:4} {pair[1]:4} {words}", flush=True)
    print(f"{bad} pairs failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
