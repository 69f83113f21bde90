"""Both servers on ports of loopback with one account, for mail clients; and what lies in its mailboxes.

The account is in a passwd-file, so nothing of the machine is changed. TLS is spoken with a
certificate that `mailcore cert` makes.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import ssl
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path

from tests.integration.machine import Daemon, free_port, launcher
from tests.playground import Ground, certificate

HOST = "127.0.0.1"
USER, PASSWORD = "fred", "Distelfink 7"  # a blank: clients have to quote it
NAME = "mail.example.org"  # in the certificate, as are `localhost` and the address
SEPARATOR = b"From %b@example.org Sat Nov 21 12:00:%02d 2026\n"

# what this house and its neighbours write into a message's header
OURS = re.compile(rb"(Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase): .*(\n[ \t].*)*\n", re.I)


def mail(word: str, body: bytes = b"", *fields: bytes) -> bytes:
    """A message as it lies in an mbox, with LF."""
    header = b"From: %b@example.org\nTo: fred@mail.example.org\nSubject: %b\nMessage-ID: <%b@example.org>\n"
    date = b"Date: Sat, 21 Nov 2026 12:00:00 +0000\n"
    name = word.encode()
    return header % (name, name, name) + date + b"".join(fields) + b"\n" + (body or b"Body of %b.\n" % name)


def crlf(text: bytes) -> bytes:
    """The same message on the wire."""
    return text.replace(b"\n", b"\r\n")


MIME = b"MIME-Version: 1.0\n"
PARTS = b"--=_b\nContent-Type: text/plain; charset=utf-8\n\nH\xc3\xa4uschen\n--=_b\n" + (
    b"Content-Type: application/octet-stream; name=x.bin\nContent-Transfer-Encoding: base64\n\n" + b"AAECAwQF\n" * 400
)
CORPUS = [
    mail("plain"),
    mail("dots", b".\n..\n.hidden\n\n.\nend\n"),
    mail("quoted", b"first\n\n>From the start\n>>From further\n\n"),
    mail("eight-bit", "Grüße aus Köln\n".encode("latin-1") * 3, MIME + b"Content-Transfer-Encoding: 8bit\n"),
    mail("parts", PARTS + b"--=_b--\n", MIME + b'Content-Type: multipart/mixed; boundary="=_b"\n'),
    mail("long-line", b"x" * 5000 + b"\n", b"Subject: again\n\tand folded\n"),
    mail("no-body", b"\n"),
    mail("large", b"".join(b"line %d of a large message\n" % number for number in range(12000))),
]


class PostOffice:
    """One user's mail, and servers that start when somebody asks for their port."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.certificates = Path(tempfile.mkdtemp(prefix="mailcore-tls-"))
        self.certificates.chmod(0o755)
        self.certificate = self._public(certificate(self.certificates, NAME, "ecdsa", "imapd.pem", HOST, "localhost"))
        self.passwd = ground.accounts((USER, PASSWORD)).rename(self.certificates / "passwd")
        self._daemons: list[Daemon] = []

    def _public(self, pem: Path) -> Path:
        """The certificate without its key, for clients to read."""
        path = self.certificates / "public.crt"
        path.write_text(pem.read_text()[pem.read_text().index("-----BEGIN CERTIFICATE") :])
        return path

    def home(self) -> Path:
        """A home for a client, which runs as the ordinary user who owns the mail."""
        path = Path(tempfile.mkdtemp(prefix="client-", dir=self.ground.path))
        os.chown(path, *self._owner())
        return path

    def _owner(self) -> tuple[int, int]:
        return (self.ground.user.pw_uid, self.ground.user.pw_gid) if not os.getuid() else (-1, -1)

    def give(self, path: Path) -> Path:
        """Let the client have what was made for it, with all below."""
        for each in [path, *path.rglob("*")]:
            os.chown(each, *self._owner())
        return path

    def run(self, *command: str, home: Path, ok: tuple[int, ...] = (0,), **env: str) -> str:
        """What a client prints; it has a minute."""
        self.give(home)
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, cwd=home,
            env={"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **env},
            **self.ground.identity(),  # type: ignore[call-overload]
        )  # fmt: skip
        said, complained = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        assert done.returncode in ok, f"{command[0]}: {done.returncode}\n{said[-2000:]}\n{complained[-2000:]}"
        return said + complained

    def _listen(self, name: str, *words: str) -> int:
        self.ground.hand_over()
        port = free_port()
        values = self.ground.options() | {
            "passwd_file": str(self.passwd),
            "tls_directory": str(self.certificates),
            "run_directory": str(self.certificates / "run"),
        }
        options = [word for name_and_value in values.items() for word in ("-o", "=".join(name_and_value))]
        program = launcher(self.certificates / f"{name}-{port}", name)
        command = [str(program), *options, *words, "--listen", f"{HOST}:{port}"]
        self._daemons.append(Daemon(*command, ports=(port,)))
        return port

    @cached_property
    def imap(self) -> int:
        return self._listen("imapd")

    @cached_property
    def imaps(self) -> int:
        return self._listen("imapd", "--tls")

    @cached_property
    def pop3(self) -> int:
        return self._listen("ipop3d")

    @cached_property
    def pop3s(self) -> int:
        return self._listen("ipop3d", "--tls")

    def believing(self) -> ssl.SSLContext:
        """This server's certificate and no other; the address must be in it."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def close(self) -> None:
        for daemon in self._daemons:
            daemon.stop()
        shutil.rmtree(self.certificates)

    def fill(self, name: str = "INBOX", mails: list[bytes] | None = None) -> list[bytes]:
        """A mailbox that no server has seen yet."""
        mails = CORPUS if mails is None else mails
        whole = b"".join(SEPARATOR % (b"fill", number) + text + b"\n" for number, text in enumerate(mails))
        self.ground.place(name, whole)
        self.ground.hand_over()
        return mails

    def deliver(self, text: bytes, name: str = "INBOX") -> None:
        """As a delivery agent does: locked, at the end."""
        with open(self.ground.file(name), "ab") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            file.write(SEPARATOR % (b"delivery", 0) + text + b"\n")

    def mails(self, name: str = "INBOX") -> list[bytes]:
        """What lies in a mailbox, without the fields that are ours."""
        return [_without_ours(text) for text in self.raw(name)]

    def raw(self, name: str = "INBOX") -> list[bytes]:
        """The messages of an mbox file, as a program reads it that knows separators and nothing else."""
        pieces = re.split(rb"(?:\A|(?<=\n\n))From \S+ .*\d{4}\n", self.ground.file(name).read_bytes())
        assert pieces.pop(0) == b"", "what comes first is a separator"
        return [piece.removesuffix(b"\n") for piece in pieces]

    def flags(self, name: str = "INBOX") -> dict[str, set[str]]:
        """By subject: the letters of Status and X-Status, and the words of X-Keywords, as other programs see them."""
        found = {}
        for text in self.raw(name):
            header = text.partition(b"\n\n")[0].decode("latin-1")
            letters = "".join(re.findall(r"^(?:X-)?Status: *(\S*)", header, re.M))
            words = " ".join(re.findall(r"^X-Keywords: *(.*)", header, re.M)).split()
            subject = re.search(r"^Subject: (.*)", header, re.M)
            found[subject[1] if subject else ""] = set(letters) | set(words)
        return found


def _without_ours(text: bytes) -> bytes:
    header, empty, body = text.partition(b"\n\n")
    return OURS.sub(b"", header + b"\n") + empty[1:] + body
