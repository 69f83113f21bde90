"""aioimaplib at work: what it reads, changes and hears in IDLE, with what lies in the mbox file afterwards."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest
from aioimaplib import IMAP4_SSL, extract_exists

from tests.integration.post_office import CORPUS, HOST, PASSWORD, USER, PostOffice, crlf, mail


@pytest.fixture
def talk(office: PostOffice):
    """Run a conversation of somebody who is logged in and has INBOX selected."""
    office.fill()

    async def conversation(work: Callable[[IMAP4_SSL], Awaitable[None]]) -> None:
        client = IMAP4_SSL(HOST, office.imaps, timeout=30, ssl_context=office.believing())
        await client.wait_hello_from_server()
        assert ok(await client.login(USER, PASSWORD))
        assert extract_exists(await client.select("INBOX")) == len(CORPUS)
        await work(client)
        assert ok(await client.logout())

    return lambda work: asyncio.run(conversation(work))


def ok(response) -> list[bytes]:
    assert response.result == "OK", response
    return response.lines


def test_what_it_reads(talk, office):
    async def work(client: IMAP4_SSL) -> None:
        for number, text in enumerate(CORPUS, 1):
            lines = ok(await client.fetch(str(number), "(UID FLAGS RFC822.SIZE BODY.PEEK[])"))
            assert bytes(lines[1]) == crlf(text)
            assert b"UID %d" % number in lines[0] and b"RFC822.SIZE %d" % len(crlf(text)) in lines[0]
        lines = ok(await client.uid("fetch", "1:3", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        subjects = [bytes(line).strip() for line in lines[1:9:3]]
        assert subjects == [b"Subject: plain", b"Subject: dots", b"Subject: quoted"]
        assert ok(await client.uid_search("SUBJECT", "eight"))[0] == b"4"
        assert ok(await client.search("UNSEEN", charset=None))[0] == b"1 2 3 4 5 6 7 8"
        assert ok(await client.list('""', "*"))[0].endswith(b'"/" INBOX')
        assert "MESSAGES 8" in ok(await client.status("INBOX", "(MESSAGES UNSEEN)"))[0].decode()

    talk(work)
    assert office.mails() == CORPUS


def test_what_it_changes(talk, office):
    async def work(client: IMAP4_SSL) -> None:
        ok(await client.store("1", "+FLAGS", r"(\Seen \Flagged Arbeit)"))
        ok(await client.uid("store", "2", "+FLAGS.SILENT", r"(\Answered)"))
        ok(await client.create("there"))
        ok(await client.copy("1:2", "there"))
        ok(await client.append(crlf(CORPUS[3]), "there", flags=r"\Seen", date=1700000000))
        ok(await client.uid("move", "7", "there"))
        ok(await client.uid("store", "3:4", "+FLAGS", r"(\Deleted)"))
        ok(await client.expunge())
        ok(await client.store("1", "-FLAGS", "(Arbeit)"))

    talk(work)
    assert office.mails() == [CORPUS[0], CORPUS[1], *CORPUS[4:6], CORPUS[7]]
    assert office.mails("there") == [CORPUS[0], CORPUS[1], CORPUS[3], CORPUS[6]]
    flags = office.flags()
    assert flags["plain"] >= {"R", "F"} and "Arbeit" not in flags["plain"] and "A" in flags["dots"]
    assert office.flags("there")["plain"] >= {"R", "F", "Arbeit"} and "R" in office.flags("there")["eight-bit"]


def test_idle_hears_of_a_delivery(talk, office):
    async def work(client: IMAP4_SSL) -> None:
        for count in (1, 2):
            idle = await client.idle_start(timeout=30)
            office.deliver(mail(f"new-{count}"))
            pushed = await client.wait_server_push(timeout=20)
            assert b"%d EXISTS" % (len(CORPUS) + count) in pushed, pushed
            client.idle_done()
            ok(await asyncio.wait_for(idle, 20))
        lines = ok(await client.fetch(str(len(CORPUS) + 2), "(BODY[])"))
        assert bytes(lines[1]) == crlf(mail("new-2"))

    talk(work)
    assert office.mails() == [*CORPUS, mail("new-1"), mail("new-2")] and "R" in office.flags()["new-2"]


def test_what_cannot_be_done(talk):
    async def work(client: IMAP4_SSL) -> None:
        assert (await client.copy("1", "nowhere")).result == "NO"
        assert (await client.fetch("99", "(FLAGS)")).result in ("NO", "BAD")
        assert (await client.select("nowhere")).result == "NO"
        ok(await client.select("INBOX"))
        assert client.has_capability("IDLE") and client.has_capability("MOVE") and client.has_capability("UIDPLUS")
        ok(await client.namespace())
        assert b"mailcore" in b" ".join(ok(await client.id(name="aioimaplib")))

    talk(work)


def test_a_certificate_of_somebody_else(office):
    async def work() -> None:
        client = IMAP4_SSL(HOST, office.imaps, timeout=10, ssl_context=ssl.create_default_context())
        with pytest.raises((ssl.SSLError, asyncio.TimeoutError)):
            await asyncio.wait_for(client._client_task, 10)

    asyncio.run(work())
