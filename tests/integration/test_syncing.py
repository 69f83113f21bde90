"""mbsync and offlineimap keep a Maildir and our mailboxes alike, over TLS and over a tunnel (PREAUTH).

Both sides change between two runs; after each run both have the same mail and flags, and the next
one has nothing to do.
"""

from __future__ import annotations

import imaplib
import os
import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import need
from tests.integration.post_office import CORPUS, PASSWORD, USER, PostOffice, crlf, mail
from tests.playground import program

MBSYNC = """
IMAPAccount fred
{way}

IMAPStore far
Account fred

MaildirStore near
Path {maildir}/
Inbox {maildir}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
"""
MBSYNC_TLS = 'Host localhost\nPort {port}\nUser {user}\nPass "{password}"\nSSLType IMAPS\nCertificateFile {certificate}'

OFFLINEIMAP = """
[general]
accounts = fred
metadata = {home}/metadata
[Account fred]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {maildir}
[Repository far]
type = IMAP
{way}
"""
OFFLINEIMAP_TLS = (
    "remotehost = localhost\nremoteport = {port}\nremoteuser = {user}\nremotepass = {password}\n"
    "ssl = yes\nsslcacertfile = {certificate}"
)
CLIENTS = {
    "mbsync": (MBSYNC, MBSYNC_TLS, ["-c", "{conf}", "-a", "-V"]),
    "mbsync-tunnel": (MBSYNC, "Tunnel {tunnel}", ["-c", "{conf}", "-a", "-V"]),
    "offlineimap": (OFFLINEIMAP, OFFLINEIMAP_TLS, ["-o", "-c", "{conf}", "-u", "basic"]),
    "offlineimap-tunnel": (OFFLINEIMAP, "preauthtunnel = {tunnel}", ["-o", "-c", "{conf}", "-u", "basic"]),
}


class Client:
    """A program that synchronizes all mailboxes with a Maildir."""

    def __init__(self, office: PostOffice, name: str, home: Path) -> None:
        conf, way, words = CLIENTS[name]
        self.office, self.home = office, home
        self.maildir = home / "Maildir"
        self.maildir.mkdir()
        values = {
            "home": home, "maildir": self.maildir, "user": USER, "password": PASSWORD, "conf": home / "conf",
            "certificate": office.certificate, "port": office.imaps, "tunnel": tunnel(office, home, name),
        }  # fmt: skip
        values["way"] = way.format_map(values)
        (home / "conf").write_text(conf.format_map(values).lstrip())
        self.command = [need(name.partition("-")[0]), *(word.format_map(values) for word in words)]

    def sync(self) -> str:
        return self.office.run(*self.command, home=self.home)

    def tree(self) -> dict[str, bytes]:
        """All messages, by place."""
        files = (path for path in self.maildir.rglob("*") if path.parent.name in ("cur", "new") and path.is_file())
        return {str(path.relative_to(self.maildir)): path.read_bytes() for path in files}

    def find(self, subject: str, folder: str = "INBOX") -> Path:
        for place in ("cur", "new"):
            for path in (self.maildir / folder / place).iterdir():
                if f"\nSubject: {subject}\n".encode() in path.read_bytes():
                    return path
        raise AssertionError(f"no {subject} in {folder}")

    def mails(self, folder: str = "INBOX") -> set[bytes]:
        return {plain(text) for path, text in self.tree().items() if path.startswith(folder + "/")}

    def flags(self, subject: str, folder: str = "INBOX") -> set[str]:
        return set(self.find(subject, folder).name.partition(":2,")[2])

    def mark(self, subject: str, letters: str) -> None:
        path = self.find(subject)
        path.rename(path.parent.parent / "cur" / (path.name.partition(":2,")[0] + ":2," + letters))

    def put(self, text: bytes, folder: str, letters: str = "") -> None:
        for place in ("tmp", "new", "cur"):
            (self.maildir / folder / place).mkdir(parents=True, exist_ok=True)
        (self.maildir / folder / "cur" / f"1795250000.{len(text)}.here:2,{letters}").write_bytes(text)


def plain(text: bytes) -> bytes:
    """A message without the field in which mbsync marks it."""
    return re.sub(rb"^X-TUID: .*\n", b"", text, count=1, flags=re.M)


def theirs(office: PostOffice, name: str = "INBOX") -> list[bytes]:
    return [plain(text) for text in office.mails(name)]


def tunnel(office: PostOffice, home: Path, name: str) -> str:
    """A command that speaks IMAP on its standard input, as the user whose mail it is."""
    options = [word for key, value in office.ground.options().items() for word in ("-o", f"{key}={value}")]
    start = home / "tunnel"
    start.write_text(
        "import os, sys\n"
        f"os.environ['HOME'] = {str(office.ground.home)!r}; os.chdir('/')\n"
        f"if not os.getuid():\n    os.setgroups([]); os.setgid({office.ground.user.pw_gid})\n"
        f"    os.setuid({office.ground.user.pw_uid})\n"
        f"command = {program('imapd', *options)!r}\nos.execv(command[0], command)\n"
    )
    command = f"/usr/bin/python3 -I {shlex.quote(str(start))}"
    return f'"{command}"' if name.startswith("mbsync") else command


@pytest.fixture(params=CLIENTS)
def client(office, request):
    office.fill()
    return Client(office, request.param, office.home())


def elsewhere(office: PostOffice) -> imaplib.IMAP4:
    """Another session on the same mailboxes."""
    session = imaplib.IMAP4("localhost", office.imap, timeout=30)
    session.login(USER, PASSWORD)
    session.select("INBOX")
    return session


def all_quiet(client: Client, office: PostOffice) -> None:
    """One more run changes nothing, on neither side."""
    before = client.tree(), office.raw()
    client.sync()
    assert (client.tree(), office.raw()) == before


def same(client: Client, office: PostOffice, name: str = "INBOX") -> None:
    """The same mail and the same flags on both sides."""
    assert client.mails(name) == set(theirs(office, name))
    words = {"R": "S", "A": "R", "F": "F", "D": "T", "T": "D"}
    for subject, flags in office.flags(name).items():
        assert client.flags(subject, name) == {words[flag] for flag in flags if flag in words}, subject


def test_there_and_back(client, office):
    client.sync()
    assert client.mails() == set(CORPUS)
    same(client, office)
    all_quiet(client, office)

    client.mark("plain", "S")
    client.mark("dots", "FRS")
    session = elsewhere(office)
    session.store("1", "+FLAGS", r"(\Flagged Arbeit)")
    session.store("3", "+FLAGS", r"(\Answered \Seen)")
    client.sync()
    assert office.flags()["plain"] >= {"R", "F", "Arbeit"} and office.flags()["dots"] >= {"R", "F", "A"}
    assert client.flags("plain") == {"F", "S"} and client.flags("quoted") == {"R", "S"}
    same(client, office)
    all_quiet(client, office)

    office.deliver(mail("delivered"))
    client.find("no-body").unlink()
    session.store("6", "+FLAGS.SILENT", r"\Deleted")
    session.expunge()
    client.put(mail("written"), "INBOX", "S")
    client.sync()
    left = {text for number, text in enumerate(CORPUS) if number not in (5, 6)}
    assert set(theirs(office)) == left | {mail("delivered"), mail("written")}
    assert "R" in office.flags()["written"]
    same(client, office)
    all_quiet(client, office)

    session.create("Sent")
    session.append("Sent", r"(\Seen)", None, crlf(CORPUS[4]))
    session.append("Sent", None, None, crlf(CORPUS[3]))
    client.put(mail("draft"), "Drafts", "DS")
    client.sync()
    same(client, office, "Sent")
    same(client, office, "Drafts")
    assert theirs(office, "Drafts") == [mail("draft")] and office.flags("Drafts")["draft"] >= {"R", "T"}
    all_quiet(client, office)
    session.logout()


def test_from_lines(client, office):
    """What has to be quoted in an mbox comes back quoted, and stays at that."""
    client.sync()
    client.put(mail("from", b"From the start\n\nFrom there\n>From here\n"), "INBOX")
    client.sync()
    assert theirs(office)[-1] == mail("from", b">From the start\n\n>From there\n>From here\n")
    assert len(theirs(office)) == len(CORPUS) + 1
    all_quiet(client, office)


def test_another_program_changes_the_file(client, office):
    """UIDs stay when a mail program rewrites it."""
    client.sync()
    whole = office.ground.file("INBOX").read_bytes()
    first = whole.index(b"From fill@", 1)
    rest = re.sub(rb"(Subject: large\n)", rb"\1X-Note: rewritten\n", whole[first:])
    office.ground.file("INBOX").write_bytes(rest + mail_at_end())
    os.utime(office.ground.file("INBOX"))
    client.sync()
    assert client.mails() == set(theirs(office))
    assert len(client.mails()) == len(CORPUS)
    all_quiet(client, office)


def mail_at_end() -> bytes:
    return b"From x@example.org Sat Nov 21 13:00:00 2026\n" + mail("at-the-end") + b"\n"
