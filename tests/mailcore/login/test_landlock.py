"""mailcore.login.landlock: what is named can be reached as it is named, and nothing else."""

from __future__ import annotations

import ast
import os
import socket

import pytest

from mailcore.login import landlock, syscalls
from tests.conftest import missing
from tests.mailcore.login.fork import in_a_fork


@pytest.fixture(autouse=True)
def kernel():
    if landlock.version() < landlock.LEAST:
        missing("Landlock")


@pytest.fixture
def land(tmp_path):
    for name in ("tree", "files", "read", "closed"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "file").write_text("text")
        (tmp_path / name / "sub/file").write_text("text")
    return tmp_path


def write(path):
    with open(path, "a") as file:
        file.write("x")


def read(path):
    with open(path) as file:
        file.read()


def within(land, *calls):
    """True for each call that was possible inside the enclosure."""

    def tried(call):
        try:
            call()
            return True
        except PermissionError:
            return False
        except OSError as error:
            return error.strerror

    def work():
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        places = [(str(land / word), word) for word in ("tree", "files", "read")]
        if not landlock.enclose([*places, (str(land / "missing"), "tree"), ("/dev/null", "write")]):
            return "nothing enclosed"
        return [tried(call) for call in calls]

    return ast.literal_eval(in_a_fork(work))


WORDS = [
    # what                                                 tree   files  read   closed
    (lambda at: read(at / "sub/file"), (True, True, True, False)),
    (lambda at: os.listdir(at), (True, True, True, False)),
    (lambda at: write(at / "file"), (True, True, False, False)),
    (lambda at: os.truncate(at / "file", 1), (True, True, False, False)),
    (lambda at: write(at / "new"), (True, True, False, False)),
    (lambda at: os.link(at / "file", at / "link"), (True, True, False, False)),
    (lambda at: os.rename(at / "file", at / "other"), (True, True, False, False)),
    (lambda at: os.unlink(at / "sub/file"), (True, True, False, False)),
    (lambda at: os.mkdir(at / "directory"), (True, False, False, False)),
    (lambda at: os.symlink("/etc/passwd", at / "symlink"), (False, False, False, False)),
    (lambda at: os.mkfifo(at / "fifo"), (False, False, False, False)),
    (lambda at: socket.socket(socket.AF_UNIX).bind(str(at / "sock")), (False, False, False, False)),
    (lambda at: os.chdir(at), (True, True, True, True)),  # looking at names is no access
]


@pytest.mark.parametrize("call, possible", WORDS)
def test_words(land, call, possible):
    places = [land / word for word in ("tree", "files", "read", "closed")]
    assert within(land, *(lambda at=at: call(at) for at in places)) == list(possible)


def test_moving_between_directories(land):
    answers = within(
        land,
        lambda: os.rename(land / "tree/file", land / "tree/sub/moved"),
        lambda: os.rename(land / "tree/sub/file", land / "files/moved"),
        lambda: os.rename(land / "files/file", land / "tree/moved"),
    )
    assert answers == [True, "Invalid cross-device link", "Invalid cross-device link"]


def test_a_file_of_its_own_and_a_device(land):
    assert within(land, lambda: write("/dev/null"), lambda: write("/dev/zero"), lambda: read("/etc/passwd")) == [
        True, False, False,
    ]  # fmt: skip


def test_no_tcp_no_abstract_sockets_no_signals(land):
    other = os.getpid()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as hidden:
        hidden.bind("\0mailcore-test")
        hidden.listen()
        answers = within(
            land,
            lambda: socket.create_connection(server.getsockname()),
            lambda: socket.socket(socket.AF_UNIX).connect("\0mailcore-test"),
            lambda: os.kill(other, 0),
        )
    version = landlock.version()
    assert answers == [version < 4, version < 6, version < 6]


def test_what_is_open_stays_open(land):
    with open(land / "closed/file", "a") as file:
        assert within(land, lambda: os.write(file.fileno(), b"x")) == [True]


def test_a_kernel_without_it(monkeypatch):
    monkeypatch.setattr(syscalls, "call", lambda *arguments: -1)
    assert landlock.enclose([("/", "tree")]) is False


def test_a_kernel_that_has_it_and_fails(monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 3)
    monkeypatch.setattr(syscalls, "call", lambda *arguments: -1)
    with pytest.raises(OSError, match="Landlock"):
        landlock.enclose([])
