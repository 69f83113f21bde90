"""imapd.syntax: the grammar as tables, octets in, value or Mistake."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapd import syntax
from imapd.syntax import Args, is_atom, is_tag, storable, utf7_decode, utf7_encode
from mailcore.errors import BadName, MailError, Mistake

WRONG = Mistake
FEBRUARY = (date(1994, 2, 1) - date(1970, 1, 1)).days


def outcome(rule, text, *literals):
    """What a rule makes of a text, and what it leaves."""
    args = Args(text, literals)
    try:
        value = getattr(args, rule)()
    except Mistake:
        return WRONG, None
    return value, args.rest()


# --- character classes over all 256 octets, written out here once more ------------------

CONTROLS = {*range(0x20), 0x7F}
SEVEN_BIT = set(range(1, 128))
CLASSES = {
    "atom": SEVEN_BIT - CONTROLS - set(b'(){ %*"\\]'),
    "astring": SEVEN_BIT - CONTROLS - set(b'(){ %*"\\'),
    "list_mailbox": SEVEN_BIT - CONTROLS - set(b'(){ "\\'),
    "keyword": SEVEN_BIT - CONTROLS - set(b'(){ %*"\\]['),
}


@pytest.mark.parametrize("rule", CLASSES)
@pytest.mark.parametrize("octet", range(256))
def test_classes(rule, octet):
    """An octet of the class goes on, any other one ends the word or is wrong at its beginning."""
    char = bytes([octet])
    value, rest = outcome(rule, b"A" + char + b"Z")
    text = value.decode() if isinstance(value, bytes) else value
    if octet in CLASSES[rule]:
        assert (text, rest) == ("A" + (chr(octet).upper() if rule == "keyword" else chr(octet)) + "Z", b"")
    else:
        assert (text, rest) == ("A", char + b"Z")
        if octet not in b'"{':
            assert outcome(rule, char + b"Z")[0] is WRONG


@pytest.mark.parametrize("octet", range(256))
def test_quoted_octets(octet):
    char = bytes([octet])
    value, rest = outcome("string", b'"A' + char + b'Z"')
    if octet in SEVEN_BIT - set(b'\r\n"\\'):
        assert (value, rest) == (b"A" + char + b"Z", b"")
    elif char == b'"':
        assert (value, rest) == (b"A", b'Z"')
    else:
        assert value is WRONG
    escaped, _ = outcome("string", b'"A\\' + char + b'Z"')
    assert escaped == (b"A" + char + b"Z" if char in (b'"', b"\\") else WRONG)


@pytest.mark.parametrize("octet", range(256))
def test_tag_and_atom_octets(octet):
    char = bytes([octet])
    assert is_tag(b"a" + char) == (octet in CLASSES["astring"] - set(b"+"))
    assert is_atom(b"a" + char) == (octet in CLASSES["atom"])


def test_tags_have_a_length():
    assert is_tag(b"x" * syntax.TAG_OCTETS)
    assert not is_tag(b"x" * (syntax.TAG_OCTETS + 1))
    assert not is_tag(b"")


# --- rules ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "text", "value", "rest"),
    [
        ("number", b"0", 0, b""),
        ("number", b"007 ", 7, b" "),
        ("number", b"4294967295", 4294967295, b""),
        ("number", b"4294967296", WRONG, None),
        ("number", b"00000000001", WRONG, None),
        ("number", b"9" * 5000, WRONG, None),
        ("number", b"-1", WRONG, None),
        ("number", b"", WRONG, None),
        ("nz_number", b"1", 1, b""),
        ("nz_number", b"01", WRONG, None),
        ("nz_number", b"0", WRONG, None),
        ("string", b'""', b"", b""),
        ("string", b'"a\\"b\\\\" x', b'a"b\\', b" x"),
        ("string", b'"\\\\"', b"\\", b""),
        ("string", b'"\\\\\\""', b'\\"', b""),
        ("string", b'"a', WRONG, None),
        ("string", b'"a\\"', WRONG, None),
        ("string", b"a", WRONG, None),
        ("string", b"", WRONG, None),
        ("nstring", b"NIL)", None, b")"),
        ("nstring", b"nil", None, b""),
        ("nstring", b'"NIL"', b"NIL", b""),
        ("nstring", b"NILS", WRONG, None),
        ("astring", b"NIL", b"NIL", b""),
        ("astring", b"a]b c", b"a]b", b" c"),
        ("mailbox", b"inBOX", "INBOX", b""),
        ("mailbox", b'"INBOX/x"', "INBOX/x", b""),
        ("mailbox", b'"a b"', "a b", b""),
        ("mailbox", b'""', "", b""),
        ("mailbox", b"*", WRONG, None),
        ("list_mailbox", b"%/*]x y", "%/*]x", b" y"),
        ("list_mailbox", b'"% *"', "% *", b""),
        ("keyword", b"body.peek[1]", "BODY.PEEK", b"[1]"),
        ("keyword", b"+flags.silent (", "+FLAGS.SILENT", b" ("),
        ("flag", b"\\SEEN", "\\Seen", b""),
        ("flag", b"\\answered)", "\\Answered", b")"),
        ("flag", b"$MDNSent", "$MDNSent", b""),
        ("flag", b"\\Recent", WRONG, None),
        ("flag", b"\\Foo", WRONG, None),
        ("flag", b"\\*", WRONG, None),
        ("flag", b"\\", WRONG, None),
        ("flag_list", b"()", [], b""),
        ("flag_list", b"(\\Seen a b)", ["\\Seen", "a", "b"], b""),
        ("flag_list", b"( \\Seen)", WRONG, None),
        ("flag_list", b"(a  b)", WRONG, None),
        ("flag_list", b"(a", WRONG, None),
        ("flag_list", b"a", WRONG, None),
        ("flags", b"\\Seen \\draft", ["\\Seen", "\\Draft"], b""),
        ("flags", b"(x)", ["x"], b""),
        ("flags", b"", WRONG, None),
        ("date", b"1-Feb-1994", FEBRUARY, b""),
        ("date", b'"01-feb-1994"', FEBRUARY, b""),
        ("date", b"31-Feb-1994", WRONG, None),
        ("date", b"1-Xxx-1994", WRONG, None),
        ("date", b"yesterday", WRONG, None),
        ("date_time", b'"17-Jul-1996 02:44:25 -0700"', (837_596_665, -420), b""),
        ("date_time", b'" 1-Jan-1970 00:00:00 +0000"', (0, 0), b""),
        ("date_time", b'"17-Jul-1996"', WRONG, None),
        ("date_time", b"17-Jul-1996 02:44:25 -0700", WRONG, None),
    ],
)
def test_rules(rule, text, value, rest):
    assert outcome(rule, text) == (value, rest)


def test_sequence_set():
    value, rest = outcome("sequence_set", b"1,3:*,5 (FLAGS)")
    assert (value.ranges, rest) == ([(1, 1), (3, 0), (5, 5)], b" (FLAGS)")
    for text in (b"0", b"1,", b"1:2:3", b"a", b"", b",1", b"4294967296", b"1::2"):
        assert outcome("sequence_set", text)[0] is WRONG


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"(A)", ["A"]),
        (b"(a b)", ["A", "B"]),
        (b"()", WRONG),
        (b"(A C)", WRONG),
        (b"(A B", WRONG),
        (b"(A B )", WRONG),
        (b"A", WRONG),
        (b"((A))", WRONG),
    ],
)
def test_many(text, value):
    args = Args(text)
    if value is WRONG:
        with pytest.raises(Mistake):
            args.many(args.keyword, {"A", "B"})
    else:
        assert args.many(args.keyword, {"A", "B"}) == value


def test_literals_come_in_their_order():
    args = Args(b" {3}\r\n {2+}\r\n x", [b"abc", b"de"])
    assert args.space().astring() == b"abc"
    assert args.space().string() == b"de"
    assert args.space().atom() == b"x"
    args.end()


@pytest.mark.parametrize("text", [b"{x {3}\r\n", b"{3}", b"{}\r\n", b"{3", b"{3++}\r\n", b"x"])
def test_what_only_looks_like_a_literal(text):
    with pytest.raises(Mistake):
        Args(text, [b"abc"]).literal()


def test_a_literal_is_used_once():
    args = Args(b"{3}\r\n{3}\r\n", [b"abc"])
    assert args.literal() == b"abc"
    with pytest.raises(Mistake):
        args.literal()


def test_a_string_holds_no_nul():
    with pytest.raises(Mistake):
        Args(b"{3}\r\n", [b"a\0b"]).string()
    assert Args(b"{3}\r\n", [b"a\0b"]).literal() == b"a\0b"


def test_a_mailbox_has_seven_bits():
    with pytest.raises(BadName):
        Args(b"{2}\r\n", ["é".encode()]).mailbox()


def test_end():
    Args(b"").end()
    Args(b"  ").end()  # odd clients leave a blank behind
    with pytest.raises(Mistake):
        Args(b" x").end()


def test_a_long_line_costs_no_more_than_its_length():
    args = Args(b"(" + b"a " * 30_000 + b"a)")
    assert len(args.flag_list()) == 30_001


RULES = [
    "atom", "keyword", "number", "nz_number", "sequence_set", "astring", "string", "nstring", "literal", "mailbox",
    "list_mailbox", "flag", "flag_list", "flags", "date", "date_time",
]  # fmt: skip


@given(st.sampled_from(RULES), st.binary(max_size=40))
def test_any_octets_are_a_value_or_a_mistake(rule, text):
    args = Args(text, [b"x"])
    try:
        getattr(args, rule)()
    except MailError:
        pass


# --- modified UTF-7 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        ("", ""),
        ("Sent", "Sent"),
        ("R&-D", "R&D"),
        ("&-", "&"),
        ("&AOk-t&AOk-", "été"),
        ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # RFC 3501 §5.1.3
        ("&2D3cqQ-", "💩"),
        ("&AAAAAQ-", "\0\1"),
    ],
)
def test_utf7(wire, name):
    assert utf7_decode(wire) == name
    assert utf7_encode(name) == wire


@pytest.mark.parametrize(
    "wire",
    [
        "&",
        "a&AOk",  # unterminated
        "&AOk-&AOk-",  # two runs where one would do
        "&AGE-",  # a letter that stands for itself
        "&AOkAYQ-",
        "&ACY-",  # & itself
        "&A-",
        "&AOkA-",  # half a letter
        "&AOk=-",
        "&/AOk-",
        "&2D0-",  # half a pair
        "&3Kk-",
        "&AO l-",
        "&AOn-",  # bits left over
        "&Jjo!",  # RFC 3501 §5.1.3
        "&U,BTFw-&ZeVnLIqe-",  # RFC 3501 §5.1.3: superfluous shift
        "é",
    ],
)
def test_utf7_that_is_not_canonical(wire):
    with pytest.raises(BadName):
        utf7_decode(wire)


@given(st.text())
def test_utf7_there_and_back(name):
    assert utf7_decode(utf7_encode(name)) == name


@given(st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=127)))
def test_utf7_is_total(wire):
    try:
        assert utf7_encode(utf7_decode(wire)) == wire
    except BadName:
        pass


@pytest.mark.parametrize("name", ["a\x01b", "&AAE-", "&AIU-", "&ICg-", "a&"])
def test_names_nobody_should_make(name):
    with pytest.raises(BadName):
        storable(name)


def test_names_to_make():
    assert storable("R&-D/&AOk-") == "R&-D/&AOk-"
