"""`make run`: a small spool, one account, and both servers on ports of their own.

What lives here: making the demo directory and keeping two listeners alive.  What does not:
the mail in it (demo_mail.py), and any way of serving that is not the servers' own: the
listeners are started by the same command line that anybody may type.
"""

from __future__ import annotations

import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import click

from mailcore.tools.demo_mail import INBOX, OTHERS

HOST = "127.0.0.1"
USER = PASSWORD = "demo"
PORT = click.IntRange(1, 65535)
START_SECONDS = 20.0
STOP_SECONDS = 10.0

TRANSCRIPT = """\
a1 SELECT INBOX
a2 FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])
a3 LOGOUT
"""


@click.command()
@click.option("--directory", default="demo", show_default=True, help="Where the demo's mail and account are made.")
@click.option("--imap-port", default=1143, show_default=True, type=PORT)
@click.option("--pop3-port", default=1110, show_default=True, type=PORT)
@click.option("--imaps-port", default=1993, show_default=True, type=PORT)
@click.option("--pop3s-port", default=1995, show_default=True, type=PORT)
def demo(directory: str, imap_port: int, pop3_port: int, imaps_port: int, pop3s_port: int) -> None:
    """Serve a few messages over IMAP and POP3 on this machine, until Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    place = Place(directory)
    listeners: list[Listener] = []
    try:
        place.make()
        for program, port, *words in (
            ("imapd", imap_port), ("ipop3d", pop3_port), ("imapd", imaps_port, "--tls"), ("ipop3d", pop3s_port, "--tls")
        ):  # fmt: skip
            listeners.append(Listener(place, str(program), int(port), *map(str, words)))
        for listener in listeners:
            listener.wait_until_heard()
        click.echo(_what_next(place, imap_port, pop3_port, imaps_port, pop3s_port))
        _wait(listeners)
    except KeyboardInterrupt:
        click.echo("\nDone.")
    finally:
        for listener in listeners:
            listener.end()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Place:
    """The directory of the demo.  What is there already stays as it is."""

    def __init__(self, directory: str) -> None:
        self.path = os.path.abspath(directory)
        if ":" in self.path:
            raise click.ClickException(f"{self.path}: a mail_location cannot hold a colon; use --directory")
        self.passwd = os.path.join(self.path, "passwd")
        self.home = os.path.join(self.path, "home")
        self.spool = os.path.join(self.path, "spool")
        self.index = os.path.join(self.path, "index")
        self.tls = os.path.join(self.path, "tls")
        self.uid, self.gid = _owner()

    @property
    def location(self) -> str:
        return f"mbox:~/mail:INBOX={self.spool.replace('%', '%%')}/%u"

    @property
    def transcript(self) -> str:
        return os.path.join(self.path, "transcript.txt")

    def make(self) -> None:
        os.makedirs(self.path, mode=0o755, exist_ok=True)
        for directory in (self.home, self.spool, self.index, os.path.join(self.home, "mail")):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        self._write(os.path.join(self.spool, USER), INBOX)
        for name, content in OTHERS.items():
            self._write(os.path.join(self.home, "mail", name), content)
        self._write(os.path.join(self.home, ".mailboxlist"), "".join(f"{name}\n" for name in OTHERS).encode())
        self._write(self.passwd, self._account().encode())
        self._write(self.transcript, TRANSCRIPT.encode())
        self._make_certificate()
        self._give_away()

    def _make_certificate(self) -> None:
        """One that signs itself; whoever serves the demo must own it."""
        from mailcore.tools.cert import FILE, cert

        os.makedirs(self.tls, mode=0o700, exist_ok=True)
        if not os.path.exists(os.path.join(self.tls, FILE)):
            words = ["--directory", self.tls, "--common-name", "localhost", "--alt-name", HOST, "--batch"]
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                cert.main(words, "cert", standalone_mode=False)

    def _write(self, path: str, content: bytes) -> None:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return
        with open(fd, "wb") as file:
            file.write(content)

    def _account(self) -> str:
        from passlib.hash import sha512_crypt  # type: ignore[import-untyped]

        return f"{USER}:{sha512_crypt.hash(PASSWORD)}:{self.uid}:{self.gid}::{self.home}\n"

    def _give_away(self) -> None:
        """Root serves nobody as root: the mail is then somebody else's, who must get at it."""
        if os.getuid() == self.uid:
            return
        for top in (self.home, self.spool, self.index):
            os.chown(top, self.uid, self.gid)
            for path, directories, files in os.walk(top):
                for name in directories + files:
                    os.chown(os.path.join(path, name), self.uid, self.gid)
        parent = self.path
        while parent != os.path.dirname(parent):
            if not os.stat(parent).st_mode & 0o001:
                raise click.ClickException(f"{parent} is closed to others; as root, use --directory /var/tmp/demo")
            parent = os.path.dirname(parent)


def _owner() -> tuple[int, int]:
    """Who the demo's account is: whoever runs the demo, but never root."""
    if os.getuid():
        return os.getuid(), os.getgid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


class Listener:
    """One server on one port, in a process group that ends as a whole."""

    def __init__(self, place: Place, program: str, port: int, *words: str) -> None:
        self.program = program
        self.port = port
        self._sealed = "--tls" in words
        self._refuse_taken_port()
        self._child = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", program, "--listen", f"{HOST}:{port}"),
                *("--passwd-file", place.passwd, "--mail-location", place.location),
                *("-o", f"index_directory={place.index}", "-o", f"run_directory={place.path}/run"),
                *("-o", f"tls_directory={place.tls}", *words),
            ],
            start_new_session=True,
        )

    def _refuse_taken_port(self) -> None:
        """Somebody else's answer must not pass for ours."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self.port))
            except OSError as error:
                raise click.ClickException(f"{self.program} on {HOST}:{self.port}: {error.strerror}") from None

    def wait_until_heard(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.ended:
                break
            try:
                with socket.create_connection((HOST, self.port), 5) as talk:
                    if self._sealed or talk.recv(1):  # under TLS the client speaks first
                        return
            except OSError:
                time.sleep(0.05)
        raise click.ClickException(f"{self.program} does not answer on {HOST}:{self.port}")

    @property
    def ended(self) -> bool:
        return self._child.poll() is not None

    def end(self) -> None:
        """TERM for the listener and its connections; KILL for whatever does not obey."""
        for deadly in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._child.pid, deadly)
            except ProcessLookupError:
                pass
            try:
                self._child.wait(STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                pass


def _wait(listeners: list[Listener]) -> None:
    """Until somebody interrupts, or a listener dies."""
    while True:
        for listener in listeners:
            if listener.ended:
                raise click.ClickException(f"{listener.program} has ended")
        time.sleep(0.5)


def _what_next(place: Place, imap_port: int, pop3_port: int, imaps_port: int, pop3s_port: int) -> str:
    here = shlex.quote(os.path.dirname(sys.executable))
    return f"""
IMAP on {HOST}:{imap_port}, POP3 on {HOST}:{pop3_port}; user {USER}, password {PASSWORD}.
The same under TLS from the first octet: IMAP on {imaps_port}, POP3 on {pop3s_port}.

  curl -u {USER}:{PASSWORD} imap://{HOST}:{imap_port}/
  curl -u {USER}:{PASSWORD} 'imap://{HOST}:{imap_port}/INBOX;MAILINDEX=1'
  curl -u {USER}:{PASSWORD} pop3://{HOST}:{pop3_port}/
  curl -u {USER}:{PASSWORD} pop3://{HOST}:{pop3_port}/2
  mutt -f imap://{USER}:{PASSWORD}@{HOST}:{imap_port}/INBOX

  openssl s_client -crlf -connect {HOST}:{imaps_port}
  openssl s_client -crlf -connect {HOST}:{pop3s_port}
  openssl s_client -crlf -connect {HOST}:{imap_port} -starttls imap
  openssl s_client -crlf -connect {HOST}:{pop3_port} -starttls pop3

The same without a network, as whoever you are ({pwd.getpwuid(os.getuid()).pw_name}); here on the demo's mail:

  {here}/imapd {_as_anybody(place)} < {shlex.quote(place.transcript)}

Ctrl-C ends both servers.  The mail stays in {place.path}; `make clean` removes it.
"""


def _as_anybody(place: Place) -> str:
    """Where the demo's mail is, for somebody whose home and name are others."""
    location = f"mbox:{place.home}/mail:INBOX={place.spool}/{USER}".replace("%", "%%")
    return shlex.join(["--mail-location", location, "-o", f"index_directory={place.index}"])
