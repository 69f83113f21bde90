"""mailcore.login.secrets: UW's file as UW read it, whose file is believed, and changes that are whole or none."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.login import secrets
from mailcore.login.secrets import COLON, TAB, NoSuchUser, Unusable, UserExists

ROOT = os.geteuid() == 0


def written(path: Path, text: bytes, mode: int = 0o600) -> str:
    path.write_bytes(text)
    path.chmod(mode)
    return str(path)


@pytest.fixture
def pwd_file(tmp_path: Path) -> Path:
    path = tmp_path / "cram-md5.pwd"
    written(path, b"# users\nalice\tone\r\nBob\ttwo\nbob\tthree\nalice\tlater\n")
    return path


# --- the file's words (S11) ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "user", "secret"),
    [
        (b"alice\tsecret\n", b"alice", b"secret"),
        (b"alice\tsecret", b"alice", b"secret"),
        (b"alice\tsecret\r\n", b"alice", b"secret"),
        (b"x\ty\ralice\tsecret\rz\tz", b"alice", b"secret"),
        (b"\n\n\r\n# alice\tno\n#alice\tno\nalice\tsecret\n", b"alice", b"secret"),
        (b"alice\tse\tcret \n", b"alice", b"se\tcret "),
        (b"alice\t\tsecret\n", b"alice", b"\tsecret"),
        (b"alice secret\nalice\tright\n", b"alice", b"right"),  # no TAB
        (b"alice\t\nalice\tright\n", b"alice", b"right"),  # nothing behind it
        (b"alice\tfirst\nalice\tsecond\n", b"alice", b"first"),
        (b"alice\tlower\nAlice\texact\n", b"Alice", b"exact"),
        (b"alice\tlower\nalice\tlower2\n", b"ALICE", b"lower"),
        (b"Alice\tcapital\n", b"alice", None),
        (b"Alice\tcapital\n", b"ALICE", None),
        (b" alice\tblank\n", b"alice", None),
        (b"alice \tblank\n", b"alice", None),
        (b"ali\tno\nalice2\tno\n", b"alice", None),
        (b"\xe9l\xe8ne\t\xe9\n", b"\xe9l\xe8ne", b"\xe9"),
        ("ÉLÈNE\tno\n".encode(), "élène".encode(), None),  # lower case is ASCII's
        (b"a" * 2**20 + b"\tno\nalice\t" + b"s" * 2**20 + b"\n", b"alice", b"s" * 2**20),
        (b"alice\tse\0cret\n", b"alice", None),
        (b"\tsecret\n", b"", None),
        (b"#\tsecret\n", b"#", None),
        (b"alice\tsecret\n", b"alice\tsecret", None),
        (b"", b"alice", None),
    ],
)
def test_the_file_is_read_as_uw_read_it(tmp_path, text, user, secret):
    assert secrets.secret(user, written(tmp_path / "pwd", text)) == secret


def uw(text: bytes, user: bytes) -> bytes | None:
    """What UW's lookup does, step by step: exact beats lower case, earlier beats later."""
    lowered = None
    for line in text.replace(b"\r", b"\n").split(b"\n"):
        if line and line[:1] != b"#" and b"\t" in line and line.index(b"\t") < len(line) - 1:
            name, value = line[: line.index(b"\t")], line[line.index(b"\t") + 1 :]
            if name == user:
                return value
            if lowered is None and user != user.lower() and name == user.lower():
                lowered = value
    return lowered


WORDS = [b"a", b"A", b"ab", b"#", b" ", b"x", b"\xe9"]


@given(
    st.lists(st.sampled_from([*WORDS, b"\t", b"\t", b"\n", b"\n", b"\r\n", b"\r"])).map(b"".join),
    st.sampled_from([b"a", b"A", b"ab", b"Ab", b"aA", b"x", b"\xe9", b" a", b"#a"]),
)
def test_any_file_is_read_as_uw_read_it(text, user):
    found = dict(reversed(secrets.entries(text, TAB)))
    assert found.get(user, found.get(user.lower())) == uw(text, user)


# --- whose file is believed (S10) --------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700, 0o000])
def test_modes_that_are_believed(tmp_path, mode):
    path = written(tmp_path / "pwd", b"alice\tsecret\n", mode)
    assert secrets.ready(path)
    if mode or ROOT:
        assert secrets.secret(b"alice", path) == b"secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610, 0o601, 0o620, 0o602, 0o777])
def test_modes_that_are_not(tmp_path, mode):
    path = written(tmp_path / "pwd", b"alice\tsecret\n", mode)
    for look in (secrets.ready, lambda path: secrets.secret(b"alice", path)):
        with pytest.raises(Unusable, match=f"{path} has mode {mode:04o}"):
            look(path)


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
@pytest.mark.parametrize("uid", [1, 65534])
def test_a_file_of_somebody_else_is_not_believed(tmp_path, uid):
    path = written(tmp_path / "pwd", b"alice\tsecret\n")
    os.chown(path, uid, 0)
    for look in (secrets.ready, lambda path: secrets.secret(b"alice", path)):
        with pytest.raises(Unusable, match=f"belongs to uid {uid}, not to root"):
            look(path)


@pytest.mark.skipif(not ROOT, reason="only root can be somebody else")
def test_somebody_who_is_not_root_believes_his_own_file_and_roots():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        for uid, believed in ((65534, True), (0, True), (1, False)):
            path = written(Path(directory, f"pwd{uid}"), b"alice\tsecret\n")
            os.chown(path, uid, 0)

            def look(path: str = path) -> None:
                os.setuid(65534)
                try:
                    secrets.ready(path)
                except Unusable:
                    os._exit(7)

            assert os.waitstatus_to_exitcode(in_a_child(look)) == (0 if believed else 7)


def not_files(tmp_path: Path) -> dict[str, str]:
    real = written(tmp_path / "real", b"alice\tsecret\n")
    os.symlink(real, tmp_path / "link")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling")
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "directory").mkdir(mode=0o700)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket")
    listening.close()
    os.chmod("socket", 0o600)
    return {
        "link": "is a symbolic link", "dangling": "is a symbolic link", "fifo": "is not a regular file",
        "directory": "is not a regular file", "socket": "socket",
    }  # fmt: skip


def test_what_is_no_file_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, reason in not_files(tmp_path).items():
        path = str(tmp_path / name)
        for look in (secrets.ready, lambda path: secrets.secret(b"alice", path)):
            with pytest.raises(Unusable, match=reason):
                look(path)


def test_a_file_that_is_not_there(tmp_path):
    for path in (str(tmp_path / "none"), str(tmp_path / "none" / "deeper")):
        assert secrets.ready(path) is False
        assert secrets.secret(b"alice", path) is None
        assert secrets.read(path) == (b"", None)


def test_a_file_that_is_too_large(tmp_path):
    path = written(tmp_path / "pwd", b"")
    os.truncate(path, secrets.FILE_OCTETS + 1)
    with pytest.raises(Unusable, match="larger than"):
        secrets.ready(path)


def test_a_passwd_file_may_be_read_by_others_but_not_written(tmp_path):
    assert secrets.read(written(tmp_path / "a", b"x:y\n", 0o644), secrets.HASH_BITS)[0] == b"x:y\n"
    for mode in (0o664, 0o646):
        with pytest.raises(Unusable, match="others than its owner can write it"):
            secrets.read(written(tmp_path / "a", b"x:y\n", mode), secrets.HASH_BITS)


# --- changing ------------------------------------------------------------------------------


def test_put_changes_the_line_that_counts_and_nothing_else(pwd_file):
    secrets.put(str(pwd_file), TAB, b"alice", lambda present: b"new" if present == b"one" else b"?")
    assert pwd_file.read_bytes() == b"# users\nalice\tnew\r\nBob\ttwo\nbob\tthree\nalice\tlater\n"
    secrets.put(str(pwd_file), TAB, b"carol", lambda present: b"four" if present is None else b"?")
    assert pwd_file.read_bytes().endswith(b"alice\tlater\ncarol\tfour\n")
    assert os.listdir(pwd_file.parent) == [pwd_file.name]


@pytest.mark.parametrize(
    ("before", "after"), [(b"", b"u\tv\n"), (b"a\tb", b"a\tb\nu\tv\n"), (b"a\tb\r", b"a\tb\ru\tv\n")]
)
def test_put_ends_the_line_before(tmp_path, before, after):
    path = written(tmp_path / "pwd", before)
    secrets.put(path, TAB, b"u", lambda _: b"v")
    assert Path(path).read_bytes() == after


def test_a_new_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "pwd"
    old = os.umask(0)
    try:
        secrets.put(str(path), TAB, b"alice", lambda _: b"secret")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o7777 == 0o600 and secrets.secret(b"alice", str(path)) == b"secret"


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_mode_and_owner_stay(pwd_file, mode):
    pwd_file.chmod(mode)
    if ROOT:
        os.chown(pwd_file, 0, 8)
    before = pwd_file.stat()
    secrets.put(str(pwd_file), TAB, b"alice", lambda _: b"x")
    after = pwd_file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_remove_takes_every_line_of_the_user(pwd_file):
    assert secrets.remove(str(pwd_file), TAB, b"alice") == 2
    assert pwd_file.read_bytes() == b"# users\nBob\ttwo\nbob\tthree\n"
    with pytest.raises(NoSuchUser):
        secrets.remove(str(pwd_file), TAB, b"alice")
    assert secrets.remove(str(pwd_file), TAB, b"bob") == 1
    assert secrets.remove(str(pwd_file), TAB, b"Bob") == 0
    assert pwd_file.read_bytes() == b"# users\n"


def test_a_passwd_file_is_changed_too(tmp_path):
    path = written(tmp_path / "passwd", b"# x\nbob:\nalice:$6$x:1000:1000::/home/alice:mbox:~/m\n", 0o644)
    secrets.put(path, COLON, b"alice", lambda present: (present or b"").replace(b"$6$x", b"$6$y"))
    secrets.put(path, COLON, b"bob", lambda present: b"$6$z" if present == b"" else b"?")
    assert Path(path).read_bytes() == b"# x\nbob:$6$z\nalice:$6$y:1000:1000::/home/alice:mbox:~/m\n"
    assert secrets.remove(path, COLON, b"bob") == 1


@pytest.mark.parametrize("user", [b"", b"#a", b"a\tb", b"a\nb", b"a\rb", b"a\0b", b"a\x7f"])
@pytest.mark.parametrize("separator", [TAB, COLON])
def test_names_that_do_not_fit(pwd_file, user, separator):
    before = pwd_file.read_bytes()
    with pytest.raises(ValueError, match="user name"):
        secrets.put(str(pwd_file), separator, user, lambda _: b"x")
    assert pwd_file.read_bytes() == before


def test_a_colon_fits_a_secrets_file_but_no_passwd_file(pwd_file):
    secrets.put(str(pwd_file), TAB, b"a:b", lambda _: b"x")
    with pytest.raises(ValueError, match="no :"):
        secrets.put(str(pwd_file), COLON, b"a:b", lambda _: b"x")


@pytest.mark.parametrize("value", [b"", b"a\tb", b"a\nb", b"a\rb", b"a\0b"])
@pytest.mark.parametrize("user", [b"alice", b"new"])
def test_secrets_that_do_not_fit(pwd_file, user, value):
    before = pwd_file.read_bytes()
    with pytest.raises(ValueError, match="password"):
        secrets.put(str(pwd_file), TAB, user, lambda _: value)
    assert pwd_file.read_bytes() == before and os.listdir(pwd_file.parent) == [pwd_file.name]


def test_what_value_raises_leaves_the_file_alone(pwd_file):
    before = pwd_file.stat().st_ino, pwd_file.read_bytes()

    def value(_: bytes | None) -> bytes:
        raise UserExists

    with pytest.raises(UserExists):
        secrets.put(str(pwd_file), TAB, b"alice", value)
    assert (pwd_file.stat().st_ino, pwd_file.read_bytes()) == before
    assert os.listdir(pwd_file.parent) == [pwd_file.name]


def test_what_is_not_believed_is_not_changed(pwd_file):
    pwd_file.chmod(0o644)
    with pytest.raises(Unusable):
        secrets.put(str(pwd_file), TAB, b"alice", lambda _: b"x")
    os.symlink(pwd_file, pwd_file.with_name("link"))
    with pytest.raises(Unusable, match="symbolic link"):
        secrets.put(str(pwd_file.with_name("link")), TAB, b"alice", lambda _: b"x")
    assert sorted(os.listdir(pwd_file.parent)) == [pwd_file.name, "link"]


def test_something_in_the_way_of_the_new_file(pwd_file):
    new = pwd_file.with_name(f".{pwd_file.name}.new")
    victim = pwd_file.with_name("victim")
    victim.write_bytes(b"precious")
    for plant in (lambda: os.symlink(victim, new), lambda: os.link(victim, new), lambda: os.mkfifo(new), new.mkdir):
        plant()
        with pytest.raises((Unusable, OSError)):
            secrets.put(str(pwd_file), TAB, b"alice", lambda _: b"x")
        new.rmdir() if new.is_dir() else new.unlink()
        assert victim.read_bytes() == b"precious"
        assert secrets.secret(b"alice", str(pwd_file)) == b"one"


# --- crashes and company (S36) ---------------------------------------------------------------


CALLS = ("open", "fstat", "stat", "ftruncate", "fchmod", "write", "fchown", "fsync", "rename", "close")


def die_at(step: int) -> None:
    """From now on, the `step`th call of the file system is the last thing this process does."""
    left = [step]

    def deadly(call):
        def run(*args, **keywords):
            left[0] -= 1
            if left[0] == 0:
                if call is os_write:
                    os_write(args[0], bytes(args[1])[: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **keywords)

        return run

    os_write = os.write
    for name in CALLS:
        setattr(secrets.os, name, deadly(getattr(os, name)))


def in_a_child(work) -> int:
    pid = os.fork()
    if not pid:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def test_a_kill_at_any_step_leaves_the_old_file_or_the_new(pwd_file):
    old = pwd_file.read_bytes()
    new = old.replace(b"one", b"ONE" * 1000)
    seen = set()
    for step in range(1, 60):
        pwd_file.write_bytes(old)

        def work(step: int = step) -> None:
            die_at(step)
            secrets.put(str(pwd_file), TAB, b"alice", lambda _: b"ONE" * 1000)

        status = in_a_child(work)
        found = pwd_file.read_bytes()
        assert found in (old, new), step
        assert pwd_file.stat().st_mode & 0o7777 == 0o600
        seen.add(found)
        if status == 0:
            break
        assert os.WIFSIGNALED(status)
        for left in set(os.listdir(pwd_file.parent)) - {pwd_file.name}:
            assert left == f".{pwd_file.name}.new"
            assert pwd_file.with_name(left).stat().st_mode & 0o077 == 0
        secrets.put(str(pwd_file), TAB, b"next", lambda _: b"works")
        assert secrets.secret(b"next", str(pwd_file)) == b"works"
        assert os.listdir(pwd_file.parent) == [pwd_file.name]
    assert status == 0 and step > 10 and seen == {old, new}


def test_kills_at_any_moment(pwd_file):
    """The same by the clock: writers that never rest, killed again and again."""
    old = pwd_file.read_bytes()
    valid = {old} | {old.replace(b"one", b"%d" % turn * 2000) for turn in range(10)}

    def work() -> None:
        turn = 0
        while True:
            turn = (turn + 1) % 10
            secrets.put(str(pwd_file), TAB, b"alice", lambda _: b"%d" % turn * 2000)  # noqa: B023

    for round_ in range(60):
        pid = os.fork()
        if not pid:
            work()
        time.sleep(0.002 + round_ * 0.0003)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert pwd_file.read_bytes() in valid


def test_many_at_the_same_time_lose_nothing(pwd_file):
    def work(number: int) -> None:
        for turn in range(10):
            secrets.put(str(pwd_file), TAB, b"u%d-%d" % (number, turn), lambda _: b"x")

    children = []
    for number in range(8):
        pid = os.fork()
        if not pid:
            try:
                work(number)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
    names = {name for name, _ in secrets.entries(pwd_file.read_bytes(), TAB)}
    assert names == {b"alice", b"Bob", b"bob"} | {b"u%d-%d" % (n, t) for n in range(8) for t in range(10)}
    assert os.listdir(pwd_file.parent) == [pwd_file.name]


def test_waiting_for_somebody_else_has_an_end(pwd_file, monkeypatch):
    monkeypatch.setattr(secrets, "LOCK_SECONDS", 0.1)
    path = str(pwd_file)
    refusals = []

    def value(_: bytes | None) -> bytes:
        with pytest.raises(Unusable, match="somebody else is changing it") as raised:
            secrets.put(path, TAB, b"bob", lambda _: b"x")
        refusals.append(raised.value)
        return b"new"

    secrets.put(path, TAB, b"alice", value)
    assert len(refusals) == 1 and secrets.secret(b"alice", path) == b"new" and secrets.secret(b"bob", path) == b"three"


@pytest.mark.parametrize("call", ["fsync", "rename", "write", "fchown"])
def test_an_error_of_the_disk_leaves_the_old_file(pwd_file, monkeypatch, call):
    def fails(*args, **keywords):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match="Input/output"):
        secrets.put(str(pwd_file), TAB, b"alice", lambda _: b"x")
    monkeypatch.undo()
    assert secrets.secret(b"alice", str(pwd_file)) == b"one"
    assert os.listdir(pwd_file.parent) == [pwd_file.name]


def test_replace_without_looking_at_what_is_there(tmp_path):
    path = written(tmp_path / "imapd.pem", b"old", 0o644)
    secrets.replace(path, lambda text: b"new" + text, None)
    assert Path(path).read_bytes() == b"new" and os.stat(path).st_mode & 0o7777 == 0o600
