"""mailcore.store.walk: it ends, whatever is in the directories (S23)."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mailcore.settings import Settings
from mailcore.store.namespace import Store
from mailcore.store.pattern import Pattern
from mailcore.store.walk import Walk


def made(root: Path, **settings: int) -> Store:
    return Store("fred", str(root), Settings(mail_location=f"mbox:{root}/mail:INBOX={root}/inbox", **settings))


def test_loops_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mail/a").mkdir(parents=True)
    for name in ("mail/loop", "mail/a/up", "mail/a/self"):
        os.symlink(tmp_path / "mail", tmp_path / name)
    assert [name for name, _ in made(tmp_path).list("", "*")] == ["INBOX", "a"]


def test_entries_are_counted(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"mail/d{number}").mkdir(parents=True)
        (tmp_path / f"mail/d{number}/x").touch()
    store = made(tmp_path, list_entries=20)
    walk = Walk(store, Pattern("*"), False, store.root)
    assert len(list(walk.names(store.root, "", walk._matcher.start, 1))) <= 20
    assert walk.cut


def test_many_files_take_no_time(tmp_path: Path) -> None:
    """They are no stat and no look into each where the pattern leaves them out."""
    (tmp_path / "mail").mkdir()
    for number in range(20_000):
        os.close(os.open(tmp_path / f"mail/{number}", os.O_CREAT))
    started = time.process_time()
    assert [name for name, _ in made(tmp_path).list("", "x%")] == []
    assert time.process_time() - started < 2
