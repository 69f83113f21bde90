"""Real delivery agents and real sessions on one mailbox: what was sent is what was received.

What lives here: Postfix's local(8), procmail, Dovecot's dovecot-lda and maildrop (agents.py) deliver
at the same time, each two or more mails at once, while IMAP and POP3 sessions on pipes read, flag and
expunge.  Each mail can be made again from its number: every session looks whether what it reads is
just that.  At the end each is in the mailbox, or was read by who removed it; none is there twice, no
flag is lost, and what one agent delivered one after another is in that order.  Needs root.

The agents wait for their locks by the second, so most of one mailbox's time is sleep: four such
mailboxes are filled at once, each by all agents, with 8 IMAP and 2 POP3 sessions of its own.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from functools import lru_cache, partial
from pathlib import Path
from random import Random

from benchmarks.reliability import Count, named
from benchmarks.reliability.agents import Deliver, Post
from benchmarks.reliability.clients import Died, Imap, Pop3
from tests.playground import Ground, tree

MAILS = 2_500  # by each agent
MAILBOXES = 4  # that share them
IMAP_SESSIONS, POP3_SESSIONS = 8, 2  # on each
AT_ONCE = 2  # deliveries of each agent on each mailbox; Postfix has its own number (agents.py)
PAUSE_SECONDS = 2.0  # of a session at most, between its turns
PATIENCE_SECONDS = 120  # for the last mails to come out of Postfix's queue
USER = "mctest_post"
_TOKEN = re.compile(rb"X-Token: (\S+)")
_UID = re.compile(rb"\* \d+ FETCH \(UID (\d+) (?:FLAGS \(([^)]*)\) )?BODY\[\] \{(\d+)\}\r\n")


class Ledger:
    """What all sessions and agents of a mailbox know together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sent: set[bytes] = set()
        self.removed: set[bytes] = set()  # read, and then removed with the server's OK
        self.maybe: set[bytes] = set()  # read, and asked to be removed
        self.by_uid: dict[int, bytes] = {}
        self.flags: dict[int, set[bytes]] = {}  # stored with the server's OK
        self.wrong: list[str] = []
        self.over = threading.Event()
        self.commands = 0

    def seen(self, uid: int, text: bytes) -> bytes:
        """The token of a message that a session read."""
        token = read(text)
        with self.lock:
            if not token:
                self.wrong.append(f"UID {uid} is no mail that was sent: {text[-300:]!r}")
            elif self.by_uid.setdefault(uid, token) != token:
                self.wrong.append(f"UID {uid} is {token!r}, was {self.by_uid[uid]!r}")
        return token


@lru_cache(1000)
def body(token: str) -> str:
    random = Random(token)
    lines = (f"{random.getrandbits(60)} a line of {token}\n" for _ in range(random.choice((2, 10, 60))))
    return "".join(lines) + "\nFrom here on nothing\n"


def mail(token: str) -> bytes:
    head = f"From: a@example.org\nTo: b@example.org\nSubject: {token}\nX-Token: {token}\n"
    head += f"Date: Sat, 21 Nov 2026 08:00:00 +0000\nMessage-ID: <{token}@example.org>\n"
    return f"{head}\n{body(token)}".encode()


def read(text: bytes) -> bytes:
    """The token of a mail if it is whole and nothing else is in it, or b""."""
    head, _, rest = text.replace(b"\r\n", b"\n").partition(b"\n\n")
    tokens = _TOKEN.findall(head)
    rest = rest.replace(b"\n>From here", b"\nFrom here").rstrip(b"\n")
    if len(tokens) == 1 and rest == body(tokens[0].decode()).encode().rstrip(b"\n"):
        return bytes(tokens[0])
    return b""


def deliver_all(ledger: Ledger, name: str, deliver: Deliver, numbers: range) -> None:
    for number in numbers:
        token = f"{name}-{number}"
        for _ in range(50):
            if deliver(mail(token)) == 0:
                ledger.sent.add(token.encode())
                break
            time.sleep(0.2)  # a temporary failure: the agent says that it did not deliver


def messages(server: Imap, uids: bytes) -> list[tuple[int, set[bytes], bytes]]:
    """UID, flags and text of each."""
    _, said = server.say(b"UID FETCH " + uids + b" (UID FLAGS BODY.PEEK[])")
    found, place = [], 0
    while match := _UID.search(said, place):
        place = match.end() + int(match.group(3))
        found.append((int(match.group(1)), set((match.group(2) or b"").split()), said[match.end() : place]))
    return found


def read_and_expunge(ledger: Ledger, ground: Ground, random: Random) -> None:
    """An IMAP session."""
    known: dict[int, bytes] = {}
    server = None
    try:
        server = Imap(ground)
        server.say(b"SELECT INBOX")
        while not ledger.over.is_set():
            for uid, _, text in messages(server, b"%d:*" % (max(known, default=0) + 1)):
                known[uid] = ledger.seen(uid, text)
            ledger.commands += 1
            mine = random.sample(sorted(known), min(len(known), random.randint(0, 12)))
            if mine:
                one_turn(ledger, server, random, mine)
                for uid in mine:
                    if known[uid] in ledger.removed:
                        del known[uid]
            time.sleep(random.random() * PAUSE_SECONDS)
    except Died:
        ledger.wrong.append("a session ended")
    except Exception as error:
        ledger.wrong.append(named(error))
    finally:
        if server is not None:
            server.kill()


def one_turn(ledger: Ledger, server: Imap, random: Random, mine: list[int]) -> None:
    """Flag these messages, and expunge some of them."""
    flag = random.choice((b"\\Seen", b"\\Flagged", b"$Work"))
    if server.say(b"UID STORE %b +FLAGS (%b)" % (numbers(mine), flag))[0] == b"OK":
        with ledger.lock:
            for uid in mine:
                ledger.flags.setdefault(uid, set()).add(flag)
    gone = mine[: random.randint(0, len(mine))]
    if not gone:
        return
    tokens = {ledger.by_uid[uid] for uid in gone}
    with ledger.lock:
        ledger.maybe |= tokens
    if server.say(b"UID STORE %b +FLAGS.SILENT (\\Deleted)" % numbers(gone))[0] != b"OK":
        ledger.wrong.append("STORE failed")
    elif server.say(random.choice((b"EXPUNGE", b"UID EXPUNGE " + numbers(gone))))[0] == b"OK":
        ledger.removed |= tokens
    ledger.commands += 3


def numbers(uids: list[int]) -> bytes:
    return b",".join(b"%d" % uid for uid in uids)


def download(ledger: Ledger, ground: Ground, random: Random) -> None:
    """POP3 sessions, one after another: read some, remove what was read."""
    while not ledger.over.is_set():
        session = None
        try:
            session = Pop3(ground)
            count = int(session.say(b"STAT").split()[1]) if session.greeting.startswith(b"+OK") else 0
            mine = set()
            for number in random.sample(range(1, count + 1), min(count, random.randint(0, 20))):
                text = session.say(b"RETR %d" % number, True)
                if not text.startswith(b"+OK"):
                    continue  # an IMAP session expunged it
                token = read(text.partition(b"\r\n")[2].removesuffix(b".\r\n"))
                if not token:
                    ledger.wrong.append(f"RETR gives {text[-300:]!r}")
                elif session.say(b"DELE %d" % number).startswith(b"+OK"):
                    mine.add(token)
            with ledger.lock:
                ledger.maybe |= mine
            time.sleep(random.random() * PAUSE_SECONDS)
            if session.say(b"QUIT").startswith(b"+OK"):
                ledger.removed |= mine
            ledger.commands += 2 * len(mine) + 2
        except (Died, OSError) as error:
            ledger.wrong.append(f"POP3: {named(error)}")
        finally:
            if session is not None:
                session.end()
        time.sleep(random.random() * PAUSE_SECONDS)


def judge(ledger: Ledger, ground: Ground) -> None:
    """At the end: the file, and what a session finds in it."""
    there = Counter(_TOKEN.findall(ground.inbox.read_bytes()))
    twice = [token for token, number in there.items() if number > 1]
    lost = ledger.sent - set(there) - ledger.maybe
    back = ledger.removed & set(there)
    for words, tokens in (("twice", twice), ("lost", lost), ("removed and there", back)):
        if tokens:
            ledger.wrong.append(f"{len(tokens)} mails {words}: {sorted(tokens)[:5]}")
    server = Imap(ground)
    server.say(b"SELECT INBOX")
    found = messages(server, b"1:*")
    server.kill()
    if {ledger.seen(uid, text) for uid, _, text in found} != set(there):
        ledger.wrong.append("the file holds other mails than IMAP shows")
    for uid, flags, _ in found:
        if not ledger.flags.get(uid, set()) <= flags:
            ledger.wrong.append(f"UID {uid} lost flags: {ledger.flags[uid]} are {flags}")
    ledger.wrong += disorder(ledger)


def disorder(ledger: Ledger) -> list[str]:
    """What was delivered one after another must have ascending UIDs; Postfix's queue has no order."""
    latest: dict[tuple[bytes, int], int] = {}
    wrong = []
    for uid in sorted(ledger.by_uid):
        name, _, number = ledger.by_uid[uid].rpartition(b"-")
        line = name, int(number) % AT_ONCE
        if name != b"postfix" and int(number) < latest.get(line, -1):
            wrong.append(f"{ledger.by_uid[uid]!r} came after {latest[line]}")
        latest[line] = int(number)
    return wrong


def play_mailbox(number: int, mails: int) -> Count:
    """`mails` of each agent into the mailbox of one user."""
    count = Count("mails")
    place = Path(tempfile.mkdtemp(prefix="mailcore-reliability-"))
    ledger = Ledger()
    post = Post(place, f"{USER}{number}")
    try:
        sessions = [(read_and_expunge, n) for n in range(IMAP_SESSIONS)] + [(download, n) for n in range(POP3_SESSIONS)]
        readers = [threading.Thread(target=work, args=(ledger, post.ground, Random(n))) for work, n in sessions]
        senders = [
            threading.Thread(target=deliver_all, args=(ledger, name, deliver, range(first, mails, AT_ONCE)))
            for name, deliver in post.agents.items() for first in range(AT_ONCE)
        ]  # fmt: skip
        for thread in readers + senders:
            thread.start()
        for thread in senders:
            thread.join()
        until = time.monotonic() + PATIENCE_SECONDS
        while post.queued() and time.monotonic() < until:
            time.sleep(0.5)
        ledger.over.set()
        for thread in readers:
            thread.join()
        judge(ledger, post.ground)
        if len(ledger.sent) != mails * len(post.agents):
            ledger.wrong.append(f"only {len(ledger.sent)} mails could be sent")
        if mails >= 100 and len(ledger.removed) < len(ledger.sent) / 4:
            ledger.wrong.append(f"only {len(ledger.removed)} were expunged meanwhile")
        count.tried = len(ledger.sent)
        count.wrong = [f"mailbox {number}: {wrong}" for wrong in ledger.wrong]
        count.notes = {"agents": len(post.agents), "mailboxes": 1, "removed": len(ledger.removed),
                       "commands": ledger.commands, "still queued": post.queued()}  # fmt: skip
    finally:
        ledger.over.set()
        post.end()
        shutil.rmtree(place, ignore_errors=True)
    return count


def run(share: float = 1.0) -> Count:
    from benchmarks.reliability.table import together
    from tests.integration.machine import User

    mailboxes = MAILBOXES if share >= 0.04 else 1
    mails = max(5, round(MAILS * share / mailboxes))
    tree()  # before there are threads that want it
    users = [User(f"{USER}{number}") for number in range(mailboxes)]
    what = "mails by Postfix, procmail, dovecot-lda and maildrop while 8 IMAP and 2 POP3 sessions flag and expunge"
    try:
        return together(partial(play_mailbox, mails=mails), range(mailboxes), what, processes=mailboxes)
    finally:
        for user in users:
            user.remove()
