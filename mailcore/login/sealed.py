"""The gatekeeper under TLS, which stays as the pump after the login.

A fork of the monitor, or of a listener's keykeeper, that has loaded OpenSSL and the keys before
it is locked in as every gatekeeper is; only then it hears the client.  Until the handshake is
done it says nothing but TLS.  It does not die with the monitor, since it stays when that has
become the session and ends; so it watches the channel for the monitor's end.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
from time import monotonic

from mailcore import log
from mailcore.dialogue import Dialogue
from mailcore.errors import Goodbye, Hangup, Silence
from mailcore.login import privileges
from mailcore.login.gatekeeper import Doorstep, apologise, confess, say_farewell, talk
from mailcore.login.pump import Pump
from mailcore.login.tls import Keys, Refused, Unusable
from mailcore.wire import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from mailcore.login.accounts import Peer
    from mailcore.login.channel import Channel
    from mailcore.login.tls import Cipher
    from mailcore.settings import Settings

HANDSHAKE_OCTETS = 128 * 1024  # a client's certificates may be long
CPU_SECONDS = 3600  # of the whole session: enough for a terabyte


class Doorway(Doorstep):
    """The dialogue before login under TLS."""

    def __init__(
        self,
        settings: Settings,
        fds: tuple[int, int],
        lock_in: Callable[[], None],
        cipher: Cipher,
        monitor: Channel,
        seconds: float,
    ) -> None:
        super().__init__(settings, *fds, lock_in, seconds)
        self._cipher = cipher
        self._monitor = monitor
        self._seconds = settings.tls_handshake_seconds
        self._limit_sealed = 2 * self.limit_octets + HANDSHAKE_OCTETS

    def begin(self, peer: Peer) -> None:
        """The handshake."""
        self.shake_hands(self._seconds)
        peer.bindings = self._cipher.bindings()
        peer.certificate = self._cipher.client_certificate()

    def shake_hands(self, seconds: float) -> None:
        """The handshake, which may take so long; Hangup if there is no TLS with this client."""
        self.go_in()
        whole, self.deadline = self.deadline, min(self.deadline, monotonic() + seconds)
        try:
            while not self._cipher.shake_hands():
                self._send_sealed()
                self._feed(self._sealed(Wait(seconds)))
            self._send_sealed()
        except Refused as error:
            self._alert(error)
        except Silence:
            raise Hangup(reason="Unable to accept SSL connection, too slow") from None
        except OSError as error:
            raise Hangup(reason=f"Unexpected client disconnect, {error.strerror}") from None
        self.deadline = whole

    def close(self) -> None:
        """Say that we say no more (close_notify)."""
        self._cipher.close()
        try:
            self._send_sealed()
        except OSError:
            pass  # nobody is there to hear it

    def _alert(self, error: Refused) -> NoReturn:
        """Send the alert that OpenSSL has made of it, and hang up."""
        try:
            self._send_sealed()
        except OSError:
            pass
        raise Hangup(reason=f"Unable to accept SSL connection, {error}")

    def _next(self, wait: Wait) -> bytes | None:
        try:
            while not (said := self._cipher.read()) and not self._cipher.ended:
                raw = self._sealed(wait)
                if not raw:
                    return raw
                self._feed(raw)
                self._send_sealed()  # TLS's own, such as to a change of keys
        except Refused as error:
            self._alert(error)
        return said

    def _feed(self, raw: bytes) -> None:
        if not raw:
            raise Hangup(reason="Unexpected client disconnect")
        self._limit_sealed -= len(raw)
        if self._limit_sealed < 0:
            raise Goodbye("Too much said before login")
        self._cipher.feed(raw)

    def _sealed(self, wait: Wait) -> bytes:
        """Octets from the net, if the monitor does not end meanwhile (it speaks only when it is asked)."""
        raw = Dialogue._next(self, Wait(wait.seconds, self._monitor.fileno()))
        if raw is not None:
            return raw
        if self._monitor.has_spoken():
            raise Hangup(reason="The monitor is gone")
        raise Silence(reason="Autologout")

    def _send(self, data: bytes) -> None:
        try:
            self._cipher.write(data)
        except Refused as error:
            raise Hangup(reason=f"Unexpected client disconnect, {error}") from None
        self._send_sealed()

    def _send_sealed(self) -> None:
        super()._send(self._cipher.take())


def keep(
    service: Any,
    settings: Settings,
    peer: Peer,
    fds: tuple[int, int, int],
    monitor: Channel,
    seconds: float,
    keys: Keys | None = None,
) -> NoReturn:
    """The whole life of the process; the caller has just forked.

    `fds` are the client's two and our end of the socket that leads to the session; the login
    must be done in `seconds`.  Without `keys` they are loaded now.
    """
    status = 1
    doorway = None
    try:
        privileges.keep_secrets()
        keys = keys or Keys(service, settings, peer.local_address)
        cipher = keys.cipher(peer.local_address)
        pump = Pump(*fds, cipher)  # after the lock no socket can be asked what it is
        log.close_log(lambda error: confess(error, monitor))
        lock_in = _lock(settings, (*fds, monitor.fileno()))
        doorway = Doorway(settings, fds[:2], lock_in, cipher, monitor, seconds)
        doorway.obey_signals()
        _serve(service, settings, peer, monitor, doorway, pump)
        status = 0
    except Unusable as error:
        log.error(str(error))
        say_farewell("", monitor)
    except (EOFError, ConnectionError):
        pass  # the monitor is gone: nobody to report to
    except BaseException as error:  # whatever it is, it ends here
        apologise(confess(error, monitor), service, doorway)
    finally:
        os._exit(status)


def _lock(settings: Settings, keep_fds: tuple[int, ...]) -> Callable[[], None]:
    """The lock of every gatekeeper; descriptor 2 leads nowhere, for a library that would write there."""
    if 2 not in keep_fds:
        null = os.open("/dev/null", os.O_RDWR)
        if null != 2:
            os.dup2(null, 2)
    return lambda: privileges.confine(settings, (*keep_fds, 2), 0, CPU_SECONDS)


def _serve(service: Any, settings: Settings, peer: Peer, monitor: Channel, doorway: Doorway, pump: Pump) -> None:
    """Handshake, conversation, and after a login the pump."""
    if talk(service, settings, peer, doorway, monitor):
        monitor.close()
        for number in (_signal.SIGTERM, _signal.SIGHUP):
            _signal.signal(number, _signal.SIG_IGN)  # they are for the session; we end when it does
        pump.run()
