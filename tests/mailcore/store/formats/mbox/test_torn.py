"""What a crash of the machine leaves of others' mail, and what a sender could make look like it (R37)."""

from __future__ import annotations

import os

import pytest

from mailcore.store.formats.mbox import torn

Z = bytes(5000)


@pytest.fixture
def machine(monkeypatch):
    """`machine()` starts the machine anew; `machine.lines` are in the log."""
    lines = []

    def start():
        start.number += 1
        monkeypatch.setattr(torn, "started", lambda: start.number)

    start.number, start.lines = 100, lines
    monkeypatch.setattr(torn.log, "error", lines.append)
    start()
    return start


def look(spool, subjects, **how):
    box = spool.open(**how)
    found = subjects(box)
    box.close()
    return found


def test_the_number_of_this_start():
    assert torn.started() == torn.started() != 0


def test_a_number_that_is_not_to_be_known(monkeypatch, tmp_path):
    monkeypatch.setattr(torn, "STARTED", str(tmp_path / "no"))
    assert torn.started() == 0


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("cut", [-8, -30, 20, 60])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_mail_behind_the_damage_is_served(spool, machine, subjects, agrees, readonly, cut, after):
    """Whatever of a delivery is there, and whether the next one came before we look or later."""
    spool.fill("one")
    look(spool, subjects)
    machine()
    spool.deliver(spool.message("torn")[:cut] + Z)
    if after == 1:
        spool.deliver(spool.message("after"))
    first = look(spool, subjects, readonly=readonly)
    if after == 2:
        spool.deliver(spool.message("after"))
    box = spool.open()
    words = subjects(box)
    assert words[0] == "one" and (words[-1] == "after" or not after) and first == words[: len(first)]
    agrees(box)
    damage = [name for name in os.listdir(spool.home / ".local/state/mailcore") if name.endswith(".damaged")]
    assert len(damage) == 1 and any("NULs" in line for line in machine.lines)
    aside = (spool.home / ".local/state/mailcore" / damage[0]).read_bytes()
    assert aside == spool.message("torn")[:cut]
    if after:
        box.remove(list(box.uids)[1:-1])
        box.news()
        assert subjects(box) == ["one", "after"]


def test_a_known_message_that_was_lost_after_all(spool, machine, subjects):
    """The size of the file was on the disk, its last blocks were not; the next mail came before we looked."""
    spool.fill("one")
    spool.deliver(spool.message("two", "x" * 3000 + "\n"))
    look(spool, subjects)
    content = spool.path.read_bytes()
    machine()
    spool.path.write_bytes(content[:-2000] + bytes(2000))
    spool.deliver(spool.message("after"))
    assert look(spool, subjects) == ["one", "two", "after"]


def forged(spool):
    return spool.message("real", "text\n\n" + "\0" * 5000 + spool.message("forged").decode())


def test_a_sender_cannot_make_two_of_one(spool, machine, subjects):
    spool.fill("one")
    look(spool, subjects)
    for number in range(3):
        spool.deliver(forged(spool))
        assert look(spool, subjects) == ["one", *["real"] * (number + 1)]
    before = spool.path.read_bytes()
    machine()
    assert look(spool, subjects) == ["one", "real", "real", "real"], "known before the machine was started"
    spool.deliver(forged(spool))
    assert look(spool, subjects).count("forged") == 0
    assert b"\0\n\nFrom" not in spool.path.read_bytes() and before.count(b"\0") == 15000


@pytest.mark.parametrize("seen", ["never", "empty", "missing"])
def test_nor_in_a_mailbox_that_was_never_seen(spool, machine, subjects, seen):
    if seen != "never":
        spool.path.write_bytes(b"")
        if seen == "missing":
            spool.path.unlink()
        look(spool, subjects)
    spool.deliver(forged(spool))
    assert look(spool, subjects) == look(spool, subjects) == ["real"]


def test_without_an_index_nothing_is_parted(spool, machine, subjects):
    """Each open would be the first one after a start."""
    spool.settings = type(spool.settings)(lock_seconds=2, index_directory="/proc/nowhere")
    spool.fill("one")
    spool.deliver(Z)
    box = spool.open(readonly=True)
    assert not box._index.lasting and subjects(box) == ["one"]
    assert spool.path.read_bytes().endswith(Z)


def test_who_may_not_write_leaves_it(spool, machine, subjects, monkeypatch):
    spool.fill("one")
    look(spool, subjects)
    machine()
    spool.deliver(Z + spool.message("after"))
    before = spool.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(torn.files, "write", refuse)
        assert look(spool, subjects, readonly=True) == ["one"]
    assert spool.path.read_bytes() == before


def refuse(*_: object) -> None:
    raise PermissionError(13, "no")


@pytest.mark.parametrize("chunk", [1030, 1500, 4096, 100_000])
def test_borders_of_what_is_read_at_once(tmp_path, monkeypatch, spool, chunk):
    monkeypatch.setattr(torn, "CHUNK_OCTETS", chunk)
    mail = spool.message("m")
    data, places = b"", []
    for gap in (16, 17, 100, 1010, 1024, 3000, 15):
        data += b"x" * (gap * 7 % 900) + bytes(gap)
        places += [len(data)] * (gap >= 16)
        data += mail
    data += bytes(20)
    path = tmp_path / "data"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    assert torn.ends(fd, 0, len(data)) == [*places, len(data)]
    assert torn.ends(fd, places[2] + 1, len(data)) == [*places[3:], len(data)]
    assert torn.ends(fd, places[2], len(data)) == [*places[2:], len(data)]
    assert torn.ends(fd, len(data) + 9, len(data)) == [len(data)]
    os.close(fd)
