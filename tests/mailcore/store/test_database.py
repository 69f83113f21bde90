"""One SQLite file: made, made anew, and never in a session's way."""

from __future__ import annotations

import os
import sqlite3
import stat

import pytest

from mailcore.store.database import Database


class Numbers(Database):
    name = "numbers.db"
    version = 2
    tables = ("number", "older")
    schema = "CREATE TABLE number (value INTEGER);"
    busy_seconds = 0

    def add(self, value: int) -> bool:
        return bool(self._asked(lambda db: [db.execute("INSERT INTO number VALUES (?)", (value,))], False))

    def all(self) -> list[int]:
        return list(self._asked(lambda db: [row[0] for row in db.execute("SELECT value FROM number")], []))


def test_what_is_written_stays(tmp_path):
    one = Numbers(str(tmp_path))
    assert one.add(5) and one.sound()
    one.close()
    assert one.all() == [5] and Numbers(str(tmp_path)).all() == [5]
    assert stat.S_IMODE(os.stat(one.path).st_mode) == 0o600


def test_another_version_is_dropped(tmp_path):
    with sqlite3.connect(tmp_path / "numbers.db") as db:
        db.executescript("CREATE TABLE number (x); CREATE TABLE older (y); PRAGMA user_version = 1")
    one = Numbers(str(tmp_path))
    assert one.add(1) and one.all() == [1]
    assert sqlite3.connect(one.path).execute("SELECT name FROM sqlite_master").fetchall() == [("number",)]


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000])
def test_what_is_no_database_is_made_anew(tmp_path, content):
    (tmp_path / "numbers.db").write_bytes(content)
    one = Numbers(str(tmp_path))
    assert one.add(3) and one.all() == [3] and one.lasting


def test_damage_that_shows_late_costs_the_file_and_no_session(tmp_path):
    one = Numbers(str(tmp_path))
    for value in range(5000):
        one.add(value)
    one.close()
    whole = bytearray((tmp_path / "numbers.db").read_bytes())
    whole[8192:] = b"\xff" * (len(whole) - 8192)
    (tmp_path / "numbers.db").write_bytes(whole)
    assert one.all() == [] and not one.lasting and not one.add(1)
    assert not (tmp_path / "numbers.db").exists()
    assert Numbers(str(tmp_path)).add(1)


def test_two_make_it_at_once(tmp_path):
    one, other = Numbers(str(tmp_path)), Numbers(str(tmp_path))
    version, asked = one._version, []

    def late(connection):
        asked.append(connection)
        if len(asked) == 1:
            assert other.add(7)
            return 0  # as it was before the other one came
        return version(connection)

    one._version = late
    assert one.all() == [7] and len(asked) == 2


def test_nowhere(tmp_path):
    assert not Numbers("").lasting and Numbers("").all() == []
    assert not Numbers(f"{tmp_path}/no/such/place").add(1)


def test_a_table_in_use_is_waited_for_no_longer_than_said(tmp_path):
    one = Numbers(str(tmp_path))
    one.add(1)
    with sqlite3.connect(one.path) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not one.add(2)
    assert not one.lasting and Numbers(str(tmp_path)).all() == [1]
