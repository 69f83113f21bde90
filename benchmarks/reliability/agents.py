"""The delivery agents of this machine, all on the mailbox of one user.

What lives here: a Postfix of our own with its local(8), procmail, Dovecot's dovecot-lda and maildrop,
each with the locks that Debian gives it.  What does not: what they deliver (delivery.py).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.playground import Ground

LDA = "/usr/lib/dovecot/dovecot-lda"
POSTFIX_AT_ONCE = 4

Deliver = Callable[[bytes], int]


class Post:
    """A spool directory of one user, and who delivers there: `agents` by name."""

    def __init__(self, place: Path, user: str) -> None:
        place.chmod(0o755)
        self.name = user
        self.ground = Ground(place)
        self.ground.user = pwd.getpwnam(user)
        self.inbox = self.ground.inbox = self.ground.spool / user
        self.inbox.touch(0o600)
        self.agents: dict[str, Deliver] = {}
        self._procmail()
        self._dovecot()
        self._maildrop()
        self.ground.hand_over()
        self.conf, self.queue, self.data = (place / name for name in ("postfix", "queue", "data"))
        self._postfix()

    def _run_as_user(self, *command: str) -> Deliver:
        home = str(self.ground.home)
        environment = {"HOME": home, "USER": self.name, "LOGNAME": self.name, "PATH": "/usr/bin:/bin"}

        def deliver(mail: bytes) -> int:
            done = subprocess.run(command, input=mail, env=environment, cwd="/", capture_output=True, check=False,
                                  **self.ground.identity())  # type: ignore[call-overload]  # fmt: skip
            return int(done.returncode)

        return deliver

    def _procmail(self) -> None:
        rules = self.ground.path / "procmailrc"
        rules.write_text(f"DEFAULT={self.inbox}\nLOCKSLEEP=1\nLOGFILE={self.ground.home}/procmail.log\n")
        rules.chmod(0o644)
        if program := shutil.which("procmail"):
            self.agents["procmail"] = self._run_as_user(program, "-f", "sender@example.org", "-m", str(rules))

    def _dovecot(self) -> None:
        home, conf = self.ground.home, self.ground.path / "dovecot.conf"
        conf.write_text(
            f"mail_location = mbox:{home}/dovecot:INBOX={self.inbox}:INDEX=MEMORY\n"
            f"log_path = {home}/dovecot.log\nmbox_write_locks = dotlock fcntl\nssl = no\n"
            f"postmaster_address = root@localhost\nbase_dir = {home}/dovecot-run\n"
        )
        conf.chmod(0o644)
        if os.access(LDA, os.X_OK):
            self.agents["dovecot-lda"] = self._run_as_user(LDA, "-c", str(conf), "-f", "sender@example.org")

    def _maildrop(self) -> None:
        rules = self.ground.home / ".mailfilter"
        rules.write_text(f'LOCKSLEEP=1\nDEFAULT="{self.inbox}"\n')
        rules.chmod(0o600)
        if program := shutil.which("maildrop"):  # which does not sleep while it waits for a dot lock, but spins
            self.agents["maildrop"] = self._run_as_user("nice", "-n", "19", program, str(rules))

    def _postfix(self) -> None:
        """It delivers local mail and listens nowhere."""
        for directory in (self.conf, self.queue, self.data):
            directory.mkdir(mode=0o755)
        shutil.chown(self.data, "postfix")
        (self.conf / "main.cf").write_text(
            f"compatibility_level = 3.6\nqueue_directory = {self.queue}\ndata_directory = {self.data}\n"
            "myhostname = mail.example.org\nmydestination = $myhostname localhost\n"
            "inet_interfaces = loopback-only\nmaster_service_disable = inet\nalias_maps =\nalias_database =\n"
            f"local_recipient_maps =\nmailbox_command =\nmail_spool_directory = {self.ground.spool}\n"
            f"default_transport = error:no\nmaillog_file = {self.ground.path}/postfix.log\nmaillog_file_prefixes = /\n"
            "mailbox_delivery_lock = fcntl, dotlock\ndeliver_lock_attempts = 100\nminimal_backoff_time = 5s\n"
            "maximal_backoff_time = 10s\nqueue_run_delay = 5s\n"
            f"local_destination_concurrency_limit = {POSTFIX_AT_ONCE}\n"
        )
        shutil.copy("/etc/postfix/master.cf" if os.path.exists("/etc/postfix/master.cf")
                    else "/usr/share/postfix/master.cf.dist", self.conf / "master.cf")  # fmt: skip
        if os.path.exists("/etc/postfix/dynamicmaps.cf"):
            shutil.copy("/etc/postfix/dynamicmaps.cf", self.conf)
        subprocess.run(["postfix", "-c", str(self.conf), "start"], check=True, capture_output=True, timeout=60)
        command = [shutil.which("sendmail", path="/usr/sbin:/usr/lib") or "sendmail", "-C", str(self.conf), "-i"]

        def deliver(mail: bytes) -> int:
            to = f"{self.name}@localhost"
            return subprocess.run([*command, to], input=mail, capture_output=True, check=False).returncode

        self.agents["postfix"] = deliver

    def queued(self) -> int:
        """Mails that Postfix still has."""
        places = ("maildrop", "incoming", "active", "deferred")
        return sum(len(files) for place in places for _, _, files in os.walk(self.queue / place))

    def end(self) -> None:
        subprocess.run(["postfix", "-c", str(self.conf), "stop"], capture_output=True, timeout=60, check=False)
