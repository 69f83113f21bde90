"""A cold session, process by process: where the CPU time, the page faults and the imports are.

    python -m benchmarks.cold [RUNS]

As root.  An installed imapd gets a connection on descriptors 0, 1 and 2, as inetd gives it, and hears LOGIN, SELECT of
100 messages and LOGOUT.  Its processes note at their forks and their end what they have used (a few lines before the
launcher's own do that), and how many modules they have; gatekeeper and steward have no descriptor to note with, and are
the rest of the whole, which is counted by control group and without those lines.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import spool
from benchmarks.servers import HOST, PASSWORD, UID, USER, Group, hashed, install, own, write

SPY = """
import os, resource, sys
_note, _name, _forks = os.open({place!r}, os.O_WRONLY | os.O_APPEND), ["monitor, then session"], [0]
def _mark(what):
    used = resource.getrusage(resource.RUSAGE_SELF)
    text = f"{{_name[0]}}|{{what}}|{{used.ru_utime + used.ru_stime}}|{{used.ru_minflt}}|{{len(sys.modules)}}\\n"
    os.write(_note, text.encode())
def _fork(fork=os.fork):
    child = ("gatekeeper", "checker", "steward")[min(_forks[0], 2)]
    _forks[0] += 1
    _mark(f"before the fork of the {{child}}")
    pid = fork()
    if pid == 0:
        _name[0] = child
    return pid
def _exit(status, exit=os._exit):
    try:
        _mark("end")
    finally:
        exit(status)
os.fork, os._exit = _fork, _exit
_mark("Python is there")
"""


class Client:
    """One connection to a program of ours that has it as inetd gives it."""

    def __init__(self, program: str, group: Group) -> None:
        with socket.create_server((HOST, 0)) as listening:
            self.sock = socket.create_connection(listening.getsockname())
            theirs, _ = listening.accept()
        with theirs:
            self.server = subprocess.Popen(
                [program], stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=group.enter
            )

    def until(self, tag: bytes) -> None:
        heard = b""
        while not (heard.endswith(b"\n") and (heard.startswith(tag) or b"\n" + tag in heard)):
            heard += self.sock.recv(65536) or sys.exit(f"the connection is gone after {heard!r}")

    def session(self) -> None:
        self.until(b"* OK ")
        for number, command in enumerate((f"LOGIN {USER} {PASSWORD}", "SELECT INBOX", "LOGOUT"), 1):
            self.sock.sendall(f"a{number} {command}\r\n".encode())
            self.until(b"a%d OK" % number)
        while self.sock.recv(1000):
            pass
        self.sock.close()
        self.server.wait()


def prepare(scratch: Path) -> Path:
    """An installation with one user and 100 messages; the program."""
    place = scratch / "place"
    programs = install(
        scratch, passwd_file=str(place / "accounts"), mail_location=f"mbox:{place}/home/mail:INBOX={place}/spool/%u",
        index_directory=f"{place}/index/%u", gatekeeper_root=str(scratch / "nothing"), anonymous_file="",
        cram_md5_file="", run_directory=str(scratch / "run"), scram_key_file=str(place / "key"),
    )  # fmt: skip
    for path in (scratch / "nothing", place):
        path.mkdir(mode=0o755)
    write(place / "accounts", f"{USER}:{{SHA512-CRYPT}}{hashed()}:{UID}:{UID}::{place}/home\n", 0o644)
    for name in ("home", "spool", "index"):
        (place / name).mkdir(mode=0o755)
        own(place / name)
    spool.make(place / "spool" / USER, "T")
    own(place / "spool" / USER)
    return programs / "imapd"


def spied(program: Path, notes: Path) -> Path:
    """The same program, whose processes write into `notes`."""
    first, _, rest = program.read_text().partition("\n")
    other = program.with_name("imapd-spied")
    other.write_text(first + SPY.format(place=str(notes)) + rest)
    other.chmod(0o755)
    notes.touch()
    return other


def whole(program: Path, group: Group, runs: int) -> list[float]:
    """CPU ms of all processes of a session; the first ones make the index and warm the caches."""
    costs = []
    for run in range(runs + 2):
        before = group.cpu_seconds()
        Client(str(program), group).session()
        while group.pids():
            time.sleep(0.001)
        if run >= 2:
            costs.append((group.cpu_seconds() - before) * 1000)
    return costs


def main() -> None:
    if os.geteuid():
        raise SystemExit("this needs root: a login becomes another user")
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(prefix="measured-", dir="/var/tmp") as place:
        scratch = Path(place)
        scratch.chmod(0o755)
        program, group = prepare(scratch), Group("cold")
        try:
            costs = whole(program, group, runs)
            notes = scratch / "notes"
            whole(spied(program, notes), group, runs)
        finally:
            group.end()
        print(f"a session: {statistics.median(costs):.1f} ms of CPU (from {min(costs):.1f} to {max(costs):.1f})\n")
        tell(notes.read_text())


def tell(notes: str) -> None:
    """Medians of what was noted; a fork begins anew at nothing."""
    rows: dict[tuple[str, str], list[tuple[float, int, int]]] = {}
    for line in notes.splitlines():
        name, what, seconds, faults, modules = line.split("|")
        rows.setdefault((name, what), []).append((float(seconds) * 1000, int(faults), int(modules)))
    print(f"{'process':24}{'at':36}{'CPU ms':>8}{'faults':>8}{'modules':>9}")
    for (name, what), figures in sorted(rows.items(), key=lambda row: row[0][0] != "monitor, then session"):
        cpu, faults, modules = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{name:24}{what:36}{cpu:8.1f}{faults:8.0f}{modules:9.0f}")


if __name__ == "__main__":
    main()
