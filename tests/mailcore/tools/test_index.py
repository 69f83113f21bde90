"""mailcore index: what is shown, what is found damaged, and what is made anew."""

from __future__ import annotations

import os
import sqlite3

import pytest
from click.testing import CliRunner

from mailcore.login import accounts
from mailcore.settings import Settings
from mailcore.store.namespace import Store
from mailcore.tools.index import index

MAIL = "From a@example.org Sat Nov 21 12:00:00 2026\nSubject: {0}\n\nbody of {0}\n\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    values = {"mail_location": f"mbox:{tmp_path}/mail:INBOX={tmp_path}/inbox", "index_directory": f"{tmp_path}/index"}
    (tmp_path / "mail").mkdir()
    (tmp_path / "inbox").write_text("".join(MAIL.format(word) for word in ("one", "two", "three")))
    account = accounts.Account("fred", os.getuid(), os.getgid(), str(tmp_path))
    monkeypatch.setattr("mailcore.tools.index.accounts.named", lambda name: account if name == "fred" else None)
    monkeypatch.setattr("mailcore.tools.index.accounts.running", lambda: account)
    monkeypatch.setattr("mailcore.tools.index.privileges.become", lambda account: None)
    with Store("fred", str(tmp_path), Settings(**values)) as store, store.open("INBOX") as box:
        box.remembered("kind", [1, 2])
        box.remember("kind", [(1, b"a text"), (2, b"another text")])

    def run(*words, status=0):
        result = CliRunner().invoke(index, [*words, *(f"-o{name}={value}" for name, value in values.items())])
        assert result.exit_code == status, result.output
        return result.output

    return run


def test_show(place, tmp_path):
    said = place("fred")
    assert f"{tmp_path}/inbox: 3 messages, UIDVALIDITY " in said and "UIDNEXT 4" in said and "octets  kind" in said
    assert place("--file", f"{tmp_path}/inbox") == said
    assert place("--file", f"{tmp_path}/other") == ""
    assert "no such user" in place("barney", status=1)


def test_verify(place, tmp_path):
    assert "damaged" not in place("fred", "--verify")
    path = tmp_path / "index" / "index.db"
    path.write_bytes(path.read_bytes().replace(b"another text", b"ANOTHER text"))
    assert f"damaged: {tmp_path}/inbox: kind, chunk 0" in place("fred", "--verify", status=1)


def test_rebuild(place):
    place("fred", "--rebuild")
    said = place("fred")
    assert "octets  kind" not in said
    for kind in ("envelope", "bodystructure", "has SUBJECT"):
        assert f"octets  {kind}" in said
    assert "damaged" not in place("fred", "--verify")


def test_text(place, tmp_path):
    (tmp_path / "mail/other").write_text(MAIL.format("four"))
    (tmp_path / "mail/odd").write_text("no mailbox")
    assert "text index" not in place("fred")
    assert "other" in place("fred", "other", "--text")
    assert "text index: 1 messages\n" in place("fred")
    place("fred", "--text")
    place("fred", "--text")
    assert "text index: 4 messages\n" in place("fred")
    assert "damaged" not in place("fred", "--verify")
    with sqlite3.connect(tmp_path / "index/text.db") as db:
        db.execute("UPDATE known SET data = x'00'")
    assert f"damaged: {tmp_path}/index/text.db" in place("fred", "--verify", status=1)
    assert "text index" not in place("fred"), "it is thrown away"
    place("fred", "--text")
    assert "text index: 4 messages\n" in place("fred")


def test_no_room_for_text(place, tmp_path):
    (tmp_path / "index/text.db").mkdir()
    assert "of no use" in place("fred", "--text", status=1)
    (tmp_path / "index/text.db").rmdir()
    assert "it is full" in place("fred", "--text", "-o", "text_index_octets=100", status=1)


def test_text_of_a_file(place, tmp_path):
    place("--file", f"{tmp_path}/inbox", "--text")
    assert "text index: 3 messages\n" in place("--file", f"{tmp_path}/inbox")


@pytest.mark.parametrize(
    "words, said", [
        (("fred", "nowhere", "--text"), "Error: "), (("fred", "INBOX"), "are named for --text"),
        (("--file", "inbox", "INBOX", "--text"), "are named for --text"),
    ],
)  # fmt: skip
def test_wrong_words(place, words, said):
    assert said in place(*words, status=2 if "INBOX" in words else 1)
