"""What STORE does to rows."""

from __future__ import annotations

import pytest

from mailcore.store.formats.mbox import block, identity
from mailcore.store.formats.mbox.flags import bits_and_mask, change_rows
from mailcore.store.index import Record


@pytest.fixture
def record():
    made = Record()
    made.keywords, made.word_sets = ["$A", "b"], [0, 1, 3]
    made.columns.uid.extend([1, 2])
    made.columns.flags.extend([block.OLD | block.SEEN | block.NUMBERED, block.NUMBERED])
    made.columns.words.extend([2, 0])
    made.columns.start.extend([0, 9])
    return made


def test_names_to_bits(record):
    words = identity.Words(record)
    flags = ["\\SEEN", "\\deleted", "\\Recent", "\\Odd", "$a", "New"]
    assert bits_and_mask(words, flags) == (block.SEEN | block.DELETED, 1 | 4)
    assert record.keywords == ["$A", "b", "New"]


@pytest.mark.parametrize(
    ("change", "changed", "bits", "masks"),
    [
        ("+", [0, 1], [block.SEEN | block.DRAFT, block.DRAFT], [3, 2]),
        ("-", [0], [block.SEEN, 0], [1, 0]),
        ("=", [0, 1], [block.DRAFT, block.DRAFT], [2, 2]),
    ],
)
@pytest.mark.parametrize("rows", [[0, 1], range(2)], ids=["some", "a run"])
def test_changes(record, rows, change, changed, bits, masks):
    words = identity.Words(record)
    assert change_rows(record, words, rows, change, block.DRAFT, 2) == changed
    kept = [block.OLD | block.NUMBERED, block.NUMBERED]
    assert list(record.columns.flags) == [new | old for new, old in zip(bits, kept, strict=True)]
    assert [record.word_sets[number] for number in record.columns.words] == masks
    assert change_rows(record, words, rows, change, block.DRAFT, 2) == []
