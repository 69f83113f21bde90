"""mailcore undelete: what comes back, and what is said of it."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from mailcore.login import accounts
from mailcore.settings import Settings
from mailcore.store.namespace import Store
from mailcore.tools.undelete import undelete

MAIL = "From a@example.org Sat Nov 21 12:00:00 2026\nSubject: {0}\n\nbody of {0}\n\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Settings of a user with three messages, two of them expunged."""
    values = {"mail_location": f"mbox:{tmp_path}/mail:INBOX={tmp_path}/inbox", "index_directory": f"{tmp_path}/index",
              "expunged_days": 2}  # fmt: skip
    (tmp_path / "mail").mkdir()
    (tmp_path / "inbox").write_text("".join(MAIL.format(word) for word in ("one", "two\x1b[2J", "three")))
    account = accounts.Account("fred", os.getuid(), os.getgid(), str(tmp_path))
    monkeypatch.setattr("mailcore.tools.undelete.accounts.named", lambda name: account if name == "fred" else None)
    monkeypatch.setattr("mailcore.tools.undelete.privileges.become", lambda account: None)
    with Store("fred", str(tmp_path), Settings(**values)) as store, store.open("INBOX") as box:
        box.store([2], "+", ["\\Flagged", "\\Deleted", "$Work"])
        box.remove([1, 2])

    def run(*words, status=0):
        result = CliRunner().invoke(undelete, [*words, *(f"-o{name}={value}" for name, value in values.items())])
        assert result.exit_code == status, result.output
        return result.output

    run.store = lambda: Store("fred", str(tmp_path), Settings(**values))
    return run


def test_list(place):
    for words in (("fred", "INBOX"), ("fred", "INBOX", "--list", "1")):
        lines = place(*words).splitlines()
        assert [line.split()[0] for line in lines] == ["1", "2"]
        assert lines[0].endswith(" one") and lines[1].endswith(" two?[2J")


def test_back_at_the_end(place):
    assert place("fred", "INBOX", "2", "1") == "2 back, with the UIDs 4 5\n"
    with place.store() as store, store.open("INBOX") as box:
        assert list(box.uids) == [3, 4, 5]
        assert b"body of two" in bytes(box.text(4))
        assert box.flags(4) - {"\\Recent"} == {"\\Flagged", "$Work"}


def test_a_file_by_its_path(place, tmp_path):
    path = str(tmp_path / "inbox")
    assert place("--file", path, "1") == "1 back, with the UIDs 4\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fred",), "USER and MAILBOX are wanted"),
        (("fred", "INBOX", "x"), "UIDs are numbers"),
        (("nobody-here", "INBOX"), "no such user"),
        (("fred", "INBOX", "1", "3"), "not kept: 3; nothing was done"),
    ],
)
def test_what_cannot_be(place, words, said):
    assert said in place(*words, status=2 if "wanted" in said or "numbers" in said else 1)
    with place.store() as store, store.open("INBOX") as box:
        assert list(box.uids) == [3]
