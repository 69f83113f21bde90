"""What happens to the mailboxes that nobody has open here: names, subscriptions, notes, mail.

What lives here: which of many mailboxes came, went, were renamed or written to since the last look.
What does not: what is in them (the caller opens those that changed), and what is worth telling.

One inotify descriptor says that there is something to look at; what it is, is found by comparing:
names by the entries of their directories, then by LIST, and mail by the stat of each file.  A name that is
gone and a new one with the same inode are one mailbox renamed.  Where inotify is of no use (`fd` is -1)
each look looks.
"""

from __future__ import annotations

import os

from mailcore.errors import MailError
from mailcore.store.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailcore.store.namespace import Attributes, Store

    Stamp = tuple[int, int, int]
    Names = Callable[[], Iterable[tuple[str, Attributes]]]
    Notes = dict[str, dict[str, str]]

SETTLING = 3  # how often names may change while the watches are laid


class Place:
    """A mailbox, or a directory of some, as it was when it was looked at."""

    __slots__ = ("path", "selectable", "stamp")

    def __init__(self, path: str, selectable: bool) -> None:
        self.path = path
        self.selectable = selectable
        self.stamp = _stamp(path)


class Report:
    """What one look found: names, and of notes the entries that changed."""

    __slots__ = ("appeared", "changed", "gone", "noted", "renamed", "subscribed", "unsubscribed")

    def __init__(self) -> None:
        self.appeared: list[str] = []
        self.gone: list[str] = []
        self.renamed: list[tuple[str, str]] = []
        self.changed: list[str] = []  # mail files, new ones too
        self.subscribed: list[str] = []
        self.unsubscribed: list[str] = []
        self.noted: dict[str, list[str]] = {}


class Lookout:
    """Looks after the mailboxes that `names` tells, and after what else is asked for."""

    def __init__(self, store: Store, names: Names, root: bool, subscriptions: bool, notes: bool) -> None:
        """With `root` new names below the mail root matter too."""
        self._store = store
        self._names = names
        self._root = root
        self._watch: Watch | None = None
        self._unread: set[str] = set()  # to be reported again
        self._doubtful: set[str] = set()  # names that may be the new ones of others
        self._also: list[str] = []
        self.places: dict[str, Place] = {}
        self._entries: dict[str, frozenset[str]] = {}
        self._subscriptions = subscriptions
        self._notes = notes
        self._lay()
        self._subscribed: set[str] = set()
        self._noted: Notes = {}
        self._subscribed, self._noted = self._all_subscribed(), self._all_notes()

    @property
    def fd(self) -> int:
        return self._watch.fd if self._watch is not None else -1

    @property
    def restless(self) -> bool:
        """Something could not be read: look again soon, whether or not `fd` speaks."""
        return bool(self._unread or self._doubtful)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        self._watch = None

    def unread(self, name: str) -> None:
        """What changed could not be read: it is a change still."""
        self._unread.add(name)

    def also(self, paths: Iterable[str]) -> None:
        """Wake for these files too, from now on and in place of others."""
        before, self._also = self._also, list(paths)
        if self._watch is not None:
            self._watch.add([path for path in self._also if path not in before])

    def look(self) -> Report | None:
        """What is new; None if nothing can be."""
        if self._watch is not None and self.fd >= 0 and not self._watch.drain() and not self.restless:
            return None
        report, doubtful = Report(), bool(self._doubtful)
        for _ in range(SETTLING):  # what happens while watches are laid anew is not told by them
            moved = doubtful or any(_entries(path) != known for path, known in self._entries.items())
            if not self._compare_lists(report) and not moved:
                break
            doubtful, before = False, self.places
            self._lay()
            self._compare_names(before, report)
        self._compare_mail(report)
        return report

    # --- laying the watches ------------------------------------------------------------

    def _lay(self) -> None:
        """Find all names and watch them; what happens after that is told by `fd`."""
        for _ in range(SETTLING):
            self.places = self._listed()
            self.close()
            self._watch = Watch([place.path for place in self.places.values() if place.selectable])
            directories = self._directories()
            self._watch.add(directories, entries=True)
            self._watch.add(self._also)
            if self._subscriptions:
                self._watch.add([self._store.subscriptions.path])
            if self._notes and self._store.metadata.path:
                self._watch.add([self._store.metadata.path])
            self._entries = {path: _entries(path) for path in directories}
            if self._listed().keys() == self.places.keys():
                break

    def _listed(self) -> dict[str, Place]:
        places = {}
        for name, attributes in self._names():
            if name in places:
                continue
            try:
                path = self._store.path_of(name)
            except MailError:
                continue
            places[name] = Place(path, not {"\\Noselect", "\\NonExistent"} & set(attributes))
        return places

    def _directories(self) -> list[str]:
        """Where names of the user's own may come and go; never the spool, which is everybody's."""
        root = self._store.root
        found = {root: None} if self._root else {}
        for place in self.places.values():
            directory = os.path.dirname(place.path) if place.selectable else place.path
            if (directory + "/").startswith(root + "/"):
                found[directory] = None
        return [path for path in found if os.path.isdir(path)]

    # --- comparing ---------------------------------------------------------------------

    def _compare_names(self, before: dict[str, Place], report: Report) -> None:
        """Names that came and went; the stamp of a mailbox stays what it was before.

        A file is renamed by a link and an unlink: who is seen between the two waits for the next look.
        """
        here = {place.stamp[0] for name, place in before.items() if name in self.places and place.selectable}
        doubted, self._doubtful = self._doubtful, set()
        gone = {name: place for name, place in before.items() if name not in self.places}
        by_inode = {place.stamp[0]: name for name, place in gone.items() if place.stamp[0]}
        for name, place in self.places.items():
            if name in before:
                place.stamp = before[name].stamp
            elif (old := by_inode.pop(place.stamp[0], "")) and gone[old].selectable == place.selectable:
                report.renamed.append((old, name))
                place.stamp = gone.pop(old).stamp
            elif place.selectable and place.stamp[0] in here and name not in doubted:
                self._doubtful.add(name)
            else:
                report.appeared.append(name)
                if place.selectable and place.stamp[1]:
                    self._unread.add(name)
        for name in self._doubtful:
            del self.places[name]
        report.gone += gone

    def _compare_mail(self, report: Report) -> None:
        for name, place in self.places.items():
            if place.selectable and (stamp := _stamp(place.path)) != place.stamp:
                place.stamp = stamp
                self._unread.add(name)
        report.changed = [name for name in self.places if name in self._unread]
        self._unread.clear()

    def _compare_lists(self, report: Report) -> bool:
        """Subscriptions and notes; True: other mailboxes are subscribed to than before."""
        subscribed, before = self._all_subscribed(), self._subscribed
        report.subscribed += sorted(subscribed - before)
        report.unsubscribed += sorted(before - subscribed)
        self._subscribed = subscribed
        noted = self._all_notes()
        for name in sorted(noted.keys() | self._noted.keys()):
            now, then = noted.get(name, {}), self._noted.get(name, {})
            if entries := sorted(entry for entry in now.keys() | then.keys() if now.get(entry) != then.get(entry)):
                report.noted[name] = entries
        self._noted = noted
        return subscribed != before

    def _all_subscribed(self) -> set[str]:
        try:
            return set(self._store.subscribed()) if self._subscriptions else set()
        except MailError:
            return self._subscribed  # not to be read now

    def _all_notes(self) -> Notes:
        try:
            return self._store.metadata.everything() if self._notes else {}
        except MailError:
            return self._noted


def _entries(directory: str) -> frozenset[str]:
    """What is in a directory, lock files apart; nothing, if it cannot be read."""
    try:
        return frozenset(name for name in os.listdir(directory) if not name.endswith(".lock"))
    except OSError:
        return frozenset()


def _stamp(path: str) -> Stamp:
    """What changes when mail does; zeros where there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
