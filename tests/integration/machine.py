"""A real machine for the integration tests: users, super-servers, syslog, launchers, clients.

Everything is on loopback, on ports that are free, in directories of the test, and gone at its end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from tests.conftest import need, need_root
from tests.integration.terminal import Terminal
from tests.playground import MODULES, interpreter, tree

PASSWORD = "Kanarienvogel-42"
SECONDS = 20
INDEX_HOME = Path("/var/lib/mailcore")
SLOTS = Path("/run/mailcore/sessions")  # login/caps.py names them


class User:
    """A real user of this machine, made by useradd with a password set by chpasswd."""

    def __init__(self, name: str) -> None:
        need_root()
        self.name = name
        self.home = Path("/home") / name
        self.inbox = Path("/var/mail") / name
        self.remove()
        run(need("useradd"), "--create-home", "--shell", "/usr/sbin/nologin", name)
        run(need("chpasswd"), text=f"{name}:{PASSWORD}\n")
        import pwd

        entry = pwd.getpwnam(name)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid

    def remove(self) -> None:
        subprocess.run([need("userdel"), "--remove", "--force", self.name], capture_output=True, check=False)
        self.inbox.unlink(missing_ok=True)
        shutil.rmtree(INDEX_HOME / self.name, ignore_errors=True)  # a user of that name may come back with another uid
        for slot in SLOTS.glob(f"user {self.name}".encode().hex() + ".*"):
            slot.unlink()


def run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def launcher(path: Path, program: str, *arguments: str) -> Path:
    """A file that starts imapd, ipop3d or poppassd as the installed launcher does."""
    python = interpreter()
    extra = f"sys.argv[1:1] = {list(arguments)!r}\n" if arguments else ""
    path.write_text(
        f"#!{python} -IS\nimport sys\nsys.path[:0] = [{str(tree())!r}]\n{extra}"
        f"from {MODULES.get(program, program)}.__main__ import main\nraise SystemExit(main())\n"
    )
    path.chmod(0o755)
    return path


class Daemon:
    """A program that stays in the foreground until the test is over."""

    def __init__(self, *command: str, ports: tuple[int, ...] = ()) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            for port in ports:
                wait_for(lambda port=port: answers(port), f"{command[0]} on port {port}")
        except BaseException:
            self.stop()
            raise

    def stop_all(self) -> None:
        """Stop what it has started, too."""
        for pid in children(self.process.pid):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGTERM)
        self.stop()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def answers(port: int) -> bool:
    """Something listens there; asked of the kernel, so that no server is started by asking."""
    wanted = f"{port:04X}"
    with open("/proc/net/tcp") as table:
        return any(line.split()[1].endswith(":" + wanted) and line.split()[3] == "0A" for line in list(table)[1:])


def wait_for(fact: object, what: str, seconds: float = SECONDS) -> object:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = fact()  # type: ignore[operator]
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


MUTTRC = """set folder="{0}" mbox="" move=no delete=yes quit=yes mark_old=yes sort=mailbox-order wait_key=no
set confirmappend=no read_inc=0 header_cache="" autoedit=yes abort_unmodified=no
"""


def mutt(home: Path, mailbox: str, keys: str, more: str = "") -> None:
    """Run mutt on a terminal of its own with these keys pushed; `more` are lines for its muttrc."""
    (home / "muttrc").write_text(MUTTRC.format(home) + more)
    words = ("-n", "-F", str(home / "muttrc"), "-f", mailbox, "-e", f'push "{keys}"')
    with Terminal(need("mutt"), *words, home=home) as terminal:
        terminal.ended()


def delivered(word: str) -> bytes:
    """A message as it lies in an mbox, with its separator."""
    return (
        f"From {word}@example.org Sat Nov 21 12:00:00 2026\nFrom: {word}@example.org\nTo: f@example.org\n"
        f"Date: Sat, 21 Nov 2026 12:00:00 +0000\nSubject: {word}\nMessage-ID: <{word}@example.org>\n"
        f"\nBody of {word}\n\n"
    ).encode()


class Syslog:
    """/dev/log, where this machine has nobody who listens there."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                line = self.socket.recv(8192)
            except OSError:
                return
            self.lines.append(line.rstrip(b"\0\n").decode())

    def saw(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def close(self) -> None:
        os.unlink("/dev/log")
        self.socket.close()


def open_syslog() -> Syslog | None:
    """Listen to syslog; None where a real one does, which is not to be disturbed."""
    need_root()
    if os.path.exists("/dev/log"):
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            probe.connect("/dev/log")
            return None
        except OSError:
            os.unlink("/dev/log")  # left by somebody who is gone
        finally:
            probe.close()
    return Syslog()


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def status(pid: int) -> dict[str, list[str]]:
    """/proc/PID/status as words."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def kill(pid: int) -> None:
    """Kill it, and wait until it has no descriptor any more."""
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: _ended(pid), "its end")


def _ended(pid: int) -> bool:
    try:
        return status(pid)["State"][0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def descriptors(pid: int) -> dict[int, str]:
    names = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            names[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
    return names


class Line:
    """A connection as lines."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.file = self.socket.makefile("rwb")

    def hear(self) -> str:
        return self.file.readline().decode("latin-1").rstrip("\r\n")

    def say(self, line: str) -> None:
        self.file.write(line.encode() + b"\r\n")
        self.file.flush()

    def ask(self, line: str) -> str:
        self.say(line)
        return self.hear()

    def until(self, tag: str) -> list[str]:
        """IMAP: all lines up to the tagged one."""
        lines = [self.hear()]
        while not lines[-1].startswith(tag + " "):
            assert lines[-1], f"the connection ended: {lines}"
            lines.append(self.hear())
        return lines

    def close(self) -> None:
        self.file.close()
        self.socket.close()
