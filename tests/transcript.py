"""What stands in tests/transcripts/*/*.txt, and who judges the answers.

A transcript is a header, an empty line, then the talk:

    mailbox: INBOX = three.mbox     a copy of tests/mailboxes/three.mbox (may stand several times)
    account: fred secret            start before login, with this account in a passwd-file
    login: fred secret              the same, and log in first
    secrets: fred secret            the same account, and its secret in clear in a file like /etc/cram-md5.pwd
    greeting: yes                   the greeting is the first S: line (otherwise it is passed over)
    setting: name=value             as -o name=value
    after: INBOX = x-after.mbox     what must lie on the disk in the end, line by line
    ways: inside pipe               not in all ways (only with a reason in a comment)
    index: fresh filled             not with each index (the same)

    # what a step proves
    C: a line from the client       C| a line of a literal
    S: a line from the server       S| the same, inside a literal

In S: lines `$name` is bound at first sight and must be the same later, `$` alone stands for
anything, and \\xNN is an octet.  Without account or login the talk begins after the login; to a listener
somebody logs in first.

Two connections to one store are `1C:`, `1S:`, `2C:`, `2S:`; such a talk is played line by line only.

In C: lines <$name> is what was bound; <apop fred secret>, <cram-md5 fred secret> and <scram secret> are
what a client makes of the `$stamp`, of the `$challenge` in base64, and of that with SCRAM-SHA-256 after the
message `n,,n=fred,r=nonce`.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.mailcore.login import client

FIELDS = {"mailbox", "after", "setting", "login", "account", "secrets", "greeting", "ways", "index"}
VISITOR = ("fred", "secret")


class Transcript:
    """One file: what is there before, what is said, what is there after."""

    def __init__(self, path: Path) -> None:
        self.server = path.parent.name
        header, _, talk = path.read_text("latin-1").partition("\n\n")
        fields = [line.split(": ", 1) for line in header.splitlines() if line and not line.startswith("#")]
        self.mailboxes = [value.split(" = ") for key, value in fields if key == "mailbox"]
        self.after = [value.split(" = ") for key, value in fields if key == "after"]
        self.settings = [value for key, value in fields if key == "setting"]
        named = dict(fields)
        unknown = set(named) - FIELDS
        assert not unknown, f"unknown header fields: {unknown}"
        self.login = _pair(named.get("login"))
        self.secrets = _pair(named.get("secrets"))
        self.account = _pair(named.get("account")) or self.login or self.secrets
        self.greeting = "greeting" in named
        two = any(line[:2] in ("1C", "1S", "2C", "2S") for line in talk.splitlines())
        self.connections = ["1", "2"] if two else [""]
        self.ways = named.get("ways", "pipe warm" if two else "inside file pipe warm").split()
        everywhere = "fresh" if self.server == "poppassd" else "fresh filled none"
        self.indexes = named.get("index", everywhere).split()
        self._talk = [step for line in talk.splitlines() if (step := _step(line))]

    def steps(self, stranger: bool) -> list[tuple[str, str]]:
        """The whole talk; a stranger logs in first, if the talk is not about that."""
        login = self.login or (VISITOR if stranger and not self.account else None)
        first = [step for number in self.connections for step in self._first(number, login)]
        return first + self._talk

    def _first(self, number: str, login: tuple[str, ...] | None) -> list[tuple[str, str]]:
        greeting = [] if self.greeting else [("S", "$")]
        words = []
        if login and self.server == "imapd":
            words = [("C", f"login LOGIN {login[0]} {login[1]}\r\n"), ("S", "login OK $")]
        elif login:
            words = [("C", f"USER {login[0]}\r\n"), ("S", "+OK $"), ("C", f"PASS {login[1]}\r\n"), ("S", "+OK $")]
        return [(number + who, text) for who, text in greeting + words]


def _pair(value: str | None) -> tuple[str, ...] | None:
    return tuple(value.split(" ", 1)) if value else None


def _step(line: str) -> tuple[str, str] | None:
    if not line or line.startswith("#"):
        return None
    number, line = (line[0], line[1:]) if line[0] in "12" else ("", line)
    who, text = line[0], line[3:]
    assert line[:3] in ("C: ", "C| ", "S: ", "S| ") or line in ("C:", "C|", "S:", "S|"), f"not a step: {line!r}"
    if who == "C":
        text = re.sub(r"\\x([0-9a-f]{2})", lambda octet: chr(int(octet[1], 16)), text) + "\r\n"
    return number + who, text


class Judge:
    """Compares what the server says with the S: lines, binding names on the way."""

    def __init__(self) -> None:
        self.bound: dict[str, str] = {}

    def check(self, pattern: str, said: str) -> None:
        parts = re.split(r"(\$[a-z_]*|\\x[0-9a-f]{2})", pattern)
        new: list[str] = []
        expression = ""
        for part in parts:
            if part == "$":
                expression += ".*"
            elif part.startswith("$"):
                if part in self.bound:
                    expression += re.escape(self.bound[part])
                elif part in new:
                    expression += f"(?P={part[1:]})"
                else:
                    new.append(part)
                    expression += rf"(?P<{part[1:]}>[^ )\]\r]+)"
            elif part.startswith("\\x"):
                expression += re.escape(chr(int(part[2:], 16)))
            else:
                expression += re.escape(part)
        match = re.fullmatch(expression, said, re.DOTALL)
        bound = {name: value for name, value in self.bound.items() if name in pattern}
        assert match, f"\nexpected {pattern!r} {bound or ''}\n     got {said!r}"
        for name in new:
            self.bound[name] = match[name[1:]]

    def filled(self, text: str) -> str:
        """A C: line with what a client computes in its place."""
        text = re.sub(r"<(\$[a-z_]+)>", lambda match: self.bound[match[1]], text)
        return re.sub(r"<(apop|cram-md5|scram) ([^>]+)>", self._computed, text)

    def _computed(self, match: re.Match[str]) -> str:
        challenge = self.bound["$stamp" if match[1] == "apop" else "$challenge"].encode()
        return client.MECHANISMS[match[1]](challenge, *match[2].encode().split(b" ")).decode()

    def check_file(self, expected: bytes, found: bytes) -> None:
        lines = found.decode("latin-1").split("\n")
        patterns = expected.decode("latin-1").split("\n")
        for pattern, line in zip(patterns, lines, strict=False):
            self.check(pattern, line)
        assert len(lines) == len(patterns)
