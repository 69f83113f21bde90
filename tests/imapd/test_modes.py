"""S26: whatever the umask, what a session makes is its user's alone; what was there keeps its mode."""

from __future__ import annotations

import stat
import subprocess

from tests.playground import MAILBOXES, Ground, program

SAID = b"""a CREATE work/plans
b SUBSCRIBE work/plans
c APPEND work/plans {15+}
Subject: x

y
d SELECT INBOX
e COPY 1 work/plans
f STORE 1 +FLAGS (\\Deleted \\Seen)
g EXPUNGE
h SETMETADATA work/plans (/private/comment "x")
i RENAME work/plans work/done
j LOGOUT
""".replace(b"\n", b"\r\n")


def modes(path) -> dict[str, int]:
    return {str(found.relative_to(path)): stat.S_IMODE(found.lstat().st_mode) for found in path.rglob("*")}


def test_nothing_is_made_for_others(ground: Ground) -> None:
    ground.place("INBOX", (MAILBOXES / "three.mbox").read_bytes())
    ground.inbox.chmod(0o660)
    ground.hand_over()
    before = modes(ground.path)
    words = [word for name, value in ground.options().items() for word in ("-o", f"{name}={value}")]
    words += ["-o", "expunged_days=1"]
    done = subprocess.run(
        program("imapd", *words), input=SAID, capture_output=True, timeout=60, umask=0, cwd="/",
        env={"HOME": str(ground.home)}, **ground.identity(),
    )  # fmt: skip
    assert [done.stdout.count(b"%c OK" % tag) for tag in b"abcdefghij"] == [1] * 10, done.stdout
    after = modes(ground.path)
    made = {name: mode for name, mode in after.items() if name not in before}
    assert {"home/mail/work", "home/mail/work/done"} <= made.keys() and len(made) > 5
    assert not {name: oct(mode) for name, mode in made.items() if mode & 0o077}
    assert {name: after[name] for name in before} == before
