"""The servers to compare, each in a control group of its own, on a high port, with mail of its own.

Ours is installed (`make install` into the scratch directory), so that what runs is what an administrator runs; only the
defaults in its settings.py are changed, because a line of inetd has no arguments.  All read accounts from a file
with the same hash, SHA-512 of 1000 rounds: a dear hash would hide everything else.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks import spool

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
HOST = "127.0.0.1"
UID = 30001  # nobody's: only the accounts file knows it
USER, PASSWORD = "fred", "flintstone"
PORTS = ("imap", "pop3", "imaps", "pop3s")


def free_port() -> int:
    with socket.create_server((HOST, 0)) as sock:
        return int(sock.getsockname()[1])


def groups() -> tuple[Path, str]:
    """Where control groups are made, and the file that counts their CPU time."""
    for place, file in ((Path("/sys/fs/cgroup/cpuacct"), "cpuacct.usage"), (Path("/sys/fs/cgroup"), "cpu.stat")):
        if (place / "cgroup.procs").exists():
            return place, file
    raise SystemExit("no control groups here: CPU time cannot be counted")


class Group:
    """A control group: the CPU time of all that ever ran in it, and the memory of what runs now."""

    def __init__(self, name: str) -> None:
        place, file = groups()
        self.path = place / f"mailcore-bench-{os.getpid()}-{name}"
        self.path.mkdir()
        self.file = self.path / file

    def enter(self) -> None:
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def cpu_seconds(self) -> float:
        text = self.file.read_text().split()
        return int(text[1]) / 1e6 if text[0] == "usage_usec" else int(text[0]) / 1e9

    def pids(self) -> list[int]:
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]

    def pss_octets(self) -> int:
        """Proportional set size: shared pages counted once over all."""
        total = 0
        for pid in self.pids():
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        return total

    def end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + 3
            while self.pids() and time.monotonic() < until:
                for pid in self.pids():
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
                time.sleep(0.05)
        with suppress(OSError):
            self.path.rmdir()


class Server:
    """One server: ports, a group, and a place whose mail may be replaced."""

    maildir = False

    def __init__(self, name: str, scratch: Path) -> None:
        self.name = name
        self.place = scratch / name
        self.place.mkdir()
        self.group = Group(name)
        self.ports = {protocol: free_port() for protocol in PORTS}
        self.children: list[subprocess.Popen[bytes]] = []
        self.accounts = self.place / "accounts"
        write(self.accounts, f"{USER}:{{SHA512-CRYPT}}{hashed()}:{UID}:{UID}::{self.place}/home\n", 0o644)
        self.empty()

    @property
    def location(self) -> str:
        return f"mbox:{self.place}/home/mail:INBOX={self.place}/spool/%u"

    @property
    def inbox(self) -> Path:
        return self.place / "spool" / USER

    def run(self, *command: str) -> None:
        self.children.append(
            subprocess.Popen(
                command, preexec_fn=self.group.enter, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=(self.place / "stderr").open("ab"),
            )
        )  # fmt: skip

    def stop(self) -> None:
        for child in self.children:
            child.terminate()
        self.group.end()
        for child in self.children:
            child.wait()

    def empty(self) -> None:
        """No mail, and nothing known of any."""
        for name in ("home", "spool", "index"):
            shutil.rmtree(self.place / name, ignore_errors=True)
            (self.place / name).mkdir(mode=0o755)
            own(self.place / name)

    def fill(self, mailboxes: Path, size: str) -> None:
        """INBOX becomes a mailbox of that size, which this server has never seen."""
        self.empty()
        shutil.copyfile(mailboxes / f"{size}.mbox", self.inbox)
        own(self.inbox)

    def deliver(self, message: bytes) -> None:
        """As a delivery agent does: dot lock, fcntl lock, append."""
        import fcntl

        lock = self.inbox.with_name(self.inbox.name + ".lock")
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
                break
            except FileExistsError:
                time.sleep(0.002)
        with self.inbox.open("ab") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            file.write(message)
        lock.unlink()


class Warm(Server):
    """Ours with --listen, a process for IMAP and one for POP3."""

    def __init__(self, name: str, scratch: Path, programs: Path, certificates: Path, *more: str) -> None:
        super().__init__(name, scratch)
        given = [
            f"passwd_file={self.accounts}", f"mail_location={self.location}", f"index_directory={self.place}/index/%u",
            f"gatekeeper_root={scratch}/nothing", "login_delay_seconds=0", f"run_directory={scratch}/run-{name}",
            "text_index_step_octets=99999999999",  # one search fills the text index, where there is one
            f"tls_directory={certificates}",
            *more,
        ]  # fmt: skip
        words = [word for option in given for word in ("-o", option)]
        for protocol, program in (("imap", "imapd"), ("pop3", "ipop3d")):
            clear, sealed = (f"{HOST}:{self.ports[name]}" for name in (protocol, f"{protocol}s"))
            self.run(f"{programs}/{program}", "--listen", clear, "--listen-tls", sealed, *words)


class Cold(Server):
    """Ours, started by inetd for each connection; its installed defaults are this place."""

    def __init__(self, name: str, scratch: Path, programs: Path) -> None:
        super().__init__(name, scratch)
        self.ports = {"imap": self.ports["imap"], "pop3": self.ports["pop3"]}
        write(self.place / "inetd.conf", "".join(
            f"{HOST}:{self.ports[protocol]} stream tcp nowait.100000 root {programs}/{program} {program}\n"
            for protocol, program in (("imap", "imapd"), ("pop3", "ipop3d"))
        ))  # fmt: skip
        self.run("inetd", "-i", str(self.place / "inetd.conf"))


class Dovecot(Server):
    """Dovecot as Debian sets it up, or tuned: login and mail processes are used again, passwords cached."""

    def __init__(
        self, name: str, scratch: Path, certificates: Path, tuned: bool = False, maildir: bool = False
    ) -> None:
        self.maildir = maildir
        super().__init__(name, scratch)
        self.certificate = certificates / "imapd.pem"
        write(self.place / "dovecot.conf", self.settings() + (TUNED if tuned else ""))
        self.run("dovecot", "-F", "-c", str(self.place / "dovecot.conf"))

    @property
    def location(self) -> str:
        return f"maildir:{self.place}/home/Maildir" if self.maildir else super().location

    def settings(self) -> str:
        listeners = "".join(
            f"service {protocol}-login {{\n process_limit = 500\n"
            f" inet_listener {protocol} {{\n port = {self.ports[protocol]}\n }}\n"
            f" inet_listener {protocol}s {{\n port = {self.ports[protocol + 's']}\n ssl = yes\n }}\n}}\n"
            for protocol in ("imap", "pop3")
        )
        return (
            f"protocols = imap pop3\nlisten = {HOST}\nbase_dir = {self.place}/run\nstate_dir = {self.place}/run\n"
            f"log_path = {self.place}/log\nmail_location = {self.location}\nmail_max_userip_connections = 1000\n"
            f"ssl = yes\nssl_cert = <{self.certificate}\nssl_key = <{self.certificate}\ndisable_plaintext_auth = no\n"
            f"passdb {{\n driver = passwd-file\n args = {self.accounts}\n}}\n"
            f"userdb {{\n driver = passwd-file\n args = {self.accounts}\n}}\n"
            f"mbox_write_locks = fcntl dotlock\n{listeners}"
        )

    def fill(self, mailboxes: Path, size: str) -> None:
        if not self.maildir:
            return super().fill(mailboxes, size)
        self.empty()
        subprocess.run(["cp", "-al", mailboxes / f"{size}.maildir", self.place / "home" / "Maildir"], check=True)
        subprocess.run(["chown", "-R", f"{UID}:{UID}", self.place / "home"], check=True)
        return None

    def deliver(self, message: bytes) -> None:
        if not self.maildir:
            return super().deliver(message)
        name = f"{time.time():.6f}.M1.host"
        new = self.place / "home" / "Maildir" / "tmp" / name
        new.write_bytes(message.partition(b"\n")[2])
        own(new)
        new.rename(new.parent.parent / "new" / name)
        return None


OURS_TUNED = ("gatekeeper_visits=1000", "password_cache=true")  # processes used again, passwords cached
TUNED = """
auth_cache_size = 10M
service imap-login {
 service_count = 0
 process_min_avail = 2
}
service pop3-login {
 service_count = 0
 process_min_avail = 2
}
service imap {
 service_count = 1000
 process_min_avail = 2
}
service pop3 {
 service_count = 1000
 process_min_avail = 2
}
"""


def hashed() -> str:
    from passlib.hash import sha512_crypt

    return str(sha512_crypt.using(rounds=1000, salt="mailcore").hash(PASSWORD))


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def own(path: Path) -> None:
    os.chown(path, UID, UID)


def install(scratch: Path, **defaults: str) -> Path:
    """`make install`; the directory of the programs.  `defaults` take the place of those in settings.py."""
    target = scratch / "installed"
    quiet = subprocess.DEVNULL
    subprocess.run(["make", "-s", "install", f"PREFIX={target}"], cwd=ROOT, check=True, stdout=quiet, stderr=quiet)
    table = target / "lib" / "mailcore" / "mailcore" / "settings.py"
    with table.open("a") as file:
        for name, value in defaults.items():
            file.write(f"TABLE[{name!r}] = ({value!r}, TABLE[{name!r}][1])\n")
    subprocess.run(["make", "-s", "bundle", f"PREFIX={target}"], cwd=ROOT, check=True, stdout=quiet, stderr=quiet)
    return target / "libexec"


def certify(directory: Path) -> Path:
    directory.mkdir()
    words = ["cert", "--directory", str(directory), "--common-name", "mail.example.org", "--batch"]
    subprocess.run([sys.executable, "-m", "mailcore.tools", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return directory


def start(scratch: Path) -> dict[str, Server]:
    """All of them, ready to be called."""
    place = scratch / "cold"
    programs = install(
        scratch, passwd_file=str(place / "accounts"), mail_location=f"mbox:{place}/home/mail:INBOX={place}/spool/%u",
        index_directory=f"{place}/index/%u", gatekeeper_root=str(scratch / "nothing"), anonymous_file="",
        cram_md5_file="", run_directory=f"{scratch}/run-cold", scram_key_file=f"{place}/key",
    )  # fmt: skip
    (scratch / "nothing").mkdir(mode=0o755)
    certificates = certify(scratch / "certificates")
    servers: dict[str, Server] = {
        "ours": Warm("ours", scratch, programs, certificates),
        "ours tuned": Warm("ours-tuned", scratch, programs, certificates, *OURS_TUNED),
    }
    if shutil.which("inetd"):
        servers["cold"] = Cold("cold", scratch, programs)
    if shutil.which("dovecot"):
        servers["dovecot"] = Dovecot("dovecot", scratch, certificates)
        servers["tuned"] = Dovecot("tuned", scratch, certificates, tuned=True)
        servers["maildir"] = Dovecot("maildir", scratch, certificates, maildir=True)
    for server in servers.values():
        wait_for(server)
    return servers


def wait_for(server: Server) -> None:
    until = time.monotonic() + 20
    for port in server.ports.values():
        while True:
            try:
                socket.create_connection((HOST, port), 5).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise SystemExit(f"{server.name} does not start; see {server.place}") from None
                time.sleep(0.1)


def mailboxes(scratch: Path, sizes: list[str]) -> tuple[Path, dict[str, spool.Facts]]:
    """The originals that servers get copies of."""
    place = scratch / "mailboxes"
    place.mkdir()
    facts = {size: spool.make(place / f"{size}.mbox", size) for size in sizes}
    for size in sizes:
        if size != "L":
            spool.spread(place / f"{size}.mbox", place / f"{size}.maildir")
    return place, facts
