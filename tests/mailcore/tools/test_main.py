"""The command `mailcore`: every word is found, and --help imports none of them."""

from __future__ import annotations

import subprocess
import sys

import click
from click.testing import CliRunner

from mailcore.tools.__main__ import WORDS, main
from tests.playground import ROOT


def test_every_word_is_there_and_says_what_the_list_says():
    for word, meaning in WORDS.items():
        command = main.get_command(click.Context(main), word)
        assert command is not None and command.name == word
        assert (command.help or "").split("\n")[0] == meaning
    assert "No such command" in CliRunner().invoke(main, ["nonsense"]).output


def test_help_imports_no_word():
    """As where the libraries that a word needs are not installed."""
    absent = "import sys; sys.modules['cryptography'] = sys.modules['passlib'] = None"
    start = f"{absent}; from mailcore.tools.__main__ import main; main(['--help'], 'mailcore')"
    command = [sys.executable, "-c", start]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done
    assert all(f"  {word} " in done.stdout for word in WORDS)
