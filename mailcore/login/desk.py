"""DESK: a listener's checker that stays, and answers one question after the other.

A process for each question is a fifth of a login.  Where no PAM is asked, whose modules are made for a
process that soon ends, a listener keeps one for MOST_QUESTIONS or MOST_SECONDS, so that no password stays
in a memory for long.  What lives here: both ends.  The listener's, `Desk`, passes on the descriptors of a
question's channel and of its report: whoever answers takes the question itself, and the report comes on
a socket that no other question has.  What does not: answering (checker.py).

Who answers is settled by the kind of the question and by whether the desk is free, not by whom it is about.
While it is busy a checker is forked for one question (monitor.py).  Whoever did not answer a question, or answered
nonsense, gets no other.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
from time import monotonic

from mailcore import log
from mailcore.login import channel, checker, monitor, parcel, passwords, privileges

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from mailcore.login.accounts import Peer
    from mailcore.login.listener import Listener
    from mailcore.settings import Settings

MOST_QUESTIONS = 100
MOST_SECONDS = 600
IDLE_SECONDS = 60
LATE_SECONDS = 180  # to answer the last question, and be told to go; then it goes by itself
REQUEST_OCTETS = 16 * 1024
# not "certificate", for which a child takes a stranger's bytes apart, and not "change"
KINDS = ("password", "apop", "cram-md5", "scram", "scram-proof")


# --- the listener's end ------------------------------------------------------------------------


class Desk:
    """The place; who sits there is forked for the first question, and not before."""

    __slots__ = ("_house", "_open", "_sock", "_pidfd", "_left", "_until", "_asked", "_busy")

    def __init__(self, house: Listener) -> None:
        self._house = house
        self._open = not checker.asks_pam(house.settings)
        self._sock: _socket.socket | None = None  # None: nobody sits there
        self._pidfd = -1
        self._left = 0  # questions that it may still have
        self._until = 0.0
        self._asked = 0.0  # when the last question was over
        self._busy = False

    def ask(self, kind: str, kept: bytes, only_refuse: bool, peer: Peer, fds: tuple[int, int]) -> bool:
        """Have the question answered that waits in the first of `fds`, on the second; False: not here."""
        if not self._open or self._busy or kind not in KINDS:
            return False
        request = parcel.packed([kind.encode(), b"%d" % only_refuse, kept, *parcel.facts(peer)])
        self.expire()
        self._busy = self._pass_on(request, fds) or (self._seat() and self._pass_on(request, fds))
        self._left -= self._busy
        return self._busy

    def _pass_on(self, request: bytes, fds: tuple[int, int]) -> bool:
        """False: nobody is there."""
        if self._sock is None:
            return False
        try:
            parcel.send(self._sock, request, fds)
        except OSError:
            self._dismiss()
            return False
        return True

    def _seat(self) -> bool:
        """Fork somebody."""
        privileges.keep_secrets()  # as for any checker (monitor.py)
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
        try:
            pid = monitor.fork()
            if pid == 0:
                self._house.leave((theirs.fileno(),))
                _run(self._house.service, self._house.settings, theirs)
            self._sock, self._pidfd = ours, os.pidfd_open(pid)
        except OSError as error:
            ours.close()
            log.error(f"no process for a checker that stays: {error.strerror}")
            return False
        finally:
            theirs.close()
        self._asked = monotonic()
        self._left, self._until = MOST_QUESTIONS, self._asked + MOST_SECONDS
        return True

    def release(self, answered: bool) -> None:
        """The question is over."""
        self._busy, self._asked = False, monotonic()
        if not answered or not self._open:
            self._dismiss()
        self.expire()

    def expire(self) -> None:
        """Who has been here long enough goes, and who is asked nothing for a minute."""
        until = min(self._until, self._asked + IDLE_SECONDS)
        if self._sock is not None and not self._busy and (self._left <= 0 or monotonic() >= until):
            self._dismiss()

    def close(self) -> None:
        """Nobody sits here any more."""
        self._open = False
        if not self._busy:
            self._dismiss()

    def _dismiss(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
            monitor.send_signal(self._pidfd, _signal.SIGKILL)
            os.close(self._pidfd)


# --- the process itself --------------------------------------------------------------------------


def _run(service: Any, settings: Settings, sock: _socket.socket) -> NoReturn:
    """One question after the other, until the listener has none any more; the listener has just forked."""

    def work() -> None:
        checker.turn_away_from(())
        _signal.alarm(MOST_SECONDS + LATE_SECONDS)
        passwords.stay()
        proven = passwords.Proven() if settings.password_cache else None
        while _answer(service, settings, sock, proven):
            pass

    checker.live(work)


def _answer(service: Any, settings: Settings, sock: _socket.socket, proven: passwords.Proven | None) -> bool:
    """The next question; False when there is none."""
    request, fds = parcel.receive(sock, REQUEST_OCTETS, 2)
    if not request or len(fds) != 2:
        return False
    kind, only_refuse, kept, *known = parcel.unpacked(request)
    question, report = (channel.at(fd) for fd in fds)
    refused = only_refuse == b"1"
    # what is refused whatever it is costs the full work, too
    case = checker.Case(service, settings, parcel.peer_of(known), kept, None if refused else proven)
    checker.answer(case, question, report, refused, kind.decode())
    return True
