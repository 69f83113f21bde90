"""Where a session may go, and who does for it what must be done elsewhere.

What lives here: the places of one Store, and what the STEWARD does.  What does not: how a process is kept
to its places (mailcore.login, which asks for them and knows nothing of mail); how a steward is started
and asked (steward.py).

A fenced session can start no program and open no file outside its places.  Three things are left
that it must have done: the dot lock of an INBOX in a directory that only a setgid helper may
write in, and ~/.mailboxlist, which lies in the home directory and is replaced by
rename; and opening the alert files.  A steward does them, the same user, that knows these names and takes no
others.  It hears one octet and answers with what became of it, and with a descriptor where one was asked for:

    L U        make and remove the dot lock of INBOX              (locking.py)
    A B        open the administrator's alert file, the user's  (notices.py)
    H R N P D  open the home, read the list, a new list, put it in place, drop it  (subscriptions.py)

It ends when the session does, however that ends, and gives back a lock that is left.
"""

from __future__ import annotations

import _socket
import errno
import os
from array import array

from mailcore.store import locking, spaces, steward
from mailcore.store.locking import Dotlock
from mailcore.store.notices import NoticeFiles, notice_paths
from mailcore.store.steward import BUSY, DONE, FAILED, Steward
from mailcore.store.subscriptions import ListFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailcore.store.namespace import Store

NAMES = ("/etc/passwd", "/etc/group")  # who owns a mailbox, for access control lists


class Territory:
    """What the monitor asks for: `enter` readies the session and tells its places."""

    def __init__(self, store: Store, names: bool) -> None:
        self._store = store
        self._names = names  # are there mailboxes beside INBOX?

    def enter(self) -> list[tuple[str, str]]:
        """The places (path, "tree", "files" or "read"); afterwards the steward serves where one is needed."""
        store = self._store
        places = self.places()
        foreign = not os.access(os.path.dirname(store.location.inbox), os.W_OK)
        if foreign or self._names:
            locking.deputy = store.subscriptions.file = store.notices.file = self._steward()
        return places

    def _steward(self) -> Steward:
        """The one that waits, or that this process has from an earlier conversation of the same user, or a new one."""
        store = self._store
        names: tuple[str, ...] = (store.location.inbox, str(store.settings.dotlock_stale_seconds))
        names += (store.subscriptions.path, *notice_paths(store.settings, store.home))
        one = steward.at_hand
        if one is None or one.names and one.names != names:
            one = Steward()
        if not one.names:
            one.appoint(names)
        steward.at_hand = one
        return one

    def places(self) -> list[tuple[str, str]]:
        """The mail root (made if it is missing, for it must exist to be a place), INBOX, the index, the spool."""
        store = self._store
        inbox = store.location.inbox
        places = [(os.path.dirname(path), "files") for path in dict.fromkeys((inbox, os.path.realpath(inbox)))]
        places += [(store.index.home, "tree"), (store.settings.spool_directory, "files")]
        if self._names:
            try:
                os.makedirs(store.root, store.settings.directory_mode, exist_ok=True)
            except OSError:
                pass  # a home that is missing or closed: INBOX is all there is
            places.append((store.root, "tree"))
            places += [(path, "read") for path in (*spaces.places(store.settings), *NAMES)]
        return [(path, word) for path, word in places if path]


def serve(sock: _socket.socket, names: Sequence[str]) -> None:
    """What a steward does from the first verb on, for INBOX, a list and alert files of these names."""
    inbox, stale_seconds, list_path, *paths = names
    dot, list_file, notices = Dotlock(inbox, float(stale_seconds)), ListFile(list_path), NoticeFiles(paths)
    locking.deputy = None
    try:
        while verb := sock.recv(1):
            _reply(sock, *_obey(verb, dot, list_file, notices))
    except OSError:
        pass  # nobody is there to be answered
    dot.release()
    list_file.drop()


def _obey(verb: bytes, dot: Dotlock, list_file: ListFile, notices: NoticeFiles) -> tuple[bytes, int]:
    """The answer, and the descriptor that goes with it."""
    deeds = {b"L": lambda: _lock(dot), b"U": dot.release, b"P": list_file.put, b"D": list_file.drop}
    openings = {b"H": list_file.home, b"R": list_file.read, b"N": list_file.fresh}
    openings |= {b"A": lambda: notices.notice(0), b"B": lambda: notices.notice(1)}
    try:
        if verb in openings:
            return bytes((DONE, 0)), openings[verb]()
        if verb in deeds:
            deeds[verb]()
        return bytes((DONE, 0)), -1
    except locking.Busy:
        return bytes((BUSY, 0)), -1
    except OSError as error:
        return bytes((FAILED, (error.errno or errno.EIO) & 0xFF)), -1


def _lock(dot: Dotlock) -> None:
    """Make the lock; UW's helper wants to see the mail file open."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        dot.mail_fd = os.open(dot.path.removesuffix(".lock"), flags)
    except OSError:
        dot.mail_fd = -1  # dotlockfile can do without
    try:
        dot.acquire()
    finally:
        if dot.mail_fd >= 0:
            os.close(dot.mail_fd)


def _reply(sock: _socket.socket, answer: bytes, fd: int) -> None:
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array("i", [fd]))] if fd >= 0 else []
    sock.sendmsg([answer], rights, _socket.MSG_NOSIGNAL)
    if fd >= 0:
        os.close(fd)
