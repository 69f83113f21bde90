"""Several IMAP sessions on one mailbox, each believing only what it was told (RFC 3501 §5.2, §7.4.1, RFC 2180).

What lives here: random commands, and for each session the view that a client would have.  A UID
means the same octets for every session and for ever; a sequence number means the message that
the client thinks it means; no EXPUNGE comes while numbers are in use; EXISTS never shrinks.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from random import Random

from benchmarks.reliability import Count, named
from tests.imapd.speaker import Speaker
from tests.mailcore.store.faults import memory
from tests.playground import Ground

COMMANDS = 100_000
PER_SEED = 1_000
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Answered", b"$Work", b"Junk", b"\\Deleted", b"\\Deleted")
NUMBERED = (b"FETCH", b"STORE", b"SEARCH")  # no EXPUNGE in their answers
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_UID = re.compile(rb"UID (\d+)")


class Wrong(Exception):
    """The server said something that cannot be."""


class World:
    """What is true of each mailbox: octets by UID, from the first time they are seen."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.texts: dict[bytes, dict[int, bytes]] = {b"INBOX": {}, b"other": {}}
        self.made = 0

    def mail(self, random: Random) -> bytes:
        self.made += 1
        body = "".join(f"{self.made} {random.getrandbits(50)}\n" for _ in range(random.randint(1, 20)))
        return f"From x@example.net Sat Nov 14 08:00:00 2026\nSubject: m{self.made}\n\n{body}\n".encode()

    def deliver(self, random: Random) -> None:
        with open(self.ground.inbox, "ab") as file:
            file.write(self.mail(random))

    def seen(self, box: bytes, uid: int, text: bytes) -> None:
        if self.texts[box].setdefault(uid, text) != text:
            raise Wrong(f"UID {uid} of {box!r} has other octets")


class Client(Speaker):
    """One client: its conversation, and its view."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.view: list[int] = []  # UID of each number, 0: not known yet
        self.box = b""
        super().__init__(world.ground)

    def told(self, line: bytes) -> bytes:
        """Say it and believe the answer; the status word comes back."""
        verb = line.split()[0].upper()
        answer = self.hear(b"t " + line + b"\r\n")
        last = b""
        for response in responses(answer):
            if response.startswith(b"t "):
                last = response.split()[1]
            else:
                self.believe(response, verb)
        if not last:
            raise Wrong(f"no answer to {line!r}: {answer[-200:]!r}")
        if last == b"BAD":
            raise Wrong(f"{line!r} is BAD: {answer[-200:]!r}")
        return last

    def select(self, name: bytes) -> None:
        self.view, self.box = [], name
        self.told(b"SELECT " + name)

    def believe(self, response: bytes, verb: bytes) -> None:
        words = response.split(None, 3)
        kind = words[2].strip().upper() if len(words) > 2 else b""
        if kind == b"EXISTS":
            count = int(words[1])
            if count < len(self.view):
                raise Wrong(f"EXISTS {count} of {len(self.view)}")
            self.view += [0] * (count - len(self.view))
        elif kind == b"EXPUNGE":
            if verb in NUMBERED:
                raise Wrong(f"EXPUNGE while {verb!r} goes on")
            if not 1 <= int(words[1]) <= len(self.view):
                raise Wrong(f"EXPUNGE {words[1]!r} of {len(self.view)}")
            del self.view[int(words[1]) - 1]
        elif kind == b"FETCH":
            self.fetched(int(words[1]), words[3])
        elif words[1].upper() == b"SEARCH" and verb == b"SEARCH":
            for number in map(int, response.split()[2:]):
                if not 1 <= number <= len(self.view):
                    raise Wrong(f"SEARCH says {number} of {len(self.view)}")

    def fetched(self, number: int, data: bytes) -> None:
        if not 1 <= number <= len(self.view):
            raise Wrong(f"FETCH {number} of {len(self.view)}")
        literal = _LITERAL.search(data)
        uid = _UID.search(data[: literal.start()] if literal else data)
        if uid is None:
            return
        value = int(uid.group(1))
        known = self.view[number - 1]
        if known and known != value:
            raise Wrong(f"number {number} is UID {value}, was {known}")
        self.view[number - 1] = value
        told = [uid for uid in self.view if uid]
        if told != sorted(set(told)):
            raise Wrong("UIDs do not ascend")
        if literal:
            self.world.seen(self.box, value, data[literal.end() : literal.end() + int(literal.group(1))])


def responses(data: bytes) -> list[bytes]:
    """An answer cut into responses, literals with them."""
    found, start, place = [], 0, 0
    while place < len(data):
        end = data.index(b"\r\n", place) + 2
        literal = _LITERAL.search(data[place:end])
        if literal and literal.end() == end - place:
            place = end + int(literal.group(1))
            continue
        found.append(data[start:end])
        start = place = end
    return found


def numbers(session: Client, random: Random) -> bytes:
    count = len(session.view)
    first = random.randint(1, count)
    return b"%d:%d" % (first, min(count, first + random.choice((0, 0, 1, 3))))


def uids(session: Client, random: Random) -> bytes:
    known = [uid for uid in session.view if uid] or [1]
    first = random.choice(known)
    return b"%d:%d" % (first, first + random.choice((0, 0, 1, 4)))


def line(session: Client, random: Random) -> bytes:
    """A command that a client could say now."""
    other = b"other" if session.box == b"INBOX" else b"INBOX"
    verb = random.choices(
        (b"NOOP", b"FETCH", b"STORE", b"EXPUNGE", b"COPY", b"MOVE", b"SEARCH", b"CHECK"), (4, 8, 6, 2, 1, 2, 1, 1)
    )[0]
    if verb in (b"NOOP", b"CHECK", b"EXPUNGE"):
        return verb
    if verb == b"SEARCH":
        return random.choice((b"SEARCH ALL", b"UID SEARCH UNDELETED", b"SEARCH TEXT 1"))
    by_uid = random.random() < 0.4 or not session.view
    those = uids(session, random) if by_uid else numbers(session, random)
    start = b"UID " * by_uid + verb + b" " + those + b" "
    if verb == b"FETCH":
        return start + random.choice((b"(UID FLAGS)", b"(UID BODY.PEEK[])", b"(UID BODY[])", b"(UID RFC822.SIZE)"))
    if verb == b"STORE":
        silent = b".SILENT" * random.randint(0, 1)
        return start + random.choice((b"+", b"-", b"")) + b"FLAGS" + silent + b" (" + random.choice(FLAGS) + b")"
    return start + random.choice((other, other, session.box))


def play_seed(seed: int, commands: int = PER_SEED) -> Count:
    count = Count("commands of sessions on one mailbox")
    random = Random(seed)
    path = Path(tempfile.mkdtemp(prefix="mailcore-reliability-", dir=memory()))
    try:
        ground = Ground(path)
        ground.more = {"flags_at_once": "0"} if seed % 2 else {}
        world = World(ground)
        ground.place("INBOX", b"".join(world.mail(random) for _ in range(12)))
        ground.place("other", b"")
        sessions = [Client(world) for _ in range(random.choice((2, 2, 3)))]
        for session in sessions:
            session.select(random.choice((b"INBOX", b"INBOX", b"other")))
        said: list[str] = []
        try:
            while count.tried < commands:
                session = random.choice(sessions)
                if random.random() < 0.05 or sum(map(len, (s.view for s in sessions))) < 4:
                    world.deliver(random)
                if random.random() < 0.01:
                    session.select(random.choice((b"INBOX", b"other")))
                words = line(session, random)
                said.append(f"{sessions.index(session)} {words.decode()}")
                session.told(words)
                count.tried += 1
        except Exception as error:
            count.tried += 1
            count.wrong.append(f"seed {seed} command {count.tried}: {named(error)} after {said[-4:]}")
        for session in sessions:
            session.talk.close()
    finally:
        shutil.rmtree(path)
    return count


def run(share: float = 1.0) -> Count:
    from benchmarks.reliability.table import together

    seeds = range(max(2, round(COMMANDS * share / PER_SEED)))
    return together(play_seed, seeds, "commands of 2-3 sessions at once", processes=6)  # half of it is waiting
