"""`make run`: both servers answer, and the end is clean."""

from __future__ import annotations

import imaplib
import os
import poplib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import need
from tests.playground import ROOT

START_SECONDS = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def demo(directory, **ports):
    """A running demo: its process, its two ports, what it printed until it was ready."""
    imap, pop3 = ports.get("imap") or free_port(), ports.get("pop3") or free_port()
    command = [sys.executable, "-m", "mailcore.tools", "demo", "--directory", str(directory),
               "--imap-port", str(imap), "--pop3-port", str(pop3),
               "--imaps-port", str(free_port()), "--pop3s-port", str(free_port())]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        yield process, imap, pop3, "".join(lines)
    finally:
        process.terminate()
        process.communicate(timeout=START_SECONDS)


@pytest.fixture
def place():
    """A directory that everybody may enter: root's demo is served as nobody."""
    top = Path(tempfile.mkdtemp(prefix="mailcore-demo-"))
    top.chmod(0o755)
    yield top / "demo"
    shutil.rmtree(top)


def listeners_of(place) -> list[str]:
    """The command lines of processes that serve this demo."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "--listen" in words and any(str(place) in word for word in words):
            found.append(" ".join(words))
    return found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_demo(place, end):
    with demo(place) as (process, imap_port, pop3_port, text):
        assert f"127.0.0.1:{imap_port}" in text
        imap = imaplib.IMAP4("127.0.0.1", imap_port, timeout=START_SECONDS)
        assert imap.login("demo", "demo")[0] == "OK"
        assert imap.select("INBOX") == ("OK", [b"12"])
        names = [line.split(b'"/" ')[1].strip(b'"') for line in imap.list()[1]]
        assert names == [b"INBOX", b"Drafts", b"Sent", b"Trash", b"lists", b"lists/&AMk-tudes", b"lists/python"]
        assert [line.split(b'"/" ')[1] for line in imap.lsub()[1]][0] == b"Drafts"
        assert b"Welcome" in imap.fetch("1", "(BODY[HEADER])")[1][0][1]
        pop3 = poplib.POP3("127.0.0.1", pop3_port, timeout=START_SECONDS)
        pop3.user("demo")
        pop3.pass_("demo")
        assert pop3.stat()[0] == 12
        assert len(listeners_of(place)) >= 2
        process.send_signal(end)
        rest, _ = process.communicate(timeout=START_SECONDS)
        assert process.returncode == 0 and rest.strip() == "Done."
        assert listeners_of(place) == []  # nor the sessions that were open
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", imap_port), 1)


def test_what_the_demo_says_to_type(place):
    """The transcript line, as it was printed."""
    with demo(place) as (_, _, _, text):
        (line,) = [line for line in text.splitlines() if "transcript.txt" in line]
        arguments = line.split(" --mail-location ")[1]
        command = f"{sys.executable} -m imapd --mail-location {arguments}"
        done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, timeout=START_SECONDS)
        assert done.returncode == 0
        assert done.stdout.startswith(b"* ") and b"a3 OK" in done.stdout
        if os.getuid():
            assert b"* 12 EXISTS" in done.stdout


def test_the_mail_of_a_second_run_is_that_of_the_first(place):
    with demo(place) as (_, imap_port, _, _):
        imap = imaplib.IMAP4("127.0.0.1", imap_port, timeout=START_SECONDS)
        imap.login("demo", "demo")
        imap.select("INBOX")
        imap.store("1:11", "+FLAGS", "\\Deleted")
        imap.expunge()
        imap.logout()
    with demo(place) as (_, imap_port, _, _):
        imap = imaplib.IMAP4("127.0.0.1", imap_port, timeout=START_SECONDS)
        imap.login("demo", "demo")
        assert imap.select("INBOX") == ("OK", [b"1"])


def test_a_port_that_is_taken(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with demo(place, pop3=taken.getsockname()[1]) as (process, _, _, text):
            assert process.wait(START_SECONDS) == 1
            assert f"ipop3d on 127.0.0.1:{taken.getsockname()[1]}: Address already in use" in text
    assert listeners_of(place) == []


def test_a_place_that_cannot_be_a_location(tmp_path):
    with demo(tmp_path / "a:b") as (process, _, _, text):
        assert process.wait(START_SECONDS) == 1
        assert "colon" in text


def test_the_demo_under_tls(place):
    """The lines of openssl, as they were printed."""
    need("openssl")
    with demo(place) as (_, _, _, text):
        lines = [line.strip() for line in text.splitlines() if "s_client" in line]
        assert len(lines) == 4
        for line, last in zip(lines, ("a LOGOUT", "QUIT", "a LOGOUT", "QUIT"), strict=True):
            done = subprocess.run(
                f"{line} -ign_eof", shell=True, input=last + "\n", capture_output=True, text=True, timeout=START_SECONDS
            )
            assert "Sayonara" in done.stdout or "a OK LOGOUT" in done.stdout, done
    key = place / "tls" / "imapd.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    with demo(place):
        assert key.read_bytes() == before
