"""One file of all modules: what is found there, and that whatever is wrong with it does no harm."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailcore import bundle
from tests.playground import ROOT


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A package `fruit` and this repository's mailcore.bundle, bundled; the sources are gone."""
    (tmp_path / "fruit" / "red").mkdir(parents=True)
    (tmp_path / "fruit" / "__init__.py").write_text("'''Said to nobody.'''\nfrom fruit import pear\n")
    (tmp_path / "fruit" / "pear.py").write_text("COLOUR = 'yellow'\n")
    (tmp_path / "fruit" / "red" / "__init__.py").write_text("")
    (tmp_path / "fruit" / "red" / "apple.py").write_text("COLOUR = 'red'\nimport missing\n")
    compileall.compile_dir(tmp_path, quiet=1, optimize=2)
    bundle.write(str(tmp_path), ["fruit"])
    for path in [*tmp_path.rglob("*.py")]:
        path.unlink()
    return tmp_path


def run(library: Path, code: str, before: str = "") -> subprocess.CompletedProcess[str]:
    begin = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from mailcore import bundle; {before}"
    start = f"{begin}\nbundle.use({str(library)!r})\n{code}"
    return subprocess.run([sys.executable, "-IS", "-c", start], capture_output=True, text=True, check=False)


def test_modules_and_packages(library: Path) -> None:
    code = "import fruit.pear; print(fruit.__doc__, fruit.pear.COLOUR, fruit.__path__, fruit.pear.__name__)"
    assert run(library, code).stdout == "None yellow [] fruit.pear\n"


def test_what_is_missing_is_missed(library: Path) -> None:
    assert "No module named 'fruit.plum'" in run(library, "import fruit.plum").stderr
    done = run(library, "import fruit.red.apple")
    assert "No module named 'missing'" in done.stderr and "red/apple.py\", line 2" in done.stderr


CHANGES = {
    "it is gone": "os.unlink(path)",
    "it is another file": "os.rename(path, path + 'x'); open(path, 'wb').write(open(path + 'x', 'rb').read())",
    "it has changed": "os.utime(path, (1, 1))",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_new_one_under_a_running_session(library: Path, change: str) -> None:
    """The index in memory is that of the old file: nothing is taken from another one."""
    path = str(library / bundle.NAME)
    done = run(library, f"import os; path = {path!r}\nimport fruit\n{change}\nimport fruit.red")
    assert "No module named 'fruit.red'" in done.stderr


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"fruit 0 9\n", b"fruit 0 9\n\n" + b"x" * 9, b"\n\n"])
def test_one_that_is_damaged_or_of_another_python(library: Path, content: bytes) -> None:
    (library / bundle.NAME).write_bytes(content)
    assert run(library, "print(len(sys.meta_path))\nimport fruit").stdout == "3\n"


def test_one_that_was_cut_off(library: Path) -> None:
    path = library / bundle.NAME
    path.write_bytes(path.read_bytes()[:-1])
    names = ("fruit", "fruit.pear", "fruit.red", "fruit.red.apple")
    code = f"for name in {names!r}: print(bool(sys.meta_path[0].find_spec(name)))"
    assert sorted(run(library, code).stdout.split()) == ["False", "True", "True", "True"]


def test_what_is_left_out(tmp_path: Path) -> None:
    for package in ("mailcore", "imapd"):
        os.symlink(ROOT / package, tmp_path / package)
    names = [name for name, _ in bundle.found(str(tmp_path), ["mailcore", "imapd"])]
    assert not [name for name in names if name.startswith(bundle.LEFT_OUT)]
