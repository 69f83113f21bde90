"""One session that lives long: memory and descriptors stay where they are (R42)."""

from __future__ import annotations

import subprocess
import sys
import tempfile

from tests.mailcore.store.faults import memory
from tests.playground import ROOT

SESSION = """
import os, sys
from pathlib import Path
from tests.imapd.speaker import Speaker
from tests.playground import Ground

MAIL = b"From a@example.org Sat Nov 21 12:00:00 2026\\nSubject: m%d\\n\\n%b\\n\\n"
ground = Ground(Path(sys.argv[1]))
ground.place("INBOX", b"".join(MAIL % (n, b"x" * 500) for n in range(20)))
ground.place("other", b"")
session = Speaker(ground)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")

def hour(rounds, first):
    for number in range(first, first + rounds):
        with open(ground.inbox, "ab") as file:
            file.write(MAIL % (number, b"y" * 700))
        for line in (b"NOOP", b"FETCH * (FLAGS ENVELOPE BODY[])", b"STORE 1 +FLAGS (\\\\Deleted $Work)",
                     b"COPY 2 other", b"SEARCH TEXT y", b"EXPUNGE", b"STATUS other (MESSAGES)"):
            said = session.say(line)
            assert said[-1].startswith(b"t OK"), (line, said)
        if number % 50 == 0:
            for name in (b"other", b"INBOX"):
                session.say(b"SELECT " + name)
                session.say(b"STORE 2:* +FLAGS (\\\\Deleted)") if name == b"other" else None
                session.say(b"EXPUNGE")

session.say(b"SELECT INBOX")
hour(200, 0)
before = resident(), len(os.listdir("/proc/self/fd"))
hour(400, 200)
print(resident() - before[0], len(os.listdir("/proc/self/fd")) - before[1])
"""


def test_nothing_grows():
    with tempfile.TemporaryDirectory(dir=memory()) as place:
        command = [sys.executable, "-c", SESSION, place]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    octets, descriptors = (int(word) for word in done.stdout.split())
    assert octets < 1024 * 1024 and descriptors == 0
