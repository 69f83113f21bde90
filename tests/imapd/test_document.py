"""The text that the text index gets: every string that SEARCH finds is in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapd import criteria, document
from imapd.extensions.fuzzy import FuzzyNeedle
from imapd.message import Message
from mailcore.message.needle import Needle
from mailcore.settings import Settings
from mailcore.store.mailbox import ANYTHING
from mailcore.store.textindex import grams, prepared
from tests.imapd.fakebox import FakeBox
from tests.playground import ROOT

GOLDEN = sorted((ROOT / "tests/golden").glob("*.eml"))
WORDS = ("straße", "STRASSE", "ı", "İ", "ǆ", "ﬁn", "한글", "한", "K", "é", "e\u0301", "\u0345α", "ẞß", "abc", "\0")
PIECES = st.sampled_from([
    *(b"Subject: ", b"abc", b"ab", b"c", b" ", b"\n", b"\n ", b"\r\n", b"\r\n\t", b"\n\n", b"--x\n", b"--x--\n"),
    *(b"=?us-ascii?q?ab?=", b"=?utf-8?b?YWJj?=", b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", b"=?iso-2022-jp?b?GyRCRnxLXA==?="),
    *(b"Content-Type: multipart/mixed; boundary=x\n", b"Content-Type: message/rfc822\n", b"=61=62", b"YWJj\n", b"\0"),
    *(b"Content-Transfer-Encoding: quoted-printable\n", b"Content-Transfer-Encoding: base64\n", b"+AGE-bc", b"=\n"),
    *(b"Content-Type: text/html; charset=utf-7\n", b"Content-Type: text/plain; charset=iso-8859-1\n", b"\xe9\xdf"),
    *(b"Content-Type: text/plain; charset=iso-2022-jp\n", b"\x1b$BF|K\\\x1b(B", b"=?"),
    *(b"Content-Type: text/plain; charset=utf-16\n", b"Content-Transfer-Encoding: 8bit\n"),
    *(b"Content-Type: text/plain; charset=no-such\n", b"Content-Type: image/png\n", b"a\0b\0c\0", b"\xed\xa0\x80"),
    *(word.encode() for word in WORDS),
])  # fmt: skip
STRINGS = st.lists(st.sampled_from([*WORDS, "ab", "c", " ", "a b", "日本", "\n"]), min_size=1, max_size=4).map("".join)


def message(text: bytes, **settings: int) -> Message:
    return Message(FakeBox(text), 1, Settings(**settings))


def has(text: str, needle: Needle) -> bool:
    """Would the text index say that this may be there?"""
    text = prepared(text)
    return text == ANYTHING or all(gram in text for gram in grams([part.folded for part in needle.parts]))


def found(one: Message, needle: Needle) -> bool:
    return criteria.text(needle).test(one) or criteria.body(needle).test(one)


@given(st.lists(PIECES, max_size=25).map(b"".join), STRINGS)
def test_what_is_found_is_in_the_document(text: bytes, string: str) -> None:
    one = message(text)
    made = document.document(one)
    for kind in (Needle, FuzzyNeedle):
        needle = kind(string.encode())
        assert has(made, needle) or not found(one, needle)


@given(st.lists(PIECES, max_size=25).map(b"".join), st.data())
def test_what_stands_in_the_document_is_found(text: bytes, data: st.DataObject) -> None:
    """Pieces of it are, so nothing else is in it, and the test above does look at something."""
    one = message(text)
    pieces = [piece for piece in document.document(one).split("\0") if len(piece) > 2 and piece.isprintable()]
    if pieces:
        piece = data.draw(st.sampled_from(pieces))
        start = data.draw(st.integers(0, len(piece) - 3))
        string = piece[start : start + data.draw(st.integers(3, 8))]
        if Needle(string.encode()).folded == string:
            assert found(one, Needle(string.encode()))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_odd_mail(path: Path) -> None:
    """Pieces of what lies in the file, and of what it says."""
    one = message(path.read_bytes())
    made = document.document(one)
    for source in (path.read_bytes().decode("utf-8", "replace"), made):
        for start in range(0, min(len(source), 20_000), 1 + len(source) // 40):
            needle = Needle(source[start : start + 7].encode("utf-8", "replace"))
            assert has(made, needle) or not found(one, needle), needle.folded


@pytest.mark.parametrize(
    "text, settings, anything",
    [
        (b"a: b\n\n" + b"x" * document.DOCUMENT_OCTETS, {}, True),
        (b"a: b\n\n" + b"x" * 1000, {}, False),
        (b"Content-Transfer-Encoding: base64\n\n" + b"\n" * (criteria.WINDOW_OCTETS + 1), {}, True),
        (b"Content-Type: image/png\n\n" + b"x" * criteria.WINDOW_OCTETS * 2, {}, False),
        (b"a: " + b"x" * 2 * document.DOCUMENT_OCTETS + b"\n\nbody", {"header_octets": 1000}, False),
        (b"a: " + b"x" * 2 * document.DOCUMENT_OCTETS + b"\n\nbody", {"header_octets": 1 << 22}, True),
    ],
)
def test_too_much(text: bytes, settings: dict[str, int], anything: bool) -> None:
    assert (document.document(message(text, **settings)) == ANYTHING) is anything


def test_the_form_tells_what_a_document_depends_on() -> None:
    forms = {document.form(Settings(**{name: 77})) for name in ("header_octets", "mime_depth", "mime_parts", "nesting")}
    assert len(forms) == 4 and document.form(Settings()) == document.form(Settings(nesting=77))


class Listed(FakeBox):
    """It wants to learn everything, and keeps it; each call is one list."""

    def __init__(self, *texts: bytes) -> None:
        super().__init__(*texts)
        self.learned: list[list[tuple[int, str]]] = []
        self.room = 1000

    def unlearned(self, form, uids):
        return set(uids) - {uid for one in self.learned for uid, _ in one}

    def learn(self, form, documents):
        self.room -= len(documents)
        if self.room >= 0:
            self.learned.append(documents)
        return self.room >= 0


def listened(box: Listed, **settings: int) -> list[int]:
    """Read all of it once; who was learned."""
    before = len(box.learned)
    read = [Message(box, uid, Settings(**settings)) for uid in box.uids]
    assert list(document.Learner(box, box.uids, Settings(**settings), least=1).listening(read)) == read
    return [uid for one in box.learned[before:] for uid, _ in one]


def test_a_search_teaches_what_it_reads() -> None:
    box = Listed(*[b"a: b\n\n%b\n" % (b"x" * 100) for _ in range(5)])
    assert listened(box) == [1, 2, 3, 4, 5] and listened(box) == []
    assert box.learned[0][0] == (1, "A: B  \0" + "X" * 100 + " ")


def test_it_teaches_no_more_than_a_step() -> None:
    box = Listed(*[b"a: b\n\n%b\n" % (b"x" * 100) for _ in range(5)])
    steps = [listened(box, text_index_step_octets=200) for _ in range(4)]
    assert steps == [[1, 2], [3, 4], [5], []]


def test_it_ends_when_nothing_more_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "WAITING_CHARACTERS", 100)
    box = Listed(*[b"a: b\n\n%b\n" % (b"x" * 100) for _ in range(5)])
    box.room = 2
    assert listened(box) == [1, 2] and box.room == -1


def test_who_vanishes_is_not_learned() -> None:
    box = Listed(b"a: b\n\none\n", b"a: b\n\ntwo\n")
    read = [Message(box, uid, Settings()) for uid in box.uids]
    box.vanish(1)
    assert len(list(document.Learner(box, box.uids, Settings(), least=1).listening(read))) == 2
    assert [uid for one in box.learned for uid, _ in one] == [2]


def test_few_are_not_worth_it() -> None:
    box = Listed(*[b"a: b\n\n%d\n" % number for number in range(document.LEAST)])
    read = [Message(box, uid, Settings()) for uid in box.uids]
    assert list(document.Learner(box, box.uids[1:], Settings()).listening(read)) == read and not box.learned
    assert list(document.Learner(box, box.uids, Settings()).listening(read)) == read and box.learned
