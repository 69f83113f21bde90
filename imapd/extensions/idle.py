"""IDLE: news without being asked (RFC 2177).

The mailbox's files are watched, so a delivery is told at once.  Where the kernel cannot see
changes (NFS), we look every idle_poll_seconds.  Who waits has time: what is noted goes into the mailbox.
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
    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.watch import Watch


@command("IDLE")
def idle(session: Session, args: Args) -> Talk:
    """Tell what happens until the client says DONE (RFC 2177 §3)."""
    args.end()
    yield Ready(b"+ Waiting for DONE\r\n")
    if session.box is not None:
        session.box.checkpoint()
    watch = _watch(session)
    nothing = os.eventfd(0, os.EFD_CLOEXEC)  # a descriptor that never speaks, where nothing can be watched
    try:
        yield from _idle(session, watch, nothing)
    finally:
        os.close(nothing)
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


def _idle(session: Session, watch: Watch | None, nothing: int) -> Talk:
    """Tell news until the client says something."""
    settings, wire = session.settings, session.wire
    end = monotonic() + (math.inf if settings.outlook_idle else settings.imap_idle_seconds)
    keepalive = monotonic() + settings.idle_keepalive_seconds
    yield from _news(session)
    while not wire.has_line(intake.line_octets(session)):
        fd = watch.fd if watch is not None and watch.fd >= 0 else nothing
        heard = yield Wait(max(0.0, min(settings.idle_poll_seconds, keepalive - monotonic(), end - monotonic())), fd)
        if heard is not None:
            wire.feed(heard)
            continue
        if monotonic() >= end:
            raise Silence(reason="Autologout")
        if watch is not None:
            watch.drain()
        yield from _news(session)
        if monotonic() >= keepalive:
            yield Status("OK", "Still here")
            keepalive = monotonic() + settings.idle_keepalive_seconds
    return None


def _news(session: Session) -> Talk:
    yield from session.alert()
    if session.box is not None:
        yield from session.news()
    return None
