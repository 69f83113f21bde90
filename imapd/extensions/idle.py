"""IDLE: news without being asked (RFC 2177).

The mailbox's files are watched, so a delivery is told at once.  Where the kernel cannot see
changes (NFS), we look every idle_poll_seconds.  Who waits has time: what is noted goes into the mailbox.
The vigil that is kept here is also NOTIFY's.
"""

from __future__ import annotations

import math
import os
from time import monotonic

from imapd import intake
from imapd.authenticated import command
from imapd.responses import Ready, Status
from mailcore.errors import Mistake, Silence
from mailcore.wire import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.lookout import Lookout
    from mailcore.store.watch import Watch

RESTLESS_SECONDS = 1.0  # until what could not be read is looked at again


@command("IDLE")
def idle(session: Session, args: Args) -> Talk:
    """Tell what happens until the client says DONE (RFC 2177 §3)."""
    args.end()
    yield Ready(b"+ Waiting for DONE\r\n")
    if session.box is not None:
        session.box.checkpoint()
    if session.notify is not None:
        yield from session.notify.attend(session, session.settings.idle_keepalive_seconds)
    else:
        watch = _watch(session)
        try:
            yield from vigil(session, watch, lambda: _news(session, watch), session.settings.idle_keepalive_seconds)
        finally:
            if watch is not None:
                watch.close()
    line = yield from session.wire.line(intake.line_octets(session))
    if line.strip(b" ").upper() != b"DONE":
        raise Mistake("DONE expected")


def _watch(session: Session) -> Watch | None:
    if session.box is None:
        return None
    from mailcore.store.watch import Watch

    return Watch(session.box.paths_to_watch())


def vigil(
    session: Session, watch: Watch | Lookout | None, tell: Callable[[], Talk], keepalive_seconds: float | None
) -> Talk:
    """`tell` whenever `watch` says that there may be news, until the client says something."""
    nothing = os.eventfd(0, os.EFD_CLOEXEC)  # a descriptor that never speaks, where nothing can be watched
    try:
        yield from _vigil(session, watch, nothing, tell, keepalive_seconds)
    finally:
        os.close(nothing)


def _vigil(
    session: Session, watch: Watch | Lookout | None, nothing: int, tell: Callable[[], Talk], keepalive: float | None
) -> Talk:
    settings, wire = session.settings, session.wire
    end = monotonic() + (math.inf if settings.outlook_idle and keepalive is not None else settings.imap_idle_seconds)
    still_here = end + 1 if keepalive is None else monotonic() + keepalive
    yield from tell()
    while not wire.has_line(intake.line_octets(session)):
        fd = watch.fd if watch is not None and watch.fd >= 0 else nothing
        poll = RESTLESS_SECONDS if watch is not None and watch.restless else settings.idle_poll_seconds
        heard = yield Wait(max(0.0, min(poll, still_here - monotonic(), end - monotonic())), fd)
        if heard is not None:
            wire.feed(heard)
            continue
        if monotonic() >= end:
            raise Silence(reason="Autologout")
        yield from tell()
        if keepalive is not None and monotonic() >= still_here:
            yield Status("OK", "Still here")
            still_here = monotonic() + keepalive
    return None


def _news(session: Session, watch: Watch | None) -> Talk:
    if watch is not None:
        watch.drain()
    yield from session.alert()
    if session.box is not None:
        yield from session.news()
    return None
