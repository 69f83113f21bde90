"""python -m benchmarks.reliability [SHARE] [NAME…]: run the campaigns, print the table, fail if anything is wrong."""

from __future__ import annotations

import sys
import time
from importlib import import_module

NAMES = ("crashes", "faults", "foreign", "fuzz", "kills", "volume", "locks", "delivery")


def main(words: list[str]) -> int:
    share = float(words[0]) if words else 1.0
    bad = 0
    print("| what | tried | wrong | seconds |\n|---|---:|---:|---:|")
    for name in words[1:] or NAMES:
        start = time.monotonic()
        count = import_module(f"benchmarks.reliability.{name}").run(share)
        seconds = time.monotonic() - start
        print(f"| {count.what} | {count.tried} | {len(count.wrong)} | {seconds:.0f} |", flush=True)
        for note, number in count.notes.items():
            print(f"    {note}: {number:g}", file=sys.stderr)
        for wrong in count.wrong[:20]:
            print(f"    {wrong}", file=sys.stderr)
        bad += len(count.wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
