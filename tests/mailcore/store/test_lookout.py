"""What happened to many mailboxes, found by comparing."""

from __future__ import annotations

import os
import select

import pytest

from mailcore.errors import DiskError
from mailcore.settings import load
from mailcore.store import lookout as module
from mailcore.store.lookout import Lookout
from mailcore.store.namespace import Store
from tests.playground import Ground

MAIL = b"From a@b Sat Nov 14 08:00:00 2026 +0000\nSubject: x\n\nx\n\n"


@pytest.fixture
def ground(tmp_path):
    ground = Ground(tmp_path)
    for name in ("one", "two"):
        ground.place(name, MAIL)
    return ground


@pytest.fixture
def store(ground):
    settings = load([f"{name}={value}" for name, value in ground.options().items()], "/nonexistent")
    with Store("fred", str(ground.home), settings) as store:
        yield store


@pytest.fixture
def lookout(store):
    lookout = Lookout(store, lambda: store.list("", "*"), root=True, subscriptions=True, notes=True)
    assert lookout.look() is None
    yield lookout
    lookout.close()


def told(lookout):
    """The report of the next look that has one."""
    while True:
        assert select.select([lookout.fd], [], [], 5)[0]
        report = lookout.look()
        if report is not None:
            return {name: value for name in report.__slots__ if (value := getattr(report, name))}


def test_mail(ground, lookout):
    with ground.file("one").open("ab") as file:
        file.write(MAIL)
    assert told(lookout) == {"changed": ["one"]}
    ground.place("INBOX", MAIL)
    assert told(lookout) == {"changed": ["INBOX"]}


def test_what_could_not_be_read_is_told_again(ground, lookout):
    with ground.file("one").open("ab") as file:
        file.write(MAIL)
    assert told(lookout) == {"changed": ["one"]} and not lookout.restless
    lookout.unread("one")
    assert lookout.restless
    report = lookout.look()
    assert report is not None and report.changed == ["one"] and not lookout.restless


def test_names(ground, store, lookout):
    store.create("new")
    assert told(lookout) == {"appeared": ["new"]}
    store.rename("new", "newer")
    assert told(lookout) == {"renamed": [("new", "newer")]}
    store.delete("newer")
    assert told(lookout) == {"gone": ["newer"]}


def test_a_name_seen_between_the_link_and_the_unlink(ground, lookout):
    """It is one mailbox with another name, not two; a link that stays is two."""
    os.link(ground.file("one"), ground.file("three"))
    assert lookout.look() is not None and lookout.restless and "three" not in lookout.places
    os.unlink(ground.file("one"))
    assert told(lookout) == {"renamed": [("one", "three")]} and not lookout.restless
    os.link(ground.file("two"), ground.file("four"))
    lookout.look()
    report = lookout.look()
    assert report is not None and report.appeared == ["four"] and not lookout.restless


def test_a_new_directory_is_watched_too(ground, store, lookout):
    store.create("deep/er/box")
    appeared = told(lookout)["appeared"]
    while "deep/er/box" not in appeared:
        appeared += told(lookout)["appeared"]
    assert appeared == ["deep", "deep/er", "deep/er/box"]
    with ground.file("deep/er/box").open("ab") as file:
        file.write(MAIL)
    assert told(lookout) == {"changed": ["deep/er/box"]}
    store.create("deep/er/other")
    assert told(lookout) == {"appeared": ["deep/er/other"]}


def test_a_renamed_directory(ground, store, lookout):
    store.create("work/a")
    while lookout.look() is not None:
        pass
    os.rename(ground.mail / "work", ground.mail / "old")
    assert told(lookout) == {"renamed": [("work", "old"), ("work/a", "old/a")]}


def test_mail_in_a_mailbox_that_comes_with_it(ground, lookout):
    os.rename(ground.file("one"), ground.path / "aside")
    assert told(lookout) == {"gone": ["one"]}
    os.rename(ground.path / "aside", ground.file("one"))
    assert told(lookout) == {"appeared": ["one"], "changed": ["one"]}


def test_another_program_writes_the_file_anew(ground, lookout):
    ground.place("fresh", MAIL * 2)
    assert told(lookout)["appeared"] == ["fresh"]
    os.replace(ground.file("fresh"), ground.file("two"))
    assert told(lookout) == {"gone": ["fresh"], "changed": ["two"]}


def test_lists(store, lookout):
    store.subscribe("one")
    assert told(lookout) == {"subscribed": ["one"]}
    store.unsubscribe("one")
    assert told(lookout) == {"unsubscribed": ["one"]}
    store.metadata.set("one", {"/private/comment": b"x", "/shared/comment": b"y"})
    assert told(lookout) == {"noted": {"one": ["/private/comment", "/shared/comment"]}}
    store.metadata.set("one", {"/private/comment": b"x", "/shared/comment": None})
    assert told(lookout) == {"noted": {"one": ["/shared/comment"]}}


def test_lists_that_cannot_be_read(store, lookout, monkeypatch):
    def fails(*_):
        raise DiskError

    monkeypatch.setattr(type(store.metadata), "everything", fails)
    store.subscribe("one")
    assert told(lookout) == {"subscribed": ["one"]}


def test_where_nothing_can_tell(ground, store, monkeypatch):
    """Each look looks."""
    monkeypatch.setattr(module.Watch, "_elsewhere", lambda *_: True)
    lookout = Lookout(store, lambda: store.list("", "*"), root=True, subscriptions=False, notes=False)
    assert lookout.fd == -1
    store.create("new")
    with ground.file("one").open("ab") as file:
        file.write(MAIL)
    report = lookout.look()
    assert (report.appeared, report.changed) == (["new"], ["one"])
    report = lookout.look()
    assert not report.appeared and not report.changed
    lookout.close()


def test_the_spool_directory_is_not_watched(ground, store):
    ground.place("INBOX", MAIL)
    lookout = Lookout(store, lambda: [("INBOX", [])], root=False, subscriptions=False, notes=False)
    (ground.spool / "someone").write_bytes(b"x")
    assert not select.select([lookout.fd], [], [], 0.1)[0]
    lookout.close()


def test_other_files_too(ground, store):
    lookout = Lookout(store, list, root=False, subscriptions=False, notes=False)
    lookout.also([str(ground.file("one"))])
    lookout.also([str(ground.file("two"))])
    with ground.file("two").open("ab") as file:
        file.write(MAIL)
    assert select.select([lookout.fd], [], [], 5)[0]
    lookout.close()


def test_no_descriptor_is_left(store):
    before = len(os.listdir("/proc/self/fd"))
    lookout = Lookout(store, lambda: store.list("", "*"), root=True, subscriptions=True, notes=True)
    store.create("new")
    lookout.look()
    lookout.close()
    assert len(os.listdir("/proc/self/fd")) == before
