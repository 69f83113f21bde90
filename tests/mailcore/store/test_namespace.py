"""Names: confinement, LIST and LSUB, CREATE DELETE RENAME (RFC 3501 §6.3)."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailcore.errors import (
    BadName,
    Damaged,
    DiskError,
    HasChildren,
    InUse,
    MailboxExists,
    MailError,
    NoPermission,
    NoSuchMailbox,
    NotAMailbox,
    NotSelectable,
    OutOfSpace,
    Refusal,
)
from mailcore.settings import Settings
from mailcore.store import files, namespace
from mailcore.store.locking import Locks
from mailcore.store.mailbox import Incoming
from mailcore.store.namespace import Store

MESSAGE = b"From fred Sat Nov 21 12:00:00 2026\nSubject: hello\n\nbody\n\n"


class Ground:
    """A home, a spool and a Store over them."""

    def __init__(self, path: Path) -> None:
        self.home = path / "home"
        self.mail = self.home / "mail"
        self.inbox = path / "spool" / "fred"
        self.inbox.parent.mkdir()
        self.mail.mkdir(parents=True)
        self.path = path
        self.stores: list[Store] = []

    def store(self, **settings: int | str) -> Store:
        settings.setdefault("mail_location", f"mbox:~/mail:INBOX={self.inbox}")
        settings.setdefault("index_directory", str(self.path / "index"))
        self.stores.append(Store("fred", str(self.home), Settings(**settings)))
        return self.stores[-1]

    def put(self, *names: str, content: bytes = MESSAGE) -> None:
        for name in names:
            path = self.mail / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.fixture
def ground(tmp_path):
    ground = Ground(tmp_path)
    yield ground
    for store in ground.stores:
        store.close()


def names(listed):
    return [name for name, _ in listed]


# --- names ---------------------------------------------------------------------------------

REFUSED = [
    "", "/", "//", "/etc/passwd", "../x", "a/../b", "a/..", "..", ".", "./a", "a/./b", "a//b", "//a", "~", "~root",
    "~root/mail/x", "~/x", "#news.x", "#mh/x", "#driver.mbx/x", "{localhost}x", "a\0b", "a\rb", "a\nb", "a\tb",
    "a\x7fb", "\u00e9t\u00e9", "x" * 256, "a/" + "x" * 256, "/".join(["d" * 200] * 6), "a.lock", "d.lock/a",
    ".mailboxlist", ".subscriptions", "d/.mailboxlist",
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_names(ground, name):
    store = ground.store()
    before = sorted(map(str, ground.path.rglob("*")))
    for act in (store.open, store.create, store.delete, store.subscribe, store.unsubscribe):
        with pytest.raises(BadName):
            act(name)
    for pair in ((name, "new"), ("INBOX", name)):
        with pytest.raises(BadName):
            store.rename(*pair)
    assert not store.exists(name)
    assert sorted(map(str, ground.path.rglob("*"))) == before


def test_every_octet_in_a_name(ground):
    store = ground.store()
    for octet in range(256):
        name = "a" + chr(octet) + "b"
        if 0x20 <= octet < 0x7F:
            store.create(name)
            assert (ground.mail / name).is_file()
        else:
            with pytest.raises(BadName):
                store.create(name)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("inbox", "INBOX"), ("InBoX", "INBOX"), ("inbox/x", "inbox/x"), ("a/b", "a/b"), ("a/", "a"), ("mail/x", "x"),
     ("~/mail/x/y", "x/y"), ("mail/INBOX", "INBOX"), ("mailbox", "mailbox"), ("mail", "mail"), ("a~b", "a~b")],
)  # fmt: skip
def test_canonical(ground, name, canonical):
    assert ground.store().canonical(name) == canonical


def test_a_directory_called_mail_is_itself(ground):
    ground.put("mail/x")
    store = ground.store()
    assert store.canonical("mail/x") == "mail/x"
    assert store.canonical("~/mail/x") == "x"


def test_the_home_as_root(ground):
    store = ground.store(mail_location=f"mbox:~:INBOX={ground.inbox}")
    assert store.canonical("~/x") == "x"
    assert store.canonical("mail/x") == "mail/x"


# --- links and odd files -------------------------------------------------------------------


def test_links_out_of_the_root_do_not_exist(ground):
    outside = ground.path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(MESSAGE)
    (ground.mail / "file").symlink_to(outside / "secret")
    (ground.mail / "dir").symlink_to(outside)
    (ground.mail / "dots").symlink_to("../../outside")
    store = ground.store()
    for name in ("file", "dir/secret", "dots/secret"):
        for act in (store.open, store.delete, lambda name: store.rename(name, "mine")):
            with pytest.raises(NoSuchMailbox):
                act(name)
        assert not store.exists(name)
    for name in ("dir/new", "dots/new"):
        with pytest.raises(NoSuchMailbox):
            store.create(name)
        with pytest.raises(NoSuchMailbox):
            store.rename("INBOX", name)
    assert names(store.list("", "*")) == ["INBOX"]
    assert sorted(os.listdir(outside)) == ["secret"]


def test_links_that_stay_inside(ground):
    ground.put("Sent", "old/a")
    (ground.mail / "sent-mail").symlink_to("Sent")
    (ground.mail / "archive").symlink_to("old")
    (ground.mail / "old" / "loop").symlink_to("..")
    store = ground.store()
    assert names(store.list("", "*")) == ["INBOX", "Sent", "old", "old/a", "sent-mail"]
    assert store.path_of("sent-mail") == str(ground.mail / "Sent")
    assert store.path_of("archive/a") == str(ground.mail / "old" / "a")
    store.delete("sent-mail")
    assert (ground.mail / "Sent").exists() and not (ground.mail / "sent-mail").is_symlink()


def test_a_root_that_is_a_link(ground):
    real = ground.path / "disk2"
    real.mkdir()
    ground.mail.rmdir()
    ground.mail.symlink_to(real)
    store = ground.store()
    store.create("a/b")
    assert (real / "a" / "b").is_file()
    assert names(store.list("", "*")) == ["INBOX", "a", "a/b"]


def test_only_regular_files_are_mailboxes(ground):
    os.mkfifo(ground.mail / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(ground.mail / "socket"))
    (ground.mail / "zero").symlink_to("/dev/zero")
    store = ground.store()
    started = time.monotonic()
    for name in ("fifo", "socket"):
        for act in (store.open, store.delete, lambda name: store.rename(name, "other")):
            with pytest.raises(NotSelectable):
                act(name)
    with pytest.raises(NoSuchMailbox):
        store.open("zero")
    assert names(store.list("", "*")) == ["INBOX"]
    assert time.monotonic() - started < 1
    listener.close()


@pytest.mark.parametrize("content", [b"alias x=y\n", b"\x7fELF\x02\x01", b"SQLite format 3\0", b"From here to there\n"])
def test_other_files_are_left_alone(ground, content):
    ground.put("notes", content=content)
    store = ground.store()
    with pytest.raises(NotAMailbox):
        store.open("notes")
    with pytest.raises(NotAMailbox):
        store.delete("notes")
    with pytest.raises(NotAMailbox):
        store.rename("notes", "other")
    with pytest.raises(MailboxExists):
        store.create("notes")
    assert names(store.list("", "*")) == ["INBOX"]
    assert (ground.mail / "notes").read_bytes() == content


# --- INBOX in the spool ----------------------------------------------------------------------


def test_a_missing_inbox_is_empty(ground):
    with ground.store().open("inbox") as box:
        assert (box.name, len(box)) == ("INBOX", 0)


def test_an_inbox_that_is_no_mailbox_is_damaged(ground):
    ground.inbox.write_bytes(b"gibberish\n" + MESSAGE)
    with pytest.raises(Damaged, match="line 1"):
        ground.store().open("INBOX")
    assert ground.inbox.read_bytes() == b"gibberish\n" + MESSAGE


def test_a_missing_spool_is_no_empty_inbox(ground):
    ground.inbox.parent.rmdir()
    with pytest.raises(DiskError):
        ground.store().open("INBOX")


@pytest.mark.parametrize("what", ["symlink", "hard link", "directory", "fifo", "owner"])
def test_an_inbox_that_is_not_ours(ground, what):
    other = ground.path / "other"
    other.write_bytes(MESSAGE)
    if what == "symlink":
        ground.inbox.symlink_to(other)
    elif what == "hard link":
        ground.inbox.hardlink_to(other)
    elif what == "directory":
        ground.inbox.mkdir()
    elif what == "fifo":
        os.mkfifo(ground.inbox)
    else:
        if os.geteuid():
            pytest.skip("only root can give a file away")
        ground.inbox.write_bytes(MESSAGE)
        os.chown(ground.inbox, 65534, 65534)
    with pytest.raises(NoPermission):
        ground.store().open("INBOX")
    assert other.read_bytes() == MESSAGE


# --- LIST --------------------------------------------------------------------------------------


def test_list(ground):
    ground.put("Sent", "lists/python", "lists/c/gcc", "zebra", "A")
    ground.put("notes.txt", content=b"buy milk\n")
    ground.put("empty", content=b"")
    (ground.mail / "nothing").mkdir()
    store = ground.store()
    listed = dict(store.list("", "*"))
    assert list(listed) == [
        "INBOX", "A", "Sent", "empty", "lists", "lists/c", "lists/c/gcc", "lists/python", "nothing", "zebra",
    ]  # fmt: skip
    assert listed["lists"] == ["\\Noselect", "\\HasChildren"]
    assert listed["nothing"] == ["\\Noselect", "\\HasNoChildren"]
    assert listed["empty"] == ["\\NoInferiors", "\\UnMarked", "\\HasNoChildren"]
    assert listed["INBOX"] == ["\\UnMarked", "\\HasNoChildren"]


@pytest.mark.parametrize(
    ("reference", "pattern", "found"),
    [
        ("", "%", ["INBOX", "a", "d"]),
        ("", "*", ["INBOX", "a", "d", "d/b", "d/e", "d/e/c"]),
        ("", "%/%", ["d/b", "d/e"]),
        ("", "d/%", ["d/b", "d/e"]),
        ("d/", "%", ["d/b", "d/e"]),
        ("d/", "e/*", ["d/e/c"]),
        ("d", "/e/*", ["d/e/c"]),
        ("", "d*", ["d", "d/b", "d/e", "d/e/c"]),
        ("", "d", ["d"]),
        ("", "d/", ["d/"]),
        ("", "*/", ["d/", "d/e/"]),
        ("", "*c", ["d/e/c"]),
        ("", "nope", []),
        ("", "inbox", ["INBOX"]),
        ("", "iNb%", ["INBOX"]),
        ("in", "box", ["INBOX"]),
        ("", "*x", ["INBOX"]),
        ("", "mail/%", ["mail/a", "mail/d"]),
        ("mail/", "%", ["mail/a", "mail/d"]),
        ("~/mail/", "d/*", ["~/mail/d/b", "~/mail/d/e", "~/mail/d/e/c"]),
        ("", "mail/inbox", []),
        ("", "../*", []),
        ("..", "/*", []),
        ("/", "*", []),
        ("", "~root/*", []),
        ("#news.", "*", []),
        ("", "{localhost}*", []),
    ],
)
def test_list_patterns(ground, reference, pattern, found):
    ground.put("a", "d/b", "d/e/c")
    assert names(ground.store().list(reference, pattern)) == found


def test_the_root_of_names(ground):
    assert list(ground.store().list("", "")) == [("", ["\\Noselect"])]
    assert list(ground.store().list("a/b", "")) == [("", ["\\Noselect"])]


def test_what_list_hides(ground):
    ground.put(".hidden", "Sent.lock", ".d/x", "d/.y", "d/z.lock", ".mailboxlist")
    ground.put(".subscriptions", ".mlbxlsttmp", content=b"")
    (ground.mail / "Entwürfe").write_bytes(MESSAGE)
    (ground.mail / "a\tb").write_bytes(MESSAGE)
    (ground.mail / "inbox").write_bytes(MESSAGE)
    listed = dict(ground.store().list("", "*"))
    assert listed == {"INBOX": ["\\UnMarked", "\\HasNoChildren"], "d": ["\\Noselect", "\\HasNoChildren"]}
    assert names(ground.store(hide_dot_files=False).list("", "*")) == ["INBOX", ".d", ".d/x", ".hidden", "d", "d/.y"]


def test_mailboxes_below_inbox(ground):
    store = ground.store()
    store.create("INBOX/Trash")
    assert dict(store.list("", "*")) == {
        "INBOX": ["\\UnMarked", "\\HasChildren"],
        "INBOX/Trash": ["\\NoInferiors", "\\UnMarked", "\\HasNoChildren"],
    }


def test_the_inbox_file_inside_the_root_is_told_once(ground):
    (ground.mail / "spool").write_bytes(MESSAGE)
    store = ground.store(mail_location=f"mbox:~/mail:INBOX={ground.mail}/spool")
    assert names(store.list("", "*")) == ["INBOX"]
    with pytest.raises(BadName):
        store.rename("INBOX", "spool")


def test_marked(ground):
    ground.put("new", "seen", "lists/new")
    for name, read in (("new", 100), ("seen", 300), ("lists/new", 100)):
        os.utime(ground.mail / name, (read, 200))
    ground.inbox.write_bytes(MESSAGE)
    os.utime(ground.inbox, (100, 200))
    listed = dict(ground.store().list("", "*"))
    assert {name: attributes[-2] for name, attributes in listed.items() if name != "lists"} == {
        "INBOX": "\\Marked", "new": "\\Marked", "seen": "\\UnMarked", "lists/new": "\\Marked",
    }  # fmt: skip


def test_list_is_bounded(ground):
    ground.put(*(f"m{n:03}" for n in range(50)), content=b"")
    deep = "/".join("d" * 30)
    ground.put(f"{deep}/x")
    assert len(names(ground.store(list_entries=20).list("", "*"))) <= 21
    assert len(names(ground.store(list_depth=5).list("", "d*"))) == 5
    assert f"{deep}/x" in names(ground.store(list_depth=40).list("", "*"))


def test_list_of_ten_thousand(ground):
    for n in range(10_000):
        (ground.mail / f"m{n}").touch()
    started = time.perf_counter()
    assert len(names(ground.store().list("", "*"))) == 10_001
    assert time.perf_counter() - started < 5


def test_a_directory_nobody_may_read(ground):
    ground.put("d/x", "e")
    (ground.mail / "d").chmod(0)
    listed = names(ground.store().list("", "*"))
    (ground.mail / "d").chmod(0o700)
    assert listed[:2] == ["INBOX", "d"] and listed[-1] == "e"


# --- CREATE ---------------------------------------------------------------------------------------


def test_create(ground):
    store = ground.store()
    old = os.umask(0o077)
    try:
        store.create("a/b/c")
        os.umask(0)
        store.create("d/")
        store.create("e")
    finally:
        os.umask(old)
    for name, mode in (("a", 0o700), ("a/b", 0o700), ("a/b/c", 0o600), ("d", 0o700), ("e", 0o600)):
        assert (ground.mail / name).stat().st_mode & 0o7777 == mode, name
    assert (ground.mail / "d").is_dir() and (ground.mail / "e").read_bytes() == b""


def test_create_makes_the_mail_root(ground):
    ground.mail.rmdir()
    store = ground.store()
    assert names(store.list("", "*")) == ["INBOX"]
    store.create("mail/a")
    assert names(store.list("", "*")) == ["INBOX", "a"]


@pytest.mark.parametrize("name", ["INBOX", "inbox", "a", "a/", "d", "d/", "mail/", "~/mail/", "mail/a"])
def test_create_what_exists(ground, name):
    ground.put("a", "d/x")
    with pytest.raises(MailboxExists):
        ground.store().create(name)


def test_create_below_a_mailbox(ground):
    ground.put("a")
    for name in ("a/b", "a/b/c"):
        with pytest.raises(BadName):
            ground.store().create(name)
    assert (ground.mail / "a").read_bytes() == MESSAGE


def test_create_what_list_would_hide(ground):
    for name in (".a", "a/.b", ".a/b"):
        with pytest.raises(BadName):
            ground.store().create(name)
    ground.store(hide_dot_files=False).create(".a/.b")


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.EACCES, NoPermission), (errno.EROFS, NoPermission), (errno.ENOSPC, OutOfSpace), (errno.EIO, DiskError),
     (errno.EDQUOT, OutOfSpace), (errno.EEXIST, MailboxExists), (errno.ENAMETOOLONG, BadName)],
)  # fmt: skip
def test_what_the_kernel_refuses(ground, monkeypatch, number, error):
    ground.put("a")
    store = ground.store()

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    for call in ("open", "mkdir", "link", "unlink", "rmdir", "rename"):
        monkeypatch.setattr(namespace.os, call, refuse)
    unlocked = SimpleNamespace(held=lambda *_: nullcontext())  # the calls are for the names, not for the locks
    monkeypatch.setattr(namespace, "_format", lambda path: unlocked)
    for act in (lambda: store.create("b"), lambda: store.create("c/d"), lambda: store.rename("a", "b")):
        with pytest.raises(error):
            act()
    with pytest.raises(error):
        store.delete("a")
    monkeypatch.undo()
    assert names(store.list("", "*")) == ["INBOX", "a"]


# --- DELETE ------------------------------------------------------------------------------------------


def test_delete_and_rename_wait_for_the_locks(ground):
    """A delivery that is under way is not cut off, and leaves no lock file behind (R39)."""
    ground.put("a")
    store = ground.store()
    store.settings.lock_seconds = 0
    path = ground.mail / "a"
    fd = os.open(path, os.O_RDWR)
    delivery = Locks(str(path), Settings())
    for take, give in (
        (lambda: delivery.acquire(fd, False), delivery.release),
        (lambda: fcntl.flock(fd, fcntl.LOCK_SH), lambda: fcntl.flock(fd, fcntl.LOCK_UN)),
        (lambda: (ground.mail / "a.lock").write_bytes(b""), lambda: (ground.mail / "a.lock").unlink()),
    ):
        take()
        for act in (lambda: store.delete("a"), lambda: store.rename("a", "b")):
            with pytest.raises(InUse):
                act()
        give()
    os.close(fd)
    store.rename("a", "b")
    store.delete("b")
    assert [name for name in os.listdir(ground.mail) if name[0] in "ab"] == []


def test_rename_of_a_directory_waits_for_who_writes_below(ground):
    """Its lock file would go along, and its record be kept for the old name."""
    ground.put("a/b/c")
    store = ground.store()
    store.settings.lock_seconds = 0
    path = ground.mail / "a/b/c"
    fd = os.open(path, os.O_RDWR)
    writer = Locks(str(path), Settings())
    writer.acquire(fd, True)
    with pytest.raises(InUse):
        store.rename("a", "z")
    writer.release()
    os.close(fd)
    stale = ground.mail / "a/b/old.lock"
    stale.write_bytes(b"")
    os.utime(stale, (time.time() - 400,) * 2)
    with store.open("a/b/c") as box:
        uids = list(box.uids)
        store.rename("a", "z")
    with store.open("z/b/c") as box:
        assert list(box.uids) == uids
    assert sorted(os.listdir(ground.mail / "z/b")) == ["c", "old.lock"]


def test_a_mailbox_may_be_removed_that_may_not_be_written(ground):
    ground.put("a")
    (ground.mail / "a").chmod(0o400)
    ground.store().rename("a", "b")
    ground.store().delete("b")
    assert names(ground.store().list("", "*")) == ["INBOX"]


def test_an_interrupted_change_is_finished_before_the_mailbox_goes(ground, monkeypatch):
    """No journal stays for a file that is no more, and the renamed mailbox is whole (R39)."""
    store = ground.store()
    store.create("a")
    box = store.open("a")
    box.append([Incoming(b"Subject: %d\r\n\r\nx\r\n" % number) for number in range(3)])

    def crash(*_):
        raise OSError(errno.EIO, "crash")

    with monkeypatch.context() as patch:
        patch.setattr(files, "truncate", crash)
        with pytest.raises(DiskError):
            box.remove([2])
    home = Path(store.index.home)
    assert list(home.glob("*.journal"))
    store.rename("a", "b")
    assert not list(home.glob("*.journal"))
    with ground.store().open("b") as box:
        assert [box.header(uid).split()[1] for uid in box.uids] == [b"0", b"2"]


# What a session hears whose mailbox another one deletes or renames: test_box.py, taken away or replaced.


def test_delete(ground):
    ground.put("a", "d/b")
    store = ground.store()
    store.delete("a")
    store.delete("mail/d/b")
    store.delete("d/")
    assert names(store.list("", "*")) == ["INBOX"]
    for name in ("a", "d", "d/b", "nope"):
        with pytest.raises(NoSuchMailbox):
            store.delete(name)


def test_delete_refused(ground):
    ground.put("d/b")
    ground.inbox.write_bytes(MESSAGE)
    store = ground.store()
    with pytest.raises(HasChildren):
        store.delete("d")
    with pytest.raises(Refusal, match="INBOX"):
        store.delete("inbox")
    assert ground.inbox.exists() and (ground.mail / "d" / "b").exists()


def test_a_name_used_again_does_not_use_uids_again(ground):
    """RFC 3501 §6.3.4: another UIDVALIDITY, a larger one, or larger UIDs."""
    store = ground.store()
    seen: set[tuple[int, int]] = set()
    validities = []
    for _ in range(3):
        ground.put("a", content=MESSAGE * 3)
        with store.open("a") as box:
            now = {(box.uid_validity, uid) for uid in box.uids}
            validities.append(box.uid_validity)
        assert len(now) == 3 and not now & seen
        seen |= now
        store.delete("a")
    assert validities == sorted(validities)


# --- RENAME ---------------------------------------------------------------------------------------------


def test_rename_a_mailbox(ground):
    ground.put("a")
    store = ground.store()
    with store.open("a") as box:
        before = (box.uid_validity, list(box.uids))
    store.rename("a", "new/place/b")
    with store.open("new/place/b") as box:
        assert (box.uid_validity, list(box.uids)) == before
    with pytest.raises(NoSuchMailbox):
        store.open("a")


def test_rename_a_directory(ground):
    ground.put("d/b", "d/e/c")
    store = ground.store()
    with store.open("d/e/c") as box:
        before = (box.uid_validity, list(box.uids))
    store.rename("d", "x/y")
    assert names(store.list("", "*")) == ["INBOX", "x", "x/y", "x/y/b", "x/y/e", "x/y/e/c"]
    with store.open("x/y/e/c") as box:
        assert (box.uid_validity, list(box.uids)) == before


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("nope", "b", NoSuchMailbox),
        ("nope", "a", NoSuchMailbox),
        ("a", "b", MailboxExists),
        ("a", "a", MailboxExists),
        ("a", "d", MailboxExists),
        ("d", "a", MailboxExists),
        ("a", "INBOX", MailboxExists),
        ("INBOX", "inbox", MailboxExists),
        ("INBOX", "a", MailboxExists),
        ("a", "b/x", BadName),
        ("a", "a/x", BadName),
        ("d", "d/e", BadName),
        ("d", "d/e/f", BadName),
        ("a", "../x", BadName),
        ("../x", "y", BadName),
    ],
)
def test_rename_refused(ground, old, new, error):
    ground.put("a", "b", "d/c")
    store = ground.store()
    with pytest.raises(error):
        store.rename(old, new)
    assert names(store.list("", "*")) == ["INBOX", "a", "b", "d", "d/c"]


def test_rename_inbox_moves_its_mail(ground):
    """RFC 3501 §6.3.5: the messages go, INBOX stays and is empty, what is below it stays."""
    ground.inbox.write_bytes(MESSAGE * 3)
    store = ground.store()
    store.create("INBOX/below")
    store.rename("inbox", "old/2026")
    with store.open("INBOX") as box:
        assert len(box) == 0
    with store.open("old/2026") as box:
        assert len(box) == 3
    assert "INBOX/below" in names(store.list("", "*"))


def test_rename_inbox_that_fails_leaves_nothing(ground, monkeypatch):
    ground.inbox.write_bytes(MESSAGE * 3)
    store = ground.store()

    def full(*_):
        raise OutOfSpace

    monkeypatch.setattr("mailcore.store.formats.mbox.Box.move", full)
    with pytest.raises(OutOfSpace):
        store.rename("INBOX", "old")
    with store.open("INBOX") as box:
        assert len(box) == 3
    assert names(store.list("", "*")) == ["INBOX"]


def test_rename_to_a_name_that_was_used(ground):
    """A client that knew the old `b` must not take the new one's messages for it."""
    ground.put("a", "b", content=MESSAGE * 2)
    store = ground.store()
    known = set()
    for name in ("a", "b"):
        with store.open(name) as box:
            known |= {(box.uid_validity, uid) for uid in box.uids} if name == "b" else set()
    store.delete("b")
    store.rename("a", "b")
    with store.open("b") as box:
        assert len(box) == 2
        assert not known & {(box.uid_validity, uid) for uid in box.uids}


# --- subscriptions ----------------------------------------------------------------------------------------


def test_subscribe(ground):
    ground.put("a", "d/b")
    store = ground.store()
    for name in ("a", "mail/d/b", "inbox", "d", "a"):
        store.subscribe(name)
    assert (ground.home / ".mailboxlist").read_text() == "a\nd/b\nINBOX\nd\n"
    assert list(store.lsub("", "*")) == [("INBOX", []), ("a", []), ("d", []), ("d/b", [])]
    store.unsubscribe("mail/a")
    assert names(store.lsub("", "*")) == ["INBOX", "d", "d/b"]
    with pytest.raises(NoSuchMailbox):
        store.unsubscribe("a")
    with pytest.raises(NoSuchMailbox):
        store.subscribe("nope")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", [("INBOX", []), ("a", []), ("d/e/c", []), ("foo/bar", []), ("gone", [])]),
        ("%", [("INBOX", []), ("a", []), ("d", ["\\Noselect"]), ("foo", ["\\Noselect"]), ("gone", [])]),
        ("d/%", [("d/e", ["\\Noselect"])]),
        ("foo/%", [("foo/bar", [])]),
        ("foo%", [("foo", ["\\Noselect"])]),
        ("f*", [("foo/bar", [])]),
        ("INBOX", [("INBOX", [])]),
        ("mail/%", [("mail/a", []), ("mail/d", ["\\Noselect"]), ("mail/foo", ["\\Noselect"]), ("mail/gone", [])]),
        ("x*", []),
        ("", []),
    ],
)
def test_lsub(ground, pattern, found):
    """RFC 3501 §6.3.9, with its example of foo and foo/bar; names need not exist."""
    lines = "INBOX\nmail/a\nfoo/bar\nd/e/c\n#news.comp\n{host}x\n/etc/passwd\n~root/x\n../y\na\ngone\n"
    (ground.home / ".mailboxlist").write_text(lines)
    assert list(ground.store().lsub("", pattern)) == found


def test_unsubscribe_leaves_foreign_lines(ground):
    (ground.home / ".mailboxlist").write_text("mail/a\n#news.comp\n~/mail/a\n{host}x\na\n")
    ground.store().unsubscribe("a")
    assert (ground.home / ".mailboxlist").read_text() == "#news.comp\n{host}x\n"


def test_all_errors_are_for_the_client_to_hear(ground):
    """No path of this machine in what a client is told."""
    ground.put("a", "d/b")
    store = ground.store()
    acts = [
        lambda: store.open("nope"), lambda: store.open("d"), lambda: store.create("a"), lambda: store.delete("d"),
        lambda: store.rename("nope", "x"), lambda: store.rename("a", "d"), lambda: store.create("a/b"),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(MailError) as caught:
            act()
        assert str(ground.path) not in caught.value.text and "/" not in caught.value.text
