"""Runs the campaigns, on all processors, and prints what they found."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable

from benchmarks.reliability import Count


def together(one: Callable[[int], Count], seeds: Iterable[int], what: str, processes: int = 0) -> Count:
    """`one(seed)` for each, in as many processes as there are processors."""
    total = Count(what)
    with multiprocessing.get_context("fork").Pool(processes or os.cpu_count() or 1) as pool:
        for count in pool.imap_unordered(one, seeds):
            total.add(count)
    return total
