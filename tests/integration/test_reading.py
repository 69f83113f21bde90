"""mutt, neomutt and alpine over IMAP: keys on a terminal, and what they did to the mailboxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import need
from tests.integration.post_office import CORPUS, PASSWORD, USER, PostOffice, mail
from tests.integration.terminal import Terminal
from tests.integration.test_syncing import tunnel

RC = """set folder="{folder}" spoolfile="{folder}INBOX" imap_user="{user}" imap_pass="{password}"
set ssl_starttls=yes ssl_force_tls={force} certificate_file="{certificate}" ssl_verify_host=yes tunnel="{tunnel}"
set mbox="" move=no delete=yes quit=yes mark_old=no sort=mailbox-order wait_key=no confirmappend=no confirmcreate=no
set read_inc=0 header_cache="" message_cachedir="" imap_idle={idle} imap_keepalive=60 timeout=1
set postponed="=Drafts" record="=Sent" imap_check_subscribed=no mail_check=1 imap_condstore=yes imap_qresync={idle}
set crypt_use_gpgme=no editor="{editor}" autoedit=yes abort_unmodified=no
"""


def terminal(office: PostOffice, home: Path, *command: str) -> Terminal:
    office.give(home)
    return Terminal(*command, home=home, user=office.ground.user)


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
        words = ("-n", "-F", str(home / "rc"), "-f", values["folder"] + box, "-e", f'push "{keys}"')
        with terminal(office, home, program, *words) as shown:
            shown.ended()

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
    words = ("-i", "-d", "0", "-nowrite_password_cache", "-p", str(home / "pinerc"), "-f", box)
    with terminal(office, home, need("alpine"), *words) as alpine:
        for shown, keys in (
            (b"ENTER PASSWORD", PASSWORD.encode() + b"\r"), (b"Preserve", b"n"), (b"opened with 8", b"d"),
            (b"marked for deletion", b"x"), (b"xpunge 1 message", b"y"), (b"xpunged", b"q"),
        ):  # fmt: skip
            alpine.until(shown)
            alpine.type(keys)
        alpine.ended()
    left = office.mails()
    assert len(left) == len(CORPUS) - 1 and left == [text for text in CORPUS if text in left]
