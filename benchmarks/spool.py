"""Mailboxes to measure with: the same count and seed give the same octets on any machine.

    python -m benchmarks.spool SIZE FILE

A message has about 1 KB of header (as what comes over the Internet today has) and a body: most are short texts, some
have an HTML half, one in six has an attachment.  `Facts` says what a search must find.
"""

from __future__ import annotations

import base64
import random
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

SIZES = {"T": 100, "S": 1_000, "M": 20_000, "L": 100_000}
SUBJECT_WORD = "albatross"  # in the subject of one message in a hundred
TEXT_WORD = "pterodactyl"  # in the text of one in two hundred, once encoded as base64
START = datetime(2020, 1, 1, tzinfo=UTC)
WORDS = tuple(
    word
    for line in (
        "the of and to in is you that it he was for on are with as his they be at one have this or had by hot but",
        "some what there we can out other were all your when up use word how said an each she which do their time if",
        "will way about many then them would write like so these her long make thing see him two has look more day",
        "could go come did my sound no most number who over know water than call first people may down side been now",
    )
    for word in line.split()
)


class Facts:
    """What is in a mailbox, for checking answers."""

    def __init__(self) -> None:
        self.messages = 0
        self.subjects = 0
        self.texts = 0


class Writer:
    """One message after the other, as mbox has them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.facts = Facts()
        self.blob = base64.encodebytes(self.chance.randbytes(120_000))  # slices of it are attachments
        self.lines = [self._line() for _ in range(4000)]
        self.ids: list[str] = []

    def _line(self) -> str:
        return " ".join(self.chance.choices(WORDS, k=13)).capitalize()

    def text(self, count: int) -> str:
        start = self.chance.randrange(len(self.lines))
        return "\n".join((self.lines * 2)[start : start + count])

    def message(self) -> bytes:
        """The next one, with its From line and the empty line behind it."""
        number = self.facts.messages
        self.facts.messages += 1
        kind = self.chance.choices((self.plain, self.alternative, self.attached), (60, 24, 16))[0]
        content_type, body = kind(number)
        sent = START + timedelta(seconds=number * 97 + self.chance.randrange(-40_000, 40_000))
        sender = f"{self.chance.choice(WORDS)}{self.chance.randrange(400)}@example.{self.chance.choice(('org', 'net'))}"
        head = self.header(number, sender, sent, content_type)
        arrived = (START + timedelta(seconds=number * 97 + 50_000)).strftime("%a %b %e %H:%M:%S %Y")
        return f"From {sender} {arrived}\n{head}\n".encode() + body.rstrip(b"\n") + b"\n\n"

    def header(self, number: int, sender: str, sent: datetime, content_type: str) -> str:
        when, chance = format_datetime(sent), self.chance
        words = chance.choices(WORDS, k=5)
        if number % 100 == 7:
            words[2] = SUBJECT_WORD
            self.facts.subjects += 1
        subject = " ".join(words)
        unique = f"<{number}.{chance.getrandbits(64):x}@example.org>"
        answer = ""
        if self.ids and chance.random() < 0.4:
            parent = chance.choice(self.ids[-50:])
            answer = f"In-Reply-To: {parent}\nReferences: {parent}\n"
            subject = "Re: " + subject
        self.ids.append(unique)
        name = " ".join(word.capitalize() for word in chance.choices(WORDS, k=2))
        key = self.blob[(number * 77) % 90_000 :][:340].decode().replace("\n", "\n\t")
        return (
            f"Return-Path: <{sender}>\n"
            f"Received: from mx{number % 7}.example.net (mx{number % 7}.example.net [192.0.2.{number % 250}])\n"
            f"\tby mail.example.org (Postfix) with ESMTPS id {chance.getrandbits(40):010X}\n"
            f"\tfor <fred@example.org>; {when}\n"
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.net; s=mail;\n\tb={key.rstrip()}\n"
            f"Date: {when}\nFrom: {name} <{sender}>\nTo: Fred Flintstone <fred@example.org>\n"
            f"Cc: list{number % 20}@example.org, barney@example.org\nSubject: {subject}\nMessage-ID: {unique}\n{answer}"
            f"MIME-Version: 1.0\n{content_type}List-Id: <list{number % 20}.example.org>\n"
            "X-Spam-Status: No, score=-1.9\n"
        )

    def plain(self, number: int) -> tuple[str, bytes]:
        text = self.text(self.chance.randrange(4, 60))
        if number % 200 == 11:
            self.facts.texts += 1
            text += f"\nI saw a {TEXT_WORD}.\n"
        return "Content-Type: text/plain; charset=utf-8\n", text.encode()

    def alternative(self, number: int) -> tuple[str, bytes]:
        text = self.text(self.chance.randrange(4, 40))
        html = "".join(f"<p class=3D\"x\">{line}</p>=\n\n" for line in text.split("\n"))
        mark = f"=_alt_{number}"
        coding = "Content-Transfer-Encoding: quoted-printable\n"
        return f'Content-Type: multipart/alternative; boundary="{mark}"\n', (
            f"--{mark}\nContent-Type: text/plain; charset=utf-8\n{coding}\n{text}\n"
            f"--{mark}\nContent-Type: text/html; charset=utf-8\n{coding}\n<html><body>{html}</body></html>\n"
            f"--{mark}--\n"
        ).encode()

    def attached(self, number: int) -> tuple[str, bytes]:
        text = self.text(self.chance.randrange(3, 20))
        if number % 400 == 5:
            self.facts.texts += 1
            text += f"\nI saw a {TEXT_WORD}.\n"
        coded = base64.encodebytes(text.encode()).decode()
        start = 77 * self.chance.randrange(300)
        octets = 77 * self.chance.randrange(60, 1200)
        mark = f"=_mixed_{number}"
        blob = (self.blob[start:] + self.blob[:start])[:octets]
        return f'Content-Type: multipart/mixed; boundary="{mark}"\n', (
            f"--{mark}\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{coded}"
            f"--{mark}\nContent-Type: application/octet-stream; name=\"f{number}.bin\"\n"
            f"Content-Disposition: attachment; filename=\"f{number}.bin\"\nContent-Transfer-Encoding: base64\n\n"
        ).encode() + blob + f"--{mark}--\n".encode()  # fmt: skip




def make(path: Path, size: str, seed: int = 1) -> Facts:
    """A mailbox of one of SIZES."""
    writer = Writer(seed)
    with path.open("wb", buffering=1 << 20) as file:
        for _ in range(SIZES[size]):
            file.write(writer.message())
    return writer.facts


def spread(mbox: Path, directory: Path) -> None:
    """The same mail as a maildir, the order kept by the names and times of the files."""
    for name in ("new", "cur", "tmp"):
        (directory / name).mkdir(parents=True)
    content = mbox.read_bytes()
    starts = [0]
    while (at := content.find(b"\n\nFrom ", starts[-1])) >= 0:
        starts.append(at + 2)
    for number, start in enumerate(starts, 1):
        end = starts[number] - 1 if number < len(starts) else len(content) - 1
        text = content[content.index(b"\n", start) + 1 : end]
        (directory / "cur" / f"{1577836800 + number}.M{number}.host:2,").write_bytes(text)


if __name__ == "__main__":
    found = make(Path(sys.argv[2]), sys.argv[1])
    print(f"{found.messages} messages, {found.subjects} with {SUBJECT_WORD}, {found.texts} with {TEXT_WORD}")
