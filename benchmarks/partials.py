"""How long a client waits that fetches one large message in many small pieces.

    python benchmarks/partials.py [MEBIBYTES] [KIBIBYTES]

makes a message of so many MiB (50) in a directory of its own and fetches it in pieces of so many
KiB (64), as phones and mail programs with progress bars do, over a pipe from a real imapd.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic


def main(mebibytes: int = 50, kibibytes: int = 64) -> None:
    with tempfile.TemporaryDirectory() as place:
        box = Path(place, "inbox")
        lines = b"".join(b"%070d\n" % number for number in range(mebibytes * 1024 * 1024 // 71))
        box.write_bytes(b"From a@b Mon Nov  9 08:30:01 2026\nSubject: large\n\n" + lines + b"\n")
        seconds, pieces, octets = fetch(place, kibibytes * 1024)
        print(f"{octets / 1048576:.1f} MiB in {pieces} pieces of {kibibytes} KiB: {seconds:.2f} s")


def fetch(place: str, octets: int) -> tuple[float, int, int]:
    options = [f"mail_location=mbox:{place}/mail:INBOX={place}/inbox", f"index_directory={place}/index"]
    command = [sys.executable, "-m", "imapd", *(word for option in options for word in ("-o", option))]
    ends = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", "nobody", place], check=True)
        ends |= {"user": "nobody", "group": "nogroup", "extra_groups": []}
    server = subprocess.Popen(command, env={"HOME": place}, **ends)  # type: ignore[call-overload]

    def say(line: bytes) -> bytes:
        server.stdin.write(line + b"\r\n")
        heard = b""
        while not (heard.endswith(b"\r\n") and b"t OK" in heard[-60:]):
            if not (said := os.read(server.stdout.fileno(), 1 << 20)):
                raise EOFError(heard[-200:])
            heard += said
        return heard

    os.read(server.stdout.fileno(), 65536)
    say(b"t SELECT INBOX")
    start, got, pieces = monotonic(), 0, 0
    while True:
        head = say(b"t UID FETCH 1 BODY.PEEK[]<%d.%d>" % (got, octets)).partition(b"\r\n")[0]
        if head.endswith((b'""', b'"")', b"{0}")):
            break
        got += int(head.rpartition(b"{")[2][:-1])
        pieces += 1
    server.stdin.close()
    server.wait()
    return monotonic() - start, pieces, got


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
