"""mailcore secret: what an administrator types, what lies in the files after it, and what is never shown."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailcore.login import passwords, scram, secrets
from mailcore.tools.secret import secret
from tests.playground import ROOT

ME = "root" if os.geteuid() == 0 else "nobody"  # an account that every system has


@pytest.fixture
def pwd_file(tmp_path: Path) -> Path:
    path = tmp_path / "cram-md5.pwd"
    path.write_bytes(b"# ours\nalice\tone\n")
    path.chmod(0o600)
    return path


def run(*words: str, said: bytes | str = "hunter2\n", status: int = 0):
    result = CliRunner().invoke(secret, words, input=said)
    assert result.exit_code == status, result.output
    assert "hunter2" not in result.output and "Traceback" not in result.output
    return result


def test_add_set_remove(pwd_file):
    at = ("--file", str(pwd_file))
    run("add", "carol", *at)
    assert pwd_file.read_bytes() == b"# ours\nalice\tone\ncarol\thunter2\n"
    run("set", "alice", *at, said="two words\r\n")
    assert pwd_file.read_bytes() == b"# ours\nalice\ttwo words\ncarol\thunter2\n"
    run("remove", "carol", *at)
    assert pwd_file.read_bytes() == b"# ours\nalice\ttwo words\n"
    assert "is empty now" in run("remove", "alice", *at).stderr
    assert pwd_file.read_bytes() == b"# ours\n"


def test_the_first_secret_is_explained(tmp_path):
    path = tmp_path / "pwd"
    told = run("add", ME, "--file", str(path)).stderr
    assert "turns APOP and CRAM-MD5 on" in told and "no user" not in told
    assert path.stat().st_mode & 0o7777 == 0o600
    told = run("add", "no-such-user", "--file", str(path)).stderr
    assert "turns APOP" not in told and "this system has no user no-such-user" in told


@pytest.mark.parametrize(
    ("words", "said", "complaint"),
    [
        (["add", "alice"], "x\n", "has alice already"),
        (["set", "carol"], "x\n", "has no carol"),
        (["remove", "carol"], "", "has no carol"),
        (["add", "carol"], "", "on standard input"),
        (["add", "carol"], "\n", "on standard input"),
        (["add", "carol"], "a\tb\n", "no TAB"),
        (["add", "carol"], b"a\0b\n", "no TAB"),
        (["add", "carol"], "x" * 4097, "on standard input"),
        (["add", ""], "x\n", "user name"),
        (["add", "#carol"], "x\n", "user name"),
        (["add", "a\nb\tc"], "x\n", "user name"),
    ],
)
def test_refusals_leave_the_file_alone(pwd_file, words, said, complaint):
    before = pwd_file.read_bytes()
    assert complaint in run(*words, "--file", str(pwd_file), said=said, status=1).output
    assert pwd_file.read_bytes() == before and os.listdir(pwd_file.parent) == [pwd_file.name]


@pytest.mark.parametrize("words", [["add", "carol"], ["set", "alice"], ["remove", "alice"], ["list"]])
def test_a_file_that_others_can_read_is_refused_with_the_reason(pwd_file, words):
    pwd_file.chmod(0o644)
    told = run(*words, "--file", str(pwd_file), status=1).output
    assert "has mode 0644: others than its owner can read or write it" in told


def test_options_that_do_not_go_together(pwd_file):
    at = ("--file", str(pwd_file))
    assert "--scheme belongs to a --passwd-file" in run("add", "u", *at, "--scheme", "bcrypt", status=2).output
    assert "go together" in run("add", "u", "--passwd-file", "x", "--uid", "5", status=2).output
    run("add", "u", "--passwd-file", "x", "--scheme", "md5", status=2)
    run("add", "u", "password", *at, status=2)  # a password is no argument


def test_list_shows_users_and_never_secrets(pwd_file):
    pwd_file.write_bytes(b"# ours\nalice\thunter2\nno tab\nalice\thunter2\n\nb\x1b[31m\xe9\thunter2\n")
    result = run("list", "--file", str(pwd_file))
    assert result.stdout == "alice  clear\nalice  clear  (again: the first line counts)\nb?[31m\ufffd  clear\n"
    assert "line 3 is no entry" in result.stderr
    assert "is not there" in run("list", "--file", str(pwd_file) + "x", status=1).output


# --- a passwd-file -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "start"),
    [(None, "$6$"), ("sha512_crypt", "$6$"), ("bcrypt", "$2b$"), ("scram-sha-256", "{SCRAM-SHA-256}"),
     ("scram-sha-1", "{SCRAM-SHA-1}")],
)  # fmt: skip
def test_hashes(tmp_path, scheme, start):
    path = tmp_path / "passwd"
    if scheme == "bcrypt":
        pytest.importorskip("bcrypt")
    options = ["--scheme", scheme] if scheme else []
    run("add", "carol", "--passwd-file", str(path), *options, "--uid", "1234", "--gid", "5", "--home", "/h/carol")
    user, hashed, *rest = path.read_text().rstrip("\n").split(":")
    assert (user, rest) == ("carol", ["1234", "5", "", "/h/carol"]) and hashed.startswith(start)
    if hashed.startswith("{"):
        assert scram.parse(hashed).matches(b"hunter2") and not scram.parse(hashed).matches(b"hunter3")
    else:
        account = passwords.verify(str(path), "carol", b"hunter2")
        assert account and (account.uid, account.gid, account.home) == (1234, 5, "/h/carol")
        assert passwords.verify(str(path), "carol", b"hunter3") is None
    listed = run("list", "--passwd-file", str(path)).stdout
    assert listed == f"carol  {start.strip('{}') if start.startswith('{') else (scheme or 'sha512_crypt')}\n"


def test_set_keeps_what_it_was_not_told(tmp_path):
    path = tmp_path / "passwd"
    path.write_text("# accounts\ncarol:old:1:2:Carol:/h/carol:mbox:~/m:INBOX=/x\n" + ME + ":\n")
    path.chmod(0o640)
    at = ("--passwd-file", str(path), "--scheme", "scram-sha-256")
    run("set", "carol", *at)
    line = path.read_text().split("\n")[1].split(":", 2)
    assert line[0] == "carol" and line[1].startswith("{SCRAM-SHA-256}")
    assert line[2] == "1:2:Carol:/h/carol:mbox:~/m:INBOX=/x"
    run("set", "carol", *at, "--location", "maildir:~/Maildir", "--home", "/new")
    assert path.read_text().split("\n")[1].endswith(":1:2:Carol:/new:maildir:~/Maildir")
    assert run("set", ME, *at).stderr == ""
    assert path.read_text().split("\n")[2].startswith(f"{ME}:{{SCRAM") and path.stat().st_mode & 0o7777 == 0o640
    assert "no user dave" in run("add", "dave", *at).stderr
    assert "--home has no :" in run("set", "dave", *at, "--home", "/a:b", status=1).output
    run("add", "erin", *at, "--location", "mbox:~/m")
    assert path.read_text().split("\n")[4].split(":", 6)[2:] == ["", "", "", "", "mbox:~/m"]
    run("remove", "carol", *at[:2])
    assert "carol" not in path.read_text() and "is empty" not in run("remove", "dave", *at[:2]).stderr


def test_a_hash_whose_library_is_missing(tmp_path, monkeypatch):
    from passlib import hash as hashes

    def hash_(*_):
        raise RuntimeError("no backend")

    monkeypatch.setattr(hashes.sha512_crypt, "hash", hash_)
    told = run("add", ME, "--passwd-file", str(tmp_path / "p"), status=1).output
    assert "needs a library that is not installed" in told and not (tmp_path / "p").exists()


# --- a person at a terminal ------------------------------------------------------------------


def typed(arguments: list[str], answers: list[bytes]) -> tuple[int, bytes]:
    """Type answers at a terminal, each after a prompt; the exit status and all that was seen."""
    pid, fd = pty.fork()
    if not pid:
        os.chdir(ROOT)
        start = "from mailcore.tools.secret import secret; secret()"
        os.execv(sys.executable, [sys.executable, "-c", start, *arguments])
    seen = b""
    try:
        while chunk := os.read(fd, 4096):
            seen += chunk
            if seen.endswith(b": ") and answers:
                os.write(fd, answers.pop(0) + b"\n")
    except OSError:
        pass  # the terminal is gone with its last program
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen


def test_a_password_is_asked_twice_and_not_shown(pwd_file):
    status, seen = typed(["add", "carol", "--file", str(pwd_file)], [b"hunter2", b"hunter3", b"hunter2", b"hunter2"])
    assert status == 0 and b"New password of carol: " in seen and b"Once more: " in seen and b"hunter" not in seen
    assert secrets.secret(b"carol", str(pwd_file)) == b"hunter2"


def test_who_cannot_be_added_is_not_asked_for_a_password(pwd_file):
    status, seen = typed(["add", "alice", "--file", str(pwd_file)], [])
    assert status == 1 and b"New password" not in seen and b"has alice already" in seen
