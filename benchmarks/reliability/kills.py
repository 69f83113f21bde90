"""Live servers are killed (SIGKILL) under load, over and over, on the same two mailboxes.

What lives here: clients that append, flag, copy, move and expunge their own messages through a real
imapd on a pipe, two at a time; a hand that kills one or both at a random moment; and what the next
server must then find.  What was answered with OK is so; what was not is so or is not, whole.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path
from random import Random

from benchmarks.reliability import Count, named
from benchmarks.reliability.clients import Died, Imap
from tests.mailcore.store.faults import memory
from tests.playground import Ground

KILLS = 1_000
PER_SEED = 10
MOST_TURNS = 6  # before a kill; then
SHORT_SECONDS = 0.02  # at any time of these, or
LONGEST_SECONDS = 0.25  # as long as it takes to see a journal
PATIENCE_SECONDS = 20
_SUBJECT = re.compile(rb"Subject: (t\d+)")

# of a message in a mailbox: it is there, it is not, nobody was told
THERE, GONE, OPEN = "there", "gone", "open"


class Client:
    """One server, and what it owes: `box[token]` for both mailboxes, `flagged` tokens."""

    def __init__(self, ground: Ground, number: int, random: Random) -> None:
        self.server = Imap(ground)
        self.number, self.random = number, random
        self.made = self.turns = 0
        self.ended = False
        self.inbox: dict[str, str] = {}
        self.other: dict[str, str] = {}
        self.flagged: set[str] = set()
        self.uids: dict[str, int] = {}  # of those in INBOX
        self.wrong = ""

    def work(self) -> None:
        """Until the server dies."""
        try:
            self.server.say(b"SELECT INBOX")
            while True:
                self.random.choice((self.append, self.append, self.flag, self.copy, self.move, self.expunge))()
                self.turns += 1
        except Died:
            pass
        except Exception as error:
            self.wrong = named(error)
        self.ended = True

    def _told(self, words: bytes) -> bytes:
        status, said = self.server.say(words)
        if status != b"OK":
            raise AssertionError(f"{words[:60]!r} is {status!r}")
        return said

    def append(self) -> None:
        self.made += 1
        token = f"t{self.number}{self.made:03}"
        text = f"Subject: {token}\r\n\r\n" + "body of a mail\r\n" * self.random.choice((1, 10, 300))
        self.inbox[token] = OPEN
        self._told(b"APPEND INBOX {%d+}\r\n%b" % (len(text), text.encode()))
        self.inbox[token] = THERE
        found = self._told(b"UID SEARCH SUBJECT " + token.encode())
        hits = re.findall(rb"(?m)^\* SEARCH (\d+)\r$", found)
        if len(hits) != 1:
            raise AssertionError(f"{token} is found {len(hits)} times")
        self.uids[token] = int(hits[0])

    def _mine(self) -> str:
        here = [token for token in self.uids if self.inbox[token] == THERE]
        return self.random.choice(here) if here else ""

    def flag(self) -> None:
        if token := self._mine():
            self._told(b"UID STORE %d +FLAGS (\\Flagged $Work)" % self.uids[token])
            self.flagged.add(token)

    def copy(self) -> None:
        if (token := self._mine()) and token not in self.other:
            self.other[token] = OPEN
            self._told(b"UID COPY %d other" % self.uids[token])
            self.other[token] = THERE

    def move(self) -> None:
        if (token := self._mine()) and token not in self.other:
            self.inbox[token] = self.other[token] = OPEN
            self._told(b"UID MOVE %d other" % self.uids[token])
            self.inbox[token], self.other[token] = GONE, THERE

    def expunge(self) -> None:
        if token := self._mine():
            self.inbox[token] = OPEN
            self._told(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % self.uids[token])
            self._told(b"UID EXPUNGE %d" % self.uids[token])
            self.inbox[token] = GONE


def found(ground: Ground) -> list[dict[str, list[bytes]]]:
    """What a new server finds in both mailboxes: what it says of each message, by token."""
    server = Imap(ground)
    try:
        return [_messages(server, name) for name in (b"INBOX", b"other")]
    finally:
        server.kill()


def _messages(server: Imap, name: bytes) -> dict[str, list[bytes]]:
    server.say(b"SELECT " + name)
    _, said = server.say(b"FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT])")
    there: dict[str, list[bytes]] = {}
    for part in re.split(rb"(?m)^(?=\* \d+ FETCH )", said):
        if subject := _SUBJECT.search(part):
            there.setdefault(subject.group(1).decode(), []).append(part)
    return there


def fault(client: Client, inbox: dict[str, list[bytes]], other: dict[str, list[bytes]]) -> str:
    """What is owed and not there."""
    if client.wrong:
        return client.wrong
    for owed, there in ((client.inbox, inbox), (client.other, other)):
        for token, state in owed.items():
            parts = there.get(token, [])
            if len(parts) > 1:
                return f"{token} is there {len(parts)} times"
            if state in (THERE, GONE) and len(parts) != (state == THERE):
                return f"{token} should be {state}"
            for part in parts:
                if (part.count(b"body of a mail\r\n")) not in (1, 10, 300):
                    return f"{token} is torn"
    for token in client.flagged:
        for part in inbox.get(token, []):
            if b"\\Flagged" not in part.split(b"\n", 1)[0] or b"$Work" not in part.split(b"\n", 1)[0]:
                return f"{token} lost its flags"
    for token, state in client.inbox.items():
        if state == OPEN and client.other.get(token) == OPEN and token not in inbox and token not in other:
            return f"{token} was lost by MOVE"
    return ""


def moment(client: Client, ground: Ground, random: Random) -> None:
    """When to kill: after some commands, at any time, or, every other time, when a change has its journal."""
    turns = random.randint(0, MOST_TURNS)
    until = time.monotonic() + PATIENCE_SECONDS
    while client.turns < turns and not client.ended and time.monotonic() < until:
        time.sleep(0.002)
    watching = random.random() < 0.5
    until = time.monotonic() + (LONGEST_SECONDS if watching else random.random() * SHORT_SECONDS)
    while time.monotonic() < until:
        if watching and any(name.endswith(".journal") for name in os.listdir(ground.index)):
            return
        time.sleep(0)


def one_round(ground: Ground, random: Random, first: int, half: Count) -> tuple[int, list[str]]:
    """Two clients at work, one killed while the other goes on, then that one."""
    clients = [Client(ground, first + number, random) for number in range(2)]
    threads = [threading.Thread(target=client.work) for client in clients]
    for thread in threads:
        thread.start()
    for client in clients:
        moment(client, ground, random)
        client.server.process.kill()
    for thread, client in zip(threads, clients, strict=True):
        thread.join()
        client.server.end()
    half.notes = {"interrupted changes": len(list(ground.index.glob("*.journal"))),
                  "turns": sum(client.turns for client in clients)}  # fmt: skip
    try:
        inbox, other = found(ground)
    except Died as error:
        return len(clients), [f"the next server died: {error}"]
    return len(clients), [wrong for client in clients if (wrong := fault(client, inbox, other))]


def play_seed(seed: int, kills: int = PER_SEED) -> Count:
    count = Count("kill -9 of a live imapd")
    random = Random(seed)
    # in memory more commands are done before the kill, on a disk more of them are in the middle of a change
    path = Path(tempfile.mkdtemp(prefix="mailcore-reliability-", dir=memory() if seed % 2 else None))
    try:
        ground = Ground(path)
        ground.more = {"flags_at_once": "0"} if seed % 2 else {}
        ground.place("INBOX", b"")
        ground.place("other", b"")
        ground.hand_over()
        while count.tried < kills:
            half = Count("changes that were interrupted")
            killed, wrong = one_round(ground, random, count.tried + 10, half)
            count.tried += killed
            count.add(half)
            count.wrong += [f"seed {seed} after {count.tried} kills: {what}" for what in wrong]
    finally:
        shutil.rmtree(path)
    return count


def run(share: float = 1.0) -> Count:
    from benchmarks.reliability.table import together

    seeds = range(max(2, round(KILLS * share / PER_SEED)))
    # most of it is waiting until a lock file of the dead is two seconds old
    return together(play_seed, seeds, "kill -9 of a live imapd under load", processes=16)
