"""mutt changes an mbox that a session has open: UIDs stay, its changes and ours are merged."""

from __future__ import annotations

import pytest

from mailcore.settings import Settings
from mailcore.store.namespace import Store
from tests.integration.machine import delivered, mutt


@pytest.fixture
def store(tmp_path):
    (tmp_path / "index").mkdir()
    path = tmp_path / "inbox"
    path.write_bytes(b"".join(delivered(word) for word in ("one", "two", "three", "four", "five")))
    settings = Settings(mail_location=f"mbox:{tmp_path}/mail:INBOX={path}", index_directory=str(tmp_path / "index"))
    with Store("fred", str(tmp_path), settings) as store:
        yield store


def look(box) -> dict[str, tuple[int, set[str]]]:
    box.refresh()
    box.news()
    found = {}
    for uid in box.uids:
        header = bytes(box.header(uid))
        word = header.split(b"Subject: ")[1].split(b"\n")[0].decode()
        found[word] = uid, set(box.flags(uid)) - {"\\Recent"}
    return found


def test_mutt_changes_what_a_session_has_open(store, tmp_path):
    box = store.open("INBOX")
    validity = box.uid_validity
    assert [uid for uid, _ in look(box).values()] == [1, 2, 3, 4, 5]
    box.store([1], "+", ["\\Answered", "Work"])
    keys = "<first-entry><flag-message><first-entry><next-entry><delete-message><last-entry><set-flag>N<sync-mailbox>"
    mutt(tmp_path, str(tmp_path / "inbox"), keys + "<first-entry><next-entry><set-flag>*<quit>")
    found = look(box)
    assert {word: uid for word, (uid, _) in found.items()} == {"one": 1, "three": 3, "four": 4, "five": 5}
    assert found["one"][1] == {"\\Answered", "Work", "\\Flagged"}
    assert box.uid_validity == validity and len(box) == 4

    box.store([3], "+", ["\\Seen", "$Label1"])
    mutt(tmp_path, str(tmp_path / "inbox"), "<last-entry><delete-message><first-entry><clear-flag>*<quit>")
    box.append([incoming()])
    found = look(box)
    assert {word: uid for word, (uid, _) in found.items()} == {"one": 1, "three": 3, "four": 4, "six": 6}
    assert {"\\Seen", "$Label1"} <= found["three"][1] and "Work" in found["one"][1]
    box.close()

    mutt(tmp_path, str(tmp_path / "inbox"), "<first-entry><delete-message><quit>")
    with store.open("INBOX") as box:
        found = look(box)
        assert {word: uid for word, (uid, _) in found.items()} == {"three": 3, "four": 4, "six": 6}
        assert box.uid_validity == validity


def incoming():
    from mailcore.store.mailbox import Incoming

    return Incoming(b"Subject: six\r\nFrom: six@example.org\r\n\r\nBody of six\r\n")


def test_mutt_saves_into_a_mailbox_that_a_session_has_open(store, tmp_path):
    """Its copies come with its own Status fields; in a folder of the user they are believed, UIDs are ours."""
    store.create("saved")
    with store.open("INBOX") as inbox, store.open("saved") as saved:
        inbox.store([2], "+", ["\\Flagged", "\\Seen"])
        target = tmp_path / "mail" / "saved"
        mutt(tmp_path, str(tmp_path / "inbox"), f"<first-entry><next-entry><copy-message>{target}<enter><enter><quit>")
        found = look(saved)
        assert found["two"][0] == 1 and {"\\Flagged", "\\Seen"} <= found["two"][1]
        assert len(look(inbox)) == 5
