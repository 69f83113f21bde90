"""mutt, neomutt and alpine over IMAP: keys on a terminal, and what they did to the mailboxes."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import need
from tests.integration.post_office import CORPUS, PASSWORD, USER, PostOffice, mail
from tests.integration.test_syncing import tunnel

SECONDS = 60
RC = """set folder="{folder}" spoolfile="{folder}INBOX" imap_user="{user}" imap_pass="{password}"
set ssl_starttls=yes ssl_force_tls={force} certificate_file="{certificate}" ssl_verify_host=yes tunnel="{tunnel}"
set mbox="" move=no delete=yes quit=yes mark_old=no sort=mailbox-order wait_key=no confirmappend=no confirmcreate=no
set read_inc=0 header_cache="" message_cachedir="" imap_idle={idle} imap_keepalive=60 timeout=1
set postponed="=Drafts" record="=Sent" imap_check_subscribed=no mail_check=1 imap_condstore=yes imap_qresync={idle}
set crypt_use_gpgme=no editor="{editor}" autoedit=yes abort_unmodified=no
"""


def on_a_terminal(command: list[str], office: PostOffice, home: Path, *steps: tuple[bytes, bytes]) -> None:
    """Run a program on a terminal of its own until it ends; each step is what it shows, and what is typed then."""
    office.give(home)
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(home)
        if not os.getuid():
            os.setgroups([])
            os.setgid(office.ground.user.pw_gid)
            os.setuid(office.ground.user.pw_uid)
        path = os.environ["PATH"]
        os.environ.clear()
        os.environ.update(HOME=str(home), TERM="vt100", LINES="24", COLUMNS="80", LC_ALL="C", PATH=path)
        os.execv(command[0], command)
    shown, end, left = b"", time.monotonic() + SECONDS, list(steps)
    try:
        while time.monotonic() < end:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65536)
            while left and left[0][0] in shown:
                os.write(terminal, left[0][1])
                shown = shown.partition(left.pop(0)[0])[2]
    except OSError:
        pass  # it has ended
    finally:
        os.close(terminal)
        if time.monotonic() >= end:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    assert status == 0 and not left, (left, shown[-3000:])


def editor(home: Path) -> Path:
    """Writes what somebody would type."""
    path = home / "editor"
    path.write_text("#!/bin/sh\nprintf 'From what I heard\\n.\\nyours' >>\"$1\"\n")
    path.chmod(0o755)
    return path


WAYS = [("mutt", "imaps"), ("mutt", "starttls"), ("mutt", "tunnel"), ("neomutt", "imaps"), ("neomutt", "tunnel")]


@pytest.fixture(params=WAYS, ids="-".join)
def mutt(office, request):
    office.fill()
    name, way = request.param
    home = office.home()
    program = need(name)
    port = office.imaps if way == "imaps" else office.imap
    values = {
        "folder": f"imap{'s' * (way == 'imaps')}://localhost:{port}/", "user": USER, "password": PASSWORD,
        "certificate": office.certificate, "force": "no" if way == "tunnel" else "yes",
        "tunnel": tunnel(office, home, "") if way == "tunnel" else "",
        "editor": editor(home), "idle": "yes" if name == "neomutt" else "no",
    }  # fmt: skip
    (home / "rc").write_text(RC.format_map(values))

    def run(keys: str, box: str = "INBOX") -> None:
        command = [program, "-n", "-F", str(home / "rc"), "-f", values["folder"] + box, "-e", f'push "{keys}"']
        on_a_terminal(command, office, home)

    return run


def test_mutt_marks_copies_and_removes(mutt, office):
    office.fill("there", [])
    mutt(
        "<first-entry><flag-message><last-entry><set-flag>r<first-entry><next-entry><display-message><exit>"
        "<first-entry><next-entry><next-entry><delete-message><sync-mailbox>"
        "<first-entry><copy-message>=there<enter><last-entry><save-message>=there<enter><quit>"
    )
    assert office.mails() == [CORPUS[0], CORPUS[1], *CORPUS[3:7]]
    assert office.mails("there") == [CORPUS[0], CORPUS[7]]
    flags = office.flags()
    assert "F" in flags["plain"] and "R" in flags["dots"]
    assert office.flags("there")["large"] >= {"A"} and "F" in office.flags("there")["plain"]


def test_mutt_makes_a_mailbox_and_writes_a_draft(mutt, office, request):
    if "neomutt" in request.node.name:
        office.fill("Drafts", [])  # it asks whether that exists, and goes on when it does not
    mutt("<first-entry><copy-message>=made/here<enter><quit>")
    assert office.mails("made/here") == [CORPUS[0]]
    mutt("<mail>wilma@example.org<enter>a draft<enter><postpone-message><quit>")
    (draft,) = office.mails("Drafts")
    header, _, body = draft.partition(b"\n\n")
    assert b"Subject: a draft\n" in header and b"To: wilma@example.org\n" in header
    assert body == b">From what I heard\n.\nyours\n"
    assert "T" in office.flags("Drafts")["a draft"]
    assert office.mails() == CORPUS


def test_mutt_hears_of_new_mail(office, mutt):
    """A delivery while it is open: it comes, and the flags of before stay."""
    mutt("<first-entry><flag-message><quit>")
    office.deliver(mail("new"))
    mutt("<last-entry><flag-message><first-entry><clear-flag>!<quit>")
    assert office.mails() == [*CORPUS, mail("new")]
    assert "F" in office.flags()["new"] and "F" not in office.flags()["plain"]


ALPINE = """feature-list=quit-without-confirm,expunge-without-confirm
last-version-used=6.26
"""


def test_alpine(office):
    """It removes the message that it starts on."""
    office.fill()
    home = office.home()
    (home / "pinerc").write_text(ALPINE)
    box = f"{{localhost:{office.imaps}/ssl/novalidate-cert/user={USER}}}INBOX"
    command = [need("alpine"), "-i", "-d", "0", "-nowrite_password_cache", "-p", str(home / "pinerc"), "-f", box]
    on_a_terminal(
        command, office, home,
        (b"ENTER PASSWORD", PASSWORD.encode() + b"\r"), (b"Preserve", b"n"), (b"opened with 8", b"d"),
        (b"marked for deletion", b"x"), (b"xpunge 1 message", b"y"), (b"xpunged", b"q"),
    )  # fmt: skip
    left = office.mails()
    assert len(left) == len(CORPUS) - 1 and left == [text for text in CORPUS if text in left]
