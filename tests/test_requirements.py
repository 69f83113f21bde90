"""The tables of REQUIREMENTS.md name tests that exist, and leave no requirement out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
LOGIN, STORE = (TESTS / "mailcore" / room / "REQUIREMENTS.md" for room in ("login", "store"))
WRITTEN = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))


@pytest.mark.parametrize("table, last", [(LOGIN, 64), (STORE, 42)])
def test_each_requirement_has_its_line(table, last):
    numbers = []
    for line in table.read_text().splitlines():
        if re.match(r"\| [\d ]+ \|", line):
            numbers += [int(number) for number in line.split("|")[1].split()]
    assert numbers == list(range(1, last + 1))


@pytest.mark.parametrize("table", [LOGIN, STORE])
def test_what_it_names_exists(table):
    text = table.read_text()
    defined = set(re.findall(r"def (test_\w+)", WRITTEN))
    for name in re.findall(r"\b(test_\w+)(?!\w|\.py)", text):
        assert name in defined or list(TESTS.rglob(f"{name}.py")), name
    for path in re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)", text):
        assert (TESTS.parent / path).exists(), path
    for name in re.findall(r"`(test_\w+\.py)", text):
        assert list(TESTS.rglob(name)), name
