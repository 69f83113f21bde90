"""TENANCY: the time after login, in a process that becomes the user for good.

What lives here: becoming the user, and the conversation with a client.  What does not: who was let in
(monitor.py), what a user may do (privileges.py), and further clients of the same user (standby.py).
"""

from __future__ import annotations

import os

from mailcore import log
from mailcore.dialogue import Dialogue, say_at_once
from mailcore.errors import Ending, Hangup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mailcore.login.accounts import Account, Peer
    from mailcore.login.channel import Entry
    from mailcore.settings import Settings


class Tenancy:
    """One user, and the client on two descriptors."""

    def __init__(self, service: Any, settings: Settings, account: Account, fds: tuple[int, int] = (0, 1)) -> None:
        from mailcore.login import privileges

        self.service = service
        self.settings = settings
        self.account = account
        self.fds = fds
        self.fence = privileges.Fence(settings)

    def begin(self, peer: Peer, entry: Entry | None, warm: bool = False) -> int:
        """Be the user, and talk with his first client; the exit status.

        `warm`: all that a session needs is in memory, so who stays outside the fence can start at once.
        """
        try:
            self._change()
            if warm:
                self.fence.prepare(self.service)
        except Exception as error:
            return sorry(self.service, error, self.fds[1])
        return self.converse(peer, entry)

    def _change(self) -> None:
        """Make what only root can make, then be the user."""
        from mailcore.login import privileges

        if os.geteuid() == 0:
            from mailcore.login import provisions

            provisions.provide(self.settings, self.account)
        privileges.become(self.account)

    def converse(self, peer: Peer, entry: Entry | None) -> int:
        """One client from the login's OK to goodbye; the exit status."""
        try:
            self._converse(peer, entry)
        except Exception as error:
            return sorry(self.service, error, self.fds[1])
        return 0

    def _converse(self, peer: Peer, entry: Entry | None) -> None:
        """The conversation tells why it ended, or logs that itself (None).

        It asks one question, to be fenced in: when its greeting is out, and before it looks at mail or
        at what the client says next.
        """
        dialogue = Dialogue(*self.fds)
        dialogue.obey_signals()
        dialogue.wake_for_signals()
        try:
            reason = dialogue.converse(
                self.service.session(self.settings, peer, self.account, entry), self.fence.enter
            )
        except Ending as ending:
            reason = ending.reason
            if ending.text and not isinstance(ending, Hangup):
                dialogue.say(self.service.sorry(ending.text))
                dialogue.finish()
        except Exception:
            dialogue.finish()
            raise
        finally:
            dialogue.forget_signals()
        if reason:
            log.info(f"{log.clean(str(reason))} user={log.word(self.account.name)} host={log.word(peer.host)}")


def sorry(service: Any, error: Exception, out_fd: int) -> int:
    """Our own failure: a traceback for the log, its id for the client."""
    log.open_log(service.program)
    name = log.tracebacks(error)
    say_at_once(out_fd, service.sorry(f"Internal error [{name}]"))
    return 1
