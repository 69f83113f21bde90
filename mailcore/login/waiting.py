"""The waiting room of a listener: callers who have been greeted and have not said anything yet.

They cost a descriptor each, and no process.  What lives here: the greeting, how long they may wait, and
what they hear when it is over.  What does not: what they say; nobody here reads it (the listener forks
a gatekeeper when the kernel tells that something is there).

The greeting is what the conversation before login yields up to its first wait, which does no I/O; the
last words are what it answers when the wait ends so or so.
"""

from __future__ import annotations

import os
from time import monotonic

from mailcore import log
from mailcore.dialogue import say_at_once
from mailcore.errors import Ending, Hangup, Silence, Terminated
from mailcore.login import access, certificates, sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from mailcore.login.accounts import Peer
    from mailcore.settings import Settings

FIONREAD = 0x541B  # <asm/ioctls.h>: how many octets are there to be read


class Caller:
    """One who waits, heard on `fd` and told on `out_fd`; `talk` is his conversation, which stands at its first wait
    (None under TLS)."""

    __slots__ = ("fd", "out_fd", "peer", "slots", "since", "until", "talk")

    def __init__(self, fd: int, out_fd: int, peer: Peer, slots: list[int], patience: float) -> None:
        self.fd = fd
        self.out_fd = out_fd
        self.peer = peer
        self.slots = slots
        self.since = monotonic()
        self.until = self.since + patience
        self.talk: Generator[Any, Any, Any] | None = None

    def said_nothing(self) -> bool:
        """He has hung up without a word."""
        import fcntl

        try:
            return not any(fcntl.ioctl(self.fd, FIONREAD, bytes(4)))
        except OSError:
            return True

    def close(self) -> None:
        for fd in {self.fd, self.out_fd, *self.slots}:
            if fd >= 0:
                os.close(fd)


class WaitingRoom:
    """Those who wait, the longest first."""

    def __init__(self, service: Any, settings: Settings) -> None:
        self.service = service
        self.settings = settings
        self.callers: dict[int, Caller] = {}  # by descriptor

    def __len__(self) -> int:
        return len(self.callers)

    def receive(self, fd: int, peer: Peer, patient: bool = False, out_fd: int = -1) -> Caller | None:
        """Greet him; None if that was all.  TurnedAway, or NameWanted if it could take long for who is not patient."""
        settings = self.settings
        sealed = certificates.at_once(self.service, settings, peer.local_port)
        patience = settings.tls_handshake_seconds if sealed else settings.first_octet_seconds
        if peer.kind != "socket":
            patience = settings.login_timeout_seconds  # a person may sit there
        slots = [access.receive(self.service, settings, peer, patient)]
        caller = Caller(fd, fd if out_fd < 0 else out_fd, peer, slots, min(patience, settings.login_timeout_seconds))
        peer.secure = peer.secure or sealed
        for complaint in sources.survey(settings, peer, self.service.name):
            log.error(complaint)
        if not sealed and not self._greet(caller):
            caller.close()
            return None
        self.callers[fd] = caller
        return caller

    def _greet(self, caller: Caller) -> bool:
        peer = caller.peer
        peer.starttls = certificates.offered(self.service, self.settings, peer)
        caller.talk = self.service.strangers(self.settings, peer)
        reason = self._say(caller, caller.talk)
        peer.greeted = True
        if reason:
            _log_end(peer, reason)
        return not reason

    def let_go(self, fd: int) -> Caller:
        """He speaks, or has gone: he is no longer one of us."""
        return self.callers.pop(fd)

    def first(self) -> list[Caller]:
        """Who has waited longest, if anybody waits."""
        return [next(iter(self.callers.values()))] if self.callers else []

    def overdue(self) -> Iterator[Caller]:
        """Those whose time is over, each let go."""
        now = monotonic()
        while (longest := self.first()) and longest[0].until <= now:
            yield self.let_go(longest[0].fd)

    def dismiss(self, caller: Caller) -> None:
        """He has waited long enough."""
        if caller.talk is None:
            self._bid_farewell(caller, Hangup(reason="Unable to accept SSL connection, too slow"))
        else:
            self._bid_farewell(caller, Silence(reason="Autologout"))

    def shut(self, ending: Terminated) -> None:
        """We end."""
        for fd in [*self.callers]:
            self._bid_farewell(self.let_go(fd), Terminated(ending.text, ending.reason))

    def gone(self, caller: Caller) -> None:
        """He has hung up."""
        _log_end(caller.peer, "Unexpected client disconnect")
        caller.close()

    def _bid_farewell(self, caller: Caller, ending: Ending) -> None:
        reason = ending.reason
        if caller.talk is not None:
            reason = self._say(caller, caller.talk, ending) or reason
        _log_end(caller.peer, reason)
        caller.close()

    def _say(self, caller: Caller, talk: Generator[Any, Any, Any], ending: Ending | None = None) -> str:
        """Say all up to the next wait; why there is none, for the log, or ""."""
        said, reason = [], ""
        try:
            step = next(talk) if ending is None else talk.throw(ending)
            while type(step) is bytes:
                said.append(step)
                step = next(talk)
        except StopIteration:
            reason = ending.reason if ending else "Logout"
        except Ending as flown:
            reason = flown.reason
            if flown.text and not isinstance(flown, Hangup):
                said.append(self.service.sorry(flown.text))
        there = not said or say_at_once(caller.out_fd, b"".join(said))
        return reason if there else "Unexpected client disconnect"


def _log_end(peer: Peer, reason: str) -> None:
    log.info(f"{log.clean(reason)} user=??? host={log.clean(peer.host)}")
