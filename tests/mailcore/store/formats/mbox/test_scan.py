"""Where messages are, however the file is cut into chunks."""

from __future__ import annotations

import os
import random

import pytest

from mailcore.errors import NotAMailbox
from mailcore.store.columns import NAMES
from mailcore.store.formats.mbox import scan as module
from mailcore.store.formats.mbox.scan import probe, scan

F = b"From x@y Sat Nov 21 12:00:00 2026\n"
Z = bytes(40)
FCR = F.replace(b"\n", b"\r\n")


@pytest.fixture
def scanned(tmp_path):
    def run(data, begin=0):
        path = tmp_path / "mbox"
        path.write_bytes(data)
        fd = os.open(path, os.O_RDONLY)
        try:
            return scan(fd, begin, len(data))
        finally:
            os.close(fd)

    return run


def contents(found, data):
    columns = found.columns
    return [
        data[start + line : start + line + length]
        for start, line, length in zip(columns.start, columns.line, columns.length, strict=True)
    ]


CORPUS = {
    "two": (F + b"A: 1\n\nx\n\n" + F + b"A: 2\n\ny\n\n", [b"A: 1\n\nx\n", b"A: 2\n\ny\n"]),
    "no final line end": (F + b"A: 1\n\nx", [b"A: 1\n\nx"]),
    "no final empty line": (F + b"A: 1\n\nx\n", [b"A: 1\n\nx\n"]),
    "more empty lines": (F + b"A: 1\n\nx\n\n\n\n" + F + b"\n\n\n", [b"A: 1\n\nx\n\n\n", b"\n\n"]),
    "crlf": (
        FCR + b"A: 1\r\n\r\nx\r\n\r\n" + FCR + b"A: 2\r\n\r\ny\r\n\r\n",
        [b"A: 1\r\n\r\nx\r\n", b"A: 2\r\n\r\ny\r\n"],
    ),
    "mixed": (
        FCR + b"A: 1\n\r\nx\n\r\n" + F + b"A: 2\r\n\ny\r\n\n" + F + b"\n",
        [b"A: 1\n\r\nx\n", b"A: 2\r\n\ny\r\n", b"\n"],
    ),
    "no body": (F + b"A: 1\n\n" + F + b"A: 2\n\n", [b"A: 1\n\n", b"A: 2\n\n"]),
    "no header": (F + b"\nx\n\n" + F + b"\ny\n", [b"\nx\n", b"\ny\n"]),
    "nothing at all": (F + b"\n" + F + b"\n" + F, [b"\n", b"\n", b""]),
    "blanks first": (b"\n \t\r\n\n" + F + b"A: 1\n\nx\n", [b"A: 1\n\nx\n"]),
    "only blanks": (b"\n\n \n", []),
    "empty": (b"", []),
    "bare From": (F + b"A: 1\n\nx\n\nFrom me\n\nFrom you\n", [b"A: 1\n\nx\n\nFrom me\n\nFrom you\n"]),
    "From without an empty line": (F + b"A: 1\n\nx\n" + F + b"B: 2\n\ny\n", [b"A: 1\n\nx\n" + F + b"B: 2\n\ny\n"]),
    "From in a header": (F + b"A: 1\n" + F + b"B: 2\n\ny\n", [b"A: 1\n" + F + b"B: 2\n\ny\n"]),
    "From cut off": (F + b"A: 1\n\nx\n\n" + F[:-1], [b"A: 1\n\nx\n\n" + F[:-1]]),
    "header cut off": (F + b"A: 1\n\nx\n\n" + F + b"A: 2\nB", [b"A: 1\n\nx\n", b"A: 2\nB"]),
    "NUL and 8-bit": (F + b"A: \0\xff\n\n\0\0\xfe\r\r\n\n\n", [b"A: \0\xff\n\n\0\0\xfe\r\r\n\n"]),
    "Content-Length lies": (
        F + b"Content-Length: 9999\n\nx\n\n" + F + b"\ny\n",
        [b"Content-Length: 9999\n\nx\n", b"\ny\n"],
    ),
    "long From": (F + b"\nx\n\nFrom " + b"z" * 1200 + F[4:] + b"\n", [b"\nx\n\nFrom " + b"z" * 1200 + F[4:]]),
    "quoted": (F + b"\n>From x\n\n>" + F + b"\n", [b"\n>From x\n\n>" + F]),
    "cr before": (F + b"\nx\r\r\n\r\n" + F + b"\ny\n", [b"\nx\r\r\n", b"\ny\n"]),
    # NULs: content, wherever a sender can put them; what a crash leaves is parted before (torn.py)
    "NULs at the end": (F + b"A: 1\n\nx\n\n" + Z, [b"A: 1\n\nx\n\n" + Z]),
    "NULs and a separator": (F + b"\nx\n\n" + Z + F + b"B: 2\n\ny\n\n", [b"\nx\n\n" + Z + F + b"B: 2\n\ny\n"]),
    "NULs in a header": (F + b"A: 1\nSub" + Z + F + b"B: 2\n\ny\n\n", [b"A: 1\nSub" + Z + F + b"B: 2\n\ny\n"]),
    "NULs and an empty line": (F + b"\na" + Z + b"\n\n" + F + b"\nc\n", [b"\na" + Z + b"\n", b"\nc\n"]),
    "NULs first": (Z + F + b"B: 2\n\ny\n\n", [b"B: 2\n\ny\n"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(scanned, name):
    data, expected = CORPUS[name]
    found = scanned(data)
    assert contents(found, data) == expected
    for octets, content in zip(found.columns.octets, expected, strict=True):
        assert octets == len(content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.parametrize("keep", [40, 1008])
def test_chunk_borders_everywhere(scanned, monkeypatch, name, keep):
    data, _ = CORPUS[name]
    whole = scanned(data)
    monkeypatch.setattr(module, "_KEEP", keep)
    monkeypatch.setattr(module.fromline, "LINE_OCTETS", keep - 4)
    whole = scanned(data)
    for size in range(1, min(len(data), 120) + 2):
        monkeypatch.setattr(module, "CHUNK_OCTETS", size)
        found = scanned(data)
        for column in NAMES:
            assert getattr(found.columns, column) == getattr(whole.columns, column), (size, column)


def test_random_files_in_random_chunks(scanned, monkeypatch):
    chance = random.Random(4)
    pieces = [F, FCR, b"\n", b"\r\n", b"\n\n", b"A: b\n", b"Status: RO\n", b"From me\n", b"x" * 70 + b"\n"]
    pieces += [b"\r", b"y", Z]
    for _ in range(300):
        data = F + b"".join(chance.choices(pieces, k=40))
        monkeypatch.setattr(module, "CHUNK_OCTETS", 4 * 1024 * 1024)
        whole = scanned(data)
        monkeypatch.setattr(module, "CHUNK_OCTETS", chance.randrange(1, 300))
        found = scanned(data)
        for column in NAMES:
            assert getattr(found.columns, column) == getattr(whole.columns, column)
        sizes = zip(whole.columns.start, whole.columns.line, whole.columns.length, strict=True)
        ends = [start + line + length for start, line, length in sizes]
        for end, following in zip(ends, [*whole.columns.start[1:], len(data)], strict=True):
            assert data[end:following].rstrip(b"\0") in (b"", b"\n", b"\r\n")


def test_a_long_line_and_a_long_header(scanned):
    data = F + b"A: 1\n\n" + b"x" * (1 << 20) + b"\n\n" + F + b"B: " + b"y" * (3 << 20) + b"\n\nz\n\n" + F + b"\nlast\n"
    found = scanned(data)
    assert len(found.columns) == 3
    assert found.columns.header[1] <= module.HEADER_OCTETS
    assert contents(found, data)[1].endswith(b"\n\nz\n")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"hello\n", 1), (b"\n\nFrom me\n", 3), (b"From x\n" + F, 1), (b"\0\0\0\0", 1),
        (b" \r\n" + b">" + F, 2), (F[:-1], 1),
    ],
)
def test_what_is_no_mailbox(scanned, data, line):
    with pytest.raises(NotAMailbox, match=f"line {line} "):
        scanned(data)


def test_from_the_middle(scanned):
    data = F + b"\nx\n\n" + F + b"\ny\n"
    assert len(scanned(data, len(F) + 4).columns) == 1
    assert scanned(data, 5) is None
    assert scanned(data, len(F) + 3) is None


def test_digest_is_the_message_and_nothing_else(scanned):
    def digests(*datas):
        return [scanned(data).columns.digest[0] for data in datas]

    same = digests(
        F + b"A: 1\nB: 2\n\nx\n",
        F + b"A: 1\nB: 2\n\nx",
        F + b"A: 1\nB: 2\n\nx\n\n",
        F + b"Status: RO\nA: 1\nX-UID: 7\nContent-Length: 2\nLines: 1\nB: 2\nX-Keywords: a\n b\n\nx\n\n",
        F.replace(b"x@y", b"other") + b"A: 1\nB: 2\n\nx\n",
    )
    assert len(set(same)) == 1
    others = digests(
        F + b"A: 1\nB: 3\n\nx\n", F + b"A: 1\nB: 2\n\ny\n", F + b"A: 1\n\nB: 2\n\nx\n", F + b"A: 1\nB: 2\n\nx\n\n\n"
    )
    assert len({*same, *others}) == 5


def test_probe(tmp_path):
    for data, answer in ((b"", True), (F, True), (b"\n\n" + F, True), (b"hello", False), (b"From me\n", False)):
        (tmp_path / "m").write_bytes(data)
        assert probe(str(tmp_path / "m")) is answer
    assert not probe(str(tmp_path))
    assert not probe(str(tmp_path / "none"))
    os.symlink(tmp_path / "m", tmp_path / "link")
    assert not probe(str(tmp_path / "link"))
    os.mkfifo(tmp_path / "fifo")
    assert not probe(str(tmp_path / "fifo"))
