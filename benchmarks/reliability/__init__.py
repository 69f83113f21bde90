"""What may happen to an mbox, counted: `python -m benchmarks.reliability` prints the table.

    crashes.py    the machine dies at every step of a change, and in the recovery too
    faults.py     the disk is full or broken at every step
    foreign.py    other programs rewrite the file in any way
    fuzz.py       several sessions on one mailbox, each believing what it was told
    kills.py      live servers are killed
    delivery.py   Postfix, procmail, Dovecot and maildrop deliver while sessions expunge
    volume.py     a real disk that is full
    locks.py      all pairs of lock orders, by benchmarks/lock_orders.py

Each has `run(share) -> Count`; a share of 1 is the whole campaign, the suite runs a tenth or less.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailcore.store.index import Index
from tests.mailcore.store.conftest import Spool
from tests.mailcore.store.faults import memory

Facts = dict[int, tuple[bytes, frozenset[str]]]


class Count:
    """How often something was tried, and what went wrong."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.tried = 0
        self.wrong: list[str] = []
        self.notes: dict[str, float] = {}

    def add(self, other: Count) -> None:
        self.tried += other.tried
        self.wrong += other.wrong
        for name, number in other.notes.items():
            self.notes[name] = self.notes.get(name, 0) + number


@contextmanager
def ground() -> Iterator[Spool]:
    """A spool in memory, gone afterwards."""
    path = tempfile.mkdtemp(prefix="mailcore-reliability-", dir=memory())
    spool = Spool(Path(path))
    try:
        yield spool
    finally:
        shutil.rmtree(path)


def state_of(spool: Spool) -> Path:
    """Where the index and the journals are."""
    return spool.home / ".local/state/mailcore"


def facts_of(box) -> Facts:  # type: ignore[no-untyped-def]
    """All that a client can know: uid → text, flags."""
    return {uid: (bytes(box.text(uid)[:]), box.flags(uid) - {"\\Recent"}) for uid in box.uids}


def index_files(spool: Spool) -> dict[str, bytes]:
    """The index as SQLite would find it after a crash at this moment."""
    return {name: (state_of(spool) / name).read_bytes() for name in ("index.db", "index.db-wal")
            if (state_of(spool) / name).exists()}  # fmt: skip


def put_index(spool: Spool, content: dict[str, bytes]) -> None:
    state = state_of(spool)
    state.mkdir(parents=True, exist_ok=True)
    for name in ("index.db", "index.db-wal", "index.db-shm"):
        (state / name).unlink(missing_ok=True)
    for name, data in content.items():
        (state / name).write_bytes(data)


def named(error: BaseException) -> str:
    """An exception nobody had thought of, and where it came from."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({os.path.basename(place.filename)}:{place.lineno})"


def forget(spool: Spool) -> None:
    """Sessions end as a dead process ends them: nothing is written."""
    for box in spool.opened:
        box._opened = False
        box._file.close()
        box._index.close()
    spool.opened.clear()


__all__ = ["Count", "Facts", "Index", "facts_of", "forget", "ground", "index_files", "named", "put_index", "state_of"]
