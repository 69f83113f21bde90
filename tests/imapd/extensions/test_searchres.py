"""SEARCHRES: what `$` means, and how long."""

from __future__ import annotations

import pytest

from mailcore.errors import DiskError
from tests.imapd.fakebox import FakeBox, FakeSession


def session() -> FakeSession:
    return FakeSession(FakeBox(*[b"Subject: x\n\n"] * 6))


@pytest.mark.parametrize(
    ("options", "saved"),
    [
        (b"SAVE", [2, 3, 5]),
        (b"SAVE ALL", [2, 3, 5]),
        (b"SAVE MIN", [2]),
        (b"MAX SAVE", [5]),
        (b"MAX SAVE MIN", [2, 5]),
        (b"SAVE COUNT MIN", [2, 3, 5]),
        (b"SAVE ALL MIN", [2, 3, 5]),
        (b"SAVE PARTIAL 2:9", [3, 5]),
        (b"SAVE PARTIAL 2:9 MIN", [2, 3, 5]),
        (b"SAVE PARTIAL 1:1 MAX COUNT", [2, 3, 5]),
    ],
)
def test_what_is_saved(options: bytes, saved: list[int]):
    here = session()
    here.say(b"SEARCH RETURN (%b) 2:3,5" % options)
    assert here.saved == saved


def test_a_no_empties_it_and_a_bad_does_not():
    here = session()
    here.say(b"SEARCH RETURN (SAVE) 2")
    here.say(b"SEARCH RETURN (SAVE) 99:")
    assert here.saved == [2]
    here.say(b"SEARCH RETURN (COUNT) CHARSET X-NONE ALL")
    assert here.saved == [2]
    here.say(b"SEARCH RETURN (SAVE) CHARSET X-NONE ALL")
    assert here.saved == []


def test_a_disk_error_empties_it():
    here = session()
    here.say(b"SEARCH RETURN (SAVE) 2")

    def broken(uid: int) -> bytes:
        raise DiskError

    here.box.text = broken  # type: ignore[method-assign]
    assert here.say(b"SEARCH RETURN (SAVE) TEXT x")[-1].startswith(b"t NO ")
    assert here.saved == []


def test_messages_that_went_away_fall_out():
    here = session()
    here.say(b"SEARCH RETURN (SAVE) 2:4")
    here.box.vanish(3)
    here.say(b"SEARCH 99")  # no EXPUNGE may be told yet
    assert here.say(b"UID FETCH $ FLAGS")[:2] == [b"* 2 FETCH (UID 2 FLAGS ())", b"* 4 FETCH (UID 4 FLAGS ())"]
    assert here.say(b"FETCH $ UID")[:2] == [b"* 2 FETCH (UID 2)", b"* 3 FETCH (UID 4)"]
