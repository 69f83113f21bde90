"""Names that would leave the mail root (S20), in every command that takes one; races and wildcards (S21, S51)."""

# ruff: noqa: E501  (tables of names)

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from mailcore.errors import MailError
from mailcore.settings import load
from mailcore.store.namespace import Store
from mailcore.store.pattern import Pattern
from tests.imapd.conversation import Client, at_home
from tests.playground import Ground

MAIL = b"From a Sat Nov 21 12:00:00 2026\nSubject: secret\n\nsecret\n\n"

ENDS = (b"outside", b"etc/passwd", b"spool/wilma", b"")
STARTS = (
    b"../", b"../../", b"x/../../", b"./../", b"/", b"//", b"~/../", b"~/../../", b"~wilma/", b"~root/", b"~root/../", b"~../",
    b"#shared/", b"#shared/../", b"#public/../", b"#news.", b"#mh/", b"#mhinbox/", b"#ftp/../", b"#driver.mbx/", b"#driver.mbx//",
    b"#move/x/", b"{localhost}", b"{localhost/imap/user=x}", b"mail/../", b"mail/../../", b"~/mail/../", b"~/mail/../../",
    b"mail//", b"a/../", b"a/../../", b"a/./../../", b"INBOX/../", b"INBOX/../../", b"inbox/..//", b".../../", b"..\\", b"\\",
    b"%2e%2e/", b"..%2f", b"%00/", b"&AC4ALg-/", b"&AC4-&AC4-/", b"&AC8-", b"&AC4ALgAv-", b"..;/", b" ../", b"\t../", b"../ ",
    b"link/", b"link/../", b"file-link", b"dir/link-out/", b"proc/self/root/", b"/proc/self/root/", b"/dev/fd/", b"a\0../",
    b"\xc0\xae\xc0\xae/", b"\xff../", b"\x7f/", b"\x1b../", b"*/../", b"%/../", b"x.lock/../", b".lock/../", b"....//",
)  # fmt: skip
MORE = (
    b"..", b".", b"...", b"/", b"//", b"~", b"~/", b"#", b"{", b"x" * 256, b"x/" * 501, b"/" * 1000, b"../" * 300, b"~" * 70 + b"/x",
    b".mailboxlist", b".subscriptions", b"x.lock", b"a//b", b"a/", b"&", b"&-/..", b"&&", b"&AAA-", b"&AAo-x", b"con\nfused",
    b"\0", b"a\0b", b"\xe4", b"\xff\xfe", b"fifo", b"device", b"metadata/../../outside", b"../mail/../outside", b"../home/.mailboxlist",
    b"..//outside", b"x/../../outside", b"../mail", b"../index/index.db", b"../index/metadata", b"../../spool/inbox",
)  # fmt: skip
NAMES = tuple(dict.fromkeys([start + end for start in STARTS for end in ENDS] + list(MORE)))

COMMANDS = (
    b"SELECT %b", b"EXAMINE %b", b"CREATE %b", b"CREATE %b (USE (\\Sent))", b"DELETE %b", b"RENAME %b new", b"RENAME INBOX %b",
    b"SUBSCRIBE %b", b"UNSUBSCRIBE %b", b"STATUS %b (MESSAGES SIZE)", b"LIST %b *", b'LIST "" %b', b'LIST (SPECIAL-USE) %b *',
    b'LIST "" (%b) RETURN (STATUS (MESSAGES) MYRIGHTS SUBSCRIBED)', b"LSUB %b *", b'LSUB "" %b', b"RLIST %b *", b"XLIST %b *",
    b"SCAN %b * secret", b"SETACL %b anyone lr", b"DELETEACL %b anyone", b"GETACL %b", b"LISTRIGHTS %b anyone", b"MYRIGHTS %b",
    b"GETQUOTAROOT %b", b"GETMETADATA %b /private/comment", b'SETMETADATA %b (/private/comment "x")', b"BBOARD %b",
    b"ESEARCH IN (MAILBOXES %b) ALL", b"ESEARCH IN (SUBTREE %b) ALL", b"SUBSCRIBE MAILBOX %b", b"APPEND %b {5+}\r\nA: b\n",
)  # fmt: skip
OURS = (  # whatever is asked
    "/etc/passwd", "/etc/group", "/etc/machine-id", "/var/tmp", "/proc/self", "/proc/sys/kernel/random/boot_id", "/usr", sys.prefix,
)  # fmt: skip


class Touched:
    """What is opened, listed or changed on the disk while it is on, by the interpreter's own audit."""

    EVENTS = frozenset(
        ("open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink",
         "os.chmod", "os.chown", "os.truncate", "os.utime")
    )  # fmt: skip

    def __init__(self) -> None:
        self.on = False
        self.paths: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        if self.on and event in self.EVENTS and isinstance(args[0], (str, bytes)):
            self.paths.append(os.path.realpath(os.fsdecode(args[0])))


TOUCHED = Touched()


@pytest.fixture
def place(ground: Ground) -> Ground:
    """A mail root with ways out of it, and things that nobody may touch around it."""
    for outside in (ground.home / "outside", ground.path / "outside", ground.spool / "wilma"):
        outside.write_bytes(MAIL)
    ground.place("INBOX", MAIL)
    ground.place("a/x", MAIL)
    ground.place("dir/x", MAIL)
    os.symlink(ground.home, ground.mail / "link")
    os.symlink(ground.home / "outside", ground.mail / "file-link")
    os.symlink("/", ground.mail / "dir/link-out")
    os.mkfifo(ground.mail / "fifo")
    os.symlink("/dev/zero", ground.mail / "device")
    return ground


def outside(ground: Ground) -> dict[str, tuple[int, bytes]]:
    """Everything beside the mail root, the INBOX and the index: mode and content."""
    kept = {}
    for path in sorted(ground.path.rglob("*")):
        inside = ground.mail in path.parents or path in (ground.inbox, ground.home / ".mailboxlist")
        if not inside and ground.index not in path.parents:
            kept[str(path)] = (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
    return kept


def literal(name: bytes) -> bytes:
    return b"{%d+}\r\n%b" % (len(name), name)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[:30].decode())
def test_no_command_leaves_the_root(command: bytes, place: Ground) -> None:
    before = outside(place)
    own = (place.mail, place.index, place.inbox, place.home / ".mailboxlist")
    allowed = tuple(os.path.realpath(path) for path in own)
    client: Client = at_home(place, alert_file="", user_alert_file="", bad_commands=10**6)
    client.say(b'z STATUS a/x (MESSAGES)\r\nz LIST "" *\r\nz MYRIGHTS a/x\r\n')  # all is imported, the index open
    TOUCHED.paths.clear()
    TOUCHED.on = True
    try:
        answers = [(name, client.say(b"t " + command % literal(name) + b"\r\n")) for name in NAMES]
    finally:
        TOUCHED.on = False
    around = (str(place.home), str(place.spool), *map(os.path.dirname, allowed))  # locks and lists are replaced there
    strays = {path for path in TOUCHED.paths if path not in around and not path.startswith((*allowed, *OURS))}
    assert not strays
    assert outside(place) == before
    for name, answer in answers:
        tagged = [line for line in answer.split(b"\r\n") if line.startswith(b"t ")]
        assert len(tagged) == 1, (name, answer)
        assert b"secret" not in answer and b"root:" not in answer
    assert client.say(b"u NOOP\r\n").endswith(b"u OK NOOP completed\r\n")


def test_the_corpus_is_large() -> None:
    assert len(NAMES) >= 280


@pytest.mark.parametrize("name", [b"x\x01y", b"x\x7fy", b"\xc3\xa4", b"x\ny", b"&AAE-", b"&ACg", b"a&-&"])
def test_control_characters_are_refused_on_create(name: bytes, ground: Ground) -> None:
    assert b"t NO" in at_home(ground).say(b"t CREATE " + literal(name) + b"\r\n")
    assert not list(ground.mail.iterdir())


def test_names_that_others_made_are_not_listed(ground: Ground) -> None:
    """S27: what the wire cannot say is not said."""
    for name in (b"a\nb", b"\xff", "ä".encode(), b"a\x1b[2J"):
        (Path(os.fsdecode(os.fsencode(ground.mail) + b"/" + name))).write_bytes(MAIL)
    ground.place("ok", MAIL)
    said = at_home(ground).say(b'a LIST "" *\r\n')
    assert said.count(b"* LIST") == 2 and b"ok" in said


@pytest.mark.parametrize("text", ["%a" * 500 + "b", "*a" * 500 + "b", "%*" * 500 + "b", "*" * 1000, "%/" * 500])
def test_a_thousand_wildcards(text: str) -> None:
    """S51: linear in the name, however many."""
    pattern = Pattern(text)
    started = time.process_time()
    pattern.matches("a" * 255)
    assert time.process_time() - started < 0.01


SWAPS = 2000


def test_a_directory_swapped_for_a_link_gives_nothing_away(ground: Ground) -> None:
    """S21: what is read is never what the link leads to."""
    ground.place("dir/x", MAIL.replace(b"secret", b"mine"))
    away = ground.path / "away"
    away.mkdir()
    (away / "x").write_bytes(MAIL)
    stop = threading.Event()

    def swap() -> None:
        for _ in range(SWAPS):
            os.rename(ground.mail / "dir", ground.mail / "old")
            os.symlink(away, ground.mail / "dir")
            os.unlink(ground.mail / "dir")
            os.rename(ground.mail / "old", ground.mail / "dir")
        stop.set()

    store = Store("fred", str(ground.home), load([f"{k}={v}" for k, v in ground.options().items()], "/nonexistent"))
    swapper = threading.Thread(target=swap)
    swapper.start()
    escapes = opened = 0
    while not stop.is_set():
        try:
            with store.open("dir/x", readonly=True) as box:
                escapes += any(b"secret" in box.header(uid) for uid in box.uids)
                opened += 1
        except MailError:
            continue
    swapper.join()
    assert not escapes
