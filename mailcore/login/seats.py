"""SEATS: the sessions of a listener, those that talk and those that wait for their users' next connections.

What lives here: giving a connection that has logged in to a session (standby.py), a free one of the same
user or a new fork, and how many may be free for how long.
"""

from __future__ import annotations

import _socket
import os
import select
from operator import attrgetter
from time import monotonic

from mailcore import log
from mailcore.login import monitor, standby

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.login.listener import Listener
    from mailcore.login.standby import Seat, Visit

MOST_FREE = 16
SPARE_SECONDS = 0.2  # for a second free one of the same user: he is not that busy any more


class Seats:
    """All of them; `house` is the listener, which waits for what they say."""

    def __init__(self, house: Listener) -> None:
        self._house = house
        self._all: set[Seat] = set()
        self._keep_seconds: float = house.settings.session_keep_seconds  # 0: nobody waits
        self.used = 0.0  # when one became free last

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def busy(self) -> int:
        return sum(1 for seat in self._all if not seat.free_since)

    def _free(self) -> list[Seat]:
        """The longest free first."""
        return sorted((seat for seat in self._all if seat.free_since), key=attrgetter("free_since"))

    def let_in(self, visit: Visit) -> None:
        """To the one that became free last, whose memory is the warmest, or to a new one."""
        for seat in reversed(self._free()):
            if seat.suits(visit) and seat.offer(visit):
                return
        self._seat_anew(visit)

    def _seat_anew(self, visit: Visit) -> None:
        try:
            self._fork(visit)
        except OSError as error:
            log.error(f"no process for a session: {error.strerror}")
        finally:
            visit.close()

    def _fork(self, visit: Visit) -> None:
        house = self._house
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
        pid = monitor.fork()
        if pid == 0:
            try:
                house.leave((visit.fd, theirs.fileno(), *visit.slots))
                standby.run(house.service, house.settings, visit, theirs)
            finally:
                os._exit(1)
        theirs.close()
        seat = standby.Seat(ours, os.pidfd_open(pid), visit)
        self._all.add(seat)
        house.expect(ours.fileno(), select.EPOLLIN, lambda _: self._hear(seat))

    def _hear(self, seat: Seat) -> None:
        """A session is free, takes its next client or does not, or has ended."""
        said = seat.hear()
        offered, seat.offered = seat.offered, None
        if said == standby.FREE and offered is None and self._keep_seconds:
            seat.free_since = self.used = monotonic()
            if len(self._free()) > MOST_FREE:
                self._dismiss(self._free()[0])
        elif said == standby.TAKEN and offered is not None:
            offered.close()
        else:
            self._dismiss(seat)
            if offered is not None:
                self._seat_anew(offered)

    def due(self) -> list[tuple[float, Seat]]:
        """Until when the free ones stay: one of each user for session_keep_seconds, others for SPARE_SECONDS."""
        seen: set[object] = set()
        found = []
        for seat in reversed(self._free()):
            seconds = min(SPARE_SECONDS, self._keep_seconds) if seat.who in seen else self._keep_seconds
            seen.add(seat.who)
            found.append((seat.free_since + seconds, seat))
        return found

    def expire(self) -> None:
        now = monotonic()
        for until, seat in self.due():
            if until <= now:
                self._dismiss(seat)

    def keep_nobody(self) -> None:
        """From now on a session that is free ends."""
        self._keep_seconds = 0
        for seat in self._free():
            self._dismiss(seat)

    def signal(self, number: int) -> None:
        for seat in self._all:
            monitor.send_signal(seat.pidfd, number)

    def _dismiss(self, seat: Seat) -> None:
        """It hears that we are gone, and ends when it is free."""
        self._house.forget(seat.sock.fileno())
        seat.close()
        self._all.discard(seat)
