"""A session on an mbox: what it sees, changes, and is told."""

from __future__ import annotations

import os
import time
from array import array

import pytest

from mailcore.errors import Expunged, NoSuchMailbox, NotAMailbox, ReadOnly
from mailcore.store import files
from mailcore.store.columns import CHUNK_ROWS
from mailcore.store.formats.mbox import messages
from mailcore.store.formats.mbox.box import Box
from mailcore.store.index import Index
from mailcore.store.mailbox import Incoming

# --- opening and reading -----------------------------------------------------------------


def test_missing_inbox_is_empty_and_append_makes_it(spool, subjects, agrees):
    box = spool.open()
    assert len(box) == 0 and box.uid_validity and box.uid_next == 1
    validity = box.uid_validity
    assert box.append([Incoming(b"Subject: a\r\n\r\nhi\r\n")]) == [1]
    assert box.news().exists == 1
    assert subjects(box) == ["a"]
    assert box.uid_validity == validity
    assert os.stat(spool.path).st_mode & 0o777 == 0o600
    agrees(box)


def test_missing_folder_is_no_mailbox(spool):
    with pytest.raises(NoSuchMailbox):
        spool.open(inbox=False)


def test_what_is_no_mailbox_is_not_touched(spool):
    spool.path.write_bytes(b"\n\nhello\nFrom x Sat Nov 21 12:00:00 2026\n\n")
    before = spool.path.read_bytes(), os.stat(spool.path).st_mtime_ns
    with pytest.raises(NotAMailbox, match="line 3"):
        spool.open()
    assert (spool.path.read_bytes(), os.stat(spool.path).st_mtime_ns) == before


def test_a_link_a_directory_and_a_fifo_are_no_mailboxes(spool, tmp_path):
    (tmp_path / "real").write_bytes(spool.message("a"))
    os.symlink(tmp_path / "real", spool.path)
    with pytest.raises(NotAMailbox):
        spool.open(readonly=True)
    with pytest.raises(NotAMailbox):
        spool.open(path=tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(NotAMailbox):
        spool.open(path=tmp_path / "fifo", readonly=True)


def test_sizes_are_the_octets_served(spool):
    bodies = ["one\ntwo", "", "\n\n", "caf\u00e9\0\n\rx", "x" * 5000]
    spool.path.write_bytes(b"".join(spool.message("m", body, "Status: R\nX-UID: 5\n") for body in bodies))
    box = spool.open()
    for uid in box.uids:
        text = box.text(uid)
        assert b"Status" not in text and b"X-UID" not in text
        wire = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        assert box.octets(uid) == len(wire)
        assert text.startswith(box.header(uid)) and box.header(uid).endswith(b"\n\n")


@pytest.mark.parametrize("wanted", [range(1, 9), (1, 3, 8), (8, 2, 5, 1), (4, 9, 6), (7,), (), (1, 9)])
def test_many_texts_are_what_each_is(spool, wanted, monkeypatch):
    spool.settings.text_octets = 3000
    bodies = ["one\r\ntwo", "", "\n\n", "x" * 5000, "y\n" * 900, "From here", "\0", "end"]
    spool.path.write_bytes(b"".join(spool.message("m", body, "Status: R\n") for body in bodies))
    spool.open().close()  # now they have blocks
    box = spool.open()
    some = [uid for uid in wanted if uid <= len(bodies)]
    for slice_octets in (1, 2000, 1 << 20):
        monkeypatch.setattr(messages, "SLICE_OCTETS", slice_octets)
        found = [(uid, text[0 : len(text)]) for uid, text in box.texts(wanted)]
        assert found == [(uid, box.text(uid)[0 : box.octets(uid)]) for uid in some]
        assert all(text.startswith(b"Subject: m\n\n" + bodies[uid - 1].encode()) for uid, text in found)


def test_facts_of_messages_with_others_between_them(spool):
    spool.fill(*"abcdefghij")
    box = spool.open()
    box.store([2, 5, 9], "+", ["\\Seen"])
    box.store([3, 5], "+", ["$Work"])
    other = spool.open()
    for uids in ([1, 3, 5, 9], [2, 10], [9, 2, 5], [1, 2, 3], [4]):
        assert box.flags_of(uids) == list(map(box.flags, uids))
        assert list(box.octets_of(uids)) == list(map(box.octets, uids))
        assert box.dates_of(uids) == list(map(box.internal_date, uids))
    other.remove([5])
    box.refresh()
    assert box.flags_of([2, 5, 9]) == list(map(box.flags, [2, 5, 9])), "told of, so it has flags"
    with pytest.raises(Expunged):
        box.octets_of([2, 5, 9])


def test_dates_and_counts(spool):
    spool.path.write_bytes(
        b"From a Sat Nov 21 12:00:00 2026 +0100\nSubject: a\nStatus: RO\n\n1\n\n"
        b"From b Sat Nov 21 12:00:00 +0000 2026\nSubject: b\n\n2\n\n"
    )
    box = spool.open()
    assert box.internal_date(1) == (1795258800, 60)
    assert box.internal_date(2) == (1795262400, 0)
    assert (box.unseen, box.first_unseen, box.recent) == (1, 2, 1)
    assert box.flags(1) == {"\\Seen"} and box.flags(2) == {"\\Recent"}


def test_a_large_text_is_read_in_pieces(spool):
    body = "".join(f"line {number}\n" for number in range(50_000))
    spool.path.write_bytes(spool.message("big", body))
    small = spool.open()
    whole = small.text(1)
    spool.settings.text_octets = 1000
    box = spool.open()
    text = box.text(1)
    assert not isinstance(text, bytes) and len(text) == len(whole)
    for span in (slice(0, 5), slice(3, 40), slice(10, 300_000), slice(300_000, None), slice(-7, None), slice(9, 9)):
        assert text[span] == whole[span]
    assert text.find(b"line 49999") == whole.find(b"line 49999")
    assert text.find(b"no such") == -1
    spool.deliver(spool.message("next"))
    assert text[:] == whole
    box.remove([1])
    with pytest.raises(Expunged):
        text[100_000:100_010]


# --- flags -------------------------------------------------------------------------------


def test_headers_near_each_other_are_read_together(spool, monkeypatch):
    words = [f"m{number}" for number in range(60)]
    bodies = {"m20": "x" * 50_000, "m40": "y" * (1 << 20)}
    spool.path.write_bytes(b"".join(spool.message(word, bodies.get(word, "")) for word in words))
    spool.open().close()
    box = spool.open()
    one_by_one = [(uid, box.header(uid)) for uid in box.uids]
    read, spans = files.read, []
    monkeypatch.setattr(files, "read", lambda fd, octets, at: spans.append(octets) or read(fd, octets, at))
    assert list(box.headers(box.uids)) == one_by_one
    assert len(spans) == 3 and max(spans) < 20_000  # before, between and behind what is large
    order = [*box.uids[30:], 999, *reversed(box.uids[:30])]
    assert list(box.headers(order)) == [one_by_one[uid - 1] for uid in order if uid != 999]


def test_flags_lie_in_the_file_when_store_returns(spool, agrees):
    spool.fill("a", "b", "c")
    box = spool.open()
    size = spool.path.stat().st_size
    box.store([2], "+", ["\\Seen", "\\flagged", "$Junk", "work"])
    assert spool.path.stat().st_size == size, "padding takes it"
    data = spool.path.read_bytes()
    assert b"Status: RO\nX-Status: F   \nX-Keywords: $Junk work" in data
    assert box.flags(2) == {"\\Seen", "\\Flagged", "$Junk", "work", "\\Recent"}
    box.store([2], "-", ["WORK"])
    assert box.flags(2) == {"\\Seen", "\\Flagged", "$Junk", "\\Recent"}
    box.store([1, 2], "=", ["\\Draft"])
    assert box.flags(2) == {"\\Draft", "\\Recent"} and box.flags(1) == {"\\Draft", "\\Recent"}
    assert box.keywords == ["$Junk", "work"]
    assert not box.news().changed, "what we did ourselves is no news"
    agrees(box)


def test_flags_of_many_are_noted_and_go_into_the_file_later(spool, agrees):
    spool.fill("a", "b", "c")
    spool.open().close()
    vars(spool.settings)["flags_at_once"] = 1
    box, other = spool.open(), spool.open()
    before = spool.path.read_bytes()
    box.store([1, 2, 3], "+", ["\\Flagged", "$K"])
    assert spool.path.read_bytes() == before
    other.refresh()
    assert other.news().changed == [1, 2, 3] and other.flags(2) == {"\\Flagged", "$K"}, "others are told at once"
    agrees(box)
    other.store([2], "-", ["\\Flagged"])
    assert b"X-Status: F" not in spool.path.read_bytes()
    box.refresh()
    box.checkpoint()
    assert spool.path.read_bytes().count(b"X-Status: F") == 2
    assert spool.path.read_bytes().count(b"X-Keywords: $K") == 3
    agrees(box)
    box.store([1, 2], "+", ["\\Seen"])
    assert spool.path.read_bytes().count(b"Status: RO") == 0
    box.close()
    assert spool.path.read_bytes().count(b"Status: RO") == 2
    agrees(spool.open())


def test_what_is_noted_outlives_the_session(spool, agrees):
    """Killed before the file has it; meanwhile another program sets a flag and mail comes."""
    vars(spool.settings)["flags_at_once"] = 0
    spool.fill("a", "b")
    spool.open().close()
    box = spool.open()
    box.store([1, 2], "+", ["\\Deleted"])
    box._opened = False  # so that it closes nothing
    flagged = spool.path.read_bytes().replace(b"X-Status:     ", b"X-Status: F   ", 1)
    spool.path.write_bytes(flagged + spool.message("c"))
    again = spool.open()
    assert {"\\Flagged", "\\Deleted"} <= again.flags(1)
    assert "\\Deleted" in again.flags(2)
    again.close()
    assert spool.path.read_bytes().count(b"X-Status: D") == 2
    agrees(spool.open())


def test_what_only_the_index_knew_is_never_less_sure_afterwards(spool, monkeypatch):
    """An index from before, or a file from before, would each be taken for a change of somebody else."""
    vars(spool.settings)["flags_at_once"] = 1
    spool.fill("a", "b", "c")
    spool.open().close()
    steps = []
    save, sync = Index.save, files.sync
    monkeypatch.setattr(files, "sync", lambda fd: (steps.append("sync"), sync(fd)))
    monkeypatch.setattr(
        Index, "save", lambda index, path, record, durable=False: (
            steps.append("durable" if durable else "save"), save(index, path, record, durable),
        )[1],
    )  # fmt: skip
    box = spool.open()
    steps.clear()
    for flags, uids, wanted in (
        ("\\Seen", [1], ["sync", "save"]),
        ("\\Flagged", [1, 2, 3], ["durable"]),
        ("\\Seen", [2], ["sync", "durable"]),
    ):
        box.store(uids, "+", [flags])
        assert steps == wanted
        steps.clear()
    box._settle(False)
    assert steps == ["sync", "durable"]
    steps.clear()
    box.store([1], "-", ["\\Flagged"])
    assert steps == ["sync", "save"]


def test_without_an_index_nothing_is_noted(spool, monkeypatch):
    vars(spool.settings)["flags_at_once"] = 0
    spool.fill("a")
    box = spool.open()
    monkeypatch.setattr(box._index, "_asked", lambda question, otherwise: otherwise)
    monkeypatch.setattr(box._index, "_broken", True)
    box.store([1], "+", ["\\Flagged"])
    assert b"X-Status: F" in spool.path.read_bytes()


def test_many_keywords_make_room(spool, agrees, subjects):
    spool.fill("a", "b", "c")
    box = spool.open()
    names = [f"keyword-number-{number}" for number in range(70)]
    for name in names:
        box.store([1, 2], "+", [name])
    agrees(box)
    assert subjects(box) == ["a", "b", "c"]
    assert box.flags(2) == {*names, "\\Recent"}
    box.close()
    spool.forget_index()
    again = spool.open()
    assert again.flags(1) == set(names) and again.flags(3) == set()


def test_store_names_what_is_gone(spool):
    spool.fill("a", "b")
    one, two = spool.open(), spool.open()
    two.remove([1])
    assert one.store([1, 2], "+", ["\\Seen"]) == [1]
    assert one.flags(2) >= {"\\Seen"}


def test_examine_changes_nothing(spool):
    spool.fill("a")
    before = spool.path.read_bytes(), os.stat(spool.path).st_mtime_ns
    box = spool.open(readonly=True)
    for change in (
        lambda: box.store([1], "+", ["\\Seen"]),
        lambda: box.append([Incoming(b"x")]),
        lambda: box.expunge(),
        lambda: box.remove([1]),
    ):
        with pytest.raises(ReadOnly):
            change()
    assert box.recent == 1
    box.close()
    assert (spool.path.read_bytes(), os.stat(spool.path).st_mtime_ns) == before
    assert spool.open().recent == 1, "EXAMINE takes no \\Recent away"
    assert spool.open().recent == 0


# --- expunge -----------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [[1], [2], [5], [1, 2], [2, 4], [4, 5], [1, 5], [1, 2, 3, 4, 5]])
def test_expunge(spool, agrees, subjects, gone):
    words = ["a", "b", "c", "d", "e"]
    spool.fill(*words)
    box = spool.open()
    box.store(gone, "+", ["\\Deleted"])
    assert box.expunge() == gone
    assert len(box) == 5, "the view waits for news"
    with pytest.raises(Expunged):
        box.text(gone[0])
    assert box.news(expunges=False).expunged == []
    news = box.news()
    assert news.expunged == [uid - told for told, uid in enumerate(gone)]
    assert news.exists is None
    left = [word for number, word in enumerate(words, 1) if number not in gone]
    assert subjects(box) == left
    agrees(box)
    box.close()
    spool.forget_index()
    if left:
        again = spool.open()
        assert (list(again.uids), again.uid_next) == ([n for n in range(1, 6) if n not in gone], 6)
        assert again.uid_validity == box.uid_validity


def test_expunge_of_some(spool):
    spool.fill("a", "b", "c")
    box = spool.open()
    box.store([1, 3], "+", ["\\Deleted"])
    assert box.expunge([2, 3, 9]) == [3]
    assert box.expunge([]) == []
    assert box.remove([2]) == [2]
    assert box.news().expunged == [2, 2]
    assert list(box.uids) == [1]


# --- append, copy, move ------------------------------------------------------------------


def test_append_keeps_content_flags_and_date(spool, agrees):
    spool.fill("a")
    box = spool.open()
    content = b"Subject: x\r\nStatus: RO\r\nX-UID: 9\r\nFrom me\r\n\r\nFrom here\r\n>From\0\r\n\xff\rz\r\n\r\n"
    plain = Incoming(content, ["\\Flagged", "$New"], (1_000_000_000, -330))
    others = [Incoming(b"no header at all"), Incoming(b"\r\nbody only\r\n"), Incoming(b"")]
    assert box.append([plain, *others]) == [2, 3, 4, 5]
    agrees(box)
    news = box.news()
    assert (news.exists, news.keywords) == (5, True)
    assert box.flags(2) - {"\\Recent"} == {"\\Flagged", "$New"}
    assert box.internal_date(2) == (1_000_000_000, -330)
    assert box.text(2) == (
        b"Subject: x\nX-Original-Status: RO\nX-Original-X-UID: 9\n>From me\n\n>From here\n>From\0\n\xff\rz\n\n"
    )
    assert box.text(3) == b"no header at all\n\n"
    assert box.text(4) == b"\nbody only\n"
    assert box.text(5) == b"\n"
    assert [box.octets(uid) for uid in box.uids] == [
        len(box.text(uid).replace(b"\n", b"\r\n")) for uid in box.uids
    ]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n\r\n"])
def test_append_separates_itself(spool, agrees, subjects, end):
    spool.path.write_bytes(b"From a Sat Nov 21 12:00:00 2026\nSubject: a\n\nbody" + end)
    box = spool.open()
    box.append([Incoming(b"Subject: b\n\nx\n")])
    box.news()
    assert subjects(box) == ["a", "b"]
    assert list(box.uids) == [1, 2]
    agrees(box)


@pytest.mark.parametrize("blank", [True, False])
def test_append_to_a_large_mailbox_reads_its_last_rows_only(spool, subjects, agrees, blank):
    count = 2 * CHUNK_ROWS
    spool.fill(*map(str, range(count)))
    other = spool.open(inbox=False)
    if not blank:
        other.close()
        os.truncate(spool.path, os.stat(spool.path).st_size - 1)  # what is added then belongs to the message before too
        other = spool.open(inbox=False)
    visitor = Box(str(spool.path), "INBOX", spool.settings, False, False, spool.index(), "fred", visiting=True)
    assert visitor.append([Incoming(b"Subject: x\n\n", ["\\Flagged", "$New"])]) == [count + 1]
    assert visitor._record.columns.read is not blank
    assert visitor.append([Incoming(b"Subject: y\n\n"), Incoming(b"Subject: z\n\n")]) == [count + 2, count + 3]
    assert not visitor._record.columns.read
    assert visitor.remove([5]) == [5]
    assert visitor.append([Incoming(b"Subject: last\n\n")]) == [count + 4]
    agrees(visitor)
    other.refresh()
    news = other.news()
    assert (news.expunged, news.exists, news.keywords) == ([5], count + 3, True)
    assert subjects(other)[-4:] == ["x", "y", "z", "last"] and other.flags(count + 1) >= {"\\Flagged", "$New"}
    assert other.unseen == count + 3
    assert other.modseqs_of(other.uids) == array("Q", map(other.modseq, other.uids))
    assert other.modseqs_of([7, count + 4, 9]) == [other.modseq(uid) for uid in (7, count + 4, 9)]


def test_who_brings_messages_sees_none(spool, subjects, agrees):
    """They stay \\Recent for who looks at them; others may deliver in between, or put another file there."""
    spool.fill("a")
    visitor = Box(str(spool.path), "INBOX", spool.settings, False, True, spool.index(), "fred", visiting=True)
    assert visitor.append([Incoming(b"Subject: b\n\n")]) == [2]
    spool.deliver(spool.message("c"))
    assert visitor.append([Incoming(b"Subject: d\n\n")]) == [4]
    agrees(visitor)
    box = spool.open()
    assert subjects(box) == ["a", "b", "c", "d"] and box.recent == 4
    assert visitor.append([Incoming(b"Subject: e\n\n", ["\\Seen"])]) == [5]
    box.refresh()
    assert box.news().recent == 5
    box.close()
    spool.path.unlink()
    spool.fill("x")
    again = spool.open()
    assert visitor.append([Incoming(b"Subject: y\n\n")]) == [7]
    again.refresh()
    again.news()
    assert subjects(again) == ["x", "y"]
    visitor.close()
    agrees(again)


def test_copy_and_move(spool, tmp_path, agrees, subjects):
    spool.fill("a", "b", "c")
    other = tmp_path / "other"
    other.write_bytes(b"")
    box, target = spool.open(), spool.open(inbox=False, path=other)
    box.store([1, 3], "+", ["\\Seen", "$Work"])
    assert box.copy([1, 3], target) == [(1, 1), (3, 2)]
    assert target.news().exists == 2
    assert subjects(target) == ["a", "c"]
    assert target.flags(2) >= {"\\Seen", "$Work"}
    assert target.text(2) == box.text(3) and target.internal_date(2) == box.internal_date(3)
    assert box.move([2], target) == [(2, 3)]
    assert box.news().expunged == [2]
    target.news()
    assert subjects(target) == ["a", "c", "b"]
    assert box.copy([1], box) == [(1, 4)]
    with pytest.raises(Expunged):
        box.copy([1, 2], target)
    target.refresh()
    assert target.news().exists is None, "all or none"
    agrees(box)
    agrees(target)


def test_a_copy_too_large_for_memory(spool, tmp_path):
    spool.settings.text_octets = 3000
    body = "".join(f"{number}\n" for number in range(2000))
    spool.path.write_bytes(spool.message("a", body) + spool.message("b") + spool.message("c", body))
    (tmp_path / "other").write_bytes(b"")
    box, target = spool.open(), spool.open(inbox=False, path=tmp_path / "other")
    box.copy([1, 2, 3], target)
    target.news()
    for uid in (1, 2, 3):
        assert target.text(uid)[:] == box.text(uid)[:]


# --- what others do ----------------------------------------------------------------------


def test_a_delivery_is_told(spool, subjects):
    spool.fill("a")
    box = spool.open()
    spool.deliver(spool.message("b"), spool.message("c"))
    box.refresh()
    assert len(box) == 1
    news = box.news()
    assert (news.exists, news.recent, news.expunged, news.changed) == (3, 3, [], [])
    assert subjects(box) == ["a", "b", "c"]
    assert not box.news()


def test_two_sessions(spool, agrees):
    spool.fill("a", "b", "c")
    one, two = spool.open(), spool.open()
    assert (one.recent, two.recent) == (3, 0)
    one.store([2], "+", ["\\Seen", "$K"])
    two.refresh()
    news = two.news()
    assert (news.changed, news.keywords) == ([2], True)
    assert two.flags(2) == {"\\Seen", "$K"}
    two.store([1, 3], "+", ["\\Deleted"])
    two.expunge()
    one.refresh()
    assert one.flags(1) is not None
    with pytest.raises(Expunged):
        one.text(1)
    one.append([Incoming(b"Subject: d\n\nd\n")])
    assert one.news(expunges=False).exists == 4
    assert one.news().expunged == [1, 2]
    assert list(one.uids) == [2, 4]
    two.refresh()
    two.news()
    assert list(two.uids) == [2, 4]
    agrees(one)
    agrees(two)


@pytest.mark.parametrize("how", ["unlink", "rename", "shrink", "replace"])
def test_the_file_is_taken_away_or_replaced(spool, subjects, how):
    spool.fill("a", "b", "c")
    box = spool.open()
    validity = box.uid_validity
    data = spool.path.read_bytes()
    if how == "unlink":
        spool.path.unlink()
    elif how == "rename":
        (spool.root / "new").write_bytes(data + spool.message("d"))
        os.rename(spool.root / "new", spool.path)
    elif how == "shrink":
        spool.path.write_bytes(data[: data.index(b"From c@")])
    else:
        spool.path.write_bytes(spool.message("x") + spool.message("y"))
    box.refresh()
    box.news()
    expected = {"unlink": [], "rename": [1, 2, 3, 4], "shrink": [1, 2], "replace": [4, 5]}[how]
    assert list(box.uids) == expected
    assert subjects(box) == {"rename": list("abcd"), "shrink": ["a", "b"], "replace": ["x", "y"]}.get(how, [])
    assert box.uid_validity == validity
    if how == "unlink":
        spool.fill("n")
        box.refresh()
        assert box.news().exists == 1
        assert list(box.uids) == [4]


@pytest.mark.parametrize("told", [False, True])
def test_the_file_comes_back(spool, told):
    spool.fill("a", "b")
    box = spool.open()
    os.rename(spool.path, spool.root / "away")
    box.refresh()
    with pytest.raises(Expunged):
        box.text(1)
    if told:
        assert box.news().expunged == [1, 1]
    os.rename(spool.root / "away", spool.path)
    spool.deliver(spool.message("c"))
    box.refresh()
    box.news()
    assert list(box.uids) == ([3] if told else [1, 2, 3])
    assert list(spool.open().uids) == [1, 2, 3]


@pytest.mark.parametrize("readonly", [False, True])
def test_half_a_delivery_under_a_dot_lock_is_no_mail(spool, readonly, monkeypatch):
    from mailcore.store.formats.mbox import followed as module

    monkeypatch.setattr(module, "SOON_SECONDS", 0.2)
    spool.fill("a")
    box = spool.open(readonly)
    lock = spool.root / "inbox.lock"
    lock.write_text("")
    mail = spool.message("b", "one\ntwo")
    spool.deliver(mail[:-8])
    box.refresh()
    if not readonly:
        assert not box.news(), "later"
    spool.deliver(mail[-8:])
    lock.unlink()
    box.refresh()
    assert box.news().exists == 2
    assert bytes(box.text(box.uids[-1])) == b"Subject: b\n\none\ntwo\n"
    if not readonly:
        assert list(box.uids) == [1, 2]


@pytest.mark.parametrize("ahead_seconds", [0, 600])
def test_a_time_that_cannot_be_believed(spool, subjects, ahead_seconds):
    """mutt sets times of whole seconds, some file systems have no others, and clocks of servers differ."""
    spool.fill("one", "two")
    box = spool.open()
    spool.deliver(spool.message("three"))
    second = (time.time_ns() // 1_000_000_000 + ahead_seconds) * 1_000_000_000
    os.utime(spool.path, ns=(second, second))
    box.refresh()
    box.news()
    assert subjects(box) == ["one", "two", "three"]
    text = spool.path.read_bytes().replace(b"two body", b"TWO BODY")
    spool.path.write_bytes(text)
    os.utime(spool.path, ns=(second, second))
    box.refresh()
    box.news()
    assert bytes(box.text(box.uids[-1])[:]).endswith(b"TWO BODY\n"), "an edit of the same second and size"
    assert list(box.uids) == [1, 3, 4]


def test_close_writes_what_was_put_off(spool, monkeypatch, agrees):
    from mailcore.store.formats.mbox import box as module

    monkeypatch.setattr(module, "LAZY_OCTETS", 10)
    spool.fill("a", "b")
    box = spool.open()
    assert b"X-UID" not in spool.path.read_bytes()
    agrees(box)
    box.close()
    assert spool.path.read_bytes().count(b"X-UID") == 2
    spool.forget_index()
    assert spool.open().uid_validity == box.uid_validity


def test_no_place_for_a_journal_is_read_only(spool):
    spool.fill("a")
    spool.settings.index_directory = "/proc/nowhere"
    box = spool.open()
    assert box.readonly
    assert box.text(1) == b"Subject: a\n\na body\n"
    with pytest.raises(ReadOnly):
        box.store([1], "+", ["\\Seen"])
