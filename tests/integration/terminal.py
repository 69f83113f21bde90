"""A program on a terminal of its own: what it shows, and what somebody types."""

from __future__ import annotations

import os
import pty
import pwd
import select
import signal
import time
from pathlib import Path

SECONDS = 60
SHOWN_OCTETS = 3000  # of what it showed, told when it is not as expected


class Terminal:
    """With `user` (a passwd entry) it runs as him, else as who runs the tests; it is gone when the block is left."""

    def __init__(self, *command: str, home: Path, user: pwd.struct_passwd | None = None, **env: str) -> None:
        names = {"HOME": str(home), "TMPDIR": str(home), "TERM": "vt100", "LINES": "24", "COLUMNS": "80", "LC_ALL": "C"}
        self._shown = b""  # since the last words that were waited for
        self._end = time.monotonic() + SECONDS
        self._pid, self._terminal = pty.fork()
        if not self._pid:
            os.chdir(home)
            if user is not None and not os.getuid():
                os.setgroups([])
                os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
                os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
            os.execve(command[0], command, {**names, "PATH": os.environ["PATH"], **env})

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._terminal)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)

    def until(self, words: bytes) -> bytes:
        """What it shows until these words are there."""
        while words not in self._shown:
            assert self._read(), f"no {words!r} in {self._shown[-SHOWN_OCTETS:]!r}"
        before, _, self._shown = self._shown.partition(words)
        return before

    def type(self, keys: bytes, words: bytes = b"") -> bytes:
        """What it shows then until these words are there, if some are waited for."""
        os.write(self._terminal, keys)
        return self.until(words) if words else b""

    def ended(self) -> None:
        """Wait until it has ended, content."""
        while self._read():
            pass
        if time.monotonic() >= self._end:
            os.kill(self._pid, signal.SIGKILL)
        pid, self._pid = self._pid, 0
        assert os.waitpid(pid, 0)[1] == 0, self._shown[-SHOWN_OCTETS:]

    def _read(self) -> bool:
        """More of what it shows; False: it has ended, or its time is over."""
        while time.monotonic() < self._end:
            if select.select([self._terminal], [], [], 1)[0]:
                try:
                    self._shown += os.read(self._terminal, 65536)
                except OSError:
                    return False
                return True
        return False
