"""THREAD: what is read for it; the algorithms are tested in mailcore/message, errors in the transcript."""

from __future__ import annotations

from tests.imapd.fakebox import FakeBox, FakeSession


def session() -> FakeSession:
    return FakeSession(
        FakeBox(
            b"Message-ID: <a@x>\nSubject: one\n\n",
            b"Message-ID: <b@x>\nIn-Reply-To: <a@x>\nSubject: two\n\n",
            b"Message-ID: <c@x>\nReferences: <a@x>\n <b@x>\nSubject: three\n\n",
            b"Subject: Re: one\n\n",
        )
    )


def test_threads_of_what_was_found():
    here = session()
    assert here.say(b"THREAD REFERENCES UTF-8 ALL")[0] == b"* THREAD (1 (2 3)(4))"
    assert here.say(b"THREAD REFERENCES UTF-8 NOT 2")[0] == b"* THREAD (1 (3)(4))"
    assert here.say(b"THREAD REFS UTF-8 NOT 1")[0] == b"* THREAD (2 3)(4)"
    assert here.box.headers_read == [1, 2, 3, 4, 1, 3, 4, 2, 3, 4]
    assert here.box.texts_read == []


def test_numbers_and_uids():
    here = session()
    here.box.vanish(1)
    here.box.news()
    assert here.say(b"THREAD REFERENCES UTF-8 ALL")[0] == b"* THREAD (1 2)(3)"
    assert here.say(b"UID THREAD REFERENCES UTF-8 ALL")[0] == b"* THREAD (2 3)(4)"


def test_who_is_gone_is_left_out():
    here = session()
    here.box.vanish(2)
    assert here.say(b"THREAD REFS UTF-8 ALL")[0] == b"* THREAD (1 3)(4)"
