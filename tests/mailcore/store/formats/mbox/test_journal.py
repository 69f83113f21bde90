"""Crashes: the process dies, or the power does, before every single step that changes a disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from mailcore.errors import MailError, OutOfSpace
from mailcore.store import files
from mailcore.store.formats.mbox import journal
from mailcore.store.formats.mbox.rewrite import Plan
from mailcore.store.index import Index
from mailcore.store.mailbox import Incoming


@pytest.fixture
def tmp_path():
    """In memory where that is possible: thousands of crashes, each with its syncs."""
    memory = "/dev/shm"
    path = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None)
    yield Path(path)
    shutil.rmtree(path)


class Crash(BaseException):
    """The process is no more."""


class Disk:
    """Stands in for `os` in files.py: dies before step `last`, or in the middle of its write.

    It remembers what was synced, so that a power cut can take away the rest.
    """

    CHANGES = ("pwrite", "fsync", "fdatasync", "ftruncate", "posix_fallocate", "unlink", "rename", "utime")

    def __init__(self, last: int, torn: bool = False) -> None:
        self.steps: list[str] = []
        self.last = last
        self.torn = torn
        self.synced: dict[int, bytes] = {}  # inode: content on the disk
        self.names: dict[str, dict[str, int]] = {}  # directory: what it holds on the disk

    def __getattr__(self, name):
        real = getattr(os, name)
        if name == "open":
            return self._open
        if name not in self.CHANGES:
            return real

        def change(*arguments, **keywords):
            self.step(name, arguments)
            done = real(*arguments, **keywords)
            if name == "fsync":
                self._is_synced(arguments[0])
            return done

        return change

    def _open(self, path, flags, *mode):
        if flags & os.O_CREAT:
            self.step("create", ())
        return os.open(path, flags, *mode)

    def step(self, name, arguments):
        self.steps.append(name)
        if len(self.steps) > self.last:
            if self.torn and name == "pwrite" and len(self.steps) == self.last + 1:
                fd, data, offset = arguments
                half = len(data) // 2 // 512 * 512 - offset % 512  # disks write whole sectors
                os.pwrite(fd, data[: max(0, half)], offset)
            raise Crash

    def _is_synced(self, fd):
        status = os.fstat(fd)
        path = os.readlink(f"/proc/self/fd/{fd}")
        if os.path.isdir(path):
            self.names[path] = {name: os.lstat(f"{path}/{name}").st_ino for name in os.listdir(path)}
        else:
            self.synced[status.st_ino] = os.pread(fd, status.st_size, 0)

    def power_cut(self, spool, home):
        """Only what was synced is left: of the mailbox's bytes, of the journals and their names."""
        ino = os.stat(spool.path).st_ino
        with open(spool.path, "rb+") as file:
            file.write(self.synced[ino])
            file.truncate()
        there = {name: os.lstat(home / name).st_ino for name in os.listdir(home) if ".journal" in name}
        for name, number in there.items():
            content = self.synced.get(number)
            if name not in self.names.get(str(home), {}):
                (home / name).unlink()
            else:
                (home / name).write_bytes(content or b"")
        for name, number in self.names.get(str(home), {}).items():
            if ".journal" in name and name not in there:
                (home / name).write_bytes(self.synced[number])


def state_of(spool):
    return spool.home / ".local/state/mailcore"


def facts_of(box):
    """Everything a client can know: uid → (text, flags)."""
    return {uid: (bytes(box.text(uid)), box.flags(uid) - {"\\Recent"}) for uid in box.uids}


BIG = "".join(f"line {number} of a long body\n" for number in range(3000))
WORDS = ["a", "b", "c", "d"]


def prepare(spool, fresh=False):
    spool.path.write_bytes(b"".join(spool.message(word, BIG if word == "c" else "") for word in WORDS))
    if not fresh:
        box = spool.open()
        box.store([2], "+", ["\\Flagged"])
        box.close()


SCENARIOS = {
    "first open": lambda box: None,
    "flag": lambda box: box.store([3], "+", ["\\Seen"]),
    "flags of all": lambda box: box.store([1, 2, 3, 4], "+", ["\\Seen", "$K"]),
    "long keyword": lambda box: box.store([2], "+", ["k" * 100]),
    "expunge first": lambda box: box.remove([1]),
    "expunge middle": lambda box: box.remove([2]),
    "expunge large": lambda box: box.remove([3]),
    "expunge last": lambda box: box.remove([4]),
    "expunge two": lambda box: box.remove([1, 3]),
    "expunge all": lambda box: box.remove([1, 2, 3, 4]),
    "append": lambda box: box.append([Incoming(b"Subject: new\n\nhello\n", ["\\Seen"])]),
    "append two": lambda box: box.append([Incoming(b"Subject: n\n\n1\n"), Incoming(b"Subject: m\n\n" + BIG.encode())]),
    "copy": lambda box: box.copy([2, 3], box),
}


def run(spool, monkeypatch, scenario, last, torn=False):
    """Do a scenario up to a step; the disk, and whether it was done whole."""
    disk = Disk(last, torn)
    disk.synced[os.stat(spool.path).st_ino] = spool.path.read_bytes()
    real_save = Index.save

    def save(index, path, record, durable=False):
        disk.step("save", ())
        saved = real_save(index, path, record, durable)
        if durable:
            kept = spool.root / "durable"
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir()
            for name in state_of(spool).glob("index.db*"):
                shutil.copy(name, kept / name.name)
        return saved

    with monkeypatch.context() as patch:
        patch.setattr(files, "os", disk)
        patch.setattr(Index, "save", save)
        box = None
        try:
            box = spool.open()
            SCENARIOS[scenario](box)
            return disk, True
        except Crash:
            return disk, False
        finally:
            for opened in spool.opened:
                opened._index.close()
                opened._opened = False  # a dead process closes nothing but descriptors
            if box is not None and box._file.fd >= 0:
                os.close(box._file.fd)
                box._file.fd = -1


def outcome(spool, scenario, tmp):
    """What a client knows before and after the scenario when nothing goes wrong."""
    box = spool.open()
    before = facts_of(box)
    if scenario != "first open":
        SCENARIOS[scenario](box)
        box.refresh()
        box.news()
    after = facts_of(box)
    box.close()
    return before, after


@pytest.mark.parametrize("how", ["killed", "torn", "power", "old index", "no index"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_crash_at_every_step(spool, monkeypatch, agrees, scenario, how, tmp_path):
    prepare(spool, scenario == "first open")
    shutil.copytree(spool.home, tmp_path / "home0")
    shutil.copy(spool.path, tmp_path / "inbox0")
    before, after = outcome(spool, scenario, tmp_path)
    late = spool.message("late")
    states = 0
    for last in range(100):
        for delivery in (False, True) if how in ("killed", "power") else (last % 2 == 0,):
            shutil.rmtree(spool.home)
            shutil.copytree(tmp_path / "home0", spool.home)
            shutil.rmtree(tmp_path / "durable", ignore_errors=True)
            with open(spool.path, "rb+") as file:
                file.write((tmp_path / "inbox0").read_bytes())
                file.truncate()
            if how != "killed":
                os.utime(spool.path, (states, states))  # nobody has to wait for the clock
            disk, whole = run(spool, monkeypatch, scenario, last, how == "torn")
            state = state_of(spool)
            if how in ("power", "old index"):
                disk.power_cut(spool, state)
            if how == "old index" and (tmp_path / "durable").exists():
                spool.forget_index()
                for name in (tmp_path / "durable").iterdir():
                    shutil.copy(name, state / name.name)
            if how == "no index":
                spool.forget_index()
            if delivery:
                spool.deliver(late)
            states += 1
            if how != "killed":
                os.utime(spool.path, (states, 10**6 + states))
            check(spool, agrees, before, after, whole, delivery, scenario, how, (last, disk.steps[-2:]))
        if whole:
            break
    assert whole and states > 4


def check(spool, agrees, before, after, whole, delivery, scenario, how, where):
    box = spool.open()
    assert not journal.pending(str(state_of(spool)), os.stat(spool.path).st_ino), where
    agrees(box)
    found = facts_of(box)
    texts = [text for text, _ in found.values()]
    if delivery:
        assert texts.pop().startswith(b"Subject: late\n"), where
    old, new = [text for text, _ in before.values()], [text for text, _ in after.values()]
    if whole:
        assert texts == new, where
    else:
        assert texts in (old, new), where
    if how != "no index" or scenario != "first open":
        keys = list(found)[: len(texts)]
        same = [uid for uid in keys if uid in before]
        for uid in same:
            assert found[uid][0] == before[uid][0], (where, "a UID means another message")
            flags = found[uid][1]
            assert flags in (before[uid][1], after.get(uid, (b"", None))[1]), (where, uid, flags)
            if whole:
                assert flags == after[uid][1], (where, uid)
    box.close()


# --- a full disk -------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["append", "append two", "long keyword", "copy"])
@pytest.mark.parametrize("number", [28, 122])
def test_a_full_disk_changes_nothing(spool, monkeypatch, scenario, number, agrees):
    prepare(spool)
    before = spool.path.read_bytes()
    box = spool.open()
    for step in range(20):
        calls = [0]

        def strike(name, step=step, calls=calls):
            function = getattr(os, name)
            if name not in ("pwrite", "posix_fallocate"):
                return function

            def call(*arguments):
                if name == "pwrite" and arguments[0] == box._file.fd:
                    return function(*arguments)  # space that is there already cannot be lacking
                calls[0] += 1
                if calls[0] == step + 1:
                    if name == "pwrite":
                        os.pwrite(arguments[0], arguments[1][:7], arguments[2])
                    raise OSError(number, os.strerror(number))
                return function(*arguments)

            return call

        with monkeypatch.context() as patch:
            full = type("Full", (), {"__getattr__": lambda self, name: strike(name)})()
            patch.setattr(files, "os", full)
            try:
                SCENARIOS[scenario](box)
                break
            except OutOfSpace:
                pass
        assert not journal.pending(str(state_of(spool)), os.stat(spool.path).st_ino)
        assert spool.path.read_bytes() == before
        box.refresh()
        assert not box.news()
    assert step >= 3
    box.refresh()
    agrees(box)


def test_short_writes_are_written_on(spool, monkeypatch, agrees, subjects):
    prepare(spool)
    box = spool.open()

    class Short:
        def __getattr__(self, name):
            if name == "pwrite":
                return lambda fd, data, offset: os.pwrite(fd, data[:999], offset)
            return getattr(os, name)

    monkeypatch.setattr(files, "os", Short())
    box.remove([2])
    box.append([Incoming(b"Subject: n\n\n" + BIG.encode())])
    box.news()
    agrees(box)
    assert subjects(box) == ["a", "c", "d", "n"]


def test_an_error_of_sync_is_no_success(spool, monkeypatch, subjects):
    prepare(spool)
    box = spool.open()

    class Bad:
        def __getattr__(self, name):
            if name == "fsync":
                return lambda fd: (_ for _ in ()).throw(OSError(5, "I/O error"))
            return getattr(os, name)

    with monkeypatch.context() as patch:
        patch.setattr(files, "os", Bad())
        for scenario in ("expunge middle", "append", "flag"):
            with pytest.raises(MailError):
                SCENARIOS[scenario](box)
    box.refresh()
    box.news()
    assert subjects(box) == WORDS


def test_flags_that_were_not_synced_are_written_again(spool, monkeypatch):
    """fsync fails once: the kernel takes those pages for written, so a later fsync says nothing of them."""
    prepare(spool)
    box = spool.open()
    calls = []

    class Once:
        def __getattr__(self, name):
            real = getattr(os, name)
            if name not in ("fsync", "pwrite"):
                return real

            def call(*arguments):
                calls.append(name)
                if calls.count("fsync") == 1 and name == "fsync":
                    raise OSError(5, "I/O error")
                return real(*arguments)

            return call

    monkeypatch.setattr(files, "os", Once())
    with pytest.raises(MailError):
        box.store([2], "+", ["\\Seen"])
    calls[:] = ["fsync"]
    box.store([2], "+", ["\\Seen"])
    assert "\\Seen" in box.flags(2) and calls[1:].index("pwrite") < len(calls) - 2 and calls[-1] == "fsync"


# --- journals that are kept --------------------------------------------------------------


def journals(spool):
    return sorted(path.name.rpartition("-")[2] for path in state_of(spool).glob("*.journal*"))


def test_a_session_keeps_its_journal_void_for_its_next_change(spool, subjects, agrees):
    prepare(spool)
    box, other = spool.open(), spool.open()
    for each in (box, other, box, other):
        each.append([Incoming(b"Subject: n\n\n")])
    assert journals(spool) == ["0.journal", "1.journal"]
    assert not journal.pending(str(state_of(spool)), os.stat(spool.path).st_ino), "they are void"
    box.refresh()
    box.news()
    assert subjects(box) == [*WORDS, *"nnnn"]
    agrees(box)
    box.close()
    other.close()
    assert journals(spool) == []


def test_a_kept_journal_whose_session_was_killed_is_removed(spool, subjects):
    prepare(spool)
    box = spool.open()
    box.append([Incoming(b"Subject: n\n\n")])
    os.close(box._file._spare._fd)
    box._file._spare._fd, box._opened = -1, False
    assert journals(spool) == ["0.journal"]
    assert subjects(spool.open()) == [*WORDS, "n"]
    assert journals(spool) == []


def test_a_kept_journal_that_somebody_removed_is_made_anew(spool, subjects, agrees):
    prepare(spool)
    box = spool.open()
    for _ in range(2):
        box.append([Incoming(b"Subject: n\n\n")])
        for path in state_of(spool).glob("*.journal"):
            path.unlink()
    box.append([Incoming(b"Subject: n\n\n")])
    agrees(box)
    box.close()
    assert journals(spool) == []


def test_a_large_journal_is_not_kept(spool):
    prepare(spool)
    box = spool.open()
    box.append([Incoming(b"Subject: n\n\n" + b"line of a body\n" * 20_000)])
    assert journals(spool) == []


# --- journals that do not fit --------------------------------------------------------------


def left_journal(spool, monkeypatch):
    """A mailbox and the journal of an expunge that was cut off before the file was touched."""
    for last in range(1, 50):
        shutil.rmtree(spool.home)
        spool.home.mkdir()
        spool.opened.clear()
        prepare(spool)
        disk, _ = run(spool, monkeypatch, "expunge middle", last)
        names = list(state_of(spool).glob("*.journal"))
        if names and disk.steps[-1] == "pwrite" and "fsync" in disk.steps:
            return names[0]
    raise AssertionError("no journal")


@pytest.mark.parametrize("place", [0, 9, 30, 90, 4095, 4096, 5000, -1])
def test_a_damaged_journal_is_not_performed(spool, monkeypatch, subjects, place):
    name = left_journal(spool, monkeypatch)
    data = bytearray(name.read_bytes())
    data[place] ^= 0x55
    name.write_bytes(data)
    box = spool.open()
    padding = 300 <= place < 4096
    assert subjects(box) == (WORDS if not padding else ["a", "c", "d"])
    assert not name.exists()


def test_a_journal_of_another_host_is_left_alone(spool, monkeypatch, subjects):
    name = left_journal(spool, monkeypatch)
    monkeypatch.setattr(journal, "this_host", lambda: b"x" * 16)
    box = spool.open()
    assert subjects(box) == WORDS
    assert name.exists()
    box.remove([2])
    box.news()
    assert subjects(box) == ["a", "c", "d"]
    assert name.exists()


def test_a_journal_that_does_not_fit_any_more_is_put_aside(spool, monkeypatch, subjects):
    left_journal(spool, monkeypatch)
    spool.path.write_bytes(spool.message("other") + spool.message("mail", BIG))
    box = spool.open()
    assert subjects(box) == ["other", "mail"]
    assert not journal.pending(str(state_of(spool)), os.stat(spool.path).st_ino)
    assert list(state_of(spool).glob("*.misfit"))


@pytest.mark.parametrize("word", [b"line 50 of", b"line 1000 of", b"line 2900"])
def test_what_others_wrote_after_the_crash_is_not_written_over(spool, monkeypatch, word):
    """A restore from backup, or mutt, came before us; the file is theirs then, from the first octet on."""
    name = left_journal(spool, monkeypatch)
    data = bytearray(spool.path.read_bytes())
    data[data.index(word) + 5] ^= 0x55
    with open(spool.path, "rb+") as file:
        file.write(data)
    spool.open(readonly=True)
    assert spool.path.read_bytes() == data
    assert not name.exists()
    assert list(state_of(spool).glob("*.misfit"))


def test_a_journal_of_another_version_is_left_alone(spool, monkeypatch, subjects):
    name = left_journal(spool, monkeypatch)
    name.write_bytes(b"MCREDO9\n" + name.read_bytes()[8:])
    assert subjects(spool.open()) == WORDS
    assert name.exists()


def test_a_journal_that_another_session_left_is_seen_by_one_that_is_open(spool, monkeypatch, subjects):
    """The file looks as it did when this session looked, for the change had not begun."""
    prepare(spool)
    box = spool.open()
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_redo", lambda *_, **__: (_ for _ in ()).throw(Crash()))
        dying = spool.open()
        with pytest.raises(Crash):
            dying.remove([2])
        dying._file.unlock()
    assert len(list(state_of(spool).glob("*.journal"))) == 1
    box.store([3], "+", ["\\Seen"])
    again = spool.open()
    assert subjects(again) == ["a", "c", "d"] and "\\Seen" in again.flags(3)


def test_examine_finishes_too(spool, monkeypatch, subjects):
    left_journal(spool, monkeypatch)
    assert subjects(spool.open(readonly=True)) == ["a", "c", "d"]


def test_no_room_in_the_recovery(spool, monkeypatch, subjects):
    """The power failed when some new octets were on the disk and the new size was not; then the disk is full."""
    prepare(spool)
    before = spool.path.read_bytes()
    box = spool.open()
    with monkeypatch.context() as patch:
        patch.setattr(files, "truncate", lambda *_: None)
        patch.setattr(files, "sync", died_after_the_copy)
        with pytest.raises(Crash):
            box.store([1], "+", ["k" * 60])  # needs a wider field: all is written anew
        box._file.unlock()
    with open(spool.path, "rb+") as file:
        file.truncate(len(before))
    torn = spool.path.read_bytes()
    assert torn != before and len(list(state_of(spool).glob("*.journal"))) == 1
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(files, "grow", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(OutOfSpace):
                spool.open()
        assert spool.path.read_bytes() == torn
    box = spool.open()
    assert subjects(box) == WORDS and "k" * 60 in box.flags(1)


def died_after_the_copy(fd):
    if not os.readlink(f"/proc/self/fd/{fd}").endswith(".journal"):
        raise Crash
    os.fsync(fd)


def test_one_that_was_dropped_does_not_hide_a_later_one(spool, monkeypatch, subjects):
    """Names are used again: by the next session that dies."""
    prepare(spool)
    box = spool.open()
    ino = os.stat(spool.path).st_ino
    (state_of(spool) / f"{ino:x}-{os.stat(spool.path).st_dev:x}-0.journal").write_bytes(b"not whole")
    box.store([1], "+", ["\\Seen"])
    die_in_the_middle(spool, monkeypatch)
    assert len(list(state_of(spool).glob("*-0.journal"))) == 1
    box.refresh()
    box.news()
    assert subjects(box) == ["a", "c", "d"] and not list(state_of(spool).glob("*.journal"))


def test_who_comes_second_to_a_recovery_sees_the_next(spool, monkeypatch, subjects):
    prepare(spool)
    reader = spool.open(readonly=True)
    die_in_the_middle(spool, monkeypatch)
    real = journal.recover

    def late(fd, path, name):
        assert real(fd, path, name)
        return real(fd, path, name)  # as if somebody else had been there first

    with monkeypatch.context() as patch:
        patch.setattr(journal, "recover", late)
        reader.refresh()
    die_in_the_middle(spool, monkeypatch, 3)
    reader.refresh()
    reader.news()
    assert subjects(reader) == ["a", "d"] and not list(state_of(spool).glob("*.journal"))


def die_in_the_middle(spool, monkeypatch, uid=2):
    """A session expunges one message, and dies when the octets are in place, before the file is cut."""
    dying = spool.open()
    with monkeypatch.context() as patch:
        patch.setattr(files, "truncate", lambda *_: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            dying.remove([uid])
    dying._file.unlock()


def test_a_journal_of_another_user_is_left_alone(spool, monkeypatch, subjects):
    name = left_journal(spool, monkeypatch)
    monkeypatch.setattr(journal.os, "geteuid", lambda: 12345)
    real = os.fstat

    def fstat(fd):
        status = real(fd)
        values = list(status)
        values[4] = 54321 if os.readlink(f"/proc/self/fd/{fd}").endswith(".journal") else 12345
        return os.stat_result(values, {"st_mtime_ns": status.st_mtime_ns, "st_atime_ns": status.st_atime_ns})

    monkeypatch.setattr(journal.os, "fstat", fstat)
    assert subjects(spool.open()) == WORDS
    assert name.exists()


@pytest.mark.parametrize("kind", ["link", "dangling", "directory"])
def test_what_is_no_file_is_no_journal(spool, monkeypatch, subjects, tmp_path, kind):
    """Nothing is read or written over a link."""
    name = left_journal(spool, monkeypatch)
    target = spool.root / "target"
    os.rename(name, target)
    if kind == "directory":
        name.mkdir()
    else:
        name.symlink_to(target if kind == "link" else "/nonexistent")
    before, content = target.read_bytes(), spool.path.read_bytes()
    try:
        assert subjects(spool.open()) == WORDS
    except MailError:
        pass
    assert target.read_bytes() == before and spool.path.read_bytes() == content


# --- plans -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "pieces", "result"),
    [
        (10, [b"new"], b"0123456789new"),
        (2, [(4, 6), b"-", (8, 10)], b"0145-89"),
        (0, [(5, 10), (0, 5)], b"5678901234"),
        (3, [], b"012"),
        (5, [b"x" * 20], b"01234" + b"x" * 20),
        (0, [], b""),
    ],
)
def test_a_plan_is_performed(tmp_path, first, pieces, result):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    plan = Plan(first, 10)
    plan.pieces = pieces
    fd = os.open(path, os.O_RDWR)
    assert journal.perform(fd, str(path), plan, str(tmp_path)) == len(result)
    os.close(fd)
    assert path.read_bytes() == result
    assert os.listdir(tmp_path) == ["file"]
    assert str(first) in str(plan)
