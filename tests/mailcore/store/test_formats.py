"""What every mailbox format must do alike: one suite, run on each name in FORMATS.

Only the contract of mailcore/store/mailbox.py is used here; how a format lies on the disk is
its own tests' business.  A test that is not true of a new format is a bug of that format.
"""

from __future__ import annotations

import time
from types import ModuleType

import pytest

from mailcore.errors import Expunged, MailError, ReadOnly
from mailcore.message import crlf
from mailcore.settings import Settings
from mailcore.store import formats
from mailcore.store.mailbox import ANSWERED, DELETED, DRAFT, FLAGGED, RECENT, SEEN, Incoming
from mailcore.store.namespace import Store

WHEN = (1790000000, 120)

TEXTS = {
    "plain": b"From: fred\r\nSubject: plain\r\n\r\nbody\r\n",
    "no body": b"From: fred\r\nSubject: no body\r\n\r\n",
    "no header": b"\r\nonly a body\r\n",
    "long header": b"Subject: long\r\nX-Long: " + b"word " * 5000 + b"\r\n folded\r\n\r\nbody\r\n",
    "From lines": b"Subject: from\r\n\r\nFrom here on.\r\n\r\n"
    b"From fred Sat Nov 21 12:00:00 2026\r\n>From there.\r\n\r\n",
    "8-bit": "Subject: été\r\n\r\nété à Köln\r\n".encode() + bytes(range(128, 256)) + b"\r\n",
    "NUL": b"Subject: nul\r\n\r\nbefore\0after\r\n",
    "one long line": b"Subject: line\r\n\r\n" + b"x" * 200_000 + b"\r\n",
    "many lines": b"Subject: lines\r\n\r\n" + b"line\r\n" * 50_000,
    "blank lines": b"Subject: blank\r\n\r\n\r\n\r\nbody\r\n\r\n\r\n\r\n",
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n",
    "8 lines of dashes": b"Subject: dash\r\n\r\n" + b"-- \r\n" * 8,
}  # fmt: skip


class Ground:
    """A store of one format with fresh mailboxes `a` and `b`."""

    def __init__(self, path, kind: ModuleType) -> None:
        self.path = path
        self.kind = kind
        (path / "spool").mkdir()
        (path / "home" / "mail").mkdir(parents=True)
        self.stores: list[Store] = []
        store = self.store()
        store.create("a")
        store.create("b")

    def store(self) -> Store:
        """Another session's Store."""
        location = f"mbox:{self.path}/home/mail:INBOX={self.path}/spool/fred"
        settings = Settings(mail_location=location, index_directory=str(self.path / "index"), fsync=False)
        self.stores.append(Store("fred", str(self.path / "home"), settings))
        return self.stores[-1]

    def fill(self, count: int, name: str = "a") -> list[int]:
        """Messages `Subject: 1` and so on."""
        with self.store().open(name) as box:
            return box.append([incoming(n) for n in range(1, count + 1)])


@pytest.fixture(params=formats.FORMATS, ids=lambda kind: kind.__name__.rpartition(".")[2])
def kind(request, monkeypatch):
    monkeypatch.setattr(formats, "FORMATS", [request.param])
    return request.param


@pytest.fixture(params=["lasting", "none"])
def index(request, tmp_path):
    """Is there an index, or can none be kept?"""
    if request.param == "none":
        (tmp_path / "index" / "index.db").mkdir(parents=True)


# mod-sequences, dates of saving and what is known of a mailbox without messages are nowhere else
in_the_index = pytest.mark.parametrize("index", ["lasting"], indirect=True)


@pytest.fixture
def ground(kind, index, tmp_path):
    ground = Ground(tmp_path, kind)
    yield ground
    for store in ground.stores:
        store.close()


def incoming(number: int, *flags: str) -> Incoming:
    return Incoming(b"Subject: %d\r\n\r\nmessage %d\r\n" % (number, number), frozenset(flags), WHEN)


def wire(box, uid: int) -> bytes:
    """A message as a client gets it."""
    text = box.text(uid)
    return b"".join(crlf.chunks(text, 0, len(text)))


def subjects(box) -> list[str]:
    return [box.header(uid).split(b"\n")[0].decode().strip().removeprefix("Subject: ") for uid in box.uids]


def settled(box) -> None:
    box.refresh()
    box.news()


# --- open --------------------------------------------------------------------------------


def test_an_empty_mailbox(ground):
    with ground.store().open("a") as box:
        assert (box.name, box.readonly, len(box), list(box.uids)) == ("a", False, 0, [])
        assert box.uid_validity > 0 and box.uid_next == 1
        assert (box.recent, box.unseen, box.first_unseen) == (0, 0, None)
        assert box.number(1) == 0
        news = box.news()
        assert (news.expunged, news.exists, news.changed) == ([], None, [])


def test_counts(ground):
    with ground.store().open("a") as box:
        box.append([incoming(1, SEEN), incoming(2), incoming(3, SEEN), incoming(4)])
    with ground.store().open("a") as box:
        assert len(box) == 4 and box.unseen == 2 and box.first_unseen == 2
        assert [box.number(uid) for uid in box.uids] == [1, 2, 3, 4]
        assert box.number(max(box.uids) + 1) == 0
        assert box.uid_next > max(box.uids)


def test_uids_stay(ground):
    uids = ground.fill(3)
    seen = []
    for _ in range(3):
        with ground.store().open("a") as box:
            seen.append((box.uid_validity, list(box.uids)))
    assert seen == [(seen[0][0], uids)] * 3


def test_what_to_watch(ground):
    with ground.store().open("a") as box:
        paths = box.paths_to_watch()
        assert paths and all(path.startswith(str(ground.path)) for path in paths)


# --- text ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_round_trip(ground, name, line_end):
    """What APPEND brought is what FETCH sends, and octets() is its size (R16, R17)."""
    sent = TEXTS[name]
    with ground.store().open("a") as box:
        (uid,) = box.append([Incoming(sent.replace(b"\r\n", line_end), frozenset(), WHEN)])
        settled(box)
    with ground.store().open("a") as box:
        got = wire(box, uid)
        assert unquoted(got) == unquoted(sent)
        assert box.octets(uid) == len(got)
        assert got.startswith(crlf.wire_form(box.header(uid)))
        assert box.internal_date(uid) == WHEN


def unquoted(text: bytes) -> bytes:
    """A format may have to quote lines that start with From (RFC 4155)."""
    return text.replace(b"\r\n>From ", b"\r\nFrom ")


def test_a_message_from_pieces(ground):
    """A large APPEND waits in a file and is given as chunks."""

    class Spooled:
        octets = 6 * 100_000 + 19

        def chunks(self):
            yield b"Subject: pieces\r\n\r"
            yield b"\n"
            for _ in range(100_000):
                yield b"line\r\n"

    with ground.store().open("a") as box:
        (uid,) = box.append([Incoming(Spooled(), frozenset(), WHEN)])
        settled(box)
        assert wire(box, uid) == b"".join(Spooled().chunks())
        assert box.octets(uid) == Spooled.octets


def test_text_is_findable_and_sliceable(ground):
    (uid,) = ground.fill(1)
    with ground.store().open("a") as box:
        text = box.text(uid)
        whole = text[0 : len(text)]
        assert b"message 1" in whole
        assert text.find(b"message", 0, len(text)) == whole.find(b"message")
        assert text.find(b"nowhere", 0, len(text)) == -1


HIDDEN = [
    b"Status: RO", b"X-Status: DF", b"X-Keywords: evil", b"X-UID: 4000000000", b"X-IMAPbase: 1 4000000000 a",
    b"X-IMAP: 1 2",
]  # fmt: skip


@pytest.mark.parametrize("field", HIDDEN, ids=lambda field: field.split(b":")[0].decode())
def test_appended_mail_does_not_number_or_flag_itself(ground, field):
    lower, spaced = field.lower(), field.replace(b":", b" :")
    sent = b"Subject: x\r\nX-Other: 1\r\n" + field + b"\r\n" + lower + b"\r\nTo: y\r\n\r\nbody\r\n"
    with ground.store().open("a") as box:
        validity = box.uid_validity
        uids = box.append([Incoming(sent, frozenset(), WHEN), Incoming(sent + spaced, frozenset(), WHEN)])
        assert uids == [1, 2]
        box.store([1], "+", [FLAGGED])
    with ground.store().open("a") as box:
        assert (list(box.uids), box.uid_validity, box.uid_next) == ([1, 2], validity, 3)
        assert box.flags(1) - {RECENT} == {FLAGGED} and box.flags(2) - {RECENT} == set()
        assert box.keywords == []
        assert b"Subject: x" in box.header(2) and b"To: y" in box.header(2) and b"body" in wire(box, 2)


# --- append ---------------------------------------------------------------------------------


def test_append_gives_flags_dates_and_ascending_uids(ground):
    with ground.store().open("a") as box:
        uids = box.append([incoming(1, SEEN, FLAGGED), incoming(2, "$Forwarded", DRAFT), incoming(3)])
        assert uids == sorted(set(uids))
        assert box.news().exists == 3
        assert box.flags(uids[0]) - {RECENT} == {SEEN, FLAGGED}
        assert box.flags(uids[1]) - {RECENT} == {DRAFT, "$Forwarded"}
        later = box.append([incoming(4)])
        assert later[0] > uids[-1] and box.uid_next > later[0]
    with ground.store().open("a") as box:
        assert subjects(box) == ["1", "2", "3", "4"]
        assert box.flags(uids[1]) - {RECENT} == {DRAFT, "$Forwarded"}
        assert [box.internal_date(uid) for uid in box.uids] == [WHEN] * 4


def test_append_without_a_date_is_now(ground):
    with ground.store().open("a") as box:
        (uid,) = box.append([Incoming(b"Subject: x\r\n\r\n", frozenset(), None)])
        settled(box)
        assert abs(box.internal_date(uid)[0] - time.time()) < 60


def test_append_is_all_or_nothing(ground):
    ground.fill(1)

    class Broken:
        octets = 1000

        def chunks(self):
            yield b"Subject: broken\r\n"
            raise OSError(5, "the spool is gone")

    with ground.store().open("a") as box:
        with pytest.raises((MailError, OSError)):
            box.append([incoming(2), Incoming(Broken(), frozenset(), WHEN)])
        assert box.append([incoming(3)])
    with ground.store().open("a") as box:
        assert subjects(box) == ["1", "3"]


# --- flags and keywords ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "change", "flags", "after"),
    [
        ([], "+", [SEEN], [SEEN]),
        ([SEEN], "+", [SEEN, FLAGGED], [SEEN, FLAGGED]),
        ([SEEN, FLAGGED], "-", [SEEN], [FLAGGED]),
        ([SEEN], "-", [DELETED], [SEEN]),
        ([SEEN, "$Junk"], "=", [ANSWERED, DRAFT], [ANSWERED, DRAFT]),
        ([SEEN, "$Junk"], "=", [], []),
        ([], "+", [SEEN, ANSWERED, FLAGGED, DRAFT, "a", "b"], [SEEN, ANSWERED, FLAGGED, DRAFT, "a", "b"]),
        (["a", "b"], "-", ["a"], ["b"]),
        (["Work"], "+", ["WORK"], ["Work"]),
        (["Work"], "-", ["wORK"], []),
    ],
)
def test_store(ground, before, change, flags, after):
    with ground.store().open("a") as box:
        (uid, other) = box.append([incoming(1, *before), incoming(2)])
        settled(box)
        assert box.store([uid], change, flags) == []
        assert box.flags(uid) - {RECENT} == set(after)
        assert box.flags(other) - {RECENT} == set()
    with ground.store().open("a") as box:
        assert box.flags(uid) - {RECENT} == set(after)
        assert box.flags(other) - {RECENT} == set()
        assert wire(box, uid) == b"Subject: 1\r\n\r\nmessage 1\r\n"
        assert wire(box, other) == b"Subject: 2\r\n\r\nmessage 2\r\n"


def test_keywords_have_no_small_limit(ground):
    words = [f"keyword-{n}" for n in range(100)]
    (uid, *_) = ground.fill(2)
    with ground.store().open("a") as box:
        for word in words:
            box.store([uid], "+", [word])
        assert box.news().keywords
        assert box.keywords == words
    with ground.store().open("a") as box:
        assert set(box.keywords) == set(words)
        assert box.flags(uid) - {RECENT} == set(words)
        assert subjects(box) == ["1", "2"]


def test_store_in_many(ground):
    uids = ground.fill(300)
    with ground.store().open("a") as box:
        box.store(uids, "+", [SEEN])
        box.store(uids[::2], "+", ["even"])
        assert box.unseen == 0 and box.first_unseen is None
    with ground.store().open("a") as box:
        assert ["even" in box.flags(uid) for uid in uids] == [True, False] * 150


def test_recent_is_for_the_first_session_only(ground):
    with ground.store().open("a") as first:
        pass
    ground.fill(2)
    with ground.store().open("a", readonly=True) as box:
        assert box.recent == 2  # EXAMINE does not take it away
    with ground.store().open("a") as first:
        assert first.recent == 2 and all(RECENT in first.flags(uid) for uid in first.uids)
        with ground.store().open("a") as second:
            assert second.recent == 0 and not any(RECENT in second.flags(uid) for uid in second.uids)


# --- read-only -------------------------------------------------------------------------------


def test_readonly(ground):
    (uid, *_) = ground.fill(2)
    before = {path: path.read_bytes() for path in (ground.path / "home").rglob("*") if path.is_file()}
    with ground.store().open("a", readonly=True) as box:
        assert box.readonly and subjects(box) == ["1", "2"]
        for act in (
            lambda: box.store([uid], "+", [SEEN]),
            lambda: box.expunge(None),
            lambda: box.remove([uid]),
        ):
            with pytest.raises(ReadOnly):
                act()
    assert before == {path: path.read_bytes() for path in (ground.path / "home").rglob("*") if path.is_file()}


# --- expunge ------------------------------------------------------------------------------------


def test_expunge(ground):
    uids = ground.fill(5)
    with ground.store().open("a") as box:
        box.store([uids[1], uids[3]], "+", [DELETED])
        assert box.expunge(None) == [uids[1], uids[3]]
        assert len(box) == 5  # until it is told
        assert box.news().expunged == [2, 3]
        assert list(box.uids) == [uids[0], uids[2], uids[4]]
        assert subjects(box) == ["1", "3", "5"]
        assert box.expunge(None) == []
    with ground.store().open("a") as box:
        assert subjects(box) == ["1", "3", "5"] and list(box.uids) == [uids[0], uids[2], uids[4]]


def test_expunge_of_some(ground):
    """RFC 4315 §2.1: only what is in the set *and* marked."""
    uids = ground.fill(4)
    with ground.store().open("a") as box:
        box.store([uids[0], uids[1], uids[2]], "+", [DELETED])
        assert box.expunge([uids[1], uids[3]]) == [uids[1]]
        assert box.news().expunged == [2]
        assert subjects(box) == ["1", "3", "4"]
        assert DELETED in box.flags(uids[0])


def test_remove_needs_no_flag(ground):
    uids = ground.fill(4)
    with ground.store().open("a") as box:
        box.store([uids[3]], "+", [DELETED])
        assert box.remove([uids[0], uids[2]]) == [uids[0], uids[2]]
        assert box.remove([uids[0]]) == []
        assert box.news().expunged == [1, 2]
        assert subjects(box) == ["2", "4"]


def test_expunge_of_all(ground):
    uids = ground.fill(3)
    with ground.store().open("a") as box:
        box.store(uids, "+", [DELETED])
        assert box.expunge() == uids
        assert box.news().expunged == [1, 1, 1]
        assert len(box) == 0
        (uid,) = box.append([incoming(4)])
        assert uid > uids[-1]
    with ground.store().open("a") as box:
        assert subjects(box) == ["4"] and list(box.uids) == [uid]


@in_the_index
def test_uids_of_an_emptied_mailbox_are_not_used_again(ground):
    uids = ground.fill(3)
    with ground.store().open("a") as box:
        validity = box.uid_validity
        box.remove(uids)
    with ground.store().open("a") as box:
        (uid,) = box.append([incoming(1)])
        assert box.uid_validity > validity or (box.uid_validity == validity and uid > uids[-1])


def test_uids_of_the_last_messages_are_not_used_again(ground):
    uids = ground.fill(3)
    with ground.store().open("a") as box:
        box.remove(uids[1:])
    with ground.store().open("a") as box:
        assert box.append([incoming(9)])[0] > uids[-1]


# --- copy and move ---------------------------------------------------------------------------------


def test_copy(ground):
    with ground.store().open("a") as box, ground.store().open("b") as target:
        uids = box.append([incoming(1, SEEN, "$Work"), incoming(2, DELETED), incoming(3)])
        settled(box)
        target.append([incoming(0)])
        pairs = box.copy([uids[0], uids[1]], target)
        assert [old for old, _ in pairs] == uids[:2]
        new = [uid for _, uid in pairs]
        assert new == sorted(new)
        assert subjects(box) == ["1", "2", "3"]
        settled(target)
        assert subjects(target) == ["0", "1", "2"]
        assert list(target.uids)[1:] == new
        assert target.flags(new[0]) - {RECENT} == {SEEN, "$Work"}
        assert target.internal_date(new[0]) == WHEN
        assert wire(target, new[0]) == wire(box, uids[0])


def test_copy_to_the_same_mailbox(ground):
    uids = ground.fill(2)
    store = ground.store()
    with store.open("a") as box, store.open("a") as target:
        pairs = box.copy(uids, target)
        assert [old for old, _ in pairs] == uids and min(new for _, new in pairs) > uids[-1]
        settled(box)
        assert subjects(box) == ["1", "2", "1", "2"]


@pytest.mark.parametrize("name", TEXTS)
def test_copies_are_the_same_octets(ground, name):
    with ground.store().open("a") as box, ground.store().open("b") as target:
        (uid,) = box.append([Incoming(TEXTS[name], frozenset(), WHEN)])
        settled(box)
        ((_, new),) = box.copy([uid], target)
        settled(target)
        assert wire(target, new) == wire(box, uid)
        assert target.octets(new) == box.octets(uid)


def test_move(ground):
    uids = ground.fill(4)
    with ground.store().open("a") as box, ground.store().open("b") as target:
        pairs = box.move([uids[1], uids[2]], target)
        assert [old for old, _ in pairs] == uids[1:3]
        assert box.news().expunged == [2, 2]
        settled(target)
        assert subjects(box) == ["1", "4"] and subjects(target) == ["2", "3"]
    with ground.store().open("a") as box, ground.store().open("b") as target:
        assert subjects(box) == ["1", "4"] and subjects(target) == ["2", "3"]


def test_copy_of_what_is_gone(ground):
    uids = ground.fill(2)
    with ground.store().open("a") as box, ground.store().open("a") as other, ground.store().open("b") as target:
        other.remove([uids[0]])
        with pytest.raises(Expunged):
            box.copy(uids, target)
        settled(target)
        assert len(target) == 0


# --- two sessions -------------------------------------------------------------------------------------


def test_new_mail_is_told(ground):
    with ground.store().open("a") as box:
        ground.fill(2)
        assert len(box) == 0
        box.refresh()
        news = box.news()
        assert (news.exists, news.expunged) == (2, [])
        assert subjects(box) == ["1", "2"]
        box.refresh()
        assert box.news().exists is None


def test_flags_of_another_session_are_told(ground):
    uids = ground.fill(3)
    with ground.store().open("a") as one, ground.store().open("a") as two:
        one.store([uids[1]], "+", [SEEN, "$Seen-by-one"])
        two.refresh()
        news = two.news()
        assert news.changed == [2] and news.keywords
        assert two.flags(uids[1]) - {RECENT} == {SEEN, "$Seen-by-one"}
        two.store([uids[1]], "-", [SEEN])
        one.refresh()
        assert one.news().changed == [2]
        assert SEEN not in one.flags(uids[1])


def test_both_sessions_flags_are_kept(ground):
    """Neither overwrites what the other did to another flag, told or not."""
    uids = ground.fill(2)
    with ground.store().open("a") as one, ground.store().open("a") as two:
        one.store([uids[0]], "+", [SEEN])
        two.store([uids[0]], "+", [FLAGGED])
        one.store([uids[1]], "+", ["one"])
        two.store([uids[1]], "+", ["two"])
        for box in (one, two):
            settled(box)
            assert box.flags(uids[0]) - {RECENT} == {SEEN, FLAGGED}
            assert box.flags(uids[1]) - {RECENT} == {"one", "two"}


def test_an_expunge_of_another_session_waits_to_be_told(ground):
    """RFC 3501 §7.4.1, RFC 2180: numbers stay until EXPUNGE is said; a message that is gone is Expunged."""
    uids = ground.fill(4)
    with ground.store().open("a") as one, ground.store().open("a") as two:
        one.remove([uids[0], uids[2]])
        two.refresh()
        news = two.news(expunges=False)
        assert news.expunged == [] and list(two.uids) == uids
        for uid in (uids[0], uids[2]):
            with pytest.raises(Expunged):
                two.text(uid)
        assert wire(two, uids[3]) == b"Subject: 4\r\n\r\nmessage 4\r\n"
        assert two.store(uids, "+", [SEEN]) == [uids[0], uids[2]]
        assert two.news().expunged == [1, 2]
        assert list(two.uids) == [uids[1], uids[3]] and subjects(two) == ["2", "4"]


def test_expunge_and_delivery_together(ground):
    uids = ground.fill(3)
    with ground.store().open("a") as one, ground.store().open("a") as two:
        one.remove([uids[1]])
        one.append([incoming(4), incoming(5)])
        two.refresh()
        news = two.news()
        assert news.expunged == [2] and news.exists == 4
        assert subjects(two) == ["1", "3", "4", "5"]


def test_new_mail_is_told_while_an_expunge_waits(ground):
    uids = ground.fill(2)
    with ground.store().open("a") as one, ground.store().open("a") as two:
        one.remove([uids[0]])
        one.append([incoming(3)])
        two.refresh()
        news = two.news(expunges=False)
        assert (news.expunged, news.exists) == ([], 3)
        two.refresh()
        news = two.news()
        assert news.expunged == [1]
        assert subjects(two) == ["2", "3"]


def test_the_same_message_expunged_by_both(ground):
    uids = ground.fill(3)
    with ground.store().open("a") as one, ground.store().open("a") as two:
        one.store([uids[1]], "+", [DELETED])
        settled(two)
        assert one.expunge(None) == [uids[1]]
        assert two.expunge(None) == []
        two.refresh()
        assert two.news().expunged == [2] and one.news().expunged == [2]
        assert subjects(one) == subjects(two) == ["1", "3"]


def test_appends_of_two_sessions(ground):
    with ground.store().open("a") as one, ground.store().open("a") as two:
        uids = []
        for n in range(1, 11):
            uids += (one if n % 2 else two).append([incoming(n)])
        assert uids == sorted(set(uids))
        for box in (one, two):
            settled(box)
            assert subjects(box) == [str(n) for n in range(1, 11)]
            assert list(box.uids) == uids


def test_a_reader_of_a_mailbox_that_changes(ground):
    """EXAMINE sees new mail and expunges too (UW's read-only sessions never did)."""
    uids = ground.fill(3)
    with ground.store().open("a", readonly=True) as reader, ground.store().open("a") as writer:
        writer.remove([uids[0]])
        writer.append([incoming(4)])
        reader.refresh()
        news = reader.news()
        assert news.expunged == [1] and news.exists == 3
        assert subjects(reader) == ["2", "3", "4"]


def test_a_mailbox_deleted_under_a_session(ground):
    """RFC 2180 §3: whatever is said, nothing crashes and nothing comes back."""
    uids = ground.fill(2)
    with ground.store().open("a") as box:
        ground.store().delete("a")
        try:
            box.refresh()
            box.news()
            box.store(uids, "+", [SEEN])
        except MailError:
            pass
    assert "a" not in [name for name, _ in ground.store().list("", "*")]


# --- many messages at once -----------------------------------------------------------


def test_many_are_read_as_one_by_one(ground):
    """headers() and texts() give what header() and text() do, in the order asked for, without those that are gone."""
    store = ground.store()
    with store.open("a") as box:
        box.append([Incoming(text) for text in TEXTS.values()] + [incoming(n) for n in range(300)])
        box.news()
        with ground.store().open("a") as other:
            other.news()
            gone = other.remove([5, 150])
        wanted = [*range(len(box.uids), 2, -2), 1, 999]
        left = [uid for uid in wanted if uid not in gone and uid != 999]
        assert list(box.headers(wanted)) == [(uid, box.header(uid)) for uid in left]
        assert [(uid, text[0 : len(text)]) for uid, text in box.texts(wanted)] == [
            (uid, (text := box.text(uid))[0 : len(text)]) for uid in left
        ]
        assert list(box.headers([])) == list(box.texts(gone)) == []


# --- mod-sequences ------------------------------------------------------------------------


@in_the_index
def test_every_change_raises_the_mod_sequence(ground):
    uids = ground.fill(3)
    with ground.store().open("a") as box, ground.store().open("a") as other:
        first = box.highest_modseq
        assert first > 0 and all(0 < box.modseq(uid) <= first for uid in uids)
        assert box.changed_since(first, uids) == [] and box.vanished_since(first) == []
        box.store(uids[:1], "+", [FLAGGED])
        second = box.highest_modseq
        assert first < second == box.modseq(uids[0]) and box.changed_since(first, uids) == uids[:1]
        box.store(uids[:1], "+", [FLAGGED])
        assert box.highest_modseq == second, "nothing changed"
        (new,) = box.append([incoming(4)])
        assert box.modseq(new) == box.highest_modseq > second
        third = box.highest_modseq
        box.remove(uids[1:2])
        assert box.highest_modseq > third and box.vanished_since(third) == uids[1:2]
        assert box.vanished_since(box.highest_modseq) == [] and box.changed_since(third, box.uids) == []
        settled(other)
        assert other.highest_modseq == box.highest_modseq
        assert [other.modseq(uid) for uid in other.uids] == [box.modseq(uid) for uid in other.uids]
    with ground.store().open("a", readonly=True) as box:
        assert box.vanished_since(first) == uids[1:2] and box.changed_since(first, box.uids) == [uids[0], new]


@in_the_index
def test_store_unchanged_since(ground):
    uids = ground.fill(3)
    with ground.store().open("a") as box, ground.store().open("a") as other:
        known = other.highest_modseq
        box.store(uids[:1], "+", [FLAGGED])
        assert other.store(uids, "+", [SEEN], unchanged_since=known) == uids[:1]
        assert SEEN in other.flags(uids[1]) and SEEN not in other.flags(uids[0])
        assert other.store(uids, "+", [SEEN], unchanged_since=0) == uids


@in_the_index
def test_keywords_count_as_changes_and_recent_does_not(ground):
    uids = ground.fill(2)
    with ground.store().open("a") as box:
        known = box.highest_modseq
    with ground.store().open("a") as box:
        assert box.highest_modseq == known and not box.recent
        box.store(uids[:1], "+", ["$Forwarded"])
        assert box.changed_since(known, uids) == uids[:1]


@in_the_index
def test_when_messages_were_saved(ground):
    (uid,) = ground.fill(1)
    with ground.store().open("a") as box, ground.store().open("b") as target:
        assert box.internal_date(uid) == WHEN and 0 <= time.time() - box.saved(uid) < 100
        with pytest.raises(Expunged):
            box.saved(uid + 1)
        (_, copied) = box.copy([uid], target)[0]
        assert 0 <= time.time() - target.saved(copied) < 100


@in_the_index
def test_what_a_mailbox_is_called_for_good(ground):
    store = ground.store()
    with store.open("a") as box, store.open("b") as other:
        name = box.object_id
        assert name and name != other.object_id
    store.rename("a", "c")
    with store.open("c") as box:
        assert box.object_id == name
    store.create("a")
    with store.open("a") as box:
        assert box.object_id not in ("", name)
