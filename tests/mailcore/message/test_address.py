"""Address lists: what an ENVELOPE makes of good and of bad ones."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailcore.message import address

NO_HOST, BAD_HOST = b".MISSING-HOST-NAME.", b".SYNTAX-ERROR."
NO_MAILBOX = b"INVALID_ADDRESS"
JUNK = (None, None, b"UNEXPECTED_DATA_AFTER_ADDRESS", BAD_HOST)
END = (None, None, None, None)


def at(mailbox, host, name=None, route=None):
    return (name, route, mailbox, host)


def group(name):
    return (None, None, name, None)


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        (b"", []),
        (b" , ,", []),
        (b"a@b", [at(b"a", b"b")]),
        (b"<a@b>", [at(b"a", b"b")]),
        (b"Ann <a@b>, c@d", [at(b"a", b"b", b"Ann"), at(b"c", b"d")]),
        (b'"Doe, Jane" <j@x>', [at(b"j", b"x", b"Doe, Jane")]),
        (b'"" <j@x>', [at(b"j", b"x")]),
        (b"John \t Q. Public<j@x>", [at(b"j", b"x", b"John Q. Public")]),
        (b"caf\xe9 <\xe9@b>", [at(b"\xe9", b"b", b"caf\xe9")]),
        (rb'"Q\"uo\\te" <q@x>', [at(b"q", b"x", rb'Q"uo\te')]),
        (b'"a" b "c" <q@x>', [at(b"q", b"x", b"a b c")]),
        (b"a@b (Ann (the) one)", [at(b"a", b"b", b"Ann (the) one")]),
        (rb"a@b (Ann \) one) (two)", [at(b"a", b"b", b"Ann ) one")]),
        (b"Al <a@b> (Ann), c(x)@(y)d", [at(b"a", b"b", b"Al"), at(b"c", b"d", b"x")]),
        (b"(only a comment)", []),
        (b"a@b (never closed, c@d", [at(b"a", b"b", b"never closed, c@d")]),
        (b'"never closed <a@b>, c@d', [at(b"a", b"b", b"never closed"), at(b"c", b"d")]),
        (b"bob", [at(b"bob", NO_HOST)]),
        (b"a b c", [at(b"a b c", NO_HOST)]),
        (b"Daemon <MAILER>", [at(b"MAILER", NO_HOST, b"Daemon")]),
        (b"<>", [at(NO_MAILBOX, BAD_HOST)]),
        (b"Ann <>", [at(NO_MAILBOX, BAD_HOST, b"Ann")]),
        (b"@b, a@", [at(NO_MAILBOX, b"b"), at(b"a", BAD_HOST)]),
        (b"a@@b, c@d", [at(b"a", BAD_HOST), JUNK, at(b"c", b"d")]),
        (b"a@b c d@e, f@g", [at(b"a", b"b"), JUNK, at(b"f", b"g")]),
        (b"<a@b> c d@e, f@g", [at(b"a", b"b"), JUNK, at(b"f", b"g")]),
        (b"<<a@b>>, <c@d, e@f", [at(b"a", b"b"), at(b"c", b"d"), at(b"e", b"f")]),
        (b"a@b <a@b>", [at(b"a", b"b", b"a@b")]),
        (b"Ann a@b", [at(b"a", b"b", b"Ann")]),
        (b"a . b @ c . d", [at(b"a.b", b"c.d")]),
        (b'"x y".z@w', [at(b"x y.z", b"w")]),
        (b'"@"@"@"', [at(b"@", b"@")]),
        (b"a@[192.0.2.1], b@[IPv6:::1]", [at(b"a", b"[192.0.2.1]"), at(b"b", b"[IPv6:::1]")]),
        (b"[x] y <a@b>, ] [ <c@d>", [at(b"a", b"b", b"[x] y"), at(b"c", b"d")]),
        (b"<@a,@b:c@d>, N <@a:b@c>", [at(b"c", b"d", None, b"@a,@b"), at(b"b", b"c", b"N", b"@a")]),
        (b"G: a@b, c@d;, e@f", [group(b"G"), at(b"a", b"b"), at(b"c", b"d"), END, at(b"e", b"f")]),
        (b"undisclosed-recipients:;", [group(b"undisclosed-recipients"), END]),
        (b'"G, H" : N <a@b> ;', [group(b"G, H"), at(b"a", b"b", b"N"), END]),
        (b":;", [group(b""), END]),
        (b"G: a@b", [group(b"G"), at(b"a", b"b"), END]),
        (b"G: H: a@b;;", [group(b"G"), END, group(b"H"), at(b"a", b"b"), END]),
        (b"a@b; c@d", [at(b"a", b"b"), at(b"c", b"d")]),
        (b"a\0b <c@d>", [at(b"c", b"d", b"a b")]),
        (b"\\", []),
        (b'"\\', []),
        (b"(\\", []),
    ],
)
def test_lists(value, fields):
    assert address.address_fields(value) == fields


def test_addresses_have_names():
    (one,) = address.addresses(b"Ann <@r:a@b>")
    assert (one.name, one.route, one.mailbox, one.host) == (b"Ann", b"@r", b"a", b"b")


PIECES = [b'"', b"\\", b"(", b")", b"<", b">", b"@", b",", b";", b":", b"[", b"]", b".", b" ", b"a", b"\0", b"\xff"]


@given(st.lists(st.sampled_from(PIECES)).map(b"".join) | st.binary())
@example(b"<a@b,")
def test_any_bytes(value):
    open_groups = 0
    for _, _, mailbox, host in address.address_fields(value):
        if host is None:
            open_groups += -1 if mailbox is None else 1
            assert open_groups in (0, 1)
        else:
            assert mailbox is not None
    assert open_groups == 0


@pytest.mark.parametrize(
    "piece", [*PIECES, b"a@b,", b'\\"', b"()", b'""', b"a:", b"<a,", b"@a,", b"<@", b"(\\", b'"a" ']
)
def test_bombs(piece):
    bomb = piece * (1_000_000 // len(piece))
    for value in (bomb, b"a@b " + bomb, b'"' + bomb, b"<@" + bomb):
        start = time.process_time()
        found = address.address_fields(value)
        assert time.process_time() - start < 1
        assert len(found) <= address.ADDRESSES + 3
