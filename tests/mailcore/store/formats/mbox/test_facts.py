"""Facts to words and back."""

from __future__ import annotations

from mailcore.store.formats.mbox.facts import NAMES, Facts
from mailcore.store.index import Record


def test_there_and_back():
    facts = Facts()
    for number, name in enumerate(NAMES):
        setattr(facts, name, number - 1)
    assert Facts(facts.words()).words() == facts.words()


def test_others_words_are_nothing():
    for words in (None, [], ["1"] * (len(NAMES) - 1)):
        facts = Facts(words)
        assert facts.believed == 0 and facts.stamp == (0, 0, 0)
    assert Facts().base_offset == -1


def test_base():
    facts, record = Facts(), Record()
    record.uid_validity, record.uid_next, record.keywords = 7, 5, ["a"]
    assert not facts.base_is_right(record)
    facts.base_says(record)
    assert facts.base_is_right(record)
    record.keywords.append("b")
    assert not facts.base_is_right(record)
