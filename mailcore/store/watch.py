"""Being told that a mailbox file changed, by inotify(7).

What lives here: the one descriptor that wakes IDLE.  What does not: what changed (the
mailbox's refresh finds out), and polling (the caller's time limit).

Each file is watched itself.  Its directory is watched only while the file does not exist, or
where somebody asks for what comes and goes there: a spool directory sees the deliveries and lock
files of every user of the machine, and an IDLE that woke for each of them would cost the whole
machine.  A file replaced by rename tells its old inode (IN_ATTRIB: one link less), and `drain`
then looks at the name again.

ctypes is loaded here and nowhere else before a client says IDLE.  Where inotify cannot
see (another system writes the file: NFS, CIFS, FUSE) or does not exist, `fd` is -1.
"""

from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# inotify(7)
IN_MODIFY = 0x002
IN_ATTRIB = 0x004
IN_CLOSE_WRITE = 0x008
IN_MOVED_FROM = 0x040
IN_MOVED_TO = 0x080
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_MASK_ADD = 0x20000000  # one inode has one watch, which may be for two reasons

FILE_EVENTS = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF
DIRECTORY_EVENTS = IN_CREATE | IN_MOVED_TO
ENTRY_EVENTS = DIRECTORY_EVENTS | IN_MOVED_FROM | IN_DELETE | IN_MOVE_SELF | IN_DELETE_SELF

EVENT = struct.Struct("iIII")
READ_OCTETS = 65536
READS = 64  # of one drain: whoever writes faster than we read is not waited for

# statfs(2): file systems that other machines (or programs) change behind the kernel's back
ELSEWHERE = {0x6969, 0x517B, 0xFF534D42, 0xFE534D42, 0x65735546}  # NFS, SMB, CIFS, SMB2, FUSE
STATFS_OCTETS = 256  # more than the struct of any architecture


class _Path:
    """A path and what of it is watched: the file's inode, or its directory (inode 0).

    With `entries` it is a directory, and what comes and goes there matters, lock files apart.
    """

    __slots__ = ("entries", "inode", "path", "watch")

    def __init__(self, path: str, entries: bool = False) -> None:
        self.path = path
        self.entries = entries
        self.inode = 0
        self.watch = -1

    def means(self, name: bytes, child: bytes) -> bool:
        """Whether an event of this watch about `child` is about this path, whose last component is `name`."""
        return not child or (not child.endswith(b".lock") if self.entries and self.inode else child == name)


class Watch:
    """A descriptor that is readable when one of some files changed; -1 when nothing can tell."""

    restless = False  # nothing is to be looked at again before it says so

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._paths: list[_Path] = []
        self.fd = -1
        try:
            self.fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except AttributeError:
            pass  # a libc without inotify
        self.add(paths)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, paths: Iterable[str], entries: bool = False) -> None:
        """Also watch these files, there or not there yet; with `entries`, what comes and goes in these directories."""
        for path in paths:
            if self.fd < 0:
                return
            if self._elsewhere(path):
                self.close()
                return
            entry = _Path(path, entries)
            self._paths.append(entry)
            self._watch(entry)

    def drain(self) -> bool:
        """Take all events off the descriptor; True: one of them was about a watched file."""
        if self.fd < 0:
            return False
        told = self._events()
        if not told:
            return False
        concerned = [self._concerns(entry, told) for entry in list(self._paths)]  # all of them: watches move
        return any(concerned)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1
        self._paths.clear()

    # --- what was told ---------------------------------------------------------------

    def _events(self) -> list[tuple[int, int, bytes]]:
        """All (watch, mask, name) there are to read now."""
        told = []
        for _ in range(READS):
            try:
                data = os.read(self.fd, READ_OCTETS)
            except BlockingIOError:
                break
            at = 0
            while at + EVENT.size <= len(data):
                watch, mask, _cookie, octets = EVENT.unpack_from(data, at)
                at += EVENT.size
                told.append((watch, mask, data[at : at + octets].rstrip(b"\0")))
                at += octets
        return told

    def _concerns(self, entry: _Path, told: list[tuple[int, int, bytes]]) -> bool:
        """Whether an event was about `entry`; its watch moves to where its name leads now."""
        name = os.fsencode(os.path.basename(entry.path))
        ours = lost = False
        for watch, mask, child in told:
            lost = lost or bool(mask & IN_Q_OVERFLOW)
            ours = ours or (watch == entry.watch and entry.means(name, child))
        if not (ours or lost):
            return False
        if _inode(entry.path) != entry.inode:
            self._watch(entry)
        return True

    # --- the watches themselves --------------------------------------------------------

    def _watch(self, entry: _Path) -> None:
        """Watch the file of `entry`, or its directory while there is no such file."""
        before = entry.watch
        for _ in range(3):  # the file may come or go while we look
            entry.inode = _inode(entry.path)
            if entry.inode:
                entry.watch = self._add(entry.path, ENTRY_EVENTS if entry.entries else FILE_EVENTS)
            else:
                entry.watch = self._add(os.path.dirname(entry.path) or ".", DIRECTORY_EVENTS)
            if entry.watch >= 0 and _inode(entry.path) == entry.inode:
                break
        if entry.watch < 0:  # no such directory, no permission, no watches left
            self.close()
        elif before >= 0 and all(other.watch != before for other in self._paths):
            self._libc.inotify_rm_watch(self.fd, before)  # fails when the file is gone: so be it

    def _add(self, path: str, events: int) -> int:
        return int(self._libc.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(events | IN_MASK_ADD)))

    def _elsewhere(self, path: str) -> bool:
        """Whether `path` lies on a file system whose changes this kernel may not see."""
        buffer = ctypes.create_string_buffer(STATFS_OCTETS)
        if self._libc.statfs(os.fsencode(os.path.dirname(path) or "."), buffer):
            return False
        kind = ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF
        return kind in ELSEWHERE


def _inode(path: str) -> int:
    """The inode that `path` leads to; 0 when there is none."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
