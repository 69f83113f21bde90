"""Threads: RFC 5256's cases, what is odd, and that none is expensive (Dovecot is compared in tests/integration)."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message import threads
from mailcore.message.threads import Read, ordered_subject, references, refs, written


def mail(text: str) -> list[Read]:
    """Messages from words `id<parent<grandparent subject`, in the order of their dates."""
    reads = []
    for number, word in enumerate(text.split(), 1):
        ids, _, subject = word.partition("=")
        own, *ancestors = ids.split("<")
        read = Read(number, number)
        read.id = own.encode() or None
        read.ancestors = [name.encode() for name in reversed(ancestors)]
        read.reply = subject.startswith("re:")
        read.subject = subject.removeprefix("re:")
        reads.append(read)
    return reads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a", "(1)"),
        ("a b", "(1)(2)"),
        ("a b<a", "(1 2)"),
        ("a b<a c<b", "(1 2 3)"),
        ("a b<a c<a", "(1 (2)(3))"),
        ("a b<a c<a d<b<a", "(1 (2 4)(3))"),
        ("b<a a", "(2 1)"),
        ("b<x c<x", "((1)(2))"),  # both answer a message that is not here
        ("b<x", "(1)"),
        ("b<y<x c<z<x", "((1)(2))"),  # none of the three is here
        ("d<c<b<a a", "(2 1)"),
        ("a a<a", "(1 2)"),  # two of one id: the first has it
        ("a<a", "(1)"),
        ("a<b b<a", "(2 1)"),  # a circle: the first link holds
        ("a<c b<a c<b", "(3 1 2)"),
        ("d<c<b c<a b a", "(3)(4 2 1)"),  # what a message says itself counts more
        ("<x <x", "((1)(2))"),  # no ids
        # one base subject: the first is the parent, if it is no reply and the other is one
        ("a=s b=re:s", "(1 2)"),
        ("a=re:s b=s", "(2 1)"),
        ("a=s b=s", "((1)(2))"),
        ("a=re:s b=re:s", "((1)(2))"),
        ("a=s b=re:s c=s", "((1 2)(3))"),
        ("a<x=re:s b<x=re:s c=s", "((1)(2)(3))"),
        ("a<x=s b<x=s c<y=s d<y=s", "((1)(2)(3)(4))"),
        ("a= b=", "(1)(2)"),
        ("a=s b<a=t c=re:t", "(1 2)(3)"),  # only the tops of threads are compared
    ],
)
def test_references(text: str, expected: str):
    assert written(references(mail(text))).decode() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=s b=re:s", "(1)(2)"),
        ("a=s b=s c<a", "(2)(1 3)"),  # the thread with the latest message stands last
        ("b<x c d<x", "(2)((1)(3))"),
    ],
)
def test_refs(text: str, expected: str):
    assert written(refs(mail(text))).decode() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a=s b=t c=s", "(1 3)(2)"), ("a=s b=s c=s", "(1 (2)(3))"), ("a= b=", "(1 2)")],
)
def test_ordered_subject(text: str, expected: str):
    assert written(ordered_subject(mail(text))).decode() == expected


IDS = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(IDS, st.lists(IDS, max_size=4), st.sampled_from(["", "s", "t"]), st.booleans()), max_size=20))
def test_each_message_is_there_once(mails: list[tuple[str, list[str], str, bool]]):
    reads = []
    for number, (own, ancestors, subject, reply) in enumerate(mails, 1):
        read = Read(number, number % 5)
        read.id, read.ancestors = own.encode(), [name.encode() for name in ancestors]
        read.subject, read.reply = subject, reply
        reads.append(read)
    for algorithm in (references, refs, ordered_subject):
        text = written(algorithm(reads))
        words = text.replace(b"(", b" ( ").replace(b")", b" ) ").split()
        assert sorted(int(word) for word in words if word.isdigit()) == list(range(1, len(mails) + 1))
        assert words.count(b"(") == words.count(b")")
        assert b"()" not in text


def chain(order: list[int]) -> list[Read]:
    reads = []
    for number, position in enumerate(order, 1):
        read = Read(number, position)
        read.id = b"<%d@x>" % position
        read.ancestors = [b"<%d@x>" % (position - 1)] if position else []
        reads.append(read)
    return reads


def comb(count: int) -> list[Read]:
    """Each message has two answers, one of which goes on."""
    reads = chain(list(range(count)))
    for read in chain(list(range(1, count))):
        read.name, read.id = count + read.name, None
        reads.append(read)
    return reads


COUNT = 100_000


@pytest.mark.parametrize("order", ["up", "down", "mixed"])
def test_a_chain_as_long_as_a_mailbox(order: str):
    """S50: 10^5 messages, linear and without recursion."""
    positions = list(range(COUNT))
    if order != "up":
        positions.reverse() if order == "down" else random.Random(1).shuffle(positions)
    reads = chain(positions)
    start = time.process_time()
    for algorithm in (references, refs):
        said = written(algorithm(reads))
        assert said.count(b"(") == 1
    assert time.process_time() - start < 10


def test_a_thread_as_deep_as_a_mailbox():
    start = time.process_time()
    assert written(references(comb(COUNT // 2))).count(b"(") > COUNT // 2
    assert time.process_time() - start < 10


def test_what_is_written_to_be_expensive():
    """A long chain, and as many answers to its end which have answers themselves: walks are limited."""
    deep = COUNT // 3
    reads = chain(list(range(deep)))
    for number in range(deep):
        for own, above in ((b"<c%d@y>" % number, b"<p%d@y>" % number), (b"<p%d@y>" % number, b"<%d@x>" % (deep - 1))):
            read = Read(len(reads) + 1, 0)
            read.id, read.ancestors = own, [above]
            reads.append(read)
    start = time.process_time()
    written(references(reads))
    assert time.process_time() - start < 10


def test_messages_that_are_not_here_hold_many():
    read = Read(1, 1)
    read.ancestors = [b"<%d@x>" % number for number in range(COUNT)]
    start = time.process_time()
    assert written(references([read])) == b"(1)"
    assert time.process_time() - start < 10


def test_the_limit_is_by_message(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(threads, "WALK", 0)
    assert written(references(mail("b<a a"))).decode() in ("(2 1)", "(1)(2)")
