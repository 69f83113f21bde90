"""THREAD: what is read for it; the algorithms are tested in mailcore/message, errors in the transcript."""

from __future__ import annotations

from tests.imapd.fakebox import FakeBox, FakeSession
from tests.imapd.speaker import Speaker
from tests.playground import Ground


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


def test_threads_of_all_are_remembered(tmp_path):
    ground = Ground(tmp_path)
    mail = b"From a@b Sat Nov 21 12:00:00 2026\nMessage-ID: <%d@x>\nReferences: <%d@x>\nSubject: %d\n\nx\n\n"
    ground.place("INBOX", b"".join(mail % (number, number // 2, number) for number in range(1, 8)))
    first = Speaker(ground)
    first.say(b"SELECT INBOX")
    first.say(b"STORE 1 +FLAGS (\\Deleted)")
    asked = b"THREAD REFERENCES UTF-8 ALL", b"UID THREAD REFERENCES UTF-8 ALL", b"THREAD REFERENCES UTF-8 NOT 2"
    threads = [first.say(line)[0] for line in asked]
    assert threads[0] == b"* THREAD (1 (2 (4)(5))(3 (6)(7)))"
    second = Speaker(ground)
    second.say(b"SELECT INBOX")
    assert [second.say(line)[0] for line in asked] == threads
    first.say(b"EXPUNGE")
    second.say(b"NOOP")
    assert second.say(b"UID THREAD REFERENCES UTF-8 ALL")[0] == b"* THREAD ((2 (4)(5))(3 (6)(7)))"
    assert second.say(b"THREAD REFERENCES UTF-8 ALL")[0] == b"* THREAD ((1 (3)(4))(2 (5)(6)))"
