"""mailcore.store.spaces: other people's mailboxes, to be read and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailcore.errors import BadName, BadSetting, MailError, NoPermission, NoSuchMailbox, ReadOnly
from mailcore.settings import Settings
from mailcore.store import spaces
from mailcore.store.mailbox import Incoming
from mailcore.store.namespace import Store

MAIL = b"From a Sat Nov 21 12:00:00 2026\nSubject: a\n\nb\n\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    for place in ("fred/mail", "group/team", "homes/wilma/mail", "spool"):
        (tmp_path / place).mkdir(parents=True)
    for file in ("fred/mail/own", "group/team/plan", "group/news", "homes/wilma/mail/diary", "secret"):
        (tmp_path / file).write_bytes(MAIL)
    os.symlink(tmp_path / "secret", tmp_path / "group/way-out")
    os.symlink(tmp_path, tmp_path / "group/out")
    settings = Settings(
        mail_location=f"mbox:{tmp_path}/fred/mail:INBOX={tmp_path}/spool/fred",
        index_directory=str(tmp_path / "index"),
        shared_directory=str(tmp_path / "group"),
        public_directory=str(tmp_path / "nothing"),
        other_users_directory=f"{tmp_path}/homes/%u/mail",
    )
    return Store("fred", str(tmp_path / "fred"), settings)


def test_only_what_exists_is_there(store: Store) -> None:
    assert [space.prefix for space in store.spaces] == ["#shared/"]
    with pytest.raises(BadName):
        store.canonical("#public/x")


@pytest.mark.parametrize("name", ["#shared/team/plan", "#shared/news", "~wilma/diary"])
def test_open_is_read_only(name: str, store: Store) -> None:
    with store.open(name) as box:
        assert box.readonly and len(box) == 1 and box.name == name
        with pytest.raises(ReadOnly):
            box.append([Incoming(b"A: b\r\n\r\n")])


@pytest.mark.parametrize(
    "name",
    ["#shared/../secret", "#shared/way-out", "#shared/out/secret", "~wilma/../../secret", "~../x",
     "~wilma/../../fred/mail/own", "~/../x", "~wi/lma/x", "~nobody/x", "~/", "~wilma", "#shared/", "#shared//news",
     "#shared/./news", "~\0/x", "~a b/x"],
)  # fmt: skip
def test_nothing_else_is_reached(name: str, store: Store) -> None:
    with pytest.raises(MailError):
        store.open(name)
    assert not store.exists(name) or name == "#shared/"


@pytest.mark.parametrize("name", ["#shared/news", "~wilma/diary", "#shared/new", "~wilma/new"])
def test_nothing_is_changed(name: str, store: Store, tmp_path: Path) -> None:
    def away(name: str) -> None:
        store.rename(name, "x")

    def there(name: str) -> None:
        store.rename("own", name)

    for change in (store.create, store.delete, away, there):
        with pytest.raises(NoPermission):
            change(name)
    assert sorted(os.listdir(tmp_path / "group")) == ["news", "out", "team", "way-out"]
    assert (tmp_path / "fred/mail/own").exists()


def names(store: Store, reference: str, pattern: str) -> list[str]:
    return [name for name, _ in store.list(reference, pattern)]


def test_list_tells_them_to_who_asks(store: Store) -> None:
    assert names(store, "", "*") == ["INBOX", "own"]
    assert names(store, "#shared/", "*") == ["#shared/news", "#shared/team", "#shared/team/plan"]
    assert names(store, "", "#shared/%") == ["#shared/news", "#shared/team"]
    assert names(store, "~wilma/", "*") == ["~wilma/diary"]
    assert names(store, "~nobody/", "*") == names(store, "~../", "*") == names(store, "#public/", "*") == []


def test_subscribe(store: Store) -> None:
    store.subscribe("#shared/news")
    assert list(store.lsub("", "*")) == [("#shared/news", [])]


def test_without_the_setting_there_are_no_users(tmp_path: Path) -> None:
    assert spaces.of_user(Settings(), "~wilma/x") is None
    with pytest.raises(BadSetting):
        spaces.of_user(Settings(other_users_directory="homes/%u"), "~wilma/x")
    store = Store("fred", str(tmp_path), Settings(mail_location=f"mbox:{tmp_path}/mail"))
    with pytest.raises((BadName, NoSuchMailbox)):
        store.open("~wilma/diary")
