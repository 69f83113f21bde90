"""What a cold start costs: CPU time to the greeting, as a ratio to the bare interpreter in the same run.

    python -m benchmarks.greeting [RUNS]

Starts `python3 -IS -c pass` and each server alternately (A B B A), counts user and system
time of the finished processes (getrusage of children), and prints medians and ratios.  The
servers are installed first (`make install` into a scratch directory), so that what runs is
what an administrator runs: compiled files, system interpreter, launcher.
"""

from __future__ import annotations

import resource
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.servers import PYTHON, install


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


def measure(runs: int) -> dict[str, list[float]]:
    """CPU ms of each start, by what is started."""
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        scratch.chmod(0o755)
        programs = install(scratch)
        bare = [PYTHON, "-IS", "-c", "pass"]
        rows = {"bare python3 -IS": lambda: on_a_pipe(bare)}
        for server in ("imapd", "ipop3d"):
            command = [f"{programs}/{server}"]
            rows[f"{server}, pipe"] = lambda command=command: on_a_pipe(command)
            rows[f"{server}, socket"] = lambda command=command: on_a_socket(command)
        times: dict[str, list[float]] = {name: [] for name in rows}
        for run in range(runs + 1):
            for name in rows if run % 2 else reversed(rows):
                cost = rows[name]()
                if run:  # the first round warms the caches
                    times[name].append(cost)
    return times


def figures(runs: int) -> tuple[list[float], list[float], list[float]]:
    """CPU seconds of the bare interpreter, and of imapd on a pipe and on a socket, for the table of `make bench`."""
    times = measure(runs)
    bare, pipe, sock = (
        [cost / 1000 for cost in times[name]] for name in ("bare python3 -IS", "imapd, pipe", "imapd, socket")
    )
    return bare, pipe, sock


def main() -> None:
    times = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
    base = statistics.median(times["bare python3 -IS"])
    print(f"{'CPU ms, whole process to the greeting':40} median    min    max  ratio")
    for name, costs in times.items():
        median = statistics.median(costs)
        print(f"{name:40} {median:6.1f} {min(costs):6.1f} {max(costs):6.1f} {median / base:6.2f}")


if __name__ == "__main__":
    main()
