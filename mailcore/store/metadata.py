"""Notes about mailboxes, in one small file for each user (RFC 5464, RFC 6154 §4).

What lives here: the file, its limits, and which mailbox is for what (special use).  What does not:
the grammar of entries (the server knows it).

The file `metadata` lies beside the index: for each mailbox (canonical name, "" for the server) its
entries and their values.  It is JSON with a character for an octet, never changed, only replaced whole by
rename(2); writers hold a flock on its directory.
"""

from __future__ import annotations

import json
import os

from mailcore.errors import Damaged, DiskError, Refusal
from mailcore.store import files
from mailcore.store.subscriptions import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mailcore.settings import Settings

    Notes = dict[str, dict[str, str]]

NAME = "metadata"
FILE_OCTETS = 64 * 1024 * 1024  # a file that is longer is none of ours
SPECIAL_USE = "/private/specialuse"  # RFC 6154 §4

# What a mailbox is for when nobody said it: the first of these names that exists.  They are what Thunderbird, Apple
# Mail, Outlook, mutt (sent, postponed) and alpine (sent-mail, postponed-msgs) make by themselves.
USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "\\Drafts": ("Drafts", "drafts", "Draft", "postponed", "postponed-msgs"),
    "\\Sent": ("Sent", "sent", "Sent Messages", "Sent Items", "Sent Mail", "sent-mail"),
    "\\Trash": ("Trash", "trash", "Deleted Messages", "Deleted Items", "Deleted"),
    "\\Junk": ("Junk", "junk", "Spam", "spam", "Junk E-mail", "Junk Mail", "Bulk Mail"),
    "\\Archive": ("Archive", "archive", "Archives"),
}


class Metadata:
    """The notes of one user; `home` is where the index lies ("": nowhere, nothing can be noted)."""

    __slots__ = ("_home", "_settings", "path")

    def __init__(self, home: str, settings: Settings) -> None:
        self._home = home
        self._settings = settings
        self.path = os.path.join(home, NAME) if home else ""

    def entries(self, mailbox: str) -> dict[str, bytes]:
        """Entry names (lower case) and values of one mailbox."""
        return {name: value.encode("latin-1") for name, value in self._read().get(mailbox, {}).items()}

    def everything(self) -> Notes:
        """The entries of all mailboxes, to be compared with what they were."""
        return self._read()

    def set(self, mailbox: str, values: Mapping[str, bytes | None]) -> None:
        """Note these, all or none; None takes one away.  Raises Refusal when there is too much of it."""
        for value in values.values():
            if value is not None and len(value) > self._settings.metadata_octets:
                raise Refusal("That value is too large", f"METADATA MAXSIZE {self._settings.metadata_octets}")

        def noted(notes: Notes) -> None:
            entries = notes.setdefault(mailbox, {})
            for name, value in values.items():
                if value is None:
                    entries.pop(name, None)
                else:
                    entries[name] = value.decode("latin-1")
            added = any(value is not None for value in values.values())
            if added and sum(map(len, notes.values())) > self._settings.metadata_entries:
                raise Refusal("Too many notes", "METADATA TOOMANY")

        self._change(noted)

    def forget(self, mailbox: str) -> None:
        """The mailbox is gone."""
        if mailbox in self._read():
            self._change(lambda notes: notes.pop(mailbox, None))

    def renamed(self, old: str, new: str) -> None:
        """The mailbox, and all below it, has another name."""

        def moved(notes: Notes) -> None:
            for name in list(notes):
                if name == old or name.startswith(old + "/"):
                    notes[new + name[len(old) :]] = notes.pop(name)

        if self._read():
            self._change(moved)

    # --- special use -------------------------------------------------------------------

    def uses(self, exists: Callable[[str], bool]) -> dict[str, list[str]]:
        """Mailboxes that exist and what each is for: as it was said, else by their names."""
        said = {
            name: [use for use in entries[SPECIAL_USE].split() if use in USUAL_NAMES]
            for name, entries in self._read().items()
            if SPECIAL_USE in entries and exists(name)
        }
        taken = {use for uses in said.values() for use in uses}
        for use, names in USUAL_NAMES.items():
            name = "" if use in taken else _first(names, exists)
            if name and name not in said:
                said[name] = [use]
        return {name: uses for name, uses in said.items() if uses}

    # --- the file ----------------------------------------------------------------------

    def _read(self) -> Notes:
        if not self.path:
            return {}
        try:
            fd = os.open(self.path, files.FLAGS | os.O_RDONLY)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DiskError("Error reading the notes about mailboxes", f"{self.path}: {error.strerror}") from None
        try:
            return _checked(json.loads(files.read(fd, FILE_OCTETS, 0)))
        except ValueError:
            raise Damaged("The notes about mailboxes are damaged", self.path) from None
        finally:
            files.close(fd)

    def _change(self, change: Callable[[Notes], object]) -> None:
        if not self.path:
            raise DiskError("There is no place for notes about mailboxes")
        with files.Judge(self.path):
            home = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                lock(home)
                notes = self._read()
                change(notes)
                self._replace({name: entries for name, entries in notes.items() if entries})
                os.fsync(home)
            finally:
                os.close(home)  # and the lock with it

    def _replace(self, notes: Notes) -> None:
        """One name for the new file is enough: the lock is held."""
        fresh = self.path + ".new"
        try:
            os.unlink(fresh)  # left by a process that died
        except FileNotFoundError:
            pass
        fd = files.create(fresh)
        try:
            files.write(fd, json.dumps(notes).encode("ascii"), 0)
            files.sync(fd)
        finally:
            files.close(fd)
        files.rename(fresh, self.path)


def _first(names: Iterable[str], exists: Callable[[str], bool]) -> str:
    return next((name for name in names if exists(name)), "")


def _checked(notes: object) -> Notes:
    """What json read, if it has the form that we write; else ValueError."""
    if not isinstance(notes, dict) or not all(isinstance(entries, dict) for entries in notes.values()):
        raise ValueError
    for entries in notes.values():
        for value in entries.values():
            if not isinstance(value, str):
                raise ValueError
            value.encode("latin-1")  # UnicodeEncodeError is a ValueError
    return notes
