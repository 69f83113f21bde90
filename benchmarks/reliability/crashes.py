"""The machine dies at every step of a change: the process alone, or the power for all.

What lives here: random scenes (two mailboxes, a dozen commands), the crashes of each, and what
must be found afterwards.  What does not: the disk that forgets (tests/mailcore/store/faults.py).

Each command that was answered is there, whole; of the one that was not, all or nothing, and each
flag as it was or as it should be.  MOVE may leave a message in both mailboxes, never in none.
UIDs and UIDVALIDITY stay.  A quarter of the crashes is followed by another in the recovery, half
of them by a delivery before it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from time import time_ns
from unittest import mock

from benchmarks.reliability import (
    Count,
    Facts,
    Index,
    facts_of,
    forget,
    ground,
    index_files,
    named,
    put_index,
    state_of,
)
from mailcore.store import files
from mailcore.store.formats.mbox import journal, mailfile
from mailcore.store.mailbox import Incoming
from tests.mailcore.store.conftest import Spool, agrees
from tests.mailcore.store.faults import SECTORS, Disk, File, Recorder, Step, lay_down

FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Work", "$Home", "Junk", "k" * 60]
DATE = (1_790_000_000, 60)
STATES = 20_000
PER_SCENE = 400
LATE = b"late"


class Scene:
    """What was done to two mailboxes, step by step, and what a client knew after each command."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.disk = Disk()  # before the first step
        self.steps: list[Step] = []
        self.stages: list[tuple[Facts, Facts]] = []
        self.validity = (0, 0)
        self.saves: list[dict[str, bytes]] = []


def other(spool: Spool) -> str:
    return str(spool.root / "other")


def settle_clock() -> mock._patch:  # type: ignore[type-arg]
    """A clock that is ahead, so that no check waits for a time stamp to become certain."""
    return mock.patch.object(mailfile, "time_ns", lambda: time_ns() + 30_000_000_000)


@contextmanager
def recorded(scene: Scene) -> Iterator[Recorder]:
    """All that changes the disk meanwhile is written down in the scene."""
    spool = scene.spool
    recorder = Recorder(str(spool.path), other(spool))
    number = {path: recorder.number(os.stat(path)) for path in (str(spool.path), other(spool))}
    scene.disk = Disk()
    for path, name in number.items():
        scene.disk.add(name, path)
    scene.disk.names.setdefault(str(state_of(spool)), {})
    for path in state_of(spool).glob("*.journal*"):
        scene.disk.add(recorder.number(os.stat(path)), str(path))
    scene.saves = [index_files(spool)]
    scene.disk.saves = (0, 0)
    scene.steps = recorder.steps
    real = Index.save

    def save(index: Index, path: str, record: object, durable: bool = False) -> bool:
        done = real(index, path, record, durable)  # type: ignore[arg-type]
        scene.saves.append(index_files(spool))
        recorder.steps.append(Step("save", len(scene.saves) - 1, durable))
        return done

    with mock.patch.object(files, "os", recorder), mock.patch.object(Index, "save", save):
        yield recorder


# --- scenes ------------------------------------------------------------------------------


def body(random: Random) -> str:
    lines = random.choice((1, 1, 3, 10, 40, 200 if random.random() < 0.2 else 5))
    return "".join(f"{number} {random.getrandbits(60)} a line of a body\n" for number in range(lines))


def fill(spool: Spool, random: Random) -> None:
    """Two mailboxes as other programs left them."""
    for path, count in ((spool.path, random.randint(1, 9)), (spool.root / "other", random.randint(0, 3))):
        content = b"".join(
            spool.message(f"{path.name}{number}", body(random), "X-Pad: " + "p" * random.randint(0, 700) + "\n")
            for number in range(count)
        )
        path.write_bytes(content)


def incoming(random: Random, verbatim: bool = False) -> Incoming:
    text = f"Subject: new {random.getrandbits(40)}\n\nFrom me\n{body(random)}".encode()
    return Incoming(text, random.sample(FLAGS, random.randint(0, 2)), DATE)


def some(random: Random, box) -> list[int]:  # type: ignore[no-untyped-def]
    uids = list(box.uids)
    return sorted(random.sample(uids, random.randint(1, len(uids)))) if uids else []


def flag(random: Random, box, there) -> None:  # type: ignore[no-untyped-def]
    box.store(some(random, box), random.choice("+-="), random.sample(FLAGS, random.randint(1, 3)))


def expunge(random: Random, box, there) -> None:  # type: ignore[no-untyped-def]
    box.remove(some(random, box)[: random.randint(1, 4)])


def append(random: Random, box, there) -> None:  # type: ignore[no-untyped-def]
    box.append([incoming(random) for _ in range(random.choice((1, 1, 2, 4)))])


def copy(random: Random, box, there) -> None:  # type: ignore[no-untyped-def]
    box.copy(some(random, box)[:3], random.choice((box, there)))


COMMANDS = (flag, flag, expunge, expunge, append, append, copy)


def play(spool: Spool, random: Random, commands: int = 5) -> Scene:
    """Make a scene: open, some commands, close."""
    scene = Scene(spool)
    fill(spool, random)
    if random.random() < 0.8:
        spool.open().close()  # known already
        spool.open(inbox=False, path=spool.root / "other").close()
    state_of(spool).mkdir(parents=True, exist_ok=True)
    with recorded(scene) as recorder:
        box, there = spool.open(), spool.open(inbox=False, path=spool.root / "other")

        def done(told: bool = True) -> None:
            for each in (box, there):
                each.refresh()
                each.news()
            scene.stages.append((facts_of(box), facts_of(there)))
            if told:
                recorder.steps.append(Step("done", len(scene.stages) - 1))

        done()
        for _ in range(commands):
            if random.random() < 0.25:
                moved = some(random, box)[:3]
                box.copy(moved, there)
                done(False)  # the client has heard of nothing yet
                box.remove(moved)
            else:
                random.choice(COMMANDS)(random, box, there)
            done()
        scene.validity = box.uid_validity, there.uid_validity
        box.close()
        there.close()
    forget(spool)
    return scene


# --- crashes -----------------------------------------------------------------------------


class State:
    """What is left after a crash."""

    def __init__(self, names: dict[str, dict[str, int]], left: dict[int, File], how: str) -> None:
        self.names, self.files, self.how = names, left, how
        self.index: dict[str, bytes] = {}
        self.least = -1  # the last stage that a client was told of


def crash(scene: Scene, last: int, random: Random) -> State:
    """Make the first `last` steps, then die."""
    disk = Disk()
    disk.files, disk.saves = dict(scene.disk.files), scene.disk.saves
    disk.names = {place: dict(entries) for place, entries in scene.disk.names.items()}
    least = -1
    for step in scene.steps[:last]:
        disk.take(step)
        if step.kind == "done":
            assert isinstance(step.what, int)
            least = step.what
    sector = random.choice(SECTORS)
    following = scene.steps[last] if last < len(scene.steps) else None
    if following is not None and following.kind == "data" and random.random() < 0.5:
        offset, data = following.rest
        assert isinstance(offset, int) and isinstance(data, bytes)
        cuts = list(range(sector - offset % sector, len(data), sector))
        if cuts:
            cut = random.choice(cuts)
            disk.take(Step("data", following.what, offset, data[:cut]))
            if any(step.kind == "size" for step in scene.steps[last + 1 : last + 2]):
                disk.take(Step("size", following.what, offset + cut))
    how = random.choice(("killed", "cut", "cut", "cut"))
    state = State(*(disk.killed() if how == "killed" else disk.cut(random, sector)), how)
    state.least = least
    durable, latest = disk.saves
    if how == "killed":
        state.index = scene.saves[latest]
    elif random.random() < 0.9:
        state.index = scene.saves[random.randint(durable, latest)]
    else:
        state.how = "no index"
    return state


def restore(spool: Spool, state: State) -> None:
    lay_down(state.names, state.files, {str(spool.path), other(spool)})
    put_index(spool, state.index)


def allowed(scene: Scene, state: State) -> list[tuple[Facts, Facts]]:
    """What may be found: what the client was told of, up to what it had asked for next."""
    told = [step.what for step in scene.steps if step.kind == "done"]
    following = [stage for stage in told if isinstance(stage, int) and stage > state.least]
    return scene.stages[max(0, state.least) : (following[0] if following else max(0, state.least)) + 1]


def fault(scene: Scene, state: State, late: bool, indexed: bool, cut: bool) -> str:
    """What is wrong with what is found; "" if nothing is."""
    spool = scene.spool
    stages = allowed(scene, state)
    box, there = spool.open(), spool.open(inbox=False, path=spool.root / "other")
    for each in (box, there):
        agrees(each, cut)
        if journal.pending(str(state_of(spool)), os.stat(each.path).st_ino):
            return "a journal is left"
    found = facts_of(box), facts_of(there)
    texts = [[text for text, _ in each.values()] for each in found]
    if late and not (texts[0] and texts[0].pop().startswith(b"Subject: late\n")):
        return "a delivery is lost"
    possible = [stage for stage in stages if [[text for text, _ in each.values()] for each in stage] == texts]
    if not possible:
        return f"found {[len(each) for each in texts]} messages, possible {[tuple(map(len, s)) for s in stages]}"
    if indexed and scene.validity != (box.uid_validity, there.uid_validity):
        return "another UIDVALIDITY"
    for side in (0, 1):
        if scene.validity[side] != (box, there)[side].uid_validity or (cut and not indexed):
            continue  # the power and the index both gone: X-IMAPbase may be late
        for uid, (text, flags) in found[side].items():
            if state.least < 0 or uid not in stages[0][side]:
                continue  # nobody was told of it
            if text != stages[0][side][uid][0]:
                return f"UID {uid} means another message"
            sets = [stage[side][uid][1] for stage in stages if uid in stage[side]]
            if not frozenset.intersection(*sets) <= flags <= frozenset.union(*sets):
                return f"flags of {uid} are {sorted(flags)}, not one of {list(map(sorted, sets))}"
        if indexed and not any(set(stage[side]) & set(stages[0][side]) <= set(found[side]) for stage in possible):
            return "a message has another UID"
    return ""


def check(scene: Scene, last: int, random: Random) -> tuple[str, str]:
    """One crash, and what is wrong after it; how it died."""
    spool = scene.spool
    state = crash(scene, last, random)
    restore(spool, state)
    late = random.random() < 0.5
    if late:
        spool.deliver(spool.message("late"))
    indexed = state.how != "no index" and state.least >= 0
    how = state.how
    try:
        with settle_clock():
            if random.random() < 0.25:
                again = Scene(spool)
                with recorded(again):
                    spool.open()
                    spool.open(inbox=False, path=spool.root / "other")
                forget(spool)
                second = crash(again, random.randint(0, len(again.steps)), random)
                restore(spool, second)
                indexed = indexed and second.how != "no index"
                how += f", then {second.how}"
            return fault(scene, state, late, indexed, how != "killed"), how
    except Exception as error:
        return named(error), how
    finally:
        forget(spool)


def play_seed(seed: int, states: int = PER_SCENE, tell: Callable[[str], None] | None = None) -> Count:
    """One scene with that many crashes, spread over all its steps."""
    count = Count("crash states")
    random = Random(seed)
    with ground() as spool:
        if seed % 4 == 3 or seed % 8 == 6:  # all flags are noted in the index first, or those of several messages
            vars(spool.settings)["flags_at_once"] = int(seed % 4 == 2)
        scene = play(spool, random)
        for number in range(states):
            last = number % (len(scene.steps) + 1)
            state = Random(f"{seed} {number}")
            wrong, how = check(scene, last, state)
            count.tried += 1
            if wrong:
                count.wrong.append(f"seed {seed} state {number} step {last} ({how}): {wrong}")
        shutil.rmtree(state_of(spool))
    return count


def run(share: float = 1.0) -> Count:
    from benchmarks.reliability.table import together

    scenes = max(2, round(STATES * share / PER_SCENE))
    return together(play_seed, range(scenes), "crash states of expunge, flag, append, copy, move")
