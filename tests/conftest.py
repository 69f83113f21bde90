"""What a test needs of the machine, and what it means when that is not there.

`need("inetd")` and `need_root()` skip the test, except where MAILCORE_REQUIRE_ALL=1 says that this
machine must have everything (.ci/run): there they fail it.

Debian's packages of inetd and xinetd exclude each other, so one of them may be unpacked somewhere
else: MAILCORE_PROGRAMS names more directories to look in.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from mailcore import settings
from mailcore.login import provisions
from mailcore.store import index
from tests.playground import Ground

PATH = os.pathsep.join(
    [os.environ.get(name, "") for name in ("PATH", "MAILCORE_PROGRAMS")] + ["/usr/local/sbin", "/usr/sbin", "/sbin"]
)


def missing(what: str) -> None:
    """End the test: skipped, or failed where nothing may be missing."""
    if os.environ.get("MAILCORE_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is missing, and MAILCORE_REQUIRE_ALL is set", pytrace=False)
    pytest.skip(f"{what} is missing")


def need(program: str) -> str:
    """The path of a program."""
    path = shutil.which(program, path=PATH)
    if path is None:
        missing(program)
    return str(path)


def need_root() -> None:
    """Go on only as root."""
    if os.geteuid() != 0:
        missing("root")


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A home and a spool for one user."""
    return Ground(tmp_path)


@pytest.fixture(autouse=True, scope="session")
def nothing_is_left(tmp_path_factory):
    """What this process and its forks would keep in /run/mailcore and /var/lib/mailcore is kept elsewhere."""
    place = tmp_path_factory.mktemp("machine")
    place.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(settings.TABLE, "run_directory", (str(place / "run"), settings.TABLE["run_directory"][1]))
        patch.setattr(index, "SHARED_HOME", str(place / "no-index"))
        patch.setattr(provisions, "INDEX_HOME", index.SHARED_HOME)
        patch.setattr(provisions.provide_index, "__defaults__", (index.SHARED_HOME,))
        yield


@pytest.fixture(autouse=True)
def signals_get_through():
    """A test that leaves one blocked would block it in all that later tests start."""
    yield
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, [])
    assert not blocked, f"left blocked: {sorted(blocked)}"
