"""A real disk that is really full: a small file system, filled up, under a mailbox and its index.

What lives here: a tmpfs of some MiB, and ext4 on a loop device where the machine has one; APPEND,
COPY, STORE, EXPUNGE and a delivery on it with less and less room.  Each answers with success, or
says that there is no space and leaves every message as it was.  Needs root.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from benchmarks.reliability import Count, facts_of, forget, named
from mailcore.errors import MailError, OutOfSpace
from mailcore.store.mailbox import Incoming
from tests.mailcore.store.conftest import Spool, agrees

ROUNDS = 150
MIB = 1024 * 1024
SIZE = 24 * MIB


@contextmanager
def mounted(kind: str) -> Iterator[Path | None]:
    """A file system of SIZE; None where this machine cannot have one."""
    place = Path(tempfile.mkdtemp(prefix="mailcore-reliability-"))
    root = place / "disk"
    root.mkdir()
    made = False
    try:
        if kind == "tmpfs":
            made = _ok("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(root))
        else:
            with open(place / "image", "wb") as image:
                image.truncate(SIZE)
            made = _ok("mkfs.ext4", "-q", "-F", str(place / "image"))
            made = made and _ok("mount", "-o", "loop", str(place / "image"), str(root))
        yield root if made else None
    finally:
        if made:
            _ok("umount", "-l", str(root))
        shutil.rmtree(place, ignore_errors=True)


def _ok(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def fill(root: Path, leave: int) -> None:
    """A file that leaves so many octets of the disk."""
    hog = root / "hog"
    hog.unlink(missing_ok=True)
    free = shutil.disk_usage(root).free - leave
    with open(hog, "wb") as file:
        try:
            for _ in range(max(0, free) // 4096):
                file.write(b"x" * 4096)
        except OSError:
            pass  # fuller than it said


def one_round(spool: Spool, random: Random, number: int) -> str:
    """One command on a disk with this little room; what is wrong after it."""
    text = b"Subject: n\n\n" + b"line of a mail\n" * random.randint(1, 60_000)
    commands = {
        "append": lambda box: box.append([Incoming(text)]),
        "copy": lambda box: box.copy(list(box.uids)[:2], box),
        "store": lambda box: box.store(list(box.uids)[:9], "+", ["k" * random.randint(1, 90), "\\Seen"]),
        "expunge": lambda box: box.remove(list(box.uids)[:1]),
    }
    name = random.choice([*commands])
    fill(spool.root, random.choice((0, 4096, 65_536, 300_000, 2 * MIB)))
    box = spool.open()
    before = facts_of(box)
    content = spool.path.read_bytes()
    failed = False
    try:
        commands[name](box)
    except OutOfSpace:
        failed = True
    except MailError as error:
        return f"{name}: {named(error)}"
    now = spool.path.read_bytes()
    forget(spool)
    (spool.root / "hog").unlink()
    box = spool.open()
    agrees(box, cut=failed)
    found = facts_of(box)
    texts = [text for text, _ in found.values()]
    forget(spool)
    if failed and sorted(texts) != sorted(text for text, _ in before.values()):
        return f"{name} failed and changed the mailbox"
    if failed and name != "store" and now != content:
        return f"{name} failed and changed the file"
    if not failed and found == before:
        return f"{name} was said to be done"
    return ""


def run(share: float = 1.0) -> Count:
    count = Count("commands on a disk that is really full (tmpfs, ext4)")
    random = Random(1)
    for kind in ("tmpfs", "ext4"):
        with mounted(kind) as root:
            if root is None:
                count.notes[f"no {kind} here"] = 1
                continue
            spool = Spool(root)
            for number in range(max(8, round(ROUNDS * share))):
                if number % 20 == 0:
                    (root / "hog").unlink(missing_ok=True)
                    spool.path.write_bytes(b"".join(spool.message(f"m{n}", "body\n" * 999) for n in range(20)))
                try:
                    wrong = one_round(spool, random, number)
                except Exception as error:
                    wrong = named(error)
                    forget(spool)
                count.tried += 1
                if wrong:
                    count.wrong.append(f"{kind} round {number}: {wrong}")
    return count
