"""The table of REQUIREMENTS.md names tests that exist, and leaves no requirement out."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("REQUIREMENTS.md").read_text()


def test_each_requirement_has_its_line():
    numbers = []
    for line in TABLE.splitlines():
        if re.match(r"\| [\d ]+ \|", line):
            numbers += [int(number) for number in line.split("|")[1].split()]
    assert numbers == list(range(1, 43))


def test_what_it_names_exists():
    defined = set(re.findall(r"def (test_\w+)", "".join(path.read_text() for path in TESTS.rglob("test_*.py"))))
    for name in re.findall(r"\b(test_\w+)(?!\w|\.py)", TABLE):
        assert name in defined or list(TESTS.rglob(f"{name}.py")), name
    for path in re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)", TABLE):
        assert (TESTS.parent / path).exists(), path
