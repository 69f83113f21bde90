"""mailcore.login.renewal: a listener that becomes new code, and nobody is refused meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from mailcore.login import renewal
from tests.playground import ROOT

SECONDS = 20


def test_what_is_handed_on():
    words = ["127.0.0.1:143", "fd=3,4", "17,18", "tls=true", "fsync=no"]
    assert renewal.is_meant(words) and not renewal.is_meant(["127.0.0.1:143", "-o", "fsync=no"])
    assert renewal.understood(words) == ("127.0.0.1:143", [3, 4], ["tls=true", "fsync=no"], [17, 18])
    assert renewal.understood([renewal.LENT, "fd=", ""]) == (renewal.LENT, [], [], [])


class Program:
    """imapd --listen, run from a copy of the sources that may be changed."""

    def __init__(self, path):
        for package in ("mailcore", "imapd"):
            shutil.copytree(ROOT / package, path / package, ignore=shutil.ignore_patterns("__pycache__"))
        (path / "empty").mkdir(mode=0o755)
        self.version = path / "mailcore" / "__init__.py"
        words = ["--listen", "127.0.0.1:0"]
        for option in (f"gatekeeper_root={path}/empty", f"tls_directory={path}", f"run_directory={path}/run"):
            words += ["-o", option]
        command = [sys.executable, "-m", "imapd", *words]
        self.process = subprocess.Popen(command, cwd=path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        port = int(self.process.stdout.readline().split(b":")[-1])
        self.where = ("127.0.0.1", port)
        self.wait_for(b"* OK ")

    def call(self):
        client = socket.create_connection(self.where, timeout=SECONDS)
        file = client.makefile("rb")
        return client, file, file.readline()

    def renew(self):
        self.process.send_signal(signal.SIGHUP)

    def wait_for(self, word):
        """Until the greeting has that word in it."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            client, file, greeting = self.call()
            client.close()
            if word in greeting:
                return
            time.sleep(0.05)
        raise AssertionError(f"no {word!r} in {greeting!r}")


@pytest.fixture
def program(tmp_path):
    program = Program(tmp_path)
    yield program
    program.process.kill()
    program.process.wait()


def logs_out(client, file):
    client.sendall(b"a LOGOUT\r\n")
    return file.read().endswith(b"a OK LOGOUT completed\r\n")


def test_hup_brings_new_code(program):
    silent, silent_file, greeting = program.call()
    assert b" 0." in greeting
    program.version.write_text(program.version.read_text().replace("VERSION = ", "VERSION = 'new' or "))
    program.renew()
    program.wait_for(b" mailcore new ")
    assert program.process.poll() is None  # the same process
    assert logs_out(silent, silent_file)  # who waited is still served


def test_code_that_does_not_start_changes_nothing(program):
    program.version.write_text("VERSION = \n")
    program.renew()
    time.sleep(1)
    client, file, greeting = program.call()
    assert greeting.startswith(b"* OK ") and logs_out(client, file)
    program.version.write_text('VERSION = "mended"\n')
    program.renew()
    program.wait_for(b" mailcore mended ")


def test_term_ends_the_new_and_the_old(program):
    """Also those who are with a fork of the old program."""
    client, file, _ = program.call()
    program.version.write_text('VERSION = "new"\n')
    program.renew()
    program.wait_for(b" mailcore new ")
    program.process.terminate()
    assert file.read() == b"* BYE Server shutting down\r\n"
    assert program.process.wait(SECONDS) == 0


def test_nobody_is_refused_in_a_burst(program):
    """Connections come all the time, while it is renewed again and again, and none is lost."""
    over, refused, served = threading.Event(), [], [0]

    def come_and_go():
        while not over.is_set():
            try:
                client, file, greeting = program.call()
                if not greeting.startswith(b"* OK ") or not logs_out(client, file):
                    refused.append(greeting)
                client.close()
                served[0] += 1
            except OSError as error:
                refused.append(error)

    crowd = [threading.Thread(target=come_and_go) for _ in range(4)]
    for one in crowd:
        one.start()
    for number in range(3):
        program.version.write_text(f'VERSION = "{number}.of.three"\n')
        os.utime(program.version, (number, number))  # whatever the clock's grain, another time
        program.renew()
        program.wait_for(b" mailcore %d.of.three " % number)
    over.set()
    for one in crowd:
        one.join()
    assert not refused and served[0] > 10
