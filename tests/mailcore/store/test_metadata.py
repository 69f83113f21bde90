"""mailcore.store.metadata: the file, its limits, and who writes at the same time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailcore.errors import Damaged, DiskError, Refusal
from mailcore.settings import Settings
from mailcore.store import metadata
from mailcore.store.metadata import SPECIAL_USE, USUAL_NAMES, Metadata


@pytest.fixture
def notes(tmp_path: Path) -> Metadata:
    return Metadata(str(tmp_path), Settings(metadata_octets=10, metadata_entries=3))


def test_all_octets_come_back(notes: Metadata) -> None:
    notes._settings.metadata_octets = 256
    notes.set("INBOX", {"/private/x": bytes(range(256))})
    assert notes.entries("INBOX") == {"/private/x": bytes(range(256))}
    assert notes.entries("other") == {}


def test_none_takes_away(notes: Metadata) -> None:
    notes.set("INBOX", {"/private/x": b"1", "/private/y": b"2"})
    notes.set("INBOX", {"/private/x": None})
    assert notes.entries("INBOX") == {"/private/y": b"2"}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"a": b"x" * 11}, "METADATA MAXSIZE 10"),
        ({"a": b"1", "b": b"2", "c": b"3"}, "METADATA TOOMANY"),
    ],
)
def test_limits_change_nothing(values: dict[str, bytes], code: str, notes: Metadata) -> None:
    notes.set("INBOX", {"/private/x": b"1"})
    with pytest.raises(Refusal) as refused:
        notes.set("work", values)
    assert refused.value.code == code
    assert notes.entries("work") == {} and notes.entries("INBOX") == {"/private/x": b"1"}


def test_who_has_too_much_may_take_away(notes: Metadata) -> None:
    notes.set("a", {"1": b"", "2": b"", "3": b""})
    notes._settings.metadata_entries = 1
    notes.set("a", {"1": None})
    assert set(notes.entries("a")) == {"2", "3"}


def test_names_follow(notes: Metadata) -> None:
    notes.set("a", {"x": b"1"})
    notes.set("a/b", {"x": b"2"})
    notes.renamed("a", "c")
    assert (notes.entries("c"), notes.entries("c/b"), notes.entries("a")) == ({"x": b"1"}, {"x": b"2"}, {})
    notes.forget("c")
    assert notes.entries("c") == {} and notes.entries("c/b")


def test_usual_names_but_for_what_was_said(notes: Metadata) -> None:
    there = {"Sent", "sent-mail", "Spam", "Old"}
    assert notes.uses(there.__contains__) == {"Sent": ["\\Sent"], "Spam": ["\\Junk"]}
    notes._settings.metadata_octets = 100
    notes.set("Old", {SPECIAL_USE: b"\\Sent \\Nonsense"})
    assert notes.uses(there.__contains__) == {"Old": ["\\Sent"], "Spam": ["\\Junk"]}
    assert notes.uses({"Sent"}.__contains__) == {"Sent": ["\\Sent"]}  # Old is gone


def test_each_usual_name_is_one_thing() -> None:
    names = [name for names in USUAL_NAMES.values() for name in names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a": 1}', b'{"a": {"b": 1}}', '{"a": {"b": "€"}}'.encode(), b"\xff"]
)
def test_damage_is_said(content: bytes, notes: Metadata) -> None:
    Path(notes.path).write_bytes(content)
    with pytest.raises(Damaged):
        notes.entries("a")
    with pytest.raises(Damaged):
        notes.set("a", {"x": b"1"})
    assert Path(notes.path).read_bytes() == content


def test_a_link_is_not_followed(notes: Metadata, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b'{"a": {"b": "secret"}}')
    os.symlink(tmp_path / "elsewhere", notes.path)
    with pytest.raises(DiskError):
        notes.entries("a")


def test_a_writer_that_died_leaves_the_old_file(notes: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.set("a", {"x": b"old"})

    def dies(old: str, new: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(metadata.files, "rename", dies)
        with pytest.raises(KeyboardInterrupt):
            notes.set("a", {"x": b"new"})
    assert notes.entries("a") == {"x": b"old"}
    notes.set("a", {"y": b"2"})
    assert notes.entries("a") == {"x": b"old", "y": b"2"}


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    children = []
    for number in range(4):
        pid = os.fork()
        if not pid:
            mine = Metadata(str(tmp_path), Settings())
            for count in range(10):
                mine.set("INBOX", {f"/private/{number}/{count}": b"x"})
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    assert len(Metadata(str(tmp_path), Settings()).entries("INBOX")) == 40


def test_without_a_place_nothing_is_noted() -> None:
    nowhere = Metadata("", Settings())
    assert nowhere.entries("INBOX") == {}
    nowhere.forget("INBOX")
    with pytest.raises(DiskError):
        nowhere.set("INBOX", {"x": b"1"})
