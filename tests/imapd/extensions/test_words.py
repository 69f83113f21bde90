"""Which words bring an extension in: the table in imapd/extensions/__init__.py, against what the files do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from imapd.extensions import NAMES, UNTOLD, WORDS

MODULES = {module for module, _ in NAMES.values() if module} | {*UNTOLD}
BEFORE_LOGIN = {"id"}
FIRST = ("enable", "sort", "catenate")  # they have tables of their own, to which others add

SPY = """
import sys; sys.path[:0] = PATH
import json
from importlib import import_module
from imapd import authenticated, fetch, incoming, intake, listing, results, search, selected, unauthenticated
CORE = (authenticated, fetch, incoming, intake, listing, results, search, selected, unauthenticated)
OWN = {"enable": "ENABLE", "sort": "SORT_KEY", "catenate": "CAT_PART"}
def tables():
    found = {(module, name): value for module in CORE for name, value in vars(module).items() if name[0] != "_"}
    for name, table in OWN.items():
        if module := sys.modules.get("imapd.extensions." + name):
            found[module, table] = vars(module)[table]
    return {key: set(value.items() if isinstance(value, dict) else value)
            for key, value in found.items() if isinstance(value, (dict, set))}
added = {}
for module in MODULES:
    names = set(sys.modules)
    before = tables()
    import_module("imapd.extensions." + module)
    also = {name.rpartition(".")[2] for name in set(sys.modules) - names if name.startswith("imapd.extensions.")}
    keys = {item[0] if isinstance(item, tuple) else item
            for name, table in tables().items() for item in table - before.get(name, table)}
    added[module] = [sorted(also), sorted(key for key in keys if isinstance(key, str))]
print(json.dumps(added))
"""


@pytest.fixture(scope="module")
def added() -> dict[str, tuple[list[str], list[str]]]:
    """What each extension adds to which tables, one imported after the other; and which it brings along."""
    code = f"PATH = {sys.path!r}\nMODULES = {[*FIRST, *sorted(MODULES - {*FIRST})]!r}{SPY}"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return {module: (also, keys) for module, (also, keys) in json.loads(done.stdout).items()}


def words(*modules: str) -> set[str]:
    return {word for module in modules for word in WORDS.get(module, "").split()} - {"+"}


def test_every_extension_has_its_words() -> None:
    assert set(WORDS) == MODULES - BEFORE_LOGIN
    here = {path.stem for path in Path(__file__).resolve().parents[3].joinpath("imapd/extensions").glob("*.py")}
    assert here - {"__init__"} == MODULES


def test_words_are_what_it_adds(added: dict[str, tuple[list[str], list[str]]]) -> None:
    total = 0
    for module, (also, keys) in added.items():
        keys = [key for key in keys if key != "UID"]  # `UID REPLACE {9}`: the word is REPLACE
        total += len(keys)
        assert set(keys) <= words(*also, module), f"{module}: {set(keys) - words(*also, module)} is not in WORDS"
    assert total > 80


def test_no_word_is_of_nothing(added: dict[str, tuple[list[str], list[str]]]) -> None:
    keys = {key for _, more in added.values() for key in more}
    for module, line in WORDS.items():
        own = set(line.partition("+")[0].split())
        assert own <= keys, f"{module}: {own - keys} is in no table"
