"""What a cold start costs: CPU time to the greeting, as a ratio to the bare interpreter in the same run.

    python benchmarks/greeting.py [RUNS]

Starts `python3 -IS -c pass` and each server alternately (A B B A), counts user and system
time of the finished processes (getrusage of children), and prints medians and ratios.  The
servers are installed first (`make install` into a scratch directory), so that what runs is
what an administrator runs: compiled files, system interpreter, launcher.
"""

from __future__ import annotations

import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(command: list[str], **keywords: object) -> float:
    before = used()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, **keywords)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{command}: exit {done.returncode}")
    return (used() - before) * 1000


def on_a_pipe(command: list[str]) -> float:
    return timed(command, stdin=subprocess.DEVNULL)


def on_a_socket(command: list[str]) -> float:
    """As inetd does: descriptors 0, 1 and 2 are the connection; the client reads the greeting and leaves."""
    ours, theirs = socket.socketpair()
    before = used()
    server = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    theirs.close()
    ours.recv(1000)
    ours.close()
    server.wait()
    return (used() - before) * 1000


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        subprocess.run(
            ["make", "-s", "install", f"PREFIX={scratch}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        bare = [PYTHON, "-IS", "-c", "pass"]
        rows = {"bare python3 -IS": lambda: on_a_pipe(bare)}
        for server in ("imapd", "ipop3d"):
            command = [f"{scratch}/libexec/{server}"]
            rows[f"{server}, pipe"] = lambda command=command: on_a_pipe(command)
            rows[f"{server}, socket"] = lambda command=command: on_a_socket(command)
        times: dict[str, list[float]] = {name: [] for name in rows}
        for run in range(runs + 1):
            order = list(rows) if run % 2 else list(reversed(rows))
            for name in order:
                cost = rows[name]()
                if run:  # the first round warms the caches
                    times[name].append(cost)
        base = statistics.median(times["bare python3 -IS"])
        print(f"{'CPU ms, whole process to the greeting':40} median    min    max  ratio")
        for name, costs in times.items():
            median = statistics.median(costs)
            print(f"{name:40} {median:6.1f} {min(costs):6.1f} {max(costs):6.1f} {median / base:6.2f}")


if __name__ == "__main__":
    main()
