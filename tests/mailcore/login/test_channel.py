"""mailcore.login.channel: what frames carry, and that no other frame is taken."""

from __future__ import annotations

import random

import pytest

from mailcore.login import channel
from mailcore.login.accounts import Account
from mailcore.login.channel import Channel, Entry, Forged, Question, Verdict, pack, pair, unpack


@pytest.fixture
def ends():
    ours, theirs = pair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    "fields", [(b"",), (b"fred", b"pass word\0\xff"), (b"x" * 4000,), tuple(b"%d" % n for n in range(32))]
)
def test_a_frame_comes_back_as_it_was(fields):
    assert unpack(pack(b"P", fields), b"P", len(fields), len(fields)) == list(fields)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"P",
        b"P\x02",
        b"P\x02\0\x01a",
        b"P\x02\0\x01a\0\x05b",
        b"P\x02\0\x01a\0\x01b!",
        b"P\x01\0\x01a",
        b"P\x03\0\x01a\0\x01b\0\x01c",
        b"Q\x02\0\x01a\0\x01b",
        b"P\x02\0\x01a\0",
        b"P\x02\xff\xffa\0\x01b",
        b"P\x02\0\x00" + (4093).to_bytes(2, "big") + b"x" * 4093,
    ],
)
def test_any_other_frame_is_forged(frame):
    with pytest.raises(Forged):
        unpack(frame, b"P", 2, 2)


def test_random_frames_are_forged_or_well_formed():
    chance = random.Random(7)
    for _ in range(100_000):
        frame = b"P\x02" * chance.randint(0, 1) + chance.randbytes(chance.randint(0, 12))
        try:
            fields = unpack(frame, b"P", 2, 2)
        except Forged:
            continue
        assert pack(b"P", fields) == frame


def test_too_long_frames_are_not_sent():
    with pytest.raises(ValueError):
        pack(b"P", [b"x" * 4095])


def test_a_long_packet_is_forged(ends):
    ours, theirs = ends
    theirs._sock.send(b"P\x01" + b"\x10\x00" + b"x" * 4096)
    with pytest.raises(Forged):
        ours.receive(b"P", 1)


def test_peek_leaves_the_frame(ends):
    ours, theirs = ends
    theirs.send(channel.PASSWORD, b"fred", b"secret")
    assert ours.peek() == b"P"
    assert ours.peek() == b"P"
    assert ours.receive(channel.PASSWORD, 2) == [b"fred", b"secret"]
    theirs.close()
    assert ours.peek() == b""
    with pytest.raises(EOFError):
        ours.receive(channel.PASSWORD, 2)


def test_a_verdict_tells_the_gatekeeper_only_the_name(ends):
    ours, theirs = ends
    account = Account("fred", 1000, 1000, "/home/fred", "mbox:~/x")
    ours.answer(Verdict(True, account, "", "", ["Password expires soon"]))
    theirs_sent = Channel.ask.__get__(_Sends(theirs))(Question("password", (b"fred", b"x")))
    assert theirs_sent.right
    assert theirs_sent.alerts == ["Password expires soon"]
    assert (theirs_sent.account.name, theirs_sent.account.uid, theirs_sent.account.home) == ("fred", -1, "")


class _Sends:
    """A channel whose question nobody reads."""

    def __init__(self, end: Channel) -> None:
        self.send = lambda *frame: None
        self.receive = end.receive


def test_a_refusal_has_no_account(ends):
    ours, theirs = ends
    ours.answer(Verdict(False, None, "UNAVAILABLE", "Temporary authentication failure"))
    verdict = Channel.ask.__get__(_Sends(theirs))(Question("password", (b"fred", b"x")))
    assert (verdict.right, verdict.account, verdict.code) == (False, None, "UNAVAILABLE")


def test_an_oversized_password_is_asked_as_an_empty_one(ends):
    ours, theirs = ends
    ours.answer(Verdict(False))
    assert not theirs.ask(Question("password", (b"fred", b"x" * 9000))).right
    assert ours.receive(channel.PASSWORD, 2) == [b"", b""]


def taken_over(ours, account, limits):
    bundle = ours.take_over(account, limits)
    while not bundle.whole:
        bundle.take(ours)
    return bundle.entry()


@pytest.mark.parametrize("read_ahead", [b"", b"a2 NOOP\r\n", bytes(range(256)) * 300])
def test_an_entry_is_handed_over_whole(ends, read_ahead):
    ours, theirs = ends
    theirs.hand_over(Entry(Account("fred"), b"a1" * 3000, read_ahead, b"state", "PLAIN"))
    account = Account("fred", 1000, 1000)
    entry = taken_over(ours, account, (8192, 2048, 100_000))
    assert (entry.tag, entry.state, entry.method) == (b"a1" * 3000, b"state", "PLAIN")
    assert entry.read_ahead == read_ahead
    assert entry.account is account


@pytest.mark.parametrize(
    "frames",
    [
        [(b"H", b"LOGIN", b"1", b"0", b"101")],
        [(b"H", b"LOGIN", b"11", b"0", b"1")],
        [(b"H", b"LOGIN", b"-1", b"0", b"1")],
        [(b"H", b"LOGIN", b"\xb2", b"0", b"1")],
        [(b"H", b"LOGIN", b"9" * 5000, b"0", b"1")],
        [(b"H", b"LOGIN", b"1", b"0", b"1"), (b"A", b"")],
        [(b"H", b"LOGIN", b"1", b"0", b"1"), (b"A", b"abc")],
        [(b"H", b"LOGIN", b"1", b"0", b"1"), (b"P", b"a", b"b")],
        [(b"H", b"L\xff", b"1", b"0", b"0"), (b"A", b"a")],
        [(b"H", b"L" * 40, b"1", b"0", b"0"), (b"A", b"a")],
        [(b"H", b"LOGIN", b"1", b"0")],
    ],
)
def test_a_forged_entry_is_refused(ends, frames):
    ours, theirs = ends
    for kind, *fields in frames:
        if sum(map(len, fields)) < 4000:
            theirs.send(kind, *fields)
        else:
            theirs.send(kind, *(field[:900] for field in fields))
    with pytest.raises(Forged):
        taken_over(ours, Account("fred"), (10, 10, 100))


def test_a_report_tells_the_monitor_all(ends):
    ours, theirs = ends
    account = Account("fred", 1000, 1001, "/home/fred", "mbox:~/mail:INBOX=/x/%u")
    theirs.report("Fred", Verdict(True, account, "", "", ["one", "two"], b"\0\xff data", "admin"), b"kept\0")
    tried, verdict, kept = ours.read_report()
    assert (verdict.data, verdict.override, kept) == (b"\0\xff data", "admin", b"kept\0")
    assert tried == "Fred"
    assert verdict.right
    assert verdict.alerts == ["one", "two"]
    assert [getattr(verdict.account, name) for name in Account.__slots__] == [
        getattr(account, name) for name in Account.__slots__
    ]


def test_a_report_of_a_refusal(ends):
    ours, theirs = ends
    theirs.report("\udcff", Verdict(False))
    tried, verdict, _ = ours.read_report()
    assert tried == "\udcff"
    assert not verdict.right
    assert verdict.account is None
