"""Compare with Dovecot, and print what was promised and what is so.

    make bench [SIZE=L] [ROUNDS=3] [ONLY=sessions,selects] [JSON=file]

SIZE is the mailbox to work on: S 1 000 messages (10 MB, a quick look), M 20 000 (216 MB), L the same with SELECT on
100 000 (1.08 GB) too.  Needs root (other users' mail, control groups), and dovecot-imapd and dovecot-pop3d of Debian;
cold sessions need an inetd.  Scenarios run in the order A B, B A, …; figures are medians, CPU that of all of the
server's processes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from benchmarks import greeting, scenarios, servers, table


def machine() -> str:
    """Where and when, for whoever reads the table later."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), os.uname().machine)  # fmt: skip
    dovecot = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=False).stdout.split()
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return (
        f"{day}, {os.cpu_count()} x {model}, Linux {os.uname().release.split('-')[0]}, Python "
        f"{sys.version.split()[0]}, Dovecot {dovecot[0] if dovecot else 'missing'}, load {os.getloadavg()[0]:.1f}"
    )


def run(only: list[str], rounds: int, size: str, large: bool) -> dict[str, dict[str, list[float]]]:
    """All figures, by server and name."""
    with tempfile.TemporaryDirectory(prefix="measured-", dir="/var/tmp") as place:
        scratch = Path(place)
        scratch.chmod(0o755)
        say("making mailboxes")
        boxes, facts = servers.mailboxes(scratch, list(dict.fromkeys(["T", "S", size, *(["L"] if large else [])])))
        say("starting servers")
        running = servers.start(scratch)
        records = {name: scenarios.Record() for name in running}
        grounds = {name: scenarios.Ground(server, boxes, facts, records[name]) for name, server in running.items()}
        try:
            for number in range(rounds):
                for name in only:
                    one_round(name, number, grounds, size)
                    if name == "selects" and large and number < 2:
                        one_round(name, number, grounds, "L")
        finally:
            for server in running.values():
                server.stop()
        return {name: record.figures for name, record in records.items()}


def one_round(name: str, number: int, grounds: dict[str, scenarios.Ground], size: str) -> None:
    """A scenario on each server that takes part; A B in one round, B A in the next."""
    scenario, who = scenarios.ALL[name]
    for server in who if number % 2 == 0 else reversed(who):
        if server in grounds:
            started = time.perf_counter()
            try:
                scenario(grounds[server], size)
                say(f"round {number + 1} {name} {size} {server}: {time.perf_counter() - started:.1f} s")
            except Exception:  # one that fails must not hide the others; its rows are left out, and it is told
                say(f"round {number + 1} {name} {size} {server}: FAILED\n{traceback.format_exc()}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare with Dovecot.")
    parser.add_argument("--size", default="L", choices=list("SML"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help=f"some of {','.join(scenarios.ALL)},cold")
    parser.add_argument("--json", default="")
    given = parser.parse_args()
    if os.geteuid():
        raise SystemExit("this needs root: other users' mail, and control groups")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of `finally`: no server is left behind
    size = "M" if given.size == "L" else given.size
    only = [name for name in given.only.split(",") if name] or [*scenarios.ALL, "cold"]
    where = machine()
    records = run([name for name in only if name != "cold"], given.rounds, size, given.size == "L")
    if "cold" in only:
        bare, pipe, socket = greeting.figures(20)
        records["bare"] = {"pipe": bare}
        records.setdefault("ours", {}).update({"pipe": pipe, "socket": socket})
    figures = table.settle(records)
    wanted = table.rows(size, "L" if given.size == "L" else "")
    judged = [row for row in (row.judge(figures) for row in wanted) if row is not None]
    promised = [row for row in judged if row["target"] is not None]
    met = sum(1 for row in promised if row["met"])
    print(f"{where}; work on {size}\n", *table.lines(judged), sep="\n")
    print(f"\n{met} of {len(promised)} met, {len(wanted) - len(judged)} not measured")
    if given.json:
        Path(given.json).write_text(json.dumps({"where": where, "rows": judged, "figures": records}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
