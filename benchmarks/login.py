"""What a login costs by each mechanism, cold (as inetd starts us) and with --listen.

    python -m benchmarks.login [--times 50]

Prints milliseconds from the connection to the OK of the login, their median, and the ratio to LOGIN.  The
client's own work is not counted where it is dear: SCRAM's salted password is derived once and kept, as
clients do.  Not root it serves itself; the hash of the passwd-file is a cheap one, so that what is seen is
ours and not the hash.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import os
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

SECRET = b"flintstone"
hashlib.pbkdf2_hmac = functools.lru_cache(hashlib.pbkdf2_hmac)  # the client's

from tests.mailcore.login import client  # noqa: E402
from tests.playground import program  # noqa: E402


class Talk:
    """A client's side of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")
        self.greeting = self.file.readline()

    def ask(self, line: bytes) -> bytes:
        self.sock.sendall(line + b"\r\n")
        return self.file.readline()

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def challenge(line: bytes) -> bytes:
    return line.split()[1]


def by_login(talk: Talk) -> bytes:
    return talk.ask(b"a LOGIN fred " + SECRET)


def by_plain(talk: Talk) -> bytes:
    return talk.ask(b"a AUTHENTICATE PLAIN " + base64.b64encode(b"\0fred\0" + SECRET))


def by_cram_md5(talk: Talk) -> bytes:
    return talk.ask(client.cram_md5(challenge(talk.ask(b"a AUTHENTICATE CRAM-MD5")), b"fred", SECRET))


def by_scram(mechanism: bytes, name: str, talk: Talk) -> bytes:
    bare = client.FIRST % b"fred"
    heard = talk.ask(b"a AUTHENTICATE %b %b" % (mechanism, base64.b64encode(b"n,," + bare)))
    first = base64.b64decode(challenge(heard))
    talk.ask(base64.b64encode(client.proof(bare, first, SECRET, name=name)))
    return talk.ask(b"")


def by_pass(talk: Talk) -> bytes:
    talk.ask(b"USER fred")
    return talk.ask(b"PASS " + SECRET)


def by_apop(talk: Talk) -> bytes:
    return talk.ask(b"APOP " + client.apop(talk.greeting.split()[-1], b"fred", SECRET))


# name: (server, which file knows the user, how)
WAYS = {
    "LOGIN": ("imapd", "hash", by_login),
    "AUTHENTICATE PLAIN": ("imapd", "hash", by_plain),
    "LOGIN, secrets file": ("imapd", "secret", by_login),
    "CRAM-MD5": ("imapd", "secret", by_cram_md5),
    "SCRAM-SHA-1, secrets file": ("imapd", "secret", functools.partial(by_scram, b"SCRAM-SHA-1", "sha1")),
    "SCRAM-SHA-256, secrets file": ("imapd", "secret", functools.partial(by_scram, b"SCRAM-SHA-256", "sha256")),
    "SCRAM-SHA-256, verifier": ("imapd", "verifier", functools.partial(by_scram, b"SCRAM-SHA-256", "sha256")),
    "USER/PASS": ("ipop3d", "hash", by_pass),
    "APOP": ("ipop3d", "secret", by_apop),
}


def options(path: Path, kind: str) -> list[str]:
    """Settings under which only this kind of file knows fred."""
    from passlib.hash import sha512_crypt

    from mailcore.login import scram

    hashed = {
        "hash": sha512_crypt.using(rounds=1000).hash(SECRET),
        "secret": "!",
        "verifier": scram.derive("SCRAM-SHA-256", SECRET).text(),
    }[kind]
    who = os.getuid() or 65534
    write(path / f"{kind}.passwd", f"fred:{hashed}:{who}:{who}::{path}\n")
    values = {
        "passwd_file": path / f"{kind}.passwd",
        "cram_md5_file": path / f"{kind}.secrets" if kind == "secret" else "",
        "mail_location": f"mbox:{path}/mail:INBOX={path}/inbox",
        "index_directory": path / "index",
        "scram_key_file": path / "key",
        "gatekeeper_root": path / "empty",
        "anonymous_file": "",
    }
    write(path / "secret.secrets", f"fred\t{SECRET.decode()}\n")
    return [word for name, value in values.items() for word in ("-o", f"{name}={value}")]


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def cold(server: str, words: list[str]):  # type: ignore[no-untyped-def]
    """Start the program on one end of a TCP connection, as inetd does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs = listening.accept()[0]
    process = subprocess.Popen(program(server, *words), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    theirs.close()
    return ours, process


def measure(connect, way, times: int) -> float:  # type: ignore[no-untyped-def]
    """Median milliseconds from the connection to the OK."""
    spent = []
    for _ in range(times + 1):
        began = time.perf_counter()
        sock, process = connect()
        talk = Talk(sock)
        answer = way(talk)
        spent.append((time.perf_counter() - began) * 1000)
        assert answer.startswith((b"a OK", b"+OK")), answer
        talk.sock.sendall(b"z LOGOUT\r\n" if answer.startswith(b"a") else b"QUIT\r\n")
        talk.file.read()  # to the end, so that the next one has the machine to itself
        talk.close()
        if process:
            process.wait()
    return statistics.median(spent[1:])


def listening(server: str, words: list[str]):  # type: ignore[no-untyped-def]
    process = subprocess.Popen(
        program(server, *words, "--listen", "127.0.0.1:0"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout
    return process, int(process.stdout.readline().rsplit(b":")[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=30)
    times = parser.parse_args().times
    print(f"{'':30} {'cold ms':>8} {'ratio':>6}   {'listener ms':>11} {'ratio':>6}")
    first: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        path = Path(place)
        path.chmod(0o755)
        (path / "empty").mkdir(mode=0o755)
        (path / "index").mkdir(mode=0o777)
        (path / "index").chmod(0o777)
        for name, (server, kind, way) in WAYS.items():
            words = options(path, kind)
            row = [measure(lambda server=server, words=words: cold(server, words), way, times)]
            process, port = listening(server, words)
            row.append(measure(lambda port=port: (socket.create_connection(("127.0.0.1", port)), None), way, times))
            process.terminate()
            process.wait()
            first = first or row
            print(f"{name:30} {row[0]:8.1f} {row[0] / first[0]:6.2f}   {row[1]:11.1f} {row[1] / first[1]:6.2f}")


if __name__ == "__main__":
    main()
