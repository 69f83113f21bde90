"""The parts of messages: where they lie, how sections name them, and what bombs cost."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcore.message import crlf, envelope, mime


class Stored:
    """A text that is no bytes, as the store gives for large messages."""

    def __init__(self, content):
        self.content = content

    def __len__(self):
        return len(self.content)

    def find(self, sub, start=0, end=None):
        return self.content.find(sub, start, len(self.content) if end is None else end)

    def __getitem__(self, span):
        return self.content[span]


MAIL = b"""\
Content-Type: multipart/mixed; boundary=o

--o

one
--o
Content-Type: message/rfc822

Content-Type: multipart/alternative; boundary=i

--i

two one
--i
Content-Type: text/html

two two
--i--
--o
Content-Type: multipart/digest; boundary=d

--d

Subject: three one

three one one
--d--
--o
Content-Type: message/rfc822

Content-Type: message/rfc822

four one one
--o--
"""


def body(text, part):
    return text[part.header_end : part.body_end]


@pytest.mark.parametrize(
    ("numbers", "content"),
    [
        ([1], b"one"),
        ([2, 1], b"two one"),
        ([2, 2], b"two two"),
        ([3, 1], b"Subject: three one\n\nthree one one"),
        ([3, 1, 1], b"three one one"),
        ([4], b"Content-Type: message/rfc822\n\nfour one one"),
        ([4, 1], b"four one one"),
        ([], MAIL[MAIL.index(b"--o\n") :]),
    ],
)
def test_part(numbers, content):
    part = mime.part(mime.structure(MAIL), numbers)
    assert part is not None
    assert body(MAIL, part) == content
    assert part.octets == len(crlf.wire_form(content))
    assert part.lines == content.count(b"\n")


@pytest.mark.parametrize("numbers", [[0], [5], [1, 1], [2, 3], [2, 1, 1], [3, 2], [3, 1, 2], [3, 1, 1, 1], [-1]])
def test_no_such_part(numbers):
    assert mime.part(mime.structure(MAIL), numbers) is None


def test_a_message_without_parts_has_one():
    root = mime.structure(b"Subject: x\n\nbody\n")
    assert mime.part(root, [1]) is root
    assert mime.part(root, [2]) is None
    assert mime.part(root, [1, 1]) is None


def test_a_message_that_is_a_message():
    text = b"Content-Type: message/rfc822\n\nSubject: x\n\nbody\n"
    root = mime.structure(text)
    assert mime.part(root, [1]) is root
    assert body(text, mime.part(root, [1, 1])) == b"body\n"
    assert mime.part(root, [1, 2]) is None
    assert root.message.header == b"Subject: x\n\n"


def test_limits_leave_one_opaque_part():
    root = mime.structure(MAIL, depth=1)
    assert [(part.type, part.subtype) for part in root.parts] == [
        (b"TEXT", b"PLAIN"),
        *[(b"APPLICATION", b"OCTET-STREAM")] * 3,
    ]
    assert mime.structure(MAIL, depth=0).type == b"APPLICATION"
    few = mime.structure(MAIL, parts=3).parts
    assert len(few) == 2
    assert few[-1].body_end == len(MAIL)


# --- any bytes -------------------------------------------------------------------------

PIECES = [
    *(b"\n", b"\r\n", b"\n\n", b"--a", b"--b", b"--", b"a", b" ", b"\r", b"\xff", b"text\n"),
    *(b"Content-Type: multipart/mixed; boundary=a\n\n", b"Content-Type: multipart/digest; boundary=b\r\n\r\n"),
    *(b"Content-Type: message/rfc822\n\n", b"\n--a\n", b"\n--b\n", b"\n--a--\n", b"\n--b--\n", b"Content-Type: text\n"),
    *(b"Content-Type: ", b"multipart/x", b';x="', b"(", b";boundary=", b"Content-Language: a,(b"),
]


def check(part, start, end):
    """Spans lie in each other, in order."""
    assert start <= part.header_start <= part.header_end <= part.body_end <= end
    assert part.octets >= part.body_end - part.header_end
    before = part.header_end
    for child in part.parts:
        check(child, before, part.body_end)
        before = child.body_end
    if part.message is not None:
        assert part.message.header_start == part.header_end
        check(part.message, part.header_end, part.body_end)
        assert part.message.body_end == part.body_end


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES)).map(b"".join) | st.binary())
def test_any_bytes(text):
    root = mime.structure(text)
    check(root, 0, len(text))
    stored = mime.structure(Stored(text))
    assert envelope.body(root, True) == envelope.body(stored, True)
    mime.structure(text, depth=2, parts=3)


# --- bombs -----------------------------------------------------------------------------


def count(part):
    waiting, total = [part], 0
    while waiting:
        part = waiting.pop()
        total += 1
        waiting += part.parts
        waiting += [part.message] if part.message else []
    return total


def nested(kind, depth):
    return b"".join(b"Content-Type: multipart/%b; boundary=b%d\n\n--b%d\n" % (kind, n, n) for n in range(depth))


MULTIPART = b"Content-Type: multipart/mixed; boundary=b\n\n"
BOMBS = {
    "parts": MULTIPART + b"--b\n\nx\n" * 150_000,
    "empty parts": MULTIPART + b"--b\n" * 250_000,
    "parts of one header": MULTIPART + b"--b\nContent-Type: a/b;c=d\n\n" * 40_000,
    "digest": MULTIPART.replace(b"mixed", b"digest") + b"--b\n\n" * 200_000,
    "depth": nested(b"mixed", 10_000),
    "depth of one boundary": (MULTIPART + b"--b\n") * 10_000,
    "depth and text": nested(b"mixed", 100) + b"x\n" * 500_000,
    "depth and parts": nested(b"mixed", 99) + MULTIPART + b"--b\n\nx\n" * 150_000,
    "depth and near misses": (MULTIPART + b"--b\n") * 100 + b"--bx\n" * 200_000,
    "messages": b"Content-Type: message/rfc822\n\n" * 35_000,
    "messages in digests": nested(b"digest", 10_000),
    "near misses": MULTIPART + b"--bx\n" * 200_000,
    "no boundary": MULTIPART + b"--\n" * 350_000,
    "long line": b"Content-Type: " + b"x" * 1_000_000,
    "long name": b"Content-Type" + b" " * 1_000_000,
    "folds": b"Content-Type: a/b\n" + b" ;c=d\n" * 170_000,
    "fields": b"Content-Type: a/b\n" * 55_000,
    "parameters": b"Content-Type: a/b" + b";c=d" * 250_000,
    "rfc2231": b"Content-Type: a/b" + b"".join(b";n*%d*=%%20" % n for n in range(80_000)),
    "semicolons": b"Content-Type: a/b" + b";" * 1_000_000,
    "quotes": b"Content-Type: a/b" + b';c="' * 250_000,
    "lone quotes": b"Content-Type: a/b" + b'"' * 1_000_000,
    "equals": b"Content-Type: a/b" + b";=" * 500_000,
    "backslashes": b'Content-Type: a/b;c="' + b"\\" * 1_000_001,
    "comments": b"Content-Type: a/b" + b"(" * 1_000_000,
    "comments closed": b"Content-Type: a/b" + b"()" * 500_000,
    "comment quotes": b"Content-Type: a/b" + b'("' * 500_000,
    "languages": b"Content-Language: " + b"a," * 500_000,
    "blanks": b"Content-Type:" + b" \t" * 500_000,
    "line ends": b"\n" * 1_000_000,
    "crlf": MULTIPART + b"\r\n" * 500_000,
    "blanks after boundary": MULTIPART + (b"--b" + b" " * 1000 + b"x\n") * 1000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name):
    start = time.process_time()
    root = mime.structure(BOMBS[name])
    envelope.body(root, True)
    assert time.process_time() - start < 1
    assert count(root) <= 10_000
    assert len(root.params) <= mime.PARAMETERS
    assert len(root.language or []) <= mime.LANGUAGES
