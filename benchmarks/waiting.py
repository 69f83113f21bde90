"""How long a delivery waits while a session reads a large mailbox (security-reliability R29), and what FETCH costs.

    python -m benchmarks.waiting [MIB [DIRECTORY]]

A neighbour takes an fcntl lock and a dot lock as Postfix does, gives them back, and again, while
a session opens the mailbox for the first time, after a delivery, after another program's change
of it, and reads all headers.  Printed: seconds of each, and how long the neighbour waited.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, sleep

from mailcore.settings import Settings
from mailcore.store.namespace import Store

BODY = b"\n".join([b"A line of text as people write them, seventy-two octets long, or so."] * 140)


def fill(path: Path, octets: int) -> int:
    """A mailbox of 10 KB messages."""
    count = 0
    with path.open("wb") as file:
        while file.tell() < octets:
            count += 1
            file.write(message(count))
    return count


def message(number: int) -> bytes:
    head = b"From a%d@example.org Sat Nov 21 12:00:00 2026\nSubject: %d\nFrom: a@example.org\n" % (number, number)
    return head + b"Message-ID: <%d@example.org>\n\n%b\n\n" % (number, BODY)


def neighbour(path: str, pipe: Connection) -> None:
    """Lock and unlock until told to stop; send all waits."""
    waits = []
    fd = os.open(path, os.O_RDWR)
    while not pipe.poll():
        start = monotonic()
        fcntl.lockf(fd, fcntl.LOCK_EX)
        while True:
            try:
                os.close(os.open(path + ".lock", os.O_CREAT | os.O_EXCL, 0o600))
                break
            except FileExistsError:
                sleep(0.001)
        waits.append(monotonic() - start)
        os.unlink(path + ".lock")
        fcntl.lockf(fd, fcntl.LOCK_UN)
        sleep(0.002)
    pipe.send(sorted(waits))


def watched(path: Path, name: str, work: Callable[[], object]) -> None:
    here, there = Pipe()
    process = Process(target=neighbour, args=(str(path), there))
    process.start()
    sleep(0.05)
    start = monotonic()
    work()
    seconds = monotonic() - start
    here.send(None)
    waits = here.recv()
    process.join()
    p99 = waits[len(waits) * 99 // 100]
    print(f"{name:32} {seconds:8.3f} s   waits: p99 {p99 * 1000:7.1f} ms, longest {waits[-1] * 1000:7.1f} ms")


def main() -> None:
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as directory:
        root = Path(directory)
        path = root / "inbox"
        count = fill(path, mebibytes << 20)
        settings = Settings(mail_location=f"mbox:{root}/mail:INBOX={path}", index_directory=str(root / "index"))
        (root / "index").mkdir()
        print(f"{mebibytes} MiB, {count} messages")

        def select() -> None:
            with Store("fred", str(root), settings) as store:
                box = store.open("INBOX")
                box._settle = lambda sync: None  # type: ignore[attr-defined]  # what is written then is no matter here
                box.close()

        def headers() -> None:
            with Store("fred", str(root), settings) as store:
                box = store.open("INBOX", readonly=True)
                for uid in box.uids:
                    box.header(uid)
                box.close()

        watched(path, "first open", select)
        watched(path, "open again", select)
        with path.open("ab") as file:
            file.write(message(count + 1))
        watched(path, "open after a delivery", select)
        os.utime(path)
        watched(path, "open after a change", select)
        watched(path, "all headers", headers)


if __name__ == "__main__":
    main()
