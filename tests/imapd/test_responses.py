"""imapd.responses: values in, octets out; nothing of a stranger's goes out raw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapd.responses import (
    ERROR_CODES,
    FLUSH_OCTETS,
    QUOTED_OCTETS,
    Continue,
    Fetch,
    Flag,
    Literal,
    Name,
    Ready,
    Status,
    Untagged,
    clean,
    data,
    encode,
    judged,
)
from imapd.syntax import Args
from mailcore import errors
from mailcore.errors import Broken
from tests.playground import ROOT


def said(value: object) -> bytes:
    return b"".join(encode(value))


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (None, b"NIL"),
        (0, b"0"),
        (4294967295, b"4294967295"),
        ("RFC822.SIZE", b"RFC822.SIZE"),
        (b"", b'""'),
        (b"abc", b'"abc"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"a\tb", b"{3}\r\na\tb"),
        ("é".encode(), "{2}\r\né".encode()),
        (b"a\0b", b"{3}\r\na\x80b"),
        (b"x" * (QUOTED_OCTETS + 1), b"{%d}\r\n" % (QUOTED_OCTETS + 1) + b"x" * (QUOTED_OCTETS + 1)),
        (Name(b"INBOX"), b"INBOX"),
        (Name(b"a b"), b'"a b"'),
        (Name(b"nil"), b'"nil"'),
        (Name(b"a]"), b'"a]"'),
        (Name(b""), b'""'),
        (Name(b"*"), b'"*"'),
        (Flag("\\Seen"), b"\\Seen"),
        (Flag("\\*"), b"\\*"),
        (Flag("$Forwarded"), b"$Forwarded"),
        (Flag("a(b) c\r\n"), b"abc"),
        (Flag("\xff"), b"?"),
        (Flag("()"), b"unnamed"),
        (Ready(b"<1:3>"), b"<1:3>"),
        ([], b"()"),
        (["A", (1, None), [b"x"]], b'(A (1 NIL) ("x"))'),
    ],
)
def test_data(value, octets):
    assert data(value) == octets


@pytest.mark.parametrize("value", ["a b", "", "a\r\nb", "(", "\xe9", 1.5, object(), {"a": 1}, True])
def test_what_is_no_data_never_goes_out(value):
    with pytest.raises(Broken):
        data(value)


@given(st.binary(max_size=60))
def test_strings_come_back(value):
    value = value.replace(b"\0", b"x")
    for octets in (data(value), data(Name(value))):
        literal = octets.partition(b"\r\n")[2] if octets.startswith(b"{") else b""
        text = octets[: len(octets) - len(literal)] if literal or octets.startswith(b"{") else octets
        args = Args(text, [literal])
        assert args.astring() == value
        args.end()


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (Untagged(3, "EXISTS"), b"* 3 EXISTS\r\n"),
        (Untagged("SEARCH"), b"* SEARCH\r\n"),
        (Untagged("LIST", [Flag("\\Noselect")], b"/", Name(b"")), b'* LIST (\\Noselect) "/" ""\r\n'),
        (Fetch(2, [("UID", 7), ("FLAGS", [])]), b"* 2 FETCH (UID 7 FLAGS ())\r\n"),
        (Fetch(2, [(Ready(b"BODY[HEADER.FIELDS (TO)]"), b"x")]), b'* 2 FETCH (BODY[HEADER.FIELDS (TO)] "x")\r\n'),
        (Fetch(1, [("RFC822", Literal(3, [b"a", b"c\0"])), ("UID", 1)]), b"* 1 FETCH (RFC822 {3}\r\nac\x80 UID 1)\r\n"),
        (Fetch(1, [("RFC822", Literal(0, []))]), b"* 1 FETCH (RFC822 {0}\r\n)\r\n"),
        (Status("OK", "done", tag=b"a1"), b"a1 OK done\r\n"),
        (Status("NO", "no such", "NONEXISTENT", b"a1"), b"a1 NO [NONEXISTENT] no such\r\n"),
        (Status("BAD", "No such command: {5}"), b"* BAD No such command: {5}.\r\n"),
        (Status("BYE", ""), b"* BYE -\r\n"),
        (Status("OK", "[ALERT] we never said that"), b"* OK - [ALERT] we never said that\r\n"),
        (Status("OK", "a\r\nb c\x00\xe9"), b"* OK a??b c??\r\n"),
        (Status("OK", "x", "A] b\r\n"), b"* OK [A? b??] x\r\n"),
        (Continue("go"), b"+ go\r\n"),
        (Continue(""), b"+ -\r\n"),
        (Continue(b""), b"+ \r\n"),
        (Continue(b"Zm9v"), b"+ Zm9v\r\n"),
        (Ready(b"* SEARCH 1\r\n"), b"* SEARCH 1\r\n"),
    ],
)
def test_answers(value, octets):
    assert said(value) == octets


def test_what_is_no_answer():
    for value in (None, b"raw", "text", 3):
        with pytest.raises(Broken):
            said(value)


@given(st.text(max_size=300))
def test_free_text_stays_on_its_line(text):
    kept = clean(text)
    assert kept and kept.isascii() and kept.isprintable()


@pytest.mark.parametrize("chunks", [[b"abc"], [b"abcde"], [], [b"ab", b"cde"]])
def test_a_literal_is_as_long_as_it_says(chunks):
    with pytest.raises(Broken):
        said(Fetch(1, [("RFC822", Literal(4, chunks))]))


def test_an_error_in_a_small_message_leaves_no_piece_behind():
    def chunks():
        yield b"ab"
        raise errors.Expunged

    pieces = encode(Fetch(1, [("RFC822", Literal(4, chunks()))]))
    with pytest.raises(errors.Expunged):
        next(pieces)


def test_a_large_message_is_not_held():
    chunk = b"x" * 1000
    pieces = list(encode(Fetch(1, [("RFC822", Literal(1_000_000, [chunk] * 1000))])))
    assert max(map(len, pieces)) < FLUSH_OCTETS + 2000
    assert len(pieces) > 10


@pytest.mark.parametrize(
    ("error", "octets"),
    [
        (errors.Mistake("Missing atom"), b"t BAD Missing atom: NOOP\r\n"),
        (errors.Refusal("Not today", "LIMIT"), b"t NO [LIMIT] Not today\r\n"),
        (errors.Refusal("Not today"), b"t NO Not today\r\n"),
        (errors.NoSuchMailbox(), b"t NO [NONEXISTENT] No such mailbox\r\n"),
        (errors.InUse(), b"t NO [INUSE] Mailbox is locked by another program\r\n"),
        (errors.NotAMailbox("Line 1 is no separator"), b"t NO [CANNOT] Line 1 is no separator\r\n"),
        (errors.Damaged("Line 1 is no separator"), b"t NO [CORRUPTION] Line 1 is no separator\r\n"),
        (errors.DiskError(), b"t NO [UNAVAILABLE] Error reading or writing mail\r\n"),
        (errors.Expunged(), b"t NO [EXPUNGEISSUED] Message has been expunged\r\n"),
    ],
)
def test_judged(error, octets):
    status = judged(error, "NOOP")
    status.tag = b"t"
    assert said(status) == octets


def test_a_missing_target_may_be_made():
    assert judged(errors.NoSuchMailbox(), "COPY", trycreate=True).code == "TRYCREATE"
    assert judged(errors.InUse(), "COPY", trycreate=True).code == "INUSE"


def test_every_error_of_the_store_has_a_code():
    known = {errors.Mistake, errors.TooLong, errors.Refusal, *ERROR_CODES}
    assert known == set(errors.MailError.__subclasses__()) | {errors.TooLong}


# RFC 5530 §3: where below tests/ each code is heard, or why it never is
RFC5530 = {
    "UNAVAILABLE": "mailcore/login/test_monitor.py",
    "AUTHENTICATIONFAILED": "imapd/test_unauthenticated.py",
    "AUTHORIZATIONFAILED": "who may not act for another is told no more than who has a wrong password",
    "EXPIRED": "integration/test_credentials.py",
    "PRIVACYREQUIRED": "imapd/test_unauthenticated.py",
    "CONTACTADMIN": "transcripts/imapd/starttls.txt",
    "NOPERM": "transcripts/imapd/acl.txt",
    "INUSE": "transcripts/imapd/create-delete.txt",
    "EXPUNGEISSUED": "imapd/test_fetch.py",
    "CORRUPTION": "imapd/extensions/test_specialuse.py",
    "SERVERBUG": "a fault of ours ends the session, with an id for the log",
    "CLIENTBUG": "what clients do is done, or refused for what it is",
    "CANNOT": "transcripts/imapd/response-codes.txt",
    "LIMIT": "imapd/test_listing.py",
    "OVERQUOTA": "transcripts/imapd/quota.txt",
    "ALREADYEXISTS": "transcripts/imapd/response-codes.txt",
    "NONEXISTENT": "transcripts/imapd/response-codes.txt",
}


@pytest.mark.parametrize("code", RFC5530)
def test_rfc5530(code):
    where = RFC5530[code]
    if " " in where:
        said_by_us = [path for path in (ROOT / "imapd").rglob("*.py") if f'"{code}' in path.read_text()]
        assert not said_by_us
    else:
        assert code in (ROOT / "tests" / where).read_text()
