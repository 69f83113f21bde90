"""mailcore.store.rights: bits as letters, letters as bits."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mailcore.errors import Refusal
from mailcore.settings import Settings
from mailcore.store import rights
from mailcore.store.namespace import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "mail/d").mkdir(parents=True)
    (tmp_path / "mail/work").write_bytes(b"")
    (tmp_path / "mail/work").chmod(0o600)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/x").write_bytes(b"")
    (tmp_path / "inbox").write_bytes(b"")
    location = f"mbox:{tmp_path}/mail:INBOX={tmp_path}/inbox"
    settings = Settings(mail_location=location, shared_directory=f"{tmp_path}/shared")
    return Store("fred", str(tmp_path), settings)


@pytest.mark.parametrize(
    ("given", "told"),
    [("", ""), ("srl", "lrs"), ("eitws", "swited"), ("k", "kc"), ("x", "xc"), ("te", "ted"), ("t", "t")],
)
def test_spelled(given: str, told: str) -> None:
    assert rights.spelled(given) == told


@pytest.mark.parametrize(
    ("name", "mine"), [("work", "lrswixtecda"), ("INBOX", "lrswited"), ("d", "lkxc"), ("#shared/x", "lr")]
)
def test_mine(name: str, mine: str, store: Store) -> None:
    assert rights.mine(store, name) == mine


@pytest.mark.parametrize(("letters", "bits"), [("lr", 0o604), ("lrswite", 0o606), ("lrswited", 0o606), ("", 0o600)])
def test_granted(letters: str, bits: int, store: Store, tmp_path: Path) -> None:
    rights.granted(store, "work", "anyone", letters)
    assert stat.S_IMODE((tmp_path / "mail/work").stat().st_mode) == bits
    assert dict(rights.table(store, "work")).get("anyone", "") == rights.spelled(letters)


def test_group(store: Store, tmp_path: Path) -> None:
    import grp

    group = f"group:{grp.getgrgid(os.stat(tmp_path / 'mail/work').st_gid).gr_name}"
    rights.granted(store, "work", group, "lr")
    assert stat.S_IMODE((tmp_path / "mail/work").stat().st_mode) == 0o640
    assert (group, "lr") in rights.table(store, "work")


@pytest.mark.parametrize(
    ("who", "letters"), [("anyone", "lrs"), ("anyone", "a"), ("wilma", "lr"), ("-anyone", "lr"), ("root", "")]
)
def test_what_bits_cannot_say(who: str, letters: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(Refusal):
        rights.granted(store, "work", who, letters)
    assert stat.S_IMODE((tmp_path / "mail/work").stat().st_mode) == 0o600
