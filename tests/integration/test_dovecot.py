"""SORT and THREAD beside Dovecot's, on the same files: golden messages, and threads made by chance.

Where the two differ it is here, with the reason; everything else must be the same to the octet.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.playground import MAILBOXES, ROOT, Ground, program

IMAP = "/usr/lib/dovecot/imap"
SORTS = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO", "REVERSE FROM SUBJECT"]
THREADS = ["REFERENCES", "ORDEREDSUBJECT", "REFS"]
COMMANDS = [f"SORT ({keys}) UTF-8 ALL" for keys in SORTS] + [f"THREAD {name} UTF-8 ALL" for name in THREADS]

# Messages that are not the same to both, by what is odd in them.
DIFFERENT = {
    "address-broken": "`<>` is no address to us, one with an invented name to Dovecot",
    "address-commas": "`Cc: ,` has no address for us, an empty one for Dovecot",
    "address-comment-unterminated": "we take the rest of the field for the comment, Dovecot takes none",
    "address-comments": "the same comments, other blanks between them",
    "address-quote-unterminated": "we take a quote that is never closed for nothing, Dovecot for all that follows",
    "address-dots": "blanks around the dots of `a . b @ c`: we join the words, Dovecot takes the last one",
    "address-no-host": "a name without a host sorts by itself; Dovecot adds the host that it invents",
    "eight-bit-header": "octets that are no UTF-8 are Latin-1 to us, and no letters to Dovecot",
    "nul-and-controls": "NUL is a control to us, and a letter that cannot be shown to Dovecot",
}


def golden() -> bytes:
    """Without those whose ENVELOPE differs already (tests/golden/DOVECOT.md says why): others sort and thread by it."""
    told = (ROOT / "tests" / "golden" / "DOVECOT.md").read_text()
    mbox = b""
    for number, path in enumerate(sorted((ROOT / "tests" / "golden").glob("*.eml"))):
        if path.stem not in DIFFERENT and f"| {path.stem} | ENVELOPE |" not in told:
            text = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ")
            text = text if text.endswith(b"\n") else text + b"\n"
            text = b">" * text.startswith(b"From ") + text
            mbox += b"From x@y Sat Nov  7 10:%02d:%02d 2026 +0000\n" % divmod(number, 60) + text + b"\n"
    return mbox


def chance(seed: int) -> bytes:
    """Messages that refer to each other in every way, with few subjects and bad addresses."""
    pick = random.Random(seed)
    subjects = [
        "plans",
        "Re: plans",
        "fwd: plans (fwd)",
        "[l] other",
        "re: other",
        "",
        "[Fwd: plans]",
        "Re[2]: [l] plans",
    ]
    people = ["a@x", '"B" <z@x>', "C c <q@x>", "grp: a@x;", "=?utf-8?q?=C3=84?= <y@x>", "", "Zoe <a@b>, k@l"]
    mbox = ""
    for number in range(300):
        seconds = 1_793_000_000 + number * 1000 + pick.randrange(500)
        mbox += time.strftime("From x@y %a %b %d %H:%M:%S %Y +0000\n", time.gmtime(seconds))
        if pick.random() < 0.95:
            mbox += f"Message-ID: <{number if pick.random() < 0.95 else pick.randrange(300)}@x>\n"
        ids = [f"<{pick.randrange(450)}@x>" for _ in range(pick.choice([0, 0, 1, 1, 2, 3, 5]))]
        if ids:
            mbox += pick.choice(["References", "References", "In-Reply-To"]) + ": " + "\n ".join(ids) + "\n"
        mbox += f"Subject: {pick.choice(subjects)} {pick.randrange(40) if pick.random() < 0.7 else ''}\n"
        mbox += f"Date: Sat, {pick.randrange(1, 20)} Nov 2026 10:{pick.randrange(60):02d}:{number % 60:02d} +0000\n"
        mbox += "".join(f"{name}: {pick.choice(people)}\n" for name in ("From", "To", "Cc")) + f"\nbody {number}\n\n"
    return mbox.encode()


def dovecot(ground: Ground) -> list[str]:
    """The command line of its imap, told all that it wants to know."""
    if not os.path.exists(IMAP):
        missing("dovecot-imapd")
    conf = ground.path / "dovecot.conf"
    conf.write_text(
        f"protocols = imap\nssl = no\nbase_dir = {ground.path}/run\nlog_path = {ground.path}/log\n"
        f"mail_location = mbox:{ground.mail}\nfirst_valid_uid = 1\n"
    )
    return [IMAP, "-c", str(conf)]


def said(command: list[str], ground: Ground, name: str) -> list[bytes]:
    script = "".join(f"{line}\r\n" for line in [f"e EXAMINE {name}", *(f"c {line}" for line in COMMANDS), "z LOGOUT"])
    done = subprocess.run(
        command,
        input=script.encode(),
        capture_output=True,
        timeout=60,
        cwd=ground.home,
        env={"HOME": str(ground.home), "USER": ground.user.pw_name},
        **ground.identity(),  # type: ignore[call-overload]
    )
    answers = [line.rstrip(b" ") for line in done.stdout.split(b"\r\n") if line.startswith((b"* SORT", b"* THREAD"))]
    assert len(answers) == len(COMMANDS), done
    return answers


BOXES = {"golden": golden, "threads": lambda: (MAILBOXES / "threads.mbox").read_bytes()}
BOXES |= {f"chance-{seed}": lambda seed=seed: chance(seed) for seed in range(5)}  # type: ignore[misc]


@pytest.mark.parametrize("name", BOXES)
def test_side_by_side(name: str, ground: Ground) -> None:
    theirs = dovecot(ground)
    ground.place(name, BOXES[name]())
    ground.hand_over()
    ours = program("imapd", *[word for key, value in ground.options().items() for word in ("-o", f"{key}={value}")])
    for command, mine, other in zip(COMMANDS, said(ours, ground, name), said(theirs, ground, name), strict=True):
        assert mine == other, command


def test_the_differences_are_real() -> None:
    names = {path.stem for path in Path(ROOT / "tests" / "golden").glob("*.eml")}
    assert set(DIFFERENT) <= names
