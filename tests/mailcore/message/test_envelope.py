"""ENVELOPE, BODY and BODYSTRUCTURE as they go over the wire, for good mail and for odd mail.

tests/golden/*.eml are messages, *.imap what is said of them.  Where UW's answer to one is
known (its transcripts) it is the same, and so are the spans of Dovecot for well-formed mail.
"""

import pathlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message import envelope, headers, mime

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.eml"))


def wire(value):
    """The grammar of RFC 3501 §9, in short."""
    if value is None:
        return b"NIL"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, envelope.Run):
        return b"".join(map(wire, value))
    if isinstance(value, tuple):
        return b"(" + b" ".join(map(wire, value)) + b")"
    if len(value) > 1000 or any(octet < 0x20 or octet > 0x7E for octet in value):
        return b"{%d}\r\n%b" % (len(value), value.replace(b"\0", b"\x80"))
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


@pytest.mark.parametrize("name", NAMES)
def test_golden(name):
    text = (GOLDEN / f"{name}.eml").read_bytes()
    root = mime.structure(text)
    said = b"ENVELOPE %b\nBODY %b\nBODYSTRUCTURE %b\n" % (
        wire(envelope.envelope(text[: headers.end_of_header(text)])),
        wire(envelope.body(root, False)),
        wire(envelope.body(root, True)),
    )
    assert said == (GOLDEN / f"{name}.imap").read_bytes()


def test_golden_files_are_there():
    assert len(NAMES) >= 150
    assert all((GOLDEN / f"{name}.imap").exists() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_crlf_changes_nothing(name):
    """Sizes are those of the wire, however the message lies on the disk (mixed line ends included)."""
    text = (GOLDEN / f"{name}.eml").read_bytes()
    sent = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert envelope.body(mime.structure(sent), True) == envelope.body(mime.structure(text), True)
    assert envelope.envelope(sent) == envelope.envelope(text)


ANN, BOB, JOE = ((None, None, name, b"x") for name in (b"ann", b"bob", b"joe"))


def people(*fields):
    return (envelope.Run(fields),)


def test_sender_and_reply_to_default_to_from():
    said = envelope.envelope(b"From: ann@x, joe@x\nSender:\nReply-To: \n\n")
    assert said[2:5] == (people(ANN, JOE),) * 3
    said = envelope.envelope(b"From: ann@x\nSender: bob@x\nReply-To: joe@x\n\n")
    assert said[2:5] == (people(ANN), people(BOB), people(JOE))
    assert envelope.envelope(b"Sender: bob@x\n\n")[2:5] == (None, people(BOB), None)


def test_absent_is_nil_and_empty_is_empty():
    assert envelope.envelope(b"") == (None,) * 10
    assert envelope.envelope(b"Subject:\nDate: \nMessage-ID:\nIn-Reply-To:\nTo:\n\n") == (
        *(b"", b"", None, None, None, None, None, None),
        *(b"", b""),
    )


def test_first_string_counts_and_all_addresses():
    said = envelope.envelope(b"Subject: a\nTo: ann@x\nSUBJECT: b\ncc: joe@x\nTO: bob@x\n\n")
    assert said[1] == b"a"
    assert said[5:7] == (people(ANN, BOB), people(JOE))


@given(
    st.binary()
    | st.lists(st.sampled_from([b"From:", b"To:", b"\n", b" ", b"a@b", b"(", b'"', b":", b";"])).map(b"".join)
)
def test_any_bytes(header):
    said = envelope.envelope(header)
    assert len(said) == 10
    wire(said)
    wire(envelope.body(mime.structure(header), True))


@pytest.mark.parametrize("piece", [b"a,", b"a:", b"(", b"<@", b"a@b,", b'"', b"\n ", b"a\n ", b"\\", b";", b"G:;"])
def test_bombs(piece):
    """Every address field at once, 1 MiB together."""
    names = (b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc")
    header = b"".join(name + b": " + piece * (170_000 // len(piece)) + b"\n" for name in names)
    start = time.process_time()
    envelope.envelope(header)
    assert time.process_time() - start < 1


def test_many_fields_of_one_name():
    start = time.process_time()
    said = envelope.envelope(b"To: a@b\n" * 130_000)
    assert time.process_time() - start < 1
    assert len(said[5][0]) <= 10_000
