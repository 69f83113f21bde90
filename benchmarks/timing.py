"""What a stranger can learn from time: nothing of a secret (S6), nothing of who is there (S7).

    python -m benchmarks.timing [--samples 5000] [--tries 200] [--delay 0.5] [--only PAM]

S6: each comparison is measured in this process, with a guess that is wrong in its first octet and one that is
wrong in its last, in random order, each sample with octets of its own.  The tenth of all samples that took
longest is cut (interrupts); Welch's t of the two rests must stay below 4.5.  The last line is a comparison
that leaks, and must be seen.

S7: a listener is asked over loopback by each kind of bad account, all kinds at once, each at moments of its
own: the answers must be the same octets, the medians within 2 ms.  As root it makes users and asks PAM; not
root there is the passwd-file alone.  --delay stands for login_delay_seconds (3), so that it ends today.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import hmac
import os
import random
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

from mailcore.login import digests, passwords, scram
from tests.mailcore.login import client
from tests.playground import program

SECRET = b"canary-secret-of-fred"
MOST_T, MOST_MS, CUT = 4.5, 2.0, 0.1
STAMP = b"<1896.697170952@mail.example.org>"


# --- comparisons -------------------------------------------------------------------------------


def comparisons() -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """What is compared: the right answer, and who judges another one."""
    apop = hashlib.md5(STAMP + SECRET).hexdigest().encode()
    cram = hmac.new(SECRET, STAMP, "md5").hexdigest().encode()
    verifier = scram.derive("SCRAM-SHA-256", SECRET)
    proof = client.bound(b"n=fred,r=x", b"r=xy,s=%b,i=%d" % (b64encode(verifier.salt), verifier.iterations),
                         b"c=biws,r=xy", SECRET)  # fmt: skip
    first = b"r=xy,s=%b,i=%d" % (b64encode(verifier.salt), verifier.iterations)
    return {
        "APOP": (apop, lambda given: digests.apop(STAMP, SECRET, given)),
        "CRAM-MD5": (cram, lambda given: digests.cram_md5(STAMP, SECRET, given)),
        "a secret in clear": (SECRET, lambda given: digests.clear(given, SECRET)),
        "{PLAIN} of a passwd-file": (SECRET, lambda given: passwords._clear(given, SECRET.decode(), "")),
        "SCRAM-SHA-256": (proof, lambda given: scram.prove(verifier, b"n=fred,r=x", first, b"c=biws,r=xy", given)),
        "one that leaks": (SECRET, lambda given: all(map(int.__eq__, given, SECRET))),
    }


def spoiled(right: bytes, at: int) -> bytes:
    wrong = bytearray(right)
    wrong[at] ^= 1
    return bytes(wrong)


def t_of(right: bytes, judge: Callable[[bytes], object], samples: int) -> float:
    """Welch's t between guesses that are wrong at the beginning and at the end."""
    places = [0, -1] * samples
    random.shuffle(places)
    guesses = [spoiled(right, place) for place in places]  # before, or making them would be seen in the measurement
    took = []
    for guess in guesses:
        began = time.perf_counter_ns()
        judge(guess)
        took.append(time.perf_counter_ns() - began)
    limit = sorted(took)[int(2 * samples * (1 - CUT)) - 1]
    kept = [(place, value) for place, value in zip(places, took, strict=True) if value <= limit]
    a, b = ([value for place, value in kept if place == wanted] for wanted in (0, -1))
    spread = statistics.variance(a) / len(a) + statistics.variance(b) / len(b)
    return (statistics.fmean(a) - statistics.fmean(b)) / spread**0.5


def compare(samples: int) -> bool:
    """The table of S6; True if all is well."""
    print(f"| comparison | t of {samples} samples each | |\n|---|---:|---|")
    well = True
    for name, (right, judge) in comparisons().items():
        t = t_of(right, judge, samples)
        good = (abs(t) < MOST_T) != (name == "one that leaks")
        well = well and good
        print(f"| {name} | {t:.2f} | {'as it must be' if good else '**wrong**'} |", flush=True)
    return well


# --- accounts ----------------------------------------------------------------------------------

RIGHT = "Kanarienvogel-42"


class Ground:
    """Files and users of a run; (name, password) of each kind of bad account for each way to log in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.users: list[object] = []
        path.chmod(0o755)
        (path / "empty").mkdir(mode=0o755)
        from passlib.hash import sha512_crypt

        hashed = sha512_crypt.using(rounds=5000).hash(RIGHT)
        uid = os.getuid() or 65534
        lines = [("fred", hashed, uid), ("locked", "!" + hashed, uid), ("zero", hashed, 0), ("low", hashed, 1)]
        self.write("passwd", "".join(f"{name}:{rest}:{number}:{uid}::/\n" for name, rest, number in lines))
        self.write("secrets", "".join(f"{name}\t{RIGHT}\n" for name in ("fred", "zero", "low", "ghost")))

    def in_file(self) -> dict[str, tuple[str, str]]:
        return {
            "wrong password": ("fred", "x"), "unknown user": ("nobody-here", RIGHT), "locked": ("locked", RIGHT),
            "uid 0": ("zero", RIGHT), "below first_valid_uid": ("low", RIGHT),
        }  # fmt: skip

    def in_secrets(self) -> dict[str, tuple[str, str]]:
        return {
            "wrong password": ("fred", "x"), "unknown user": ("nobody-here", RIGHT), "no account": ("ghost", RIGHT),
            "uid 0": ("zero", RIGHT), "below first_valid_uid": ("low", RIGHT),
        }  # fmt: skip

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o600)

    def in_pam(self) -> dict[str, tuple[str, str]]:
        from tests.integration.machine import PASSWORD, User, need, run

        names = ("wrong", "locked", "expired", "noshell")
        self.users = [User(f"mctest_t_{name}") for name in names]
        wrong, locked, expired, noshell = (f"mctest_t_{name}" for name in names)
        run(need("usermod"), "--shell", "/bin/sh", wrong)
        run(need("usermod"), "--lock", locked)
        run(need("chage"), "--expiredate", "2001-01-01", expired)
        return {
            "wrong password": (wrong, "x"), "unknown user": ("mctest_t_nobody", PASSWORD), "locked": (locked, PASSWORD),
            "expired": (expired, "x"), "uid 0": ("root", "x"), "no shell": (noshell, "x"),
        }  # fmt: skip

    def close(self) -> None:
        for user in self.users:
            user.remove()  # type: ignore[attr-defined]


# --- asking --------------------------------------------------------------------------------------


class Talk:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.file = self.sock.makefile("rb")
        self.file.readline()

    def ask(self, line: bytes) -> bytes:
        self.sock.sendall(line + b"\r\n")
        return self.file.readline()


def by_login(talk: Talk, user: str, password: str) -> tuple[float, bytes]:
    return timed(talk, f"a LOGIN {user} {password}".encode())


def by_cram_md5(talk: Talk, user: str, password: str) -> tuple[float, bytes]:
    stamp = talk.ask(b"a AUTHENTICATE CRAM-MD5").split()[1]
    return timed(talk, client.cram_md5(stamp, user.encode(), password.encode()))


def by_scram(talk: Talk, user: str, password: str) -> tuple[float, bytes]:
    bare = client.FIRST % user.encode()
    first = b64decode(talk.ask(b"a AUTHENTICATE SCRAM-SHA-256 " + b64encode(b"n,," + bare)).split()[1])
    return timed(talk, b64encode(client.proof(bare, first, password.encode())))


Way = Callable[[Talk, str, str], tuple[float, bytes]]


def timed(talk: Talk, line: bytes) -> tuple[float, bytes]:
    began = time.perf_counter()
    answer = talk.ask(line)
    return (time.perf_counter() - began) * 1000, answer


def ask(port: int, way: Way, account: tuple[str, str], tries: int, delay: float) -> tuple[list[float], set[bytes]]:
    """All tries of one kind of account, each after a moment of its own."""
    talk, spent, answers = Talk(port), [], set()
    for _ in range(tries):
        time.sleep(random.uniform(0, delay))
        took, answer = way(talk, *account)
        spent.append(took)
        answers.add(answer)
    return spent, answers


def listening(path: Path, delay: float, *options: str) -> tuple[subprocess.Popen[bytes], int]:
    values = [
        f"login_delay_seconds={delay}", "login_tries=1000000", "login_commands=1000000", "login_read_octets=1000000000",
        "login_timeout_seconds=7200", "penalty_seconds=0", "first_valid_uid=2", f"gatekeeper_root={path}/empty",
        f"scram_key_file={path}/key", "anonymous_file=", f"run_directory={path}/run", *options,
    ]  # fmt: skip
    words = [word for value in values for word in ("-o", value)]
    command = program("imapd", *words, "--listen", "127.0.0.1:0")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout
    return process, int(process.stdout.readline().rsplit(b":")[-1])


def tell_apart(name: str, port: int, way: Way, kinds: dict[str, tuple[str, str]], tries: int, delay: float) -> bool:
    """The lines of one way to log in; True if nobody can be told from another."""
    found: dict[str, tuple[list[float], set[bytes]]] = {}

    def work(kind: str) -> None:
        found[kind] = ask(port, way, kinds[kind], tries, delay)

    threads = [threading.Thread(target=work, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    middle = statistics.median(found["wrong password"][0])
    words = set().union(*(answers for _, answers in found.values()))
    well = len(words) == 1
    for kind in kinds:
        median = statistics.median(found[kind][0])
        good = abs(median - middle) < MOST_MS and well
        well = well and good
        verdict = "the same" if good else "**differs**"
        print(f"| {name} | {kind} | {median:.2f} | {median - middle:+.2f} | {verdict} |", flush=True)
    return well


def strangers(tries: int, delay: float, only: str) -> bool:
    """The table of S7; True if all is well."""
    print(f"\n| by | account | median ms of {tries} | difference | answer and time |\n|---|---|---:|---:|---|")
    with tempfile.TemporaryDirectory() as place:
        ground = Ground(Path(place))
        nowhere = ("passwd_file=", "cram_md5_file=")
        file = (f"passwd_file={place}/passwd", "cram_md5_file=")
        clear = (f"passwd_file={place}/passwd", f"cram_md5_file={place}/secrets")
        well = True
        try:
            for name, options, way, kinds in (
                ("LOGIN, PAM", nowhere, by_login, ground.in_pam),
                ("LOGIN, passwd-file", file, by_login, ground.in_file),
                ("LOGIN, password_cache", (*file, "password_cache=true"), by_login, ground.in_file),
                ("CRAM-MD5", clear, by_cram_md5, ground.in_secrets),
                ("SCRAM-SHA-256", clear, by_scram, ground.in_secrets),
            ):
                if only in name and (kinds != ground.in_pam or os.getuid() == 0):
                    process, port = listening(ground.path, delay, *options)
                    try:
                        well = tell_apart(name, port, way, kinds(), tries, delay) and well
                    finally:
                        process.terminate()
                        process.wait()
        finally:
            ground.close()
    return well


def main() -> None:
    hashlib.pbkdf2_hmac = functools.lru_cache(hashlib.pbkdf2_hmac)  # the client's: its work is not to be seen
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--delay", type=float, default=0.5)
    parser.add_argument("--only", default="", help="a word of the names in the second table")
    given = parser.parse_args()
    well = [compare(given.samples), strangers(given.tries, given.delay, given.only)]
    raise SystemExit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
