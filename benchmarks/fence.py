"""What the fence around a session costs: CPU and wall time of a login on a pipe and one SELECT, with and without it.

    python -m benchmarks.fence [RUNS]

The same installed program, alternately with confine_session=true and false (A B B A).  Also
prints the memory that the steward does not share with the session (its private dirty pages).
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TALK = b"a SELECT INBOX\r\nb LOGOUT\r\n"
NOBODY = 65534


def options(home: str, fenced: bool) -> list[str]:
    return ["-o", f"mail_location=mbox:~/mail:INBOX={home}/inbox", "-o", f"confine_session={str(fenced).lower()}"]


def identity() -> dict[str, object]:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}


def once(imapd: str, home: str, fenced: bool) -> tuple[float, float]:
    """CPU (with children) and wall time in milliseconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [imapd, *options(home, fenced)], input=TALK, capture_output=True, env={"HOME": home}, cwd="/", **identity()
    )  # type: ignore[call-overload]
    wall = (time.perf_counter() - began) * 1000
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if b"b OK" not in done.stdout:
        raise SystemExit(f"{done}")
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000, wall


def steward_kib(imapd: str, home: str) -> int:
    session = subprocess.Popen(
        [imapd, *options(home, True)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"HOME": home}, **identity()
    )  # type: ignore[call-overload]
    session.stdin.write(b"a NOOP\r\n")
    session.stdin.flush()
    session.stdout.readline()
    session.stdout.readline()
    (steward,) = Path(f"/proc/{session.pid}/task/{session.pid}/children").read_text().split()
    time.sleep(0.1)
    lines = Path(f"/proc/{steward}/smaps_rollup").read_text().splitlines()
    session.communicate(b"b LOGOUT\r\n")
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        subprocess.run(["make", "-s", "install", f"PREFIX={scratch}", f"STATE={scratch}/state"], cwd=ROOT, check=True)
        imapd, home = f"{scratch}/libexec/imapd", f"{scratch}/home"
        os.mkdir(home)
        if os.getuid() == 0:
            os.chown(home, NOBODY, NOBODY)
        times: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for _ in range(runs):
            for fenced in (True, False, False, True):
                times[fenced].append(once(imapd, home, fenced))
        for fenced in (False, True):
            cpu, wall = (statistics.median(column) for column in zip(*times[fenced], strict=True))
            print(f"fence {'on ' if fenced else 'off'}  {cpu:6.1f} ms CPU  {wall:6.1f} ms wall")
        print(f"steward   {steward_kib(imapd, home):6} KiB of its own")


if __name__ == "__main__":
    main()
