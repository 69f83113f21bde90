"""imapd.listing: the grammar of extended LIST; more is in transcripts/imapd/list*.txt."""

from __future__ import annotations

import pytest

from mailcore.store.namespace import Store
from tests.imapd.conversation import at_home
from tests.playground import Ground

MAIL = b"From a Sat Nov 21 12:00:00 2026\nSubject: a\n\nb\n\n"


def test_too_many_patterns(ground: Ground) -> None:
    patterns = b" ".join(b"x%d" % number for number in range(101))
    assert at_home(ground).say(b'a LIST "" (%b)\r\n' % patterns) == b"a NO [LIMIT] Too many patterns\r\n"


def test_a_pattern_said_twice_counts_once(ground: Ground) -> None:
    ground.place("x", MAIL)
    said = at_home(ground).say(b'a LIST "" (%b)\r\n' % b" ".join([b"x"] * 500))
    assert said.count(b"* LIST") == 1


@pytest.mark.parametrize(
    "line", [b'LIST ("SUBSCRIBED") "" *', b'LIST (SUBSCRIBED)"" *', b'LIST "" (a b', b'LIST "" a RETURN(x)']
)
def test_what_is_no_list(line: bytes, ground: Ground) -> None:
    assert at_home(ground).say(b"a " + line + b"\r\n").startswith(b"a BAD ")


def test_selections_are_all_to_be_met(ground: Ground) -> None:
    for name in ("Sent", "Drafts"):
        ground.place(name, MAIL)
    client = at_home(ground)
    client.say(b"a SUBSCRIBE Sent\r\n")
    said = client.say(b'b LIST (SPECIAL-USE SUBSCRIBED) "" *\r\n')
    assert said.count(b"* LIST") == 1 and b"Sent" in said


@pytest.mark.parametrize(("flags", "told"), [(False, b"()"), (True, b"(\\NoInferiors")])
def test_lsub_flags(flags: bool, told: bytes, ground: Ground) -> None:
    ground.place("Sent", MAIL)
    client = at_home(ground, lsub_flags=flags)
    client.say(b"a SUBSCRIBE Sent\r\n")
    assert client.say(b'b LSUB "" *\r\n').startswith(b"* LSUB " + told)


def test_lsub_flags_of_what_is_gone(ground: Ground) -> None:
    ground.place("Sent", MAIL)
    client = at_home(ground, lsub_flags=True)
    client.say(b"a SUBSCRIBE Sent\r\nb DELETE Sent\r\n")
    assert client.say(b'b LSUB "" *\r\n').startswith(b"* LSUB (\\Noselect)")


def test_describe_says_what_list_says(ground: Ground) -> None:
    for name in ("INBOX", "a", "b/c"):
        ground.place(name, MAIL)
    from mailcore.settings import load

    store = Store("fred", str(ground.home), load([f"{k}={v}" for k, v in ground.options().items()], "/nonexistent"))
    listed = dict(store.list("", "*"))
    assert set(listed) == {"INBOX", "a", "b", "b/c"}
    assert {name: store.describe(name) for name in listed} == listed
    assert store.describe("nothing") is None and store.describe("../x") is None
