"""What is measured: each scenario drives one server once and notes its figures in a Record."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from benchmarks import spool
from benchmarks.client import Client, Imap, Meter, Pop
from benchmarks.servers import HOST, USER, Server, own

SESSIONS = 40
AT_ONCE = 8
DELIVERIES = 40
APPENDS = 200
KEPT_SECONDS = 65  # session_keep_seconds and a keykeeper that nobody wants, as installed
MESSAGE = b"From: a@example.org\r\nSubject: one more\r\n\r\n" + b"A line of text, as people write them.\r\n" * 16
DELIVERED = b"From a@example.org Sat Nov 21 12:00:00 2026\n" + MESSAGE.replace(b"\r\n", b"\n") + b"\n"
FETCHES = {
    "flags": "FLAGS UID INTERNALDATE RFC822.SIZE",
    "envelope": "ENVELOPE",
    "structure": "BODYSTRUCTURE",
    "fields": "BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]",
    "part": "BODY.PEEK[1]",
    "start": "BODY.PEEK[TEXT]<0.2048>",
}
SEARCHES = {
    "subject": f'SEARCH SUBJECT "{spool.SUBJECT_WORD}"',
    "text": f'SEARCH TEXT "{spool.TEXT_WORD}"',
    "from": 'SEARCH FROM "smith"',
    "mailer": 'SEARCH HEADER X-Mailer "mutt"',
    "sent": "SEARCH SENTSINCE 1-Jan-2020",
    "unseen": "SEARCH SINCE 1-Jan-2020 UNSEEN",
    "sort": "SORT (REVERSE DATE) UTF-8 ALL",
    "subjects": "SORT (SUBJECT) UTF-8 ALL",
    "thread": "THREAD REFERENCES UTF-8 ALL",
}


class Record:
    """Figures of one server by name: wall and CPU seconds, or numbers of another kind."""

    def __init__(self) -> None:
        self.figures: dict[str, list[float]] = {}

    def note(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def meter(self, name: str, meter: Meter) -> None:
        self.note(f"{name} wall", meter.wall)
        self.note(f"{name} cpu", meter.cpu)


class Ground:
    """A server, the originals of the mailboxes, and where to note."""

    def __init__(self, server: Server, boxes: Path, facts: dict[str, spool.Facts], record: Record) -> None:
        self.server, self.boxes, self.facts, self.record = server, boxes, facts, record

    def fill(self, size: str) -> None:
        self.server.fill(self.boxes, size)

    def time(self, name: str, work: Callable[[], object], share: int = 1) -> None:
        with Meter(self.server, share) as meter:
            work()
        self.record.meter(name, meter)


def session(server: Server, protocol: str = "imap", select: str = "SELECT") -> None:
    imap = Imap(server, protocol).login()
    imap.ask(f"{select} INBOX")
    imap.leave()


def sessions(ground: Ground, size: str) -> None:
    """Whole sessions one after the other, and eight at once."""
    ground.fill("T")
    for protocol in ("imap", "imaps"):
        if protocol in ground.server.ports:
            for _ in range(3):
                session(ground.server, protocol)
            ground.time(f"session {protocol}", lambda p=protocol: _row(ground.server, p), SESSIONS)
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        for done in [crowd.submit(_row, ground.server, "imap", "EXAMINE") for _ in range(AT_ONCE)]:
            done.result()  # a session that failed makes the figure worthless
    ground.record.note("rate", SESSIONS * AT_ONCE / (time.perf_counter() - started))


def _row(server: Server, protocol: str, select: str = "SELECT") -> None:
    for _ in range(SESSIONS):
        session(server, protocol, select)


def selects(ground: Ground, size: str) -> None:
    """SELECT of a mailbox never seen, seen, and after a delivery; the LOGOUT after that."""
    ground.fill(size)
    for name in ("never", "again", "delivered"):
        if name == "delivered":
            ground.server.deliver(DELIVERED)
        imap = Imap(ground.server).login()
        ground.time(f"select {name} {size}", lambda imap=imap: imap.ask("SELECT INBOX"))
        ground.time(f"logout {name} {size}", lambda imap=imap: ended(imap))


def ended(imap: Imap) -> None:
    """LOGOUT, and whatever the server does after it: no part of what comes next."""
    imap.leave()
    time.sleep(0.3)


def fetches(ground: Ground, size: str) -> None:
    """Of all messages: what clients ask for, the first time ever and in a new session; then the messages."""
    ground.fill(size)
    for name in ("first", "new"):
        imap = Imap(ground.server).login()
        imap.ask("SELECT INBOX")
        for what, items in FETCHES.items():
            ground.time(f"{what} {name}", lambda imap=imap, items=items: imap.ask(f"FETCH 1:* ({items})"))
        if name == "new":
            before, started = imap.octets, time.perf_counter()
            imap.ask("FETCH 1:* BODY.PEEK[]")
            ground.record.note("bodies", (imap.octets - before) / (time.perf_counter() - started) / 1e6)
        imap.leave()


def searches(ground: Ground, size: str) -> None:
    """The first time, and repeated in a new session; what is found is checked."""
    facts = ground.facts[size]
    expected = {"subject": facts.subjects, "text": facts.texts, "sort": facts.messages}
    ground.fill(size)
    for name in ("first", "repeated"):
        imap = Imap(ground.server).login()
        imap.ask("SELECT INBOX")
        for what, command in SEARCHES.items():
            answer: list[bytes] = []
            ground.time(f"{what} {name}", lambda imap=imap, c=command, a=answer: a.append(imap.ask(c)))
            if what in expected:
                found = next(line for line in answer[0].split(b"\r\n") if line.startswith((b"* SEARCH", b"* SORT")))
                if len(found.split()) - 2 != expected[what]:
                    raise SystemExit(f"{ground.server.name}: {command} found {len(found.split()) - 2}")
        imap.leave()


TEXT_NEEDLES = {"rare": spool.TEXT_WORD, "absent": "no such words", "common": "people"}


def indexed(ground: Ground, size: str) -> None:
    """SEARCH TEXT where there is a text index: the search that fills it, then others in a new session."""
    ground.fill(size)
    session(ground.server)
    imap = Imap(ground.server).login()
    imap.ask("SELECT INBOX")
    ground.time(f"without common {size}", lambda: imap.ask(f'SEARCH TEXT "{TEXT_NEEDLES["common"]}"'))
    imap.leave()
    text = ground.server.place / "index" / USER / "text.db"
    text.touch()
    own(text)
    imap = Imap(ground.server).login()
    imap.ask("SELECT INBOX")
    ground.time(f"learned {size}", lambda: imap.ask("SEARCH TEXT xyzzyx"))
    imap.leave()
    ground.record.note(f"text index {size}", text.stat().st_size / ground.server.inbox.stat().st_size)
    imap = Imap(ground.server).login()
    imap.ask("SELECT INBOX")
    for name, needle in TEXT_NEEDLES.items():
        answer: list[bytes] = []
        ground.time(f"{name} {size}", lambda n=needle, a=answer: a.append(imap.ask(f'SEARCH TEXT "{n}"')))
        found = next(line for line in answer[0].split(b"\r\n") if line.startswith(b"* SEARCH"))
        if name != "common" and len(found.split()) - 2 != (ground.facts[size].texts if name == "rare" else 0):
            raise SystemExit(f"{needle}: {len(found.split()) - 2} found")
    imap.leave()


def changes(ground: Ground, size: str) -> None:
    """Flags, their way to the disk, an expunge in the middle, APPEND and COPY."""
    ground.fill(size)
    session(ground.server)
    count = ground.facts[size].messages
    imap = Imap(ground.server).login()
    imap.ask("SELECT INBOX")
    ground.time("store", lambda: imap.ask(r"STORE 1:* +FLAGS (\Seen)"))
    ground.time("check", lambda: (imap.ask("CHECK"), imap.leave()))
    other = Imap(ground.server).login()
    other.ask("SELECT INBOX")
    other.ask(rf"STORE {count // 2} +FLAGS (\Deleted)")
    ground.time("expunge", lambda: other.ask("EXPUNGE"))
    other.ask("CREATE filed")
    ground.time("append", lambda: [other.ask("APPEND filed", MESSAGE) for _ in range(APPENDS)], APPENDS)
    ground.time("copy", lambda: other.ask(f"COPY 1:{min(1000, count // 2)} filed"))
    other.leave()


def pops(ground: Ground, size: str) -> None:
    """RETR of everything, pipelined; of 1000 one by one, as a plain client does."""
    ground.fill(size)
    Pop(ground.server).login().leave()
    pop = Pop(ground.server).login()
    count = ground.facts[size].messages
    started = time.perf_counter()
    for first in range(1, count + 1, 16):
        pop.lines([f"RETR {number}" for number in range(first, min(first + 16, count + 1))])
    ground.record.note("retr", pop.octets / (time.perf_counter() - started) / 1e6)
    pop.leave()
    ground.fill("S")
    Pop(ground.server).login().leave()
    pop = Pop(ground.server).login()
    ground.time("retr plain", lambda: [pop.lines([f"RETR {number}"]) for number in range(1, 1001)])
    pop.leave()


def waits(ground: Ground, size: str) -> None:
    """IDLE: from the end of a delivery to the EXISTS."""
    ground.fill("S")
    session(ground.server)
    imap = Imap(ground.server).login()
    imap.ask("SELECT INBOX")
    imap.sock.sendall(b"i IDLE\r\n")
    imap.line()
    for _ in range(DELIVERIES):
        time.sleep(0.05)
        ground.server.deliver(DELIVERED)
        started = time.perf_counter()
        while b"EXISTS" not in imap.line():
            pass
        ground.record.note("idle", time.perf_counter() - started)
    imap.sock.sendall(b"DONE\r\n")
    imap.until(b"i")
    imap.leave()


def memory(ground: Ground, size: str) -> None:
    """Proportional set size of a session with a large mailbox open, and of clients that have not logged in."""
    ground.fill(size)
    session(ground.server)
    before = ground.server.group.pss_octets()
    open_ones = [Imap(ground.server).login() for _ in range(8)]
    for imap in open_ones:
        imap.ask("SELECT INBOX")
        imap.ask("FETCH 1:* (FLAGS)")
    ground.record.note("pss session", (ground.server.group.pss_octets() - before) / 8 / 1e6)
    for imap in open_ones:
        imap.leave()
    time.sleep(KEPT_SECONDS)  # what waits for users to come back is theirs
    strangers = [Client(ground.server, "imap") for _ in range(100)]
    time.sleep(0.2)
    ground.record.note("pss strangers", ground.server.group.pss_octets() / 1e6)
    for one in strangers:
        one.sock.close()
    time.sleep(1)


def greetings(ground: Ground, size: str) -> None:
    """From the connection to the greeting; the client leaves then."""

    def call() -> None:
        for _ in range(SESSIONS):
            with socket.create_connection((HOST, ground.server.ports["imap"])) as sock:
                sock.recv(1000)
                sock.shutdown(socket.SHUT_WR)
                with suppress(OSError):
                    while sock.recv(1000):
                        pass

    call()
    ground.time("greeting", call, SESSIONS)


# name: (scenario, who takes part)
ALL: dict[str, tuple[Callable[[Ground, str], None], tuple[str, ...]]] = {
    "sessions": (sessions, ("ours", "ours tuned", "dovecot", "tuned", "cold")),
    "greetings": (greetings, ("ours", "dovecot", "tuned", "cold")),
    "selects": (selects, ("ours", "dovecot")),
    "fetches": (fetches, ("ours", "dovecot", "maildir")),
    "searches": (searches, ("ours", "dovecot")),
    "indexed": (indexed, ("ours",)),
    "changes": (changes, ("ours", "dovecot")),
    "pops": (pops, ("ours", "dovecot")),
    "waits": (waits, ("ours", "dovecot")),
    "memory": (memory, ("ours",)),
}
