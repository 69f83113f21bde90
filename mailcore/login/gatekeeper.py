"""GATEKEEPER: talks with strangers, and can do nothing else.

A fork of the monitor that is nobody, in an empty root directory, with the client's
descriptors and the channel.  Everything it needs is imported before it is locked in, which
happens between its greeting and the first octet it hears: the client reads meanwhile.  It
ends with a handed-over entry, a farewell or a report of its own trouble; the monitor takes
it from there and does not believe more than the frames of channel.py can say.
"""

from __future__ import annotations

import os

from mailcore import log
from mailcore.dialogue import READ_OCTETS, Dialogue
from mailcore.errors import Ending, Goodbye, Hangup
from mailcore.login import access, channel, sasl
from mailcore.login.channel import StartTLS
from mailcore.wire import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from mailcore.login.accounts import Peer
    from mailcore.login.channel import Channel, Entry
    from mailcore.settings import Settings

TROUBLE_OCTETS = 3000
LITTLE_OCTETS = 440  # read at once by one that may stay, so that it can forget them (lodge.py)


class Doorstep(Dialogue):
    """The dialogue before login: hears nothing before `lock_in`, has a limit on all that it reads,
    and remembers how it ended."""

    def __init__(
        self,
        settings: Settings,
        in_fd: int,
        out_fd: int,
        lock_in: Callable[[], None] | None,
        seconds: float = 0,
        tuned: bool = False,
    ) -> None:
        super().__init__(in_fd, out_fd, seconds or settings.login_timeout_seconds, tuned)
        self.limit_octets = settings.login_read_octets
        self.at_once = READ_OCTETS
        self.first_seconds = settings.first_octet_seconds
        self.lock_in = lock_in
        self.ending = "Logout"

    def hear(self, wait: Wait) -> bytes | None:
        self.go_in()
        if self.octets_in >= self.limit_octets:
            raise Goodbye("Too much said before login")
        self.read_octets = min(self.at_once, self.limit_octets - self.octets_in)
        if not self.octets_in and wait.fd < 0:
            wait = Wait(min(wait.seconds, self.first_seconds))
        try:
            data = super().hear(wait)
        except Ending as ending:
            self.ending = ending.reason
            raise
        if not data:
            self.ending = "Unexpected client disconnect"
        return data

    def begin(self, peer: Peer) -> None:
        """What must be done before the greeting, and fills in what is known of the peer by that: nothing in clear."""

    def close(self) -> None:
        """What is the last word, after all others: before the farewell, at which the monitor ends us."""

    def in_order(self, octets: int) -> bool:
        """Nobody ended it by a signal, and no more than so much was said."""
        return self._ending is None and self.octets_in <= octets

    def go_in(self) -> None:
        """Be locked in from now on: whatever is heard is heard after this."""
        if self.lock_in is not None:
            self.flush()
            self.lock_in()
            self.lock_in = None


def keep(
    service: Any,
    settings: Settings,
    peer: Peer,
    in_fd: int,
    out_fd: int,
    monitor: Channel,
    parent: int,
    seconds: float = 0,
    then: Callable[[Doorstep], tuple[Peer, Doorstep]] | None = None,
) -> NoReturn:
    """The whole life of the process; the caller has just forked.  The login must be done in `seconds`.

    `then`, after a login, waits for another client (lodge.py), or raises EOFError.
    """
    status = 1
    dialogue = None
    try:
        log.close_log(lambda error: confess(error, monitor))
        keep_fds = (in_fd, out_fd, monitor.fileno())
        dialogue = Doorstep(settings, in_fd, out_fd, lambda: _lock_in(settings, keep_fds, parent), seconds)
        if peer.kind != "socket":
            dialogue.first_seconds = settings.login_timeout_seconds  # a person may sit there
        if then is not None:
            dialogue.at_once = LITTLE_OCTETS
        dialogue.obey_signals()
        while talk(service, settings, peer, dialogue, monitor) and then is not None:
            peer, dialogue = then(dialogue)
        status = 0
    except (EOFError, ConnectionError):
        pass  # the monitor is gone: nobody to report to
    except BaseException as error:  # whatever it is, it ends here
        apologise(confess(error, monitor), service, dialogue)
    finally:
        os._exit(status)


def _lock_in(settings: Settings, keep_fds: tuple[int, ...], parent: int) -> None:
    from mailcore.login import privileges  # after the greeting, which needs none of it

    privileges.confine(settings, keep_fds, parent)


def talk(service: Any, settings: Settings, peer: Peer, dialogue: Doorstep, monitor: Channel) -> bool:
    """The conversation before login, and its result to the monitor; True when there is an entry."""
    entry: Entry | StartTLS | None = None
    sasl.prepare(peer)  # a header and a handshake are heard before the greeting, and so behind the lock
    try:
        hear_proxy(settings, peer, dialogue, monitor)
        dialogue.begin(peer)
        entry = dialogue.converse(service.strangers(settings, peer), monitor.ask)
    except Ending as ending:
        dialogue.ending = ending.reason
        if ending.text and not isinstance(ending, Hangup):
            dialogue.say(service.sorry(ending.text))
            dialogue.finish()
    if isinstance(entry, StartTLS):
        monitor.send(channel.STARTTLS)
    elif entry is not None:
        monitor.hand_over(entry)
        return True
    else:
        dialogue.close()
        say_farewell(dialogue.ending, monitor)
    return False


def say_farewell(reason: str, monitor: Channel) -> None:
    """Tell the monitor why it ends; an empty reason is in the log already."""
    monitor.send(channel.FAREWELL, reason.encode("ascii", "replace")[:200])


def hear_proxy(settings: Settings, peer: Peer, dialogue: Doorstep, monitor: Channel) -> None:
    """A PROXY header, where one may come: before everything else, TLS included."""
    if not access.is_proxy(settings, peer):
        return
    import _socket

    from mailcore.login import proxy

    sock = _socket.socket(fileno=dialogue.in_fd)  # before the lock, after which no socket can be asked what it is
    dialogue.go_in()
    try:
        origin = proxy.take(sock, settings.proxy_seconds, settings.proxy_required)
    finally:
        sock.detach()
    if origin is not None:
        monitor.ask(access.forwarded("PROXY", origin.address, origin.port, origin.secure))
        access.apply(peer, "PROXY", origin.address, origin.port, origin.secure)


def confess(error: BaseException, monitor: Channel) -> str:
    """Tell the monitor where our code failed; the id under which the log has it."""
    name = os.urandom(4).hex()
    try:
        monitor.send(channel.TROUBLE, name.encode(), log.where(error).encode("ascii", "replace")[:TROUBLE_OCTETS])
    except OSError:
        pass
    return name


def apologise(name: str, service: Any, dialogue: Doorstep | None) -> None:
    """Tell the client that it was our own fault."""
    if dialogue is not None:
        try:
            dialogue.say(service.sorry(f"Internal error [{name}]"))
            dialogue.finish()
        except Ending:
            pass
