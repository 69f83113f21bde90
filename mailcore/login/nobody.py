"""Work on strangers' bytes that root has to have done: by a child that is nobody, has nothing else, and has a time.

What lives here: the child, and the pipe on which it answers.  What does not: the work; the resolver's (names.py),
and taking a client's certificate apart (tls.py, for the checker).
"""

from __future__ import annotations

import os
import select

from mailcore.login import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from mailcore.settings import Settings


def ask(settings: Settings, work: Callable[[], bytes], octets: int, seconds: float) -> bytes:
    """What `work` returns, no more than `octets` of it; b"" when it fails or does not end in time."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _tell(settings, work, writer)
    os.close(writer)
    try:
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        return os.read(reader, octets) if poll.poll(int(seconds * 1000)) else b""
    finally:
        os.close(reader)
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _tell(settings: Settings, work: Callable[[], bytes], writer: int) -> NoReturn:
    status = 1
    try:
        from mailcore.login import privileges

        _keep_only(writer)
        privileges.be_nobody(settings)
        os.write(writer, work())
        status = 0
    finally:
        os._exit(status)


def _keep_only(fd: int) -> None:
    """It has nothing to do with the client's connection, nor with any other process."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        if number != fd:
            os.dup2(null, number)
    syscalls.close_others((0, 1, 2, fd))
