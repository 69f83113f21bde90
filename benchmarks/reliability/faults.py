"""The disk is full, broken or slow of hand at every step of a change.

What lives here: one fault, at one step, of one command, and what the mailbox must be then.  What
does not: the failing disk (tests/mailcore/store/faults.py).

The command either succeeds, or the file is octet for octet what it was, at once or after the next
opening, or all of the change is there after it (when the fault came after the point of no return).
"""

from __future__ import annotations

import os
from random import Random
from unittest import mock

from benchmarks.reliability import Count, facts_of, forget, ground, named, put_index, state_of
from benchmarks.reliability.crashes import body, incoming, settle_clock
from mailcore.errors import MailError
from mailcore.store import files
from mailcore.store.formats.mbox import journal
from tests.mailcore.store.conftest import Spool, agrees
from tests.mailcore.store.faults import FAULTS, Striker

POINTS = 8_000
PER_SEED = 200
COMMANDS = {
    "append": lambda box, random: box.append([incoming(random)]),
    "append many": lambda box, random: box.append([incoming(random) for _ in range(3)]),
    "expunge": lambda box, random: box.remove([2]),
    "expunge all": lambda box, random: box.remove(list(box.uids)),
    "flag": lambda box, random: box.store([1, 3], "+", ["\\Flagged", "$K"]),
    "long keyword": lambda box, random: box.store([2], "+", ["k" * 100]),
    "copy": lambda box, random: box.copy([1, 2], box),
}


class Stage:
    """A mailbox to which the same thing can be done again and again."""

    def __init__(self, spool: Spool, seed: int) -> None:
        self.spool = spool
        random = Random(seed)
        spool.path.write_bytes(b"".join(spool.message(f"m{number}", body(random)) for number in range(4)))
        box = spool.open()
        box.store([1], "+", ["\\Seen"])
        box.close()
        forget(spool)
        self.content = spool.path.read_bytes()
        self.index = {path.name: path.read_bytes() for path in state_of(spool).glob("index.db*")}

    def reset(self) -> None:
        with open(self.spool.path, "rb+") as file:
            file.write(self.content)
            file.truncate()
        for path in state_of(self.spool).iterdir():
            path.unlink()
        put_index(self.spool, self.index)


def strike(stage: Stage, name: str, seed: int, striker: Striker) -> tuple[str, bool]:
    """Do it while the disk fails; what is wrong, and whether the fault struck at all."""
    spool = stage.spool
    stage.reset()
    box = spool.open()
    before, old = facts_of(box), spool.path.read_bytes()
    failed = False
    with mock.patch.object(files, "os", striker):
        try:
            COMMANDS[name](box, Random(seed))
        except MailError:
            failed = True
    struck = bool(striker.struck) or not striker.fault
    new = spool.path.read_bytes()
    pending = journal.pending(str(state_of(spool)), os.stat(spool.path).st_ino)
    undone = not (striker.lasting and name == "flag")  # flags are written over flags, and not one write works any more
    if failed and undone and striker.fault in (28, 122) and new != old and not pending:
        return "a full disk changed the file", struck
    try:
        box.refresh()
        box.news()
        agrees(box, cut=struck)  # the same session goes on, with what is there
    finally:
        forget(spool)
    box = spool.open()
    agrees(box, cut=struck)
    found = facts_of(box)
    if not failed and found == before:
        return "said to be done, and is not", struck
    forget(spool)
    if failed and found == before:
        return "", struck
    stage.reset()
    box = spool.open()
    COMMANDS[name](box, Random(seed))
    box.refresh()
    box.news()
    after = facts_of(box)
    texts = [text for text, _ in found.values()]
    whole = texts == [text for text, _ in after.values()]
    if failed and texts == [text for text, _ in before.values()]:
        flags = all(
            before[uid][1] & after.get(uid, before[uid])[1] <= mine <= before[uid][1] | after.get(uid, before[uid])[1]
            for uid, (_, mine) in found.items()
        )
        return ("" if flags else "flags are neither"), struck
    if not whole or (not failed and found != after):
        return f"neither before nor after: {len(before)} {len(found)} {len(after)}", struck
    return "", struck


def strikers(random: Random) -> list[tuple[str, Striker]]:
    """Every fault at every step, until it strikes no more; `seed` decides the rest."""
    kind = random.choice([*FAULTS, "short"])
    if kind == "short":
        return [("short writes", Striker(0, 0, (), part=random.choice((1, 7, 511, 999, 4096))))]
    number, kinds = FAULTS[kind]
    lasting, part = random.random() < 0.5, random.choice((0, 0, 1, 300))
    return [(kind, Striker(step, number, kinds, lasting, part)) for step in range(1, 60)]


def play_seed(seed: int, points: int = PER_SEED) -> Count:
    count = Count("points where the disk fails")
    random = Random(seed)
    with ground() as spool, settle_clock():
        stage = Stage(spool, seed)
        while count.tried < points:
            name = random.choice([*COMMANDS])
            for kind, striker in strikers(random):
                try:
                    wrong, struck = strike(stage, name, seed, striker)
                except Exception as error:
                    wrong, struck = named(error), True
                forget(spool)
                if not struck:
                    break
                count.tried += 1
                if wrong:
                    lasts = " and later" if striker.lasting else ""
                    count.wrong.append(f"seed {seed}: {name}, {kind} at step {striker.strike}{lasts}: {wrong}")
    return count


def run(share: float = 1.0) -> Count:
    from benchmarks.reliability.table import together

    seeds = range(max(2, round(POINTS * share / PER_SEED)))
    return together(play_seed, seeds, "ENOSPC, EDQUOT, EIO, EINTR, EROFS, failing fsync, short writes: points")
