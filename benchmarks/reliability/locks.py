"""All pairs of lock orders with us among them: benchmarks/lock_orders.py, counted for the table."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.reliability import Count
from tests.playground import ROOT

SECONDS = 10.0  # for each pair


def run(share: float = 1.0) -> Count:
    count = Count("pairs of lock orders, 10 s each: nobody lost a turn or waited 10 s")
    command = [sys.executable, str(ROOT / "benchmarks" / "lock_orders.py"), f"{max(1.0, SECONDS * share):g}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    count.tried = len(lines) - 1
    count.wrong = [line for line in lines[:-1] if not line.startswith("ok")]
    if done.returncode and not count.wrong:
        count.wrong.append(done.stderr.strip()[-200:])
    return count
