"""With the text index every search finds what it finds without it, whatever happened in between."""

from __future__ import annotations

import os
import sqlite3
import stat
from base64 import encodebytes
from collections.abc import Iterator
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest

from imapd import document, extensions, search
from imapd.syntax import Args
from mailcore.message.decode import charset
from mailcore.settings import Settings
from mailcore.store import textindex
from mailcore.store.index import Index
from mailcore.store.namespace import Store
from tests.playground import ROOT, Ground

SEPARATOR = b"From a@b Sat Nov 21 12:00:00 2026\n"
GOLDEN = [path.read_bytes() for path in sorted((ROOT / "tests/golden").glob("*.eml")) if path.stat().st_size < 10_000]
FLIPS = 60
STEPS = 5  # so many searches teach the whole mailbox
WORDS = (
    "straße", "STRASSE", "İstanbul", "ıĳ", "ﬁnal", "Ǆungla", "ẞ", "é", "e\u0301", "a\u0300\u0323", "Ωmega", "ὈΔΥΣΣΕΎΣ",
    "한글", "日本語", "привет", "abc", "Hello", "x-y.z", "2026-11-21", "<id@example.org>", "«quoted»", "\U0001f600",
)  # fmt: skip
ASKED = (
    "TEXT {}", "BODY {}", "NOT TEXT {}", "OR TEXT {} BODY {}", "NOT OR BODY {} NOT TEXT {}", "TEXT {} NOT BODY {}",
    "OR SUBJECT {} TEXT {}", "FUZZY TEXT {}", "1:40 TEXT {}", "OR FLAGGED TEXT {}", "SUBJECT {} BODY {}",
)  # fmt: skip


def mail(random: Random) -> bytes:
    """One message with some words, in one of many dresses."""
    text = " ".join(random.choices(WORDS, k=random.randrange(1, 30)))
    text = text.replace(" «", random.choice((" «", "\n«", "  \n«")))
    name = random.choice(("utf-8", "iso-8859-1", "utf-16", "iso-2022-jp", "koi8-r", "no-such", "us-ascii"))
    data = text.encode(name if name != "no-such" else "utf-8", "replace")
    head = b"Subject: " + random.choice((b"=?utf-8?b?w5/EsA==?=", b"plain\n\tfolded", b"r\xe9sum\xe9", b"x")) + b"\n"
    coding, data = random.choice((
        (b"7bit", data), (b"base64", encodebytes(data)),
        (b"quoted-printable", b"".join(b"=%02X" % octet for octet in data)),
    ))  # fmt: skip
    part = b"Content-Type: text/plain; charset=%b\nContent-Transfer-Encoding: %b\n" % (name.encode(), coding)
    if random.random() < 0.5:
        return head + part + b"\n" + data + b"\n"
    head += b"Content-Type: multipart/mixed; boundary=x\n\n"
    return head + b"--x\n" + part + b"\n" + data + b"\n--x\nContent-Type: image/png\n\nhello\0png\n--x--\n"


def mbox(mails: list[bytes]) -> bytes:
    return b"".join(SEPARATOR + one.replace(b"\nFrom ", b"\n>From ").rstrip(b"\n") + b"\n\n" for one in mails)


class Place:
    """A store with a text index, one without, both with the same mailbox."""

    def __init__(self, path: Path) -> None:
        self.ground = Ground(path)
        self.random = Random(6)
        self.mails = GOLDEN[::2] + [mail(self.random) for _ in range(60)]
        self.step = sum(map(len, self.mails)) // STEPS
        self.ground.place("INBOX", mbox(self.mails))
        self.text = self.ground.index / "text.db"
        self.store = self.opened(text_index=True)

    def settings(self, **values: object) -> Settings:
        values = {"mail_location": self.ground.location(), "index_directory": str(self.ground.index)} | values
        return Settings(text_index_step_octets=self.step, **values)

    def opened(self, **values: object) -> Store:
        return Store("fred", str(self.ground.home), self.settings(**values))

    def needle(self) -> bytes:
        """Something that is somewhere, or nearly."""
        if self.random.random() < 0.5:
            source = charset(self.random.choice(self.mails), "utf-8").replace("\r", "")
        else:
            source = " ".join(self.random.choices(WORDS, k=3))
        start = self.random.randrange(len(source))
        string = source[start : start + self.random.randrange(1, 12)]
        return string.encode("utf-8", "replace").replace(b"\0", b"")

    def found(self, store: Store, asked: bytes, literals: list[bytes], name: str = "INBOX") -> list[int]:
        with store.open(name, readonly=True) as box:
            query = search.Query(Args(b" CHARSET UTF-8 " + asked, literals), box, store.settings)
            return search.found(search.program(query), box, store.settings)

    def agrees(self, rounds: int = 12, name: str = "INBOX") -> None:
        """Random searches find the same with the text index and by looking at everything."""
        for _ in range(rounds):
            form = self.random.choice(ASKED)
            literals = [self.needle() for _ in range(form.count("{}"))]
            asked = form.format(*[f"{{{len(one)}}}\r\n" for one in literals]).encode()
            with_index = self.found(self.store, asked, literals, name)
            with patch.object(Index, "full_text", None), self.opened() as plain:
                assert with_index == self.found(plain, asked, literals, name), (asked, literals)

    def learn(self, name: str = "INBOX") -> None:
        """All that the index has not got."""
        while self.unlearned(name) >= document.LEAST:
            before = self.unlearned(name)
            self.found(self.store, b"TEXT e", [], name)
            assert self.unlearned(name) < before

    def unlearned(self, name: str = "INBOX") -> int:
        with self.store.open(name, readonly=True) as box:
            return len(box.unlearned(document.form(self.store.settings), box.uids))

    def again(self) -> None:
        """As if all sessions ended, and one began."""
        self.store.close()
        self.store = self.opened(text_index=True)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    extensions.awaited.load()
    made = Place(tmp_path)
    made.found(made.store, b"TEXT e", [])
    yield made
    made.store.close()


def test_half_known_and_all_known(place: Place) -> None:
    assert 0 < place.unlearned() < len(place.mails), "one search teaches one step"
    place.agrees(20)
    place.learn()
    place.again()
    place.agrees(60)
    assert stat.S_IMODE(os.stat(place.text).st_mode) == 0o600


def test_a_search_reads_few_messages(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.learn()
    with place.store.open("INBOX", readonly=True) as box:
        read: list[int] = []
        left = place.unlearned()
        texts = type(box).texts
        monkeypatch.setattr(type(box), "texts", lambda box, uids: texts(box, [read.append(uid) or uid for uid in uids]))
        for asked, least, most in (
            (b"TEXT stanbul", 1, 70), (b"BODY no-such-thing", left, left),
            (b"NOT TEXT no-such-thing", left, left), (b"TEXT zz", len(box), len(box)),
        ):  # fmt: skip
            read.clear()
            place.found(place.store, asked, [])
            assert least <= len(set(read)) <= most, asked


def test_new_mail_and_expunged_mail(place: Place) -> None:
    place.learn()
    for _ in range(4):
        more = [mail(place.random) for _ in range(12)]
        place.mails += more
        with place.ground.inbox.open("ab") as file:
            file.write(mbox(more))
        place.agrees(4)
        with place.store.open("INBOX") as box:
            box.remove(place.random.sample(list(box.uids), 7))
        place.agrees(4)
    assert place.unlearned() < document.LEAST


def test_a_mailbox_is_renamed_and_another_one_takes_its_name(place: Place) -> None:
    place.ground.place("old", mbox(place.mails[:150]))
    place.learn("old")
    left = place.unlearned("old")
    place.store.rename("old", "new")
    assert place.unlearned("new") == left
    place.agrees(10, "new")
    place.ground.place("old", mbox(place.mails[100:]))
    assert place.unlearned("old") > left
    place.agrees(10, "old")


def test_another_program_writes_the_mailbox_anew(place: Place) -> None:
    place.learn()
    shuffled = place.mails[20:] + place.mails[:5]
    place.random.shuffle(shuffled)
    place.ground.inbox.write_bytes(mbox(shuffled))
    place.agrees(10)
    for name in place.ground.index.glob("index.db*"):
        name.unlink()
    place.again()
    place.ground.inbox.write_bytes(mbox(shuffled[::-1]))
    place.agrees(10)


def test_a_message_under_a_known_uid_is_another_one(place: Place) -> None:
    place.learn()
    changed = [one.replace(b"hello", b"HULLO").replace(b"Subject:", b"Subject: changed") for one in place.mails]
    place.ground.inbox.write_bytes(mbox(changed))
    place.mails = changed
    place.agrees(20)


def test_two_sessions_learn_at_once(place: Place) -> None:
    other = place.opened(text_index=True)
    with other.open("INBOX", readonly=True) as box:
        turns = 0
        while len(left := box.unlearned(document.form(other.settings), box.uids)) >= document.LEAST:
            search.found(search.SEARCH_KEY["TEXT"](search.Query(Args(b" e"), box, other.settings)), box, other.settings)
            place.found(place.store, b"TEXT e", [])
            turns += 1
            assert len(left) > len(box.unlearned(document.form(other.settings), box.uids))
    assert turns > 1
    assert other.index.full_text is not None
    assert other.index.full_text.size()[0] == len(place.mails) - place.unlearned(), "none twice"
    place.agrees(10)
    other.close()


def test_somebody_writes_for_a_long_time(place: Place) -> None:
    place.store.index.full_text.busy_seconds = 0
    place.store.index.full_text.close()
    before = place.unlearned()
    with sqlite3.connect(place.text) as writer:
        writer.execute("BEGIN IMMEDIATE")
        place.found(place.store, b"TEXT e", [])
        assert place.unlearned() == before
    place.learn()


def test_the_disk_is_full(place: Place) -> None:
    texts = place.store.index.full_text
    pages = texts._connection.execute("PRAGMA page_count").fetchone()[0]
    texts._connection.execute(f"PRAGMA max_page_count = {pages}")
    assert place.found(place.store, b"TEXT hello", []) == place.found(place.store, b"TEXT hello", [])
    assert not texts.lasting and place.store.index.lasting
    place.again()
    place.agrees(10)


@pytest.mark.parametrize("damage", ["cut", "zeros", "noise", "gone", "other"])
def test_a_damaged_file(place: Place, damage: str) -> None:
    place.learn()
    place.store.close()
    whole = place.text.read_bytes()
    size = len(whole)
    if damage == "gone":
        place.text.unlink()
    else:
        place.text.write_bytes({
            "cut": whole[: size // 2], "zeros": whole[: size // 4] + bytes(size - size // 4),
            "noise": whole[:200] + place.random.randbytes(size - 200), "other": b"another file" * 1000,
        }[damage])  # fmt: skip
    place.again()
    place.agrees(10)
    place.again()
    place.learn()
    place.agrees(10)


def test_flipped_bits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks at the checksum sees every one of them."""
    monkeypatch.setattr(textindex, "CHECK_SECONDS", 0)
    place.learn()
    place.store.close()
    whole = place.text.read_bytes()
    asked = [(b"TEXT {%d}\r\n" % len(needle), [needle]) for needle in (place.needle() for _ in range(30))]
    with patch.object(Index, "full_text", None), place.opened() as plain:
        right = [place.found(plain, *one) for one in asked]
    for _ in range(FLIPS):
        for path in place.ground.index.glob("text.db*"):
            path.unlink()
        at, bit = place.random.randrange(len(whole)), 1 << place.random.randrange(8)
        place.text.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        with place.opened() as store:
            assert [place.found(store, *one) for one in asked] == right, (at, bit)


def test_without_a_place_or_a_setting(place: Place) -> None:
    place.store.close()
    place.text.unlink()
    place.store = place.opened()
    place.found(place.store, b"TEXT e", [])
    assert not place.text.exists() and place.unlearned() == 0
    nowhere = place.opened(text_index=True, index_directory="/proc/nowhere")
    assert place.found(nowhere, b"TEXT hello", []) == place.found(place.store, b"TEXT hello", [])
    nowhere.close()
