"""RENEWAL: a listener becomes its own program anew, as it lies on the disk now.

HUP brings new code, settings and certificates in that way: the process stays, and with it the number that
super-servers and pid files know; the listening sockets stay open, so that nobody is refused.  A listener
that has read a command line does the same once, to be rid of what reading it brought into its memory.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

SIGNALS = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGCHLD)
MARK = "fd="  # before the sockets' numbers
LENT = "lent"


def start_over(where: str, fds: Sequence[int], given: Sequence[str], pids: Iterable[int] = ()) -> NoReturn:
    """Be the program anew, with these listening sockets, settings (`name=value`) and children.  OSError.

    `where` they listen, LENT if they belong to a super-server.  SIGNALS stay blocked until the new program can take
    them.
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, SIGNALS)
    for fd in fds:
        os.set_inheritable(fd, True)
    program = sys.executable
    os.execv(program, [*_start(), where, MARK + ",".join(map(str, fds)), ",".join(map(str, pids)), *given])


def try_out(given: Sequence[str]) -> NoReturn:
    """Be the program anew, only to see whether it starts with these settings."""
    program = sys.executable
    os.execv(program, [*_start(), LENT, MARK, "", *given])


def is_meant(words: Sequence[str]) -> bool:
    """Has a command line such words behind --listen?"""
    return len(words) > 2 and words[1].startswith(MARK)


def understood(words: Sequence[str]) -> tuple[str, list[int], list[str], list[int]]:
    """What `start_over` was given."""
    where, fds, pids, *given = words
    return where, _numbers(fds.removeprefix(MARK)), given, _numbers(pids)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def _start() -> list[str]:
    """How this program was started, up to its own arguments."""
    whole, end = sys.orig_argv, 1
    while whole[end].startswith("-") and whole[end] not in ("-c", "-m"):
        end += 2 if whole[end] in ("-X", "-W") else 1
    end += 2 if whole[end].startswith("-") else 1
    return [sys.executable, *whole[1:end], "--listen"]
