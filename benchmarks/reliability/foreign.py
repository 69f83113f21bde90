"""Other programs have the mail file too, and do with it what they like.

What lives here: edits of every kind, and what a session must see after each.  A UID means one
message for ever, every message of the file is in the mailbox once, and a message that was there
before and after keeps its UID.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from benchmarks.reliability import Count, forget, ground, named
from tests.mailcore.store.conftest import Spool

EDITS = 12_000
PER_SEED = 100
_MAIL = re.compile(rb"(?<=\n\n)(?=From )")
_HIDDEN = re.compile(rb"(?mi)^(?:Status|X-Status|X-Keywords|X-UID|X-IMAPbase|Content-Length|Lines):.*(?:\n|\Z)")

Mails = list[bytes]


class Mess:
    """A mail file in the hands of strangers."""

    def __init__(self, spool: Spool, random: Random) -> None:
        self.spool, self.random = spool, random
        self.path = spool.path
        self.made = 0
        self.backups: list[bytes] = []
        self.write([self.mail() for _ in range(random.randint(3, 9))])

    def mail(self) -> bytes:
        self.made += 1
        lines = "".join(f"{self.made} {self.random.getrandbits(40):013}\n" for _ in range(self.random.randint(1, 9)))
        return self.spool.message(f"m{self.made:06}", lines[:-1])

    def read(self) -> Mails:
        return [part for part in _MAIL.split(self.path.read_bytes()) if part]

    def write(self, mails: Mails) -> None:
        """In place, as most do."""
        with open(self.path, "rb+" if self.path.exists() else "wb") as file:
            file.write(b"".join(mails))
            file.truncate()

    def replace(self, mails: Mails) -> None:
        """By another file of the same name."""
        new = self.path.with_name("new")
        new.write_bytes(b"".join(mails))
        new.rename(self.path)


def reorder(mess: Mess, mails: Mails) -> Mails:
    mess.random.shuffle(mails)
    return mails


def delete(mess: Mess, mails: Mails) -> Mails:
    return [mail for mail in mails if mess.random.random() < 0.7]


def flags(mess: Mess, mails: Mails) -> Mails:
    """As mutt does: hidden fields anew, another order, other widths."""
    return [_HIDDEN.sub(b"", mail).replace(b"\n\n", b"\nStatus: RO\nX-Status: F\n\n", 1)
            if mess.random.random() < 0.5 else mail for mail in mails]  # fmt: skip


def strip(mess: Mess, mails: Mails) -> Mails:
    return [_HIDDEN.sub(b"", mail) for mail in mails]


def count(mess: Mess, mails: Mails) -> Mails:
    """As Dovecot and old Unix do."""
    return [_HIDDEN.sub(b"", mail).replace(b"\n\n", b"\nContent-Length: 99\nLines: 3\n\n", 1) for mail in mails]


def double(mess: Mess, mails: Mails) -> Mails:
    return [*mails, mess.random.choice(mails)] if mails else mails


def lie(mess: Mess, mails: Mails) -> Mails:
    """UIDs of others."""
    return [re.sub(rb"X-UID: \d+ *", b"X-UID: %-10d" % mess.random.randint(1, 40), mail) for mail in mails]


def edit(mess: Mess, mails: Mails) -> Mails:
    """Another body of the same length."""
    return [re.sub(rb"\d(?=\n\n)", b"%d" % mess.random.randint(0, 9), mail) if mess.random.random() < 0.3 else mail
            for mail in mails]  # fmt: skip


def swap(mess: Mess, mails: Mails) -> Mails:
    """The same size, the same second."""
    if len(mails) > 1:
        one, two = mess.random.sample(range(len(mails)), 2)
        mails[one], mails[two] = mails[two], mails[one]
    return mails


def deliver(mess: Mess, mails: Mails) -> Mails:
    return [*mails, *(mess.mail() for _ in range(mess.random.randint(1, 3)))]


def prepend(mess: Mess, mails: Mails) -> Mails:
    return [mess.mail(), *mails]


def restore(mess: Mess, mails: Mails) -> Mails:
    return [part for part in _MAIL.split(mess.random.choice(mess.backups or [b"".join(mails)])) if part]


def truncate(mess: Mess, mails: Mails) -> Mails:
    """The end is lost, and something of the message that is the last then."""
    return mails[: mess.random.randint(len(mails) // 2, len(mails))]


KINDS: tuple[Callable[[Mess, Mails], Mails], ...] = (
    reorder, delete, flags, strip, count, double, lie, edit, swap, deliver, deliver, prepend, restore, truncate,
)  # fmt: skip


def change(mess: Mess) -> str:
    """One or two edits, written in one of the ways there are."""
    random = mess.random
    mails = mess.read()
    if random.random() < 0.2:
        mess.backups.append(b"".join(mails))
    kinds = random.sample(KINDS, random.choice((1, 1, 1, 2)))
    before = os.stat(mess.path)
    if edit in kinds:
        kinds, mails = [edit], edit(mess, mails)  # with a delivery in the same moment it is not noticed (DESIGN.md)
    for kind in kinds if edit not in kinds else ():
        mails = [mail.rstrip(b"\n") + b"\n\n" for mail in kind(mess, mails)]
    if truncate in kinds and mails:
        mails[-1] = mails[-1][: -random.randint(1, 12)]
    if random.random() < 0.25:
        mess.replace(mails)
    else:
        mess.write(mails)
    if random.random() < 0.2:  # a file system that counts seconds
        os.utime(mess.path, (int(time.time()), int(time.time())))
    elif random.random() < 0.1:  # rsync, tar, cp -p
        os.utime(mess.path, (before.st_atime - 5, before.st_mtime - random.randint(1, 10**6)))
    return "+".join(kind.__name__ for kind in kinds)


def identity(mail: bytes) -> bytes:
    """What makes a message that message: not its hidden fields, and not how its last line ends."""
    return _HIDDEN.sub(b"", mail.replace(b"\r\n", b"\n")).rstrip(b"\n")


def fault(mess: Mess, box, known: dict[int, bytes], before: dict[int, bytes], validity: int) -> str:  # type: ignore[no-untyped-def]
    """What is wrong with what a session sees; `known` are all UIDs that ever were."""
    if box.uid_validity != validity:
        return "another UIDVALIDITY"
    seen = {uid: identity(bytes(box.text(uid)[:])) for uid in box.uids}
    for uid, mail in seen.items():
        if known.setdefault(uid, mail) != mail:
            return f"UID {uid} means another message: {known[uid]!r} and {mail!r}"
    there = Counter(identity(mail.split(b"\n", 1)[1]) for mail in mess.read())
    if Counter(seen.values()) != there:
        return f"{len(seen)} messages for {there.total()}: {set(seen.values()) ^ set(there)}"
    was = Counter(before.values())
    stayed = Counter(mail for uid, mail in seen.items() if before.get(uid) == mail)
    for mail, number in there.items():
        if stayed[mail] < min(number, was[mail]):
            return "a message that stayed has another UID"
    before.clear()
    before.update(seen)
    return ""


def play_seed(seed: int, edits: int = PER_SEED) -> Count:
    tally = Count("foreign edits")
    random = Random(seed)
    with ground() as spool:
        if seed % 2:
            vars(spool.settings)["flags_at_once"] = 0
        mess = Mess(spool, random)
        box = spool.open()
        known: dict[int, bytes] = {}
        before: dict[int, bytes] = {}
        validity = box.uid_validity
        for number in range(edits):
            done = change(mess) if number else "nothing"
            try:
                if random.random() < 0.2:
                    box.close()
                    forget(spool)
                    box = spool.open()
                box.refresh()
                box.news()
                wrong = fault(mess, box, known, before, validity)
                if not wrong and random.random() < 0.3 and len(box.uids):
                    uid = random.choice(box.uids)
                    box.store([uid], "+", ["\\Seen"]) if random.random() < 0.6 else box.remove([uid])
                    box.news()
                    before = {uid: mail for uid, mail in before.items() if uid in box.uids}
            except Exception as error:
                wrong = named(error)
            tally.tried += 1
            if wrong:
                tally.wrong.append(f"seed {seed} edit {number} ({done}): {wrong}")
                break
        forget(spool)
    return tally


def run(share: float = 1.0) -> Count:
    from benchmarks.reliability.table import together

    seeds = range(max(2, round(EDITS * share / PER_SEED)))
    return together(play_seed, seeds, "edits by other programs", processes=8)  # most of it is waiting
