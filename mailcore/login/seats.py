"""SEATS: the sessions of a listener, those that talk and those that wait for their users' next connections.

What lives here: giving a connection that has logged in to a session (standby.py), a free one of the same
user or a new one of the innkeeper's, and how many may be free for how long.
"""

from __future__ import annotations

import _socket
import select
from operator import attrgetter
from time import monotonic

from mailcore import log
from mailcore.dialogue import say_at_once
from mailcore.login import innkeeper, monitor, standby

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.login.listener import Listener
    from mailcore.login.standby import Seat, Visit

MOST_FREE = 16
MOST_TRIES = 2
START_SECONDS = 10  # for the innkeeper to have a session begin, on a busy machine
SPARE_SECONDS = 0.2  # for a second free one of the same user: he is not that busy any more


class Seats:
    """All of them; `house` is the listener, which waits for what they say."""

    def __init__(self, house: Listener) -> None:
        self._house = house
        self._innkeeper = innkeeper.Innkeeper(house)
        self._all: set[Seat] = set()
        self._told = 0  # the signal that all were sent
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
        """Have a new session take it; twice at most, for what fails with it twice fails by it."""
        while visit.tries < MOST_TRIES and not self._told:
            visit.tries += 1
            try:
                return self._order(visit)
            except OSError as error:
                log.error(f"no process for a session: {error.strerror or error}")
        say_at_once(visit.fd, self._house.service.sorry("No session can begin now"))
        return visit.close()

    def _order(self, visit: Visit) -> None:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
        try:
            self._innkeeper.put_up(visit, theirs)
        finally:
            theirs.close()
        seat = standby.Seat(ours, visit)
        self._all.add(seat)
        self._house.expect(ours.fileno(), select.EPOLLIN, lambda _: self._hear(seat))

    def _hear(self, seat: Seat) -> None:
        """A session has begun, is free, takes its next client or does not, or has ended."""
        if seat.pidfd < 0 and seat.begins():
            self._tell(seat)
            return
        said = seat.hear() if seat.pidfd >= 0 else b""
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
        """Until when the free ones stay: one of each user for session_keep_seconds, others for SPARE_SECONDS.

        And until when those have time to begin that have not.
        """
        seen: set[object] = set()
        found = []
        for seat in reversed(self._free()):
            seconds = min(SPARE_SECONDS, self._keep_seconds) if seat.who in seen else self._keep_seconds
            seen.add(seat.who)
            found.append((seat.free_since + seconds, seat))
        return found + [(seat.since + START_SECONDS, seat) for seat in self._all if seat.pidfd < 0]

    def expire(self) -> None:
        now = monotonic()
        for until, seat in self.due():
            if until <= now and seat.pidfd >= 0:
                self._dismiss(seat)
            elif until <= now and seat in self._all:
                self._wait_no_more(seat)

    def _wait_no_more(self, seat: Seat) -> None:
        """The innkeeper hangs: what has not begun by now cannot any more, and another tries."""
        self._innkeeper.end()
        seat.sock.shutdown(_socket.SHUT_RD)
        self._hear(seat)

    def keep_nobody(self) -> None:
        """From now on a session that is free ends."""
        self._keep_seconds = 0
        for seat in self._free():
            self._dismiss(seat)

    def signal(self, number: int) -> None:
        """To all there are, and to who is about to be there."""
        self._told = number
        for seat in self._all:
            self._tell(seat)

    def _tell(self, seat: Seat) -> None:
        if self._told and seat.pidfd >= 0:
            monitor.send_signal(seat.pidfd, self._told)

    def note_end(self, pid: int) -> None:
        """A child of the listener has ended."""
        self._innkeeper.note_end(pid)

    def shut(self) -> int:
        """No new ones; the pid of the innkeeper, who ends, or 0."""
        self.keep_nobody()
        return self._innkeeper.dismiss()

    def _dismiss(self, seat: Seat) -> None:
        """It hears that we are gone, and ends when it is free."""
        self._house.forget(seat.sock.fileno())
        seat.close()
        self._all.discard(seat)
