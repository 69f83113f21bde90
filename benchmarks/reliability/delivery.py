"""Real delivery agents and real sessions on one mailbox: what was sent is what was received.

What lives here: Postfix's local(8), procmail, Dovecot's dovecot-lda and maildrop, each with its own
locks, delivering at the same time; IMAP and POP3 sessions on pipes that read, flag and expunge
meanwhile.  Each mail has a number of its own; it must be in the mailbox at the end or have been
read by the session that removed it, and never be there twice.  Needs root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.reliability import Count, named
from benchmarks.reliability.kills import Died, Server
from tests.playground import Ground, program

MAILS = 2_500  # by each agent
IMAP_SESSIONS, POP3_SESSIONS = 8, 2
USER = "mctest_mail"
AT_ONCE = 6  # deliveries of each agent
PAUSE_SECONDS = 2.0  # of a session at most, between its turns
PATIENCE_SECONDS = 120  # for the last mails to come out of Postfix's queue
_TOKEN = re.compile(rb"X-Token: (\S+)")
_DATA = re.compile(rb"UID (\d+)[^\r]*\r\nX-Token: (\S+)\r\n")
LDA = "/usr/lib/dovecot/dovecot-lda"

Deliver = Callable[[bytes], int]


class Post:
    """A user, a spool directory of that user, and who delivers there."""

    def __init__(self, place: Path) -> None:
        from tests.integration.machine import User

        self.user = User(USER)
        self.ground = Ground(place)
        import pwd

        self.ground.user = pwd.getpwnam(USER)
        self.inbox = self.ground.spool / USER
        self.ground.inbox = self.inbox
        self.inbox.touch(0o600)
        self.queue: Path | None = None
        self.stop: list[str] = []

    def run_as_user(self, *command: str) -> Deliver:
        environment = {"HOME": str(self.ground.home), "USER": USER, "LOGNAME": USER, "PATH": "/usr/bin:/bin"}

        def deliver(mail: bytes) -> int:
            done = subprocess.run(command, input=mail, env=environment, cwd="/", capture_output=True, check=False,
                                  **self.ground.identity())  # type: ignore[call-overload]  # fmt: skip
            return int(done.returncode)

        return deliver

    def agents(self) -> dict[str, Deliver]:
        """Those that this machine has."""
        found: dict[str, Deliver] = {"postfix": self.postfix()}
        rules = self.ground.path / "procmailrc"
        rules.write_text(f"DEFAULT={self.inbox}\nLOCKSLEEP=1\nLOGFILE={self.ground.home}/procmail.log\n")
        rules.chmod(0o644)
        if program_ := shutil.which("procmail"):
            found["procmail"] = self.run_as_user(program_, "-f", "sender@example.org", "-m", str(rules))
        if os.access(LDA, os.X_OK):
            conf = self.ground.path / "dovecot.conf"
            conf.write_text(
                f"mail_location = mbox:{self.ground.home}/dovecot:INBOX={self.inbox}:INDEX=MEMORY\n"
                f"log_path = {self.ground.home}/dovecot.log\nmbox_write_locks = dotlock fcntl\nssl = no\n"
                f"postmaster_address = root@localhost\nbase_dir = {self.ground.home}/dovecot-run\n"
            )
            conf.chmod(0o644)
            found["dovecot-lda"] = self.run_as_user(LDA, "-c", str(conf), "-f", "sender@example.org")
        if program_ := shutil.which("maildrop"):
            (self.ground.home / ".mailfilter").write_text(f'DEFAULT="{self.inbox}"\n')
            (self.ground.home / ".mailfilter").chmod(0o600)
            found["maildrop"] = self.run_as_user(program_, str(self.ground.home / ".mailfilter"))
        return found

    def postfix(self) -> Deliver:
        """A Postfix of our own: delivers local mail, listens nowhere."""
        place = self.ground.path
        conf, self.queue, data = (place / name for name in ("postfix", "queue", "data"))
        for directory in (conf, self.queue, data):
            directory.mkdir(mode=0o755)
        shutil.chown(data, "postfix")
        (conf / "main.cf").write_text(
            f"compatibility_level = 3.6\nqueue_directory = {self.queue}\ndata_directory = {data}\n"
            "myhostname = mail.example.org\nmydestination = $myhostname localhost\n"
            "inet_interfaces = loopback-only\nmaster_service_disable = inet\nalias_maps =\nalias_database =\n"
            f"local_recipient_maps =\nmailbox_command =\nmail_spool_directory = {self.ground.spool}\n"
            f"default_transport = error:no\nmaillog_file = {place}/postfix.log\nmaillog_file_prefixes = /\n"
            "mailbox_delivery_lock = fcntl, dotlock\ndeliver_lock_attempts = 100\nminimal_backoff_time = 5s\n"
            "maximal_backoff_time = 10s\nqueue_run_delay = 5s\nlocal_destination_concurrency_limit = 6\n"
        )
        shutil.copy("/etc/postfix/master.cf" if os.path.exists("/etc/postfix/master.cf")
                    else "/usr/share/postfix/master.cf.dist", conf / "master.cf")  # fmt: skip
        if os.path.exists("/etc/postfix/dynamicmaps.cf"):
            shutil.copy("/etc/postfix/dynamicmaps.cf", conf)
        subprocess.run(["postfix", "-c", str(conf), "start"], check=True, capture_output=True, timeout=60)
        self.stop = ["postfix", "-c", str(conf), "stop"]
        sendmail = shutil.which("sendmail", path="/usr/sbin:/usr/lib") or "sendmail"

        def deliver(mail: bytes) -> int:
            command = [sendmail, "-C", str(conf), "-i", f"{USER}@localhost"]
            return subprocess.run(command, input=mail, capture_output=True, check=False).returncode

        return deliver

    def queued(self) -> int:
        """Mails that Postfix still has."""
        assert self.queue is not None
        places = ("maildrop", "incoming", "active", "deferred")
        return sum(len(files) for place in places for _, _, files in os.walk(self.queue / place))

    def end(self) -> None:
        if self.stop:
            subprocess.run(self.stop, capture_output=True, timeout=60, check=False)
        self.user.remove()


class Ledger:
    """What all together know."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sent: set[bytes] = set()
        self.removed: set[bytes] = set()  # read, and then removed with the server's OK
        self.maybe: set[bytes] = set()  # read, and asked to be removed
        self.by_uid: dict[int, bytes] = {}
        self.wrong: list[str] = []
        self.over = threading.Event()
        self.commands = 0

    def seen(self, uid: int, token: bytes) -> None:
        with self.lock:
            if self.by_uid.setdefault(uid, token) != token:
                self.wrong.append(f"UID {uid} is {token!r}, was {self.by_uid[uid]!r}")


def mail(token: str, random: Random) -> bytes:
    body = "".join(f"{random.getrandbits(60)} a line of {token}\n" for _ in range(random.choice((2, 10, 60))))
    head = f"From: a@example.org\nTo: {USER}\nSubject: {token}\nX-Token: {token}\nMessage-ID: <{token}@example.org>\n"
    return f"{head}\n{body}From here on nothing\n".encode()


def deliver_all(ledger: Ledger, name: str, deliver: Deliver, numbers: range) -> None:
    random = Random(f"{name} {numbers}")
    for number in numbers:
        token = f"{name}-{number}"
        for _ in range(50):
            if deliver(mail(token, random)) == 0:
                ledger.sent.add(token.encode())
                break
            time.sleep(0.2)  # a temporary failure: the agent says that it did not deliver


def read_and_expunge(ledger: Ledger, server: Server, random: Random) -> None:
    """An IMAP session."""
    known: dict[int, bytes] = {}
    last = 0
    try:
        server.say(b"SELECT INBOX")
        while not ledger.over.is_set():
            status, said = server.say(b"UID FETCH %d:* (BODY.PEEK[HEADER.FIELDS (X-TOKEN)])" % (last + 1))
            for uid, token in ((int(uid), token) for uid, token in _DATA.findall(said)):
                ledger.seen(uid, token)
                known[uid] = token
                last = max(last, uid)
            ledger.commands += 3
            mine = random.sample(sorted(known), min(len(known), random.randint(0, 12)))
            if mine:
                uids = b",".join(b"%d" % uid for uid in mine)
                server.say(b"UID STORE " + uids + random.choice((b" +FLAGS (\\Seen)", b" +FLAGS ($Work)")))
                gone = mine[: random.randint(0, len(mine))]
                if gone:
                    uids = b",".join(b"%d" % uid for uid in gone)
                    with ledger.lock:
                        ledger.maybe.update(known[uid] for uid in gone)
                    if server.say(b"UID STORE " + uids + b" +FLAGS.SILENT (\\Deleted)")[0] != b"OK":
                        ledger.wrong.append("STORE failed")
                    if server.say(random.choice((b"EXPUNGE", b"UID EXPUNGE " + uids)))[0] == b"OK":
                        for uid in gone:
                            ledger.removed.add(known.pop(uid))
            time.sleep(random.random() * PAUSE_SECONDS)
    except Died:
        ledger.wrong.append("a session ended")
    except Exception as error:
        ledger.wrong.append(named(error))
    finally:
        server.kill()


class Pop:
    """ipop3d on a pipe."""

    def __init__(self, ground: Ground) -> None:
        options = {**ground.options(), "pop3_preauth": "yes"}
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        self.process = subprocess.Popen(
            program("ipop3d", *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=ground.path, env={"HOME": str(ground.home)}, **ground.identity(),  # type: ignore[call-overload]
        )  # fmt: skip
        self.greeting = self._line()

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        line: bytes = self.process.stdout.readline()
        if not line:
            raise Died
        return line

    def say(self, words: bytes, lines: bool = False) -> bytes:
        assert self.process.stdin is not None
        self.process.stdin.write(words + b"\r\n")
        self.process.stdin.flush()
        said = [self._line()]
        while lines and said[0].startswith(b"+OK") and said[-1] != b".\r\n":
            said.append(self._line())
        return b"".join(said)

    def end(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                pass
        self.process.wait()


def download(ledger: Ledger, ground: Ground, random: Random) -> None:
    """POP3 sessions, one after another: read some, remove what was read."""
    while not ledger.over.is_set():
        session = Pop(ground)
        try:
            count = int(session.say(b"STAT").split()[1]) if session.greeting.startswith(b"+OK") else 0
            read = set()
            for number in random.sample(range(1, count + 1), min(count, random.randint(0, 20))):
                text = session.say(b"RETR %d" % number, True)
                token = _TOKEN.search(text)
                if token and session.say(b"DELE %d" % number).startswith(b"+OK"):
                    read.add(token.group(1))
            with ledger.lock:
                ledger.maybe |= read
            if session.say(b"QUIT").startswith(b"+OK"):
                ledger.removed |= read
            ledger.commands += 2 * len(read) + 2
        except (Died, OSError) as error:
            ledger.wrong.append(f"POP3: {named(error)}")
        finally:
            session.end()
        time.sleep(random.random() * PAUSE_SECONDS)


def judge(ledger: Ledger, inbox: Path) -> None:
    """At the end: the file itself."""
    there = Counter(_TOKEN.findall(inbox.read_bytes()))
    twice = [token for token, number in there.items() if number > 1]
    lost = ledger.sent - set(there) - ledger.maybe
    back = ledger.removed & set(there)
    for words, tokens in (("twice", twice), ("lost", lost), ("removed and there", back)):
        if tokens:
            ledger.wrong.append(f"{len(tokens)} mails {words}: {sorted(tokens)[:5]}")


def run(share: float = 1.0) -> Count:
    count = Count("mails by Postfix, procmail, dovecot-lda, maildrop while 8 IMAP, 2 POP3 sessions expunge")
    place = Path(tempfile.mkdtemp(prefix="mailcore-reliability-"))
    place.chmod(0o755)
    ledger = Ledger()
    post = Post(place)
    try:
        agents = post.agents()
        post.ground.hand_over()
        shutil.chown(place / "data", "postfix")
        for path in ("postfix", "queue"):
            subprocess.run(["chown", "-R", "root:root", str(place / path)], check=True)
        subprocess.run(["postfix", "-c", str(place / "postfix"), "set-permissions"], capture_output=True, check=False)
        workers = [
            threading.Thread(target=read_and_expunge, args=(ledger, Server(post.ground), Random(number)))
            for number in range(IMAP_SESSIONS)
        ] + [
            threading.Thread(target=download, args=(ledger, post.ground, Random(number)))
            for number in range(POP3_SESSIONS)
        ]
        mails = max(5, round(MAILS * share))
        senders = [
            threading.Thread(target=deliver_all, args=(ledger, name, deliver, range(first, mails, AT_ONCE)))
            for name, deliver in agents.items() for first in range(AT_ONCE)
        ]  # fmt: skip
        for thread in workers + senders:
            thread.start()
        for thread in senders:
            thread.join()
        until = time.monotonic() + PATIENCE_SECONDS
        while post.queued() and time.monotonic() < until:
            time.sleep(0.5)
        ledger.over.set()
        for thread in workers:
            thread.join()
        judge(ledger, post.inbox)
        if len(ledger.sent) != mails * len(agents):
            ledger.wrong.append(f"only {len(ledger.sent)} mails could be sent")
        count.tried = len(ledger.sent)
        count.wrong = ledger.wrong
        count.notes = {"agents": len(agents), "removed": len(ledger.removed), "commands": ledger.commands,
                       "still queued": post.queued()}  # fmt: skip
    finally:
        ledger.over.set()
        post.end()
        shutil.rmtree(place, ignore_errors=True)
    return count
