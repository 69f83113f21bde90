"""S64: what `make install` puts in place listens to nobody's environment, and holds only what was pinned."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import need
from tests.playground import ROOT

TRAPS = ("os", "ssl", "socket", "sitecustomize", "usercustomize", "mailcore", "imapd", "ipop3d", "encodings", "_signal")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    done = subprocess.run(
        [need("make"), "-s", "-C", str(ROOT), f"VENV={sys.prefix}", "install", f"PREFIX={prefix}",
         f"STATE={prefix}/state"],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return prefix


@pytest.mark.parametrize("server", ["imapd", "ipop3d"])
def test_a_hostile_environment_changes_nothing(installed, tmp_path, server):
    trap = tmp_path / "sprung"
    code = f"open({str(trap)!r}, 'a').write(__name__ + ' ')\n"
    for name in TRAPS:
        (tmp_path / f"{name}.py").write_text(code)
    site = tmp_path / ".local/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (site / "trap.pth").write_text(f"import sys; {code}")
    hostile = {
        "PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "os.py"),
        "PYTHONUSERBASE": str(tmp_path / ".local"), "PYTHONINSPECT": "1", "PYTHONVERBOSE": "1",
        "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-7", "PYTHONBREAKPOINT": "os.system",
        "PYTHONPLATLIBDIR": str(tmp_path), "PYTHONCASEOK": "1", "HOME": str(tmp_path), "PATH": str(tmp_path),
    }  # fmt: skip

    def talk(environment):
        said = b"a CAPABILITY\r\nb LOGOUT\r\n" if server == "imapd" else b"CAPA\r\nQUIT\r\n"
        done = subprocess.run(
            [str(installed / "libexec" / server)], input=said, capture_output=True, timeout=60,
            env=environment, cwd=tmp_path,
        )  # fmt: skip
        return re.sub(rb" at \w{3}, .*? \+0000", b"", done.stdout), done.returncode

    assert talk(hostile) == talk({"HOME": str(tmp_path)})
    assert not trap.exists(), trap.read_text()


def test_the_launcher_is_isolated(installed):
    for server in ("imapd", "ipop3d"):
        first = (installed / "libexec" / server).read_text().splitlines()[0]
        assert first.endswith(" -IS") and os.access(first[2:-4], os.X_OK)


def test_only_what_is_pinned_was_installed(installed):
    pinned = dict(re.findall(r"(?m)^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements.txt").read_text()))
    found = {}
    for path in Path(installed / "lib/mailcore/vendor").glob("*.dist-info"):
        name, version = path.name.removesuffix(".dist-info").rsplit("-", 1)
        found[name.replace("_", "-").lower()] = version
    assert found == {name.lower(): version for name, version in pinned.items()}
