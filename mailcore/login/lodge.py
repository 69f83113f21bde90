"""LODGE: a gatekeeper in clear that has let somebody in waits for the next call of the same client address.

A webmail on this machine logs in for each click, and the fork of a gatekeeper is the dearest part of what
is left of that.  `gatekeeper_visits` says how many connections one gatekeeper may serve; with 1 there is
nothing of all this, and each dies with its connection.  What lives here: both ends.  What does not: what
a gatekeeper says and may do (gatekeeper.py, privileges.py), and which of its visits was in order (monitor.py).

It has the client at descriptor 0 and the channel at 1, and the kernel gives it no third: so it cannot take
the next client before it has let go of the last, whoever it is by then.  Each client comes as one packet
on the channel: seconds for the login, what is known of the peer, his descriptor.  The monitor of each
connection is a new one; counters, limits and challenges begin with it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import select
from time import monotonic

from mailcore.login import channel, gatekeeper, parcel, syscalls
from mailcore.login.gatekeeper import Doorstep
from mailcore.login.monitor import send_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from mailcore.login.accounts import Peer
    from mailcore.login.channel import Channel
    from mailcore.login.listener import Listener
    from mailcore.settings import Settings

MOST_SECONDS = 600  # from its fork to its last visit
KEEP_SECONDS = 60  # between two visits
MOST_WAITING = 16
VISIT_OCTETS = 4096
SMALL_OCTETS = 512  # larger ones are not Python's own but the C library's, which takes other blocks again
BLOCKS = 16  # of each size, more than a login needs
CLIENT, CHANNEL = 0, 1  # descriptors of a gatekeeper that may stay


# --- the listener's end ------------------------------------------------------------------------


class Porter:
    """A gatekeeper that may stay: its channel, its pidfd, for whom it is."""

    __slots__ = ("channel", "pidfd", "whom", "since", "free_since", "visits")

    def __init__(self, its_channel: Channel, pidfd: int, peer: Peer) -> None:
        self.channel = its_channel
        self.pidfd = pidfd
        self.whom = whom(peer)
        self.since = monotonic()
        self.free_since = 0.0
        self.visits = 1

    def offer(self, peer: Peer, fd: int, seconds: float) -> bool:
        """Send it the next client; False: it cannot be had, or has something to say that nobody asked."""
        data = parcel.packed([b"%d" % seconds, *parcel.facts(peer)])
        try:
            if len(data) > VISIT_OCTETS or self.channel.has_spoken():
                return False
            self.channel.send_parcel(data, (fd,))
        except OSError:
            return False
        self.visits += 1
        return True

    def end(self) -> None:
        send_signal(self.pidfd, _signal.SIGKILL)
        os.close(self.pidfd)
        self.channel.close()


def whom(peer: Peer) -> tuple[str, frozenset[str]]:
    """Whose next call a gatekeeper may take: the address, and what it was made ready for (`sasl.prepare`)."""
    return peer.address, peer.sources


class Lodge:
    """Those that wait, the longest first; `house` is the listener."""

    def __init__(self, house: Listener) -> None:
        self._house = house
        self._visits: int = house.settings.gatekeeper_visits
        self._waiting: list[Porter] = []

    def may_keep(self, peer: Peer) -> bool:
        """Somebody who comes from where the kernel says, and whose gatekeeper may have a next visit."""
        return self._visits > 1 and peer.kind == "socket" and bool(peer.address) and not peer.via

    def engage(self, its_channel: Channel, pidfd: int, peer: Peer) -> Porter:
        """A gatekeeper that was forked to stay."""
        return Porter(its_channel, pidfd, peer)

    def send(self, peer: Peer, fd: int, seconds: float) -> Porter | None:
        """One that waits for such a client, and has been sent this one; the last to come, whose memory is warmest."""
        for porter in reversed([*self._waiting]):
            if porter.whom == whom(peer):
                self._let_go(porter)
                if porter.offer(peer, fd, seconds):
                    return porter
                porter.end()
        return None

    def take_in(self, porter: Porter) -> bool:
        """It waits from now on; False: it has had its visits or its time."""
        if porter.visits >= self._visits or monotonic() - porter.since > MOST_SECONDS:
            return False
        if len(self._waiting) >= MOST_WAITING:
            self._dismiss(self._waiting[0])
        porter.free_since = monotonic()
        self._waiting.append(porter)
        self._house.expect(porter.channel.fileno(), select.EPOLLIN, lambda _: self._dismiss(porter))
        return True

    def expire(self) -> None:
        now = monotonic()
        for porter in [*self._waiting]:
            if now - porter.free_since > KEEP_SECONDS or now - porter.since > MOST_SECONDS:
                self._dismiss(porter)

    def keep_nobody(self) -> None:
        """From now on none waits."""
        self._visits = 1
        for porter in [*self._waiting]:
            self._dismiss(porter)

    def _let_go(self, porter: Porter) -> None:
        self._waiting.remove(porter)
        self._house.forget(porter.channel.fileno())

    def _dismiss(self, porter: Porter) -> None:
        """It has ended, or speaks where nobody asked, or its time is over."""
        self._let_go(porter)
        porter.end()

    @staticmethod
    def keep(
        service: Any,
        settings: Settings,
        peer: Peer,
        in_fd: int,
        out_fd: int,
        monitor: Channel,
        parent: int,
        seconds: float,
    ) -> NoReturn:
        """The whole life of a gatekeeper that may stay; the caller has just forked."""
        os.dup2(in_fd, CLIENT)
        os.dup2(monitor.fileno(), CHANNEL)
        monitor = channel.at(CHANNEL)
        gatekeeper.keep(
            service, settings, peer, CLIENT, CLIENT, monitor, parent, seconds,
            lambda last: next_visit(settings, last, monitor),
        )  # fmt: skip


# --- the gatekeeper's end ------------------------------------------------------------------------


def next_visit(settings: Settings, last: Doorstep, monitor: Channel) -> tuple[Peer, Doorstep]:
    """Forget the client who has been handed over, and wait for the next; EOFError when none will come."""
    if not last.in_order(settings.login_line_octets):
        raise EOFError
    for number in (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGALRM):
        _signal.signal(number, _signal.SIG_DFL)  # nobody is there to say goodbye to
    os.close(CLIENT)
    _wipe()
    data, fds = monitor.receive_parcel(VISIT_OCTETS, 1)
    if not data or fds != [CLIENT]:
        raise EOFError
    seconds, *known = parcel.unpacked(data)
    peer = parcel.peer_of(known)
    dialogue = Doorstep(settings, CLIENT, CLIENT, None, float(seconds), tuned=True)
    dialogue.at_once = gatekeeper.LITTLE_OCTETS
    dialogue.obey_signals()
    return peer, dialogue


def _wipe() -> None:
    """Write over the memory that was freed: Python takes the blocks of each size again, the last ones first."""
    for octets in range(15, SMALL_OCTETS, 16):
        [bytearray(octets) for _ in range(BLOCKS)]
    syscalls.wipe_stack()
