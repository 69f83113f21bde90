"""Hidden fields: read from anybody, written our way."""

from __future__ import annotations

import pytest

from mailcore.store.formats.mbox import block


def test_what_is_written_is_read():
    for bits in range(64):
        data = block.write(bits, [b"$A", b"b"], 4294967295)
        hidden = block.read(b"\nSubject: x\n" + data + b"\n")
        assert (hidden.bits, hidden.words, hidden.uid) == (bits, (b"$A", b"b"), 4294967295)
        assert (hidden.offset, hidden.octets) == (12, len(data))
        assert len(data) == len(block.write(bits ^ 63, [], 1, len(data)))


def test_a_block_too_small():
    data = block.write(0, [], 1)
    assert block.write(0, [b"k" * block.KEYWORD_ROOM], 1, len(data))
    assert block.write(0, [b"k" * (block.KEYWORD_ROOM + 1)], 1, len(data)) is None
    assert b"k" * 300 in block.write(0, [b"k" * 300], 1)


@pytest.mark.parametrize(
    ("old", "line", "new", "between"),
    [
        (b"Status: O ", b"Status: OO", b"Status: RO", True),
        (b"Status: O ", b"Status: R ", b"Status: RO", True),  # recent once more
        (b"X-Status: F   ", b"X-Status: D   ", b"X-Status: DF  ", False),  # no longer flagged
        (b"X-Status: F   ", b"X-Status: FF  ", b"X-Status: DF  ", True),
        (b"X-Status: D   ", b"X-Status: DF  ", b"X-Status: F   ", True),
        (b"X-Status: D   ", b"X-Status: DA  ", b"X-Status: F   ", False),
        (b"X-Keywords: a ", b"X-Keywords: ab", b"X-Keywords: bb", False),
    ],
)
def test_half_a_line(old, line, new, between):
    assert block.is_between(old, line, new) == between


@pytest.mark.parametrize("name", [b"X-IMAPbase", b"X-IMAP"])
def test_base(name):
    line = block.write_base(1795262400, 17, [b"$A", b"b"], name=name)
    hidden = block.read(b"\n" + line + block.write(0, [], 3) + b"\n")
    assert hidden.base == (1795262400, 17, (b"$A", b"b"))
    assert (hidden.base_offset, hidden.base_octets) == (1, len(line))
    assert hidden.offset == 1 + len(line)
    assert block.write_base(1, 2, [b"x" * 500], len(line)) is None
    assert len(block.write_base(1, 4294967295, [b"x"], len(line))) == len(line)


@pytest.mark.parametrize(
    ("header", "bits", "words", "uid"),
    [
        (b"\nStatus: RO\nX-Status: DFAT\n", 63, (), 0),
        (b"\nstatus:O\nX-STATUS : zzF\n", 32 | 4, (), 0),
        (b"\nX-Keywords: a\n\tb\n c \nSubject: R\n", 0, (b"a", b"b", b"c"), 0),
        (b"\nX-UID: 17\nX-UID: 18\n", 0, (), 17),
        (b"\nX-UID: 17x\n", 0, (), 0),
        (b"\nX-UID: 99999999999\n", 0, (), 0),
        (b"\nX-UID: 4294967296\n", 0, (), 0),
        (b"\nX-UID: \xb2\n", 0, (), 0),
        (b"\nSubject: Status: RO\n", 0, (), 0),
        (b"\nSubject: x\r\nStatus: RO\r\nX-UID: 3\r\n\r\n", 33, (), 3),
        (b"\nX-Statusx: F\nXX-Status: F\nStatusy: R\n", 0, (), 0),
    ],
)
def test_others_fields(header, bits, words, uid):
    hidden = block.read(header)
    assert (hidden.bits, hidden.words, hidden.uid, hidden.offset) == (bits, words, uid, -1)


def test_strip():
    header = b"\nA: 1\nStatus: RO\nB: 2\nX-KEYWORDS: a\n b\nx-uid: 5\nX-Imap: 1 2\nX-IMAPbase: 1 2\nX-Status: \n\n"
    assert block.strip(header) == b"\nA: 1\nB: 2\n\n"
    assert block.strip(b"\nStatus: RO") == b""
    assert block.strip(b"\nA: Status: RO\n\n") == b"\nA: Status: RO\n\n"
    assert block.strip(b"\r\n\n") == b"\r\n\n"


def test_ours_must_be_all_there_is():
    ours = block.write(0, [], 3)
    assert block.read(b"\nStatus: R\n" + ours + b"\n").offset == -1
    assert block.read(b"\n" + ours + ours + b"\n").offset == -1
    assert block.read(b"\n" + ours.replace(b"X-UID", b"X-Uid") + b"\n").offset == -1


@pytest.mark.parametrize("moved", [-500, -1, 0, 1, 500])
@pytest.mark.parametrize("more", [-100, -1, 0, 1])
@pytest.mark.parametrize("before", [b"\nSubject: a\n", b"\nX-IMAPbase: 0000000001 0000000017 \n"])
def test_what_is_known_of_a_block_is_not_trusted_blindly(before, moved, more):
    ours = block.write(block.SEEN, [b"$Work"], 17)
    header = before + ours + b"\n"
    assert block.cut(header, len(before) + moved, len(ours) + more) == block.strip(header)
