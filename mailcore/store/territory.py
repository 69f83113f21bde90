"""Where a session may go, and who does for it what must be done elsewhere.

What lives here: the places of one Store, and the STEWARD.  What does not: how a process is kept
to its places (mailcore.login, which asks for them and knows nothing of mail).

A fenced session can start no program and open no file outside its places.  Three things are left
that it must have done: the dot lock of an INBOX in a directory that only a setgid helper may
write in, and ~/.mailboxlist, which lies in the home directory and is replaced by
rename; and opening the alert files.  A steward does them: a fork of the session from before the fence, the
same user, that knows these names and takes no others.  It hears one octet and answers with what became of
it, and with a descriptor where one was asked for:

    L U        make and remove the dot lock of INBOX              (locking.py)
    A B        open the administrator's alert file, the user's  (notices.py)
    H R N P D  open the home, read the list, a new list, put it in place, drop it  (subscriptions.py)

It ends when the session does, however that ends, and gives back a lock that is left.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal costs an enum
import _socket
import errno
import os
from array import array

from mailcore.store import locking, spaces
from mailcore.store.notices import NoticeFiles
from mailcore.store.subscriptions import ListFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.store.locking import Dotlock
    from mailcore.store.namespace import Store

ANSWER = 2  # octets: one of these, and an errno
DONE, FAILED, BUSY = range(3)
NAMES = ("/etc/passwd", "/etc/group")  # who owns a mailbox, for access control lists
MOST_DESCRIPTORS = 65536


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
        """The one that this process has from an earlier conversation of the same user, or a new one."""
        store, steward = self._store, locking.deputy
        dot = locking.Dotlock(store.location.inbox, store.settings.dotlock_stale_seconds)
        if isinstance(steward, Steward) and steward.names == (dot.path, store.subscriptions.path):
            return steward
        return Steward(dot, store.subscriptions.path, NoticeFiles(store.settings, store.home))

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


class Steward:
    """The session's end: what it cannot do itself, asked for."""

    def __init__(self, dot: Dotlock, list_path: str, notices: NoticeFiles | None = None) -> None:
        """Fork the steward; nothing of the session's but these names goes with it."""
        self._lock_path = dot.path
        self.names = (dot.path, list_path)
        self._sock, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            try:
                serve(theirs, dot, ListFile(list_path), notices)
            finally:
                os._exit(1)  # whatever happens, never back into the session
        theirs.close()

    def lock(self, path: str) -> bool:
        """Make the dot lock `path`, which must be INBOX's; raises as Dotlock.acquire does."""
        if path != self._lock_path:
            raise PermissionError(errno.EACCES, "no lock for the steward to make")
        self._ask(b"L")
        return True

    def unlock(self) -> None:
        self._ask(b"U")

    def home(self) -> int:
        return self._ask(b"H")

    def notice(self, number: int) -> int:
        return self._ask((b"A", b"B")[number])

    def read(self) -> int:
        return self._ask(b"R")

    def fresh(self) -> int:
        return self._ask(b"N")

    def put(self) -> None:
        self._ask(b"P")

    def drop(self) -> None:
        self._ask(b"D")

    def _ask(self, verb: bytes) -> int:
        """The descriptor of an answer, -1 if it has none; what failed there fails here."""
        self._sock.send(verb, _socket.MSG_NOSIGNAL)
        numbers = array("i")
        room = _socket.CMSG_LEN(numbers.itemsize)
        answer, ancillary, _, _ = self._sock.recvmsg(ANSWER, room, _socket.MSG_CMSG_CLOEXEC)
        for _, _, data in ancillary:
            numbers.frombytes(data)
        if len(answer) != ANSWER:
            raise OSError("the steward is gone")
        if answer[0] == BUSY:
            raise locking.Busy
        if answer[0] == FAILED:
            raise OSError(answer[1], os.strerror(answer[1]))
        return numbers[0] if numbers else -1


def serve(sock: _socket.socket, dot: Dotlock, list_file: ListFile, notices: NoticeFiles | None = None) -> None:
    """The whole life of the steward; it has just been forked."""
    for number in (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_IGN)  # the session's end is its end
    locking.deputy = None
    _keep_only(sock.fileno())
    try:
        while verb := sock.recv(1):
            _reply(sock, *_obey(verb, dot, list_file, notices))
    except OSError:
        pass  # nobody is there to be answered
    dot.release()
    list_file.drop()


def _keep_only(fd: int) -> None:
    """No end of a connection stays open through us."""
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        if standard != fd:
            os.dup2(null, standard)
    os.closerange(3, fd)
    os.closerange(max(fd + 1, 3), MOST_DESCRIPTORS)


def _obey(verb: bytes, dot: Dotlock, list_file: ListFile, notices: NoticeFiles | None) -> tuple[bytes, int]:
    """The answer, and the descriptor that goes with it."""
    deeds = {b"L": lambda: _lock(dot), b"U": dot.release, b"P": list_file.put, b"D": list_file.drop}
    openings = {b"H": list_file.home, b"R": list_file.read, b"N": list_file.fresh}
    if notices is not None:
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
