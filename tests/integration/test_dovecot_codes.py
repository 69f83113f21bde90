"""Response codes (RFC 5530) of commands that fail, beside Dovecot's: each difference has its reason."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.integration.test_dovecot import dovecot
from tests.playground import MAILBOXES, Ground, program

MESSAGE = "{4+}\r\na: b"
INBOX = "SELECT INBOX"
# what is said after SELECT INBOX or without it, our answer, Dovecot's where it is another, and why
ROWS: list[tuple[str, str, str, str, str]] = [
    ("", "SELECT nowhere", "NO NONEXISTENT", "NO", "there is a code for it"),
    ("", "EXAMINE nowhere", "NO NONEXISTENT", "NO", "there is a code for it"),
    ("", "SELECT dir", "NO CANNOT", "NO", "a directory will never be selected"),
    ("", "SELECT text", "NO CANNOT", "", ""),
    ("", "SELECT ../x", "NO CANNOT", "", ""),
    ("", "SELECT a//b", "NO CANNOT", "", ""),
    ("", 'SELECT ""', "NO CANNOT", "", ""),
    ("", "SELECT /etc/passwd", "NO CANNOT", "", ""),
    ("", "CREATE work", "NO ALREADYEXISTS", "", ""),
    ("", "CREATE inbox", "NO ALREADYEXISTS", "", ""),
    ("", "CREATE dir", "NO ALREADYEXISTS", "", ""),
    ("", "CREATE ../x", "NO CANNOT", "", ""),
    ("", "CREATE a//b", "NO CANNOT", "", ""),
    ("", "CREATE work/below", "NO CANNOT", "", ""),
    ("", "CREATE &bogus", "NO CANNOT", "NO", "that name will never do"),
    ("", "CREATE shut/x", "NO NOPERM", "", ""),
    ("", "DELETE nowhere", "NO NONEXISTENT", "", ""),
    ("", "DELETE INBOX", "NO CANNOT", "NO", "that will never be done"),
    ("", "DELETE dir", "NO HASCHILDREN", "NO", "RFC 9051 has a code for it"),
    ("", "DELETE shut/in", "NO NOPERM", "", ""),
    ("", "DELETE ../x", "NO CANNOT", "", ""),
    ("", "RENAME nowhere x", "NO NONEXISTENT", "", ""),
    ("", "RENAME work dir/below", "NO ALREADYEXISTS", "", ""),
    ("", "RENAME work INBOX", "NO ALREADYEXISTS", "", ""),
    ("", "RENAME work ../x", "NO CANNOT", "", ""),
    ("", "RENAME work shut/x", "NO NOPERM", "", ""),
    ("", "RENAME dir dir/x", "NO CANNOT", "NO", "that will never be done"),
    ("", "RENAME nowhere work", "NO NONEXISTENT", "NO ALREADYEXISTS", "both are true"),
    ("", "SUBSCRIBE nowhere", "NO NONEXISTENT", "NO", "there is a code for it"),
    ("", "SUBSCRIBE ../x", "NO CANNOT", "NO", "that name will never do"),
    ("", "UNSUBSCRIBE nowhere", "NO NONEXISTENT", "OK", "as UW"),
    ("", "STATUS nowhere (MESSAGES)", "NO NONEXISTENT", "NO", "there is a code for it"),
    ("", "STATUS dir (MESSAGES)", "NO CANNOT", "NO", "a directory has no messages"),
    ("", f"APPEND nowhere {MESSAGE}", "NO TRYCREATE", "", ""),
    ("", f"APPEND dir {MESSAGE}", "NO CANNOT", "NO TRYCREATE", "CREATE would say ALREADYEXISTS"),
    ("", f"APPEND text {MESSAGE}", "NO CANNOT", "", ""),
    ("", f"APPEND ../x {MESSAGE}", "NO CANNOT", "", ""),
    ("", f"APPEND ro {MESSAGE}", "NO NOPERM", "", ""),
    (INBOX, "COPY 1 nowhere", "NO TRYCREATE", "", ""),
    (INBOX, "MOVE 1 nowhere", "NO TRYCREATE", "", ""),
    (INBOX, "COPY 1 ../x", "NO CANNOT", "", ""),
    (INBOX, "COPY 1 dir", "NO CANNOT", "NO TRYCREATE", "CREATE would say ALREADYEXISTS"),
    (INBOX, "COPY 1 ro", "NO NOPERM", "", ""),
    (INBOX, "MOVE 1 ro", "NO NOPERM", "", ""),
    (INBOX, "SEARCH CHARSET bogus ALL", "NO BADCHARSET", "", ""),
    (INBOX, "SORT (DATE) bogus ALL", "NO BADCHARSET", "", ""),
    (INBOX, "THREAD BOGUS UTF-8 ALL", "NO CANNOT", "BAD", "as UW; and there is a code for it"),
    ("SELECT work", "DELETE work", "NO INUSE", "OK", "as UW: the selected mailbox is not deleted"),
    ("SELECT work", "RENAME work x", "NO INUSE", "OK", "as UW: nor renamed"),
    ("EXAMINE INBOX", r"STORE 1 +FLAGS (\Seen)", "NO READ-ONLY", "OK", "nothing was stored"),
    ("EXAMINE INBOX", "EXPUNGE", "NO READ-ONLY", "OK", "nothing was expunged"),
]


def prepared(ground: Ground) -> None:
    one = (MAILBOXES / "one.mbox").read_bytes()
    if ground.file("ro").exists():  # from before
        ground.file("ro").chmod(0o600)
        (ground.mail / "shut").chmod(0o755)
    for name in ("INBOX", "work", "dir/below", "ro", "shut/in"):
        ground.place(name, one)
    ground.place("text", b"no mail\n")
    ground.hand_over()
    ground.file("ro").chmod(0o444)
    (ground.mail / "shut").chmod(0o555)


def said(command: list[str], ground: Ground, lines: list[str]) -> str:
    """OK, NO or BAD of the last command, and the name of its code."""
    script = "".join(f"c{number} {line}\r\n" for number, line in enumerate(lines)) + "z LOGOUT\r\n"
    done = subprocess.run(
        command, input=script.encode(), capture_output=True, timeout=60, cwd=ground.home,
        env={"HOME": str(ground.home), "USER": ground.user.pw_name}, **ground.identity(),  # type: ignore[call-overload]
    )  # fmt: skip
    found = re.search(rb"^c%d (OK|NO|BAD) (?:\[([A-Z-]+))?" % (len(lines) - 1), done.stdout, re.M)
    assert found, done
    return b" ".join(filter(None, found.groups())).decode()


@pytest.mark.parametrize(("before", "line", "ours", "theirs", "why"), ROWS, ids=[f"{row[0]}-{row[1]}" for row in ROWS])
def test_side_by_side(before: str, line: str, ours: str, theirs: str, why: str, ground: Ground) -> None:
    other = dovecot(ground)
    conf = ground.path / "dovecot.conf"
    conf.write_text(conf.read_text().replace(f"mbox:{ground.mail}", f"mbox:{ground.mail}:INBOX={ground.inbox}"))
    prepared(ground)
    options = [word for key, value in ground.options().items() for word in ("-o", f"{key}={value}")]
    lines = ["STATUS none (MESSAGES)", *filter(None, [before]), line]  # the first name that Dovecot hears is NOPERM
    assert said(program("imapd", *options), ground, lines) == ours
    prepared(ground)
    assert said(other, ground, lines) == (theirs or ours)
    assert bool(theirs) == bool(why)
