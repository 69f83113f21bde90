"""One LIST through directories: what is there, what is looked at, and where it ends.

What lives here: the order of names, and the limits.  What does not: which entries are mailboxes (namespace.py).
"""

from __future__ import annotations

import os
from stat import S_ISDIR

from mailcore.store.pattern import DELIMITER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailcore.store.namespace import Store
    from mailcore.store.pattern import Pattern

    Listed = Iterator[tuple[str, list[str]]]

INBOX = "INBOX"


class Walk:
    """One LIST through the directories: what it looked at is counted and limited."""

    __slots__ = ("_entries", "_matcher", "_slash", "_store", "cut", "root")

    def __init__(self, store: Store, matcher: Pattern, slash: bool, root: str) -> None:
        self._store = store
        self.root = root
        self._matcher = matcher
        self._slash = slash  # the pattern asks for `name/`
        self._entries = store.settings.list_entries
        self.cut = False

    def names(self, directory: str, above: str, state: int, depth: int) -> Listed:
        """(name, attributes) of all that matches below `directory`, whose name is `above`."""
        if depth > self._store.settings.list_depth:
            self.cut = True
            return
        for name, path, found in self._entries_of(directory, above, state):
            if not S_ISDIR(found.st_mode):
                yield above + name, ["\\NoInferiors", marked(found), "\\HasNoChildren"]
                continue
            if self._matcher.accepts(state, name) and above + name != INBOX:
                yield above + name, ["\\Noselect", self.children(path)]
            below = self._matcher.advance(state, name + DELIMITER)
            if self._slash and self._matcher.ends(below):
                yield above + name + DELIMITER, ["\\Noselect", self.children(path)]
            if below:
                yield from self.names(path, above + name + DELIMITER, below, depth + 1)

    def _entries_of(self, directory: str, above: str, state: int) -> list[tuple[str, str, os.stat_result]]:
        """What may be told of a directory, sorted; files only those that match."""
        found = []
        for entry in self._scanned(directory):
            if not above and entry.name.upper() == INBOX and entry.name != INBOX:
                continue  # can never be opened: the name means the spool file
            if not self._wanted(entry, state):
                continue
            stat = self._store.shown(entry, self.root)
            if stat is not None and not (above + entry.name == INBOX and not S_ISDIR(stat.st_mode)):
                found.append((entry.name, entry.path, stat))
        found.sort()
        return found

    def _scanned(self, directory: str) -> Iterator[os.DirEntry[str]]:
        """A directory's entries as the system has them, until the limit of the whole walk cuts them."""
        try:
            entries = os.scandir(directory)
        except OSError:
            return  # gone, or not ours to read
        with entries:
            for entry in entries:
                self._entries -= 1
                if self._entries < 0:
                    self.cut = True
                    return
                yield entry

    def _wanted(self, entry: os.DirEntry[str], state: int) -> bool:
        """Whether an entry is worth a stat and a look into the file."""
        try:
            return self._matcher.accepts(state, entry.name) or entry.is_dir()
        except OSError:
            return False

    def children(self, directory: str) -> str:
        shown = any(self._store.shown(entry, self.root) is not None for entry in self._scanned(directory))
        return "\\HasChildren" if shown else "\\HasNoChildren"


def marked(found: os.stat_result) -> str:
    """UW's rule: mail that came since somebody read the file."""
    new = found.st_size > 0 and found.st_atime_ns < found.st_mtime_ns
    return "\\Marked" if new else "\\UnMarked"
