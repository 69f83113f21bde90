"""mailcore poppassd: the word, and that nothing on its line can be turned against the host (S35)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.playground import program


def test_the_word_is_the_server(ground):
    passwd = ground.accounts(("fred", "old words"))
    line = [sys.executable, "-m", "mailcore.tools", "poppassd", "--passwd-file", str(passwd), "-o", "host_name=here"]
    talk = b"USER fred\r\nPASS old words\r\nNEWPASS new words\r\nQUIT\r\n"
    done = subprocess.run(line, input=talk, capture_output=True, timeout=60)
    assert done.stdout.splitlines() == [
        b"200 here poppassd ready, who are you?",
        b"200 Your password please",
        b"200 Your new password please",
        b"200 Password changed, thank you",
        b"200 Bye",
    ]
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("option", ["-t", "-s", "-d"])
def test_no_option_writes_a_file(tmp_path, option):
    """CVE-2005-3098: `-t FILE` of qpopper's poppassd wrote a trace into any file, as root."""
    victim = tmp_path / "victim"
    done = subprocess.run(program("poppassd", option, str(victim)), input=b"QUIT\r\n", capture_output=True, timeout=60)
    assert b"No such option" in done.stderr and done.stdout == b""
    assert not victim.exists()
