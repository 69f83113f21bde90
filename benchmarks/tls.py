"""What TLS costs: CPU time to the greeting cold and from a listener, and MB/s of a long message, against clear.

    python -m benchmarks.tls [RUNS]

Everything is measured in one run, alternately (A B B A), and told as a ratio to the same without TLS.  The servers
are installed first, as in greeting.py.  Cold: the process is started on a socket as inetd does, and its CPU time is
counted to its end.  Listener: wall time from connect to the greeting's last octet, full handshake and resumed one.
Bulk: POP3 RETR of one large message; the client, which deciphers in the same time, is part of the figure.
"""

from __future__ import annotations

import os
import resource
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BULK_LINES = 800_000
HOST = "127.0.0.1"


def context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.maximum_version = version
    return made


def cold(command: list[str], tls: bool) -> float:
    """CPU ms of a server that greets one client and ends, all its processes."""
    before = used()
    ours, theirs = socket.socketpair()
    server = subprocess.Popen(command + ["--tls"] * tls, stdin=theirs, stdout=theirs, stderr=theirs)
    theirs.close()
    talk = context().wrap_socket(ours) if tls else ours
    talk.recv(1000)
    talk.sendall(b"QUIT\r\n")
    while talk.recv(1000):
        pass
    talk.close()
    server.wait()
    return (used() - before) * 1000


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Warm:
    """A listener in clear and one under TLS."""

    def __init__(self, command: list[str]) -> None:
        self.ports = [free_port(), free_port()]
        self.servers = [
            subprocess.Popen([*command, "--listen", f"{HOST}:{port}", *words], stdout=subprocess.DEVNULL)
            for port, words in zip(self.ports, ([], ["--tls"]), strict=True)
        ]
        self.contexts = {version: context(version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)}
        self.tickets: dict[ssl.TLSVersion, ssl.SSLSession | None] = dict.fromkeys(self.contexts)
        time.sleep(2)

    def clear(self) -> float:
        start = time.perf_counter()
        with socket.create_connection((HOST, self.ports[0])) as talk:
            talk.recv(1000)
        return (time.perf_counter() - start) * 1000

    def sealed(self, version: ssl.TLSVersion, resumed: bool) -> float:
        start = time.perf_counter()
        sock = socket.create_connection((HOST, self.ports[1]))
        ticket = self.tickets[version] if resumed else None
        with self.contexts[version].wrap_socket(sock, session=ticket) as talk:
            talk.recv(1000)
            spent = (time.perf_counter() - start) * 1000
            if resumed and ticket is not None and not talk.session_reused:
                raise SystemExit("the ticket was not taken")
            self.tickets[version] = talk.session
        return spent

    def bulk(self, tls: bool) -> float:
        """MB/s of one RETR."""
        sock = socket.create_connection((HOST, self.ports[tls]))
        talk = self.contexts[ssl.TLSVersion.TLSv1_3].wrap_socket(sock) if tls else sock
        file = talk.makefile("rb")
        for said in (b"", b"USER fred\r\n", b"PASS secret\r\n"):
            talk.sendall(said)
            if not file.readline().startswith(b"+OK"):
                raise SystemExit("no login")
        octets, tail, start = 0, b"", time.perf_counter()
        talk.sendall(b"RETR 1\r\n")
        while not tail.endswith(b"\r\n.\r\n"):
            part = talk.recv(131072)
            octets, tail = octets + len(part), (tail + part)[-5:]
        spent = time.perf_counter() - start
        talk.sendall(b"RSET\r\nQUIT\r\n")
        talk.close()
        return octets / spent / 1e6

    def stop(self) -> None:
        for server in self.servers:
            server.terminate()
            server.wait()


def free_port() -> int:
    with socket.create_server((HOST, 0)) as sock:
        return int(sock.getsockname()[1])


def prepare(scratch: Path) -> list[str]:
    """Install, make a certificate, an account and one large message; the command that serves them."""
    quiet = {"cwd": ROOT, "check": True, "stdout": subprocess.DEVNULL}
    subprocess.run(["make", "-s", "install", f"PREFIX={scratch}"], **quiet)
    (scratch / "tls").mkdir()
    words = ["cert", "--directory", str(scratch / "tls"), "--common-name", "mail.example.org", "--batch"]
    subprocess.run([sys.executable, "-m", "mailcore.tools", *words], **quiet)
    uid = os.getuid() or 65534
    from passlib.hash import sha512_crypt

    passwd = scratch / "passwd"
    passwd.write_text(f"fred:{sha512_crypt.using(rounds=1000).hash('secret')}:{uid}:{uid}::{scratch}/home\n")
    passwd.chmod(0o600)
    for name in ("home", "spool"):
        (scratch / name).mkdir()
    inbox = scratch / "spool" / "fred"
    inbox.write_bytes(b"From x@y Thu Jan  1 00:00:00 2026\nSubject: long\n\n" + (b"x" * 76 + b"\n") * BULK_LINES)
    for path in (scratch / "home", scratch / "spool", inbox):
        os.chown(path, uid, uid)
    location = f"mbox:~/mail:INBOX={scratch}/spool/%u"
    return [
        f"{scratch}/libexec/ipop3d", "--passwd-file", str(passwd), "--mail-location", location,
        "-o", f"tls_directory={scratch}/tls", "-o", f"index_directory={scratch}/home/index",
    ]  # fmt: skip


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        command = prepare(Path(place))
        warm = Warm(command)
        old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
        try:
            table("CPU ms, cold: start to end", runs, {
                "clear": lambda: cold(command, False), "TLS": lambda: cold(command, True)})
            table("ms, listener: connect to greeting", runs, {
                "clear": warm.clear,
                "TLS 1.3, full": lambda: warm.sealed(new, False), "TLS 1.3, resumed": lambda: warm.sealed(new, True),
                "TLS 1.2, full": lambda: warm.sealed(old, False), "TLS 1.2, resumed": lambda: warm.sealed(old, True)})
            table("MB/s, RETR of 62 MB", max(3, runs // 4), {
                "clear": lambda: warm.bulk(False), "TLS": lambda: warm.bulk(True)})  # fmt: skip
        finally:
            warm.stop()


def table(title: str, runs: int, rows: dict[str, Callable[[], float]]) -> None:
    found: dict[str, list[float]] = {name: [] for name in rows}
    for run in range(runs + 1):
        for name in rows if run % 2 else reversed(rows):
            value = rows[name]()
            if run:  # the first round warms the caches
                found[name].append(value)
    base = statistics.median(found["clear"])
    print(f"{title:36} median    min    max  ratio")
    for name, values in found.items():
        median = statistics.median(values)
        print(f"  {name:34} {median:6.1f} {min(values):6.1f} {max(values):6.1f} {median / base:6.2f}")


if __name__ == "__main__":
    main()
