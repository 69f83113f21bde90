"""What the doors do first: see what stdin is, and be that.

Listening sockets make us the listener (inetd `wait`, systemd Accept=no), a connected one
serves that connection, a pipe, a file or a terminal is local use.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _warnings
import os

from mailcore import log, settings
from mailcore.errors import BadSetting
from mailcore.login import access, monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def arrive(service: Any, options: Iterable[str] = ()) -> int:
    """Serve whoever is at stdin and stdout; the exit status."""
    options = [*options]
    shut_stderr()
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    try:
        in_force = settings.load(options)
        access.check(in_force)
    except BadSetting as error:
        return _refuse(service, str(error))
    fds = access.lent_sockets()
    if fds:
        from mailcore.login import listener

        return listener.adopt(service, in_force, fds, options)
    return monitor.serve(service, in_force, access.peer_of(0))


def shut_stderr() -> None:
    """Descriptor 2 never reaches the client: not under inetd, nor where it is the same pipe as stdout."""
    _warnings.filters[:] = [("ignore", None, Warning, None, 0)]
    try:
        status = os.fstat(2)
        clients = [os.fstat(fd) for fd in (0, 1)]
    except OSError:
        return _null_stderr()  # one of them is closed: no file opened later may become number 2
    if not os.isatty(2) and any(os.path.samestat(status, client) for client in clients):
        _null_stderr()
    return None


def _null_stderr() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    if null != 2:
        os.dup2(null, 2)
        if null > 2:
            os.close(null)


def _refuse(service: Any, text: str) -> int:
    """A setting is wrong: the log has it whole, a person at a terminal too, a client hears that it is not its fault."""
    log.open_log(service.program)
    log.error(text)
    os.write(2, f"{service.program}: {text}\n".encode())
    if access.is_socket(0):
        os.write(1, service.sorry("Server is not set up"))
    return 2
