"""UW's mlock: a program that makes a dot lock where its caller may not (uw-behaviour 7.5).

What lives here: asking one that is installed setgid, and being one, for alpine and whoever else
looks for it.  What does not: dot locks themselves (locking.py).

The caller passes the number of a descriptor on which the mail file is open, and its path.  The
answer is one octet: `+` locked, `-` somebody has it, `?` no.  The lock is held until a byte or the
end comes on standard input.

Ours is a script, and Linux gives scripts no setgid: it makes the lock itself where its caller may,
and has liblockfile's dotlockfile make it elsewhere.  So it has no rights to abuse.
"""

from __future__ import annotations

import os
import select
import sys
from signal import SIGTERM
from stat import S_ISGID, S_ISREG
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAMS = ("/usr/libexec/mlock", "/usr/sbin/mlock", "/etc/mlock")  # where c-client looks
ANSWER_SECONDS = 1.5  # UW's tries once a second; who has not got it then shall not wait holding it
TRY_SECONDS = 300
STALE_SECONDS = 300


def find() -> str:
    """An mlock that can do more than we can; "" if there is none."""
    for path in PROGRAMS:
        try:
            if os.stat(path).st_mode & S_ISGID and os.access(path, os.X_OK):
                return path
        except OSError:
            pass
    return ""


class Mlock:
    """A running mlock and the lock it holds."""

    __slots__ = ("_answer", "_hold", "_pid")

    def __init__(self, program: str, fd: int, path: str) -> None:
        their_in, self._hold = os.pipe2(os.O_CLOEXEC)
        self._answer, their_out = os.pipe2(os.O_CLOEXEC)
        actions = [
            (os.POSIX_SPAWN_DUP2, fd, 3), (os.POSIX_SPAWN_DUP2, their_in, 0), (os.POSIX_SPAWN_DUP2, their_out, 1),
            (os.POSIX_SPAWN_DUP2, their_out, 2),
        ]  # fmt: skip
        try:
            self._pid = os.posix_spawn(program, [program, "3", path], {}, file_actions=actions)
        except OSError:
            self._pid = 0
        os.close(their_in)
        os.close(their_out)

    def locked(self) -> bool:
        """Did it get the lock?  If not, it is gone."""
        poll = select.poll()
        poll.register(self._answer, select.POLLIN)
        if self._pid and poll.poll(int(ANSWER_SECONDS * 1000)) and os.read(self._answer, 1) == b"+":
            return True
        self._give_up()
        return False

    def release(self) -> None:
        """Let it go: the end of its input tells it."""
        os.close(self._hold)
        if self._pid:
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                pass
        os.close(self._answer)

    def _give_up(self) -> None:
        """UW's looks at its input only once it has the lock: it is not waited for."""
        if self._pid:
            os.kill(self._pid, SIGTERM)
        self.release()


# --- being one ---------------------------------------------------------------------------


def main(arguments: Sequence[str] = sys.argv) -> int:
    """`mlock FD PATH`: lock, say so, hold the lock until standard input speaks or ends."""
    if not _is_that_file(arguments[1:]):
        os.write(1, b"?")
        return 1
    from mailcore.store.locking import Busy, Dotlock

    lock = Dotlock(arguments[2], STALE_SECONDS)
    until = monotonic() + TRY_SECONDS
    while True:
        try:
            lock.acquire()
            break
        except Busy:
            if monotonic() >= until or _asked_to_end(1.0):
                os.write(1, b"-")
                return 1
        except OSError:
            os.write(1, b"?")
            return 1
    try:
        os.write(1, b"+")
        while not _asked_to_end(60.0):
            pass
    except OSError:
        pass  # whoever asked is gone
    finally:
        lock.release()
    return 0


def _asked_to_end(seconds: float) -> bool:
    """A byte or the end came."""
    try:
        return bool(select.select([0], [], [], seconds)[0])
    except (OSError, ValueError):
        sleep(seconds)  # there is no standard input
        return True


def _is_that_file(arguments: Sequence[str]) -> bool:
    """A number and an absolute path, of one and the same regular file."""
    if len(arguments) != 2 or not arguments[0].isdecimal() or len(arguments[0]) > 6 or arguments[1][:1] != "/":
        return False
    try:
        mine, there = os.fstat(int(arguments[0])), os.lstat(arguments[1])
    except (OSError, ValueError):
        return False
    same = (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
    return same and S_ISREG(mine.st_mode) and S_ISREG(there.st_mode)
