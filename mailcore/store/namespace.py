"""Mailbox names and where they lie: one user's Store.

What lives here: the rules of names, and everything that works on names: open, create,
delete, rename, list, subscribe.  What does not: mail_location (location.py), what is inside
a mailbox (formats/), the file of subscriptions (subscriptions.py), wire syntax (the servers).

Names are ASCII in their wire form (modified UTF-7, RFC 3501 §5.1.3) and lie on the disk in
just that form, as UW and Dovecot write them.  "/" divides levels.  INBOX, in any case, is
the spool file; every other name is a path below the mail root, and nothing is reached
outside of it: no absolute names, no `..`, no `{` names.  A `#` or `~user` name is one of a space
that the settings open (spaces.py), has the same rules below its own root, and is read only.

Symbolic links.  The whole path is resolved first; what leads out of the mail root is
refused as if it did not exist.  Formats then get the resolved path, which holds no link any
more, open its last component with O_NOFOLLOW, and then look where the file that they have got
lies: somebody may have exchanged a directory of the path for a link between the look and the open.
A session is fenced in besides (mailcore.login), so that the kernel opens nothing outside.

Clients set up for UW, whose root was the home directory, say `mail/x` or `~/mail/x`.  Both
mean `x` here (the first only while there is no directory `mail` in the root), and LIST
answers such a client in its own spelling.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR, S_ISLNK, S_ISREG

from mailcore import log
from mailcore.errors import (
    BadName,
    Damaged,
    DiskError,
    HasChildren,
    MailboxExists,
    MailError,
    NoPermission,
    NoSuchMailbox,
    NotAMailbox,
    NotSelectable,
    Refusal,
)
from mailcore.store import files, formats, spaces
from mailcore.store.location import parse_location
from mailcore.store.locking import wait_below
from mailcore.store.notices import Notices
from mailcore.store.pattern import DELIMITER, Pattern
from mailcore.store.subscriptions import NAME as SUBSCRIPTIONS
from mailcore.store.subscriptions import Subscriptions
from mailcore.store.walk import INBOX, Walk, marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from mailcore.settings import Settings
    from mailcore.store.index import Index
    from mailcore.store.mailbox import Mailbox
    from mailcore.store.metadata import Metadata
    from mailcore.store.quota import Quota
    from mailcore.store.spaces import Space
    from mailcore.store.territory import Territory

    Attributes = list[str]
    Listed = Iterator[tuple[str, Attributes]]

COMPONENT_OCTETS = 255  # NAME_MAX of every file system that matters
NAME_OCTETS = 1000

# Files of this and other mail programs that are never mailboxes, even when empty.
RESERVED = frozenset((SUBSCRIPTIONS, ".mlbxlsttmp", ".subscriptions", ".imap", ".newsrc", ".imapalert"))


class Store:
    """All mailboxes of one user.  Use it as the user: it asks the kernel, not a table, who may."""

    delimiter = DELIMITER

    def __init__(self, user: str, home: str, settings: Settings, location: str = "") -> None:
        self.user = user
        self.home = home
        self.settings = settings
        self.location = parse_location(location or settings.mail_location, user, home)
        self.root = os.path.realpath(self.location.root)
        directory, name = os.path.split(self.location.inbox)
        self.location.inbox = os.path.join(os.path.realpath(directory), name)  # /var/mail may be a link
        self.subscriptions = Subscriptions(home, self.root)
        self._index: Index | None = None
        self._prefixes = self._home_prefixes()
        self.spaces = spaces.fixed(settings)
        self._metadata: Metadata | None = None
        self.notices = Notices(settings, home)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None

    @property
    def index(self) -> Index:
        """The user's index; mailboxes opened here share it."""
        if self._index is None:
            from mailcore.store.index import Index

            settings = self.settings
            if self.location.index:
                settings = type(settings)(**vars(settings) | {"index_directory": self.location.index})
            self._index = Index(settings, self.user, self.home)
        return self._index

    def territory(self, names: bool = True) -> Territory:
        """Where this store reaches on the disk; without `names` INBOX is the only mailbox."""
        from mailcore.store.territory import Territory

        return Territory(self, names)

    @property
    def metadata(self) -> Metadata:
        """What the user noted about mailboxes."""
        if self._metadata is None:
            from mailcore.store.metadata import Metadata

            self._metadata = Metadata(self.index.home, self.settings)
        return self._metadata

    @property
    def quota(self) -> Quota:
        """How much mail there is, and how much may be."""
        from mailcore.store.quota import Quota

        return Quota(self.settings, self.user, self.root, self.location.inbox)

    # --- names -------------------------------------------------------------------------

    def _home_prefixes(self) -> tuple[str, ...]:
        """How a client that takes the home for the root spells the mail root."""
        inside = os.path.relpath(os.path.normpath(self.location.root), os.path.normpath(self.home))
        if inside == ".":
            return ("~/",)
        if inside.startswith(".."):
            return ()
        return (f"~/{inside}/", f"{inside}/")

    def _prefix(self, text: str) -> str:
        """The part of `text` that only spells the mail root; mostly there is none."""
        for prefix in self._prefixes:
            if text.startswith(prefix) and (text[0] == "~" or not self._directory_in_root(prefix)):
                return prefix
        return ""

    def _directory_in_root(self, name: str) -> bool:
        return os.path.isdir(os.path.join(self.root, name.split(DELIMITER)[0]))

    def canonical(self, name: str) -> str:
        """The one spelling of `name` (without a trailing delimiter), or BadName."""
        name = name[len(self._prefix(name)) :].removesuffix(DELIMITER)
        if name.upper() == INBOX:
            return INBOX
        space = self.space(name)
        prefix = space.prefix if space else ""
        return prefix + self._checked(name[len(prefix) :])

    def space(self, name: str) -> Space | None:
        """The space of others that `name` lies in; None: it is the user's own."""
        for space in self.spaces:
            if name.startswith(space.prefix):
                return space
        return spaces.of_user(self.settings, name)

    def _own(self, name: str) -> str:
        """The canonical form of a name that may be changed."""
        name = self.canonical(name)
        if self.space(name):
            raise NoPermission("Mailboxes of others are read only")
        return name

    def _checked(self, name: str) -> str:
        """The rules for a name below a root."""
        if not name or len(name) > NAME_OCTETS:
            raise BadName
        if not name.isascii() or not name.isprintable():
            raise BadName("Mailbox name holds a control or 8-bit character")
        if name[0] in "/~#{":
            raise BadName("Mailbox names are relative to the mail directory")
        for component in name.split(DELIMITER):
            if component in ("", ".", "..") or len(component) > COMPONENT_OCTETS:
                raise BadName
            if component in RESERVED or component.endswith(".lock"):
                raise BadName("That name is in use for something else")
        return name

    def path_of(self, name: str) -> str:
        """Where the mailbox is or would be: an absolute path without links, inside the root."""
        name = self.canonical(name)
        if name == INBOX:
            return self.location.inbox
        if space := self.space(name):
            return self._inside(os.path.join(space.root, name[len(space.prefix) :]), space.root)
        return self._inside(os.path.join(self.root, name))

    def _inside(self, path: str, root: str = "") -> str:
        root = root or self.root
        try:
            real = os.path.realpath(path)
        except OSError as error:  # a link that is none any more
            raise _judged(error, path) from None
        if not real.startswith(root.rstrip("/") + "/"):
            raise NoSuchMailbox(detail=f"{path} leads out of {root}")
        return real

    def _link_or_file(self, name: str) -> str:
        """Like path_of, but the last component stays: to delete a link, not what it leads to."""
        path = os.path.join(self.root, name)
        parent = os.path.dirname(path)
        return os.path.join(parent if parent == self.root else self._inside(parent), os.path.basename(path))

    # --- mailboxes ----------------------------------------------------------------------

    def open(self, name: str, readonly: bool = False, visiting: bool = False) -> Mailbox:
        """This session's view of a mailbox; errors say what is there instead.

        Who is `visiting` brings messages and looks at none, so they stay \\Recent for somebody else.
        """
        name = self.canonical(name)
        path = self.path_of(name)
        if name == INBOX:
            self._check_inbox(path)
        else:
            self._check_file(path)
        readonly = readonly or self.space(name) is not None
        kind = _format(path) or formats.FORMATS[0]  # the first one says in words what is wrong with the file
        try:
            box: Mailbox = kind.Box(
                path, name, self.settings, readonly=readonly, inbox=name == INBOX, index=self.index, user=self.user,
                visiting=visiting,
            )  # fmt: skip
        except NotAMailbox as error:
            raise Damaged(error.text, error.detail) if name == INBOX else error from None
        box.room = self.quota.room
        return box

    def _check_file(self, path: str) -> None:
        mode = _lstat(path).st_mode
        if not S_ISREG(mode):
            raise NotSelectable(detail=f"{path}: {'a directory' if S_ISDIR(mode) else 'no regular file'}")

    def _check_inbox(self, path: str) -> None:
        """The spool is a place where others write: believe nothing that is there by name alone.

        A missing file is an empty INBOX, unless its directory is missing too: an unmounted
        spool must not look like a mailbox without mail.
        """
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            if not os.path.isdir(os.path.dirname(path)):
                raise DiskError("The mail spool is not available", f"no directory for {path}") from None
            return
        except OSError as error:
            raise _judged(error, path) from None
        wrong = ""
        if not S_ISREG(found.st_mode):
            wrong = "no regular file"
        elif found.st_uid != os.geteuid():
            wrong = f"owned by uid {found.st_uid}"
        elif found.st_nlink > 1:
            wrong = f"has {found.st_nlink} hard links"
        if wrong:
            log.alert(f"INBOX of user={log.clean(self.user)} refused: {path}: {wrong}")
            raise NoPermission("Permission denied: INBOX", f"{path}: {wrong}")

    def exists(self, name: str) -> bool:
        """Whether `name` is a mailbox or a directory of mailboxes."""
        try:
            name = self.canonical(name)
            mode = S_ISREG if name == INBOX else lambda mode: S_ISREG(mode) or S_ISDIR(mode)
            return name == INBOX or mode(os.lstat(self.path_of(name)).st_mode)
        except (MailError, OSError):
            return False

    # --- CREATE, DELETE, RENAME -----------------------------------------------------------

    def create(self, name: str) -> None:
        """Make an empty mailbox; with a trailing delimiter, a directory (RFC 3501 §6.3.3)."""
        directory = name.endswith(DELIMITER)
        if name in self._prefixes and self._prefix(name) == name:
            raise MailboxExists  # the mail root itself
        name = self._new_name(name)
        path = self.path_of(name)
        if os.path.lexists(path):
            raise MailboxExists
        self._make_parents(path)
        try:
            if directory:
                os.mkdir(path, self.settings.directory_mode)
                os.chmod(path, self.settings.directory_mode)
            else:
                self._make_file(path)
            self._sync_directory(path)
        except OSError as error:
            raise _judged(error, path) from None

    def _new_name(self, name: str) -> str:
        """The canonical form of a name that CREATE or RENAME may bring into being."""
        name = self._own(name)
        if name == INBOX:
            raise MailboxExists("INBOX always exists")
        if self.settings.hide_dot_files and any(part.startswith(".") for part in name.split(DELIMITER)):
            raise BadName("Names that start with a dot are hidden here")
        if os.path.join(self.root, name) == self.location.inbox:
            raise BadName("That name is in use for something else")
        return name

    def _make_file(self, path: str) -> None:
        fd = files.create(path, self.settings.mailbox_mode)
        try:
            os.fchmod(fd, self.settings.mailbox_mode)  # whatever the umask
            files.sync(fd)
        finally:
            files.close(fd)

    def _make_parents(self, path: str) -> None:
        """The directories above `path`, the mail root too."""
        missing = []
        parent = os.path.dirname(path)
        while not os.path.isdir(parent):
            if os.path.lexists(parent):
                raise BadName("A mailbox cannot have mailboxes below it")
            missing.append(parent)
            parent = os.path.dirname(parent)
        try:
            for directory in reversed(missing):
                try:
                    os.mkdir(directory, self.settings.directory_mode)
                    os.chmod(directory, self.settings.directory_mode)
                    self._sync_directory(directory)
                except FileExistsError:
                    pass  # another session was quicker
        except OSError as error:
            raise _judged(error, path) from None

    def _note(self, change: Callable[[], None]) -> None:
        """Notes follow a mailbox that is gone or moved already: trouble with them is the log's."""
        try:
            change()
        except MailError as error:
            log.warning(f"notes about mailboxes of user={log.clean(self.user)}: {error.text} {error.detail}")

    def uses(self) -> dict[str, list[str]]:
        """What mailboxes are for (RFC 6154), by canonical name."""
        return self.metadata.uses(lambda name: name == INBOX or self.describe(name) is not None)

    def _sync_directory(self, path: str) -> None:
        """Make the entry of `path` durable."""
        files.sync_directory(os.path.dirname(path))

    def delete(self, name: str) -> None:
        """Remove a mailbox or an empty directory (RFC 3501 §6.3.4)."""
        name = self._own(name)
        if name == INBOX:
            raise Refusal("INBOX cannot be deleted", "CANNOT")
        from contextlib import nullcontext

        path = self._link_or_file(name)
        mode = _lstat(path).st_mode
        try:
            if S_ISDIR(mode):
                os.rmdir(path)
            else:
                kind = self._check_mailbox(path, mode)
                with kind.held(path, self.settings, self.index.home) if S_ISREG(mode) else nullcontext():
                    os.unlink(path)
                    if S_ISREG(mode):
                        self.index.forget(path)
            self._sync_directory(path)
            self._note(lambda: self.metadata.forget(name))
        except OSError as error:
            raise _judged(error, path) from None

    def _check_mailbox(self, path: str, mode: int) -> Any:
        """The format: only what we would open as a mailbox is removed or renamed as one."""
        if S_ISLNK(mode):
            path = self._inside(path)
            self._check_file(path)
        elif not S_ISREG(mode):
            raise NotSelectable(detail=f"{path}: no regular file")
        kind = _format(path)
        if kind is None:
            raise NotAMailbox(detail=path)
        return kind

    def rename(self, old: str, new: str) -> None:
        """Give a mailbox, or a directory with all below it, another name (RFC 3501 §6.3.5)."""
        old, new = self._own(old), self._new_name(new)
        target = self.path_of(new)
        if old != INBOX:
            source = self._link_or_file(old)
            mode = _lstat(source).st_mode
            if (target + "/").startswith(source + "/") and target != source:
                raise BadName("A mailbox cannot be moved below itself")
        if os.path.lexists(target):
            raise MailboxExists
        if old == INBOX:
            self._move_inbox(new)
            return
        from contextlib import nullcontext

        kind = None if S_ISDIR(mode) else self._check_mailbox(source, mode)
        if S_ISDIR(mode):
            wait_below(source, self.settings)
        self._make_parents(target)
        locks = kind.held(source, self.settings, self.index.home) if kind and S_ISREG(mode) else nullcontext()
        try:
            with locks:
                self._rename(source, target, mode)
            self._note(lambda: self.metadata.renamed(old, new))
        except OSError as error:
            raise _judged(error, target) from None

    def _rename(self, source: str, target: str, mode: int) -> None:
        """Never over something that another session has made meanwhile."""
        inside = [source, *self._files_below(source)] if S_ISDIR(mode) else [source]
        if S_ISREG(mode):
            _rename_file(source, target)
        else:
            os.rename(source, target)  # of a directory fails over anything but an empty one
        self._sync_directory(target)
        self._sync_directory(source)
        for path in inside:
            self.index.renamed(path, target + path[len(source) :])

    def _files_below(self, directory: str) -> Iterator[str]:
        for path, _, names in os.walk(directory):
            yield from (os.path.join(path, name) for name in names)

    def _move_inbox(self, new: str) -> None:
        """RENAME INBOX moves its messages and leaves it empty."""
        with self.open(INBOX) as inbox:
            self.create(new)
            try:
                with self.open(new) as target:
                    inbox.move(list(inbox.uids), target)
            except MailError:
                if not os.path.getsize(self.path_of(new)):
                    self.delete(new)
                raise

    # --- LIST ---------------------------------------------------------------------------------

    def list(self, reference: str, pattern: str) -> Listed:
        """Names that match `reference` + `pattern`, INBOX first, then sorted (RFC 3501 §6.3.8)."""
        if not pattern:
            yield "", ["\\Noselect"]  # the root and the delimiter are all that is asked for
            return
        text = reference + pattern
        try:
            space = self.space(text)
        except BadName:
            return
        prefix, matcher = (space.prefix, Pattern(text[len(space.prefix) :])) if space else self._pattern(text)
        if not prefix and Pattern(text.upper()).matches(INBOX):
            yield INBOX, self._inbox_attributes()
        walk = Walk(self, matcher, text.endswith(DELIMITER), space.root if space else self.root)
        for name, attributes in walk.names(walk.root, "", matcher.start, 1):
            yield prefix + name, attributes
        if walk.cut:
            log.warning(f"LIST of user={log.clean(self.user)} cut short: more than list_depth or list_entries allow")

    def describe(self, name: str) -> Attributes | None:
        """What LIST says of one name (in its canonical form); None: there is no such mailbox."""
        if name == INBOX:
            return self._inbox_attributes()
        try:
            path = self.path_of(name)
            found = os.lstat(path)
        except (MailError, OSError):
            return None
        if S_ISDIR(found.st_mode):
            return ["\\Noselect", Walk(self, Pattern(""), False, self.root).children(path)]
        if not S_ISREG(found.st_mode) or _format(path) is None:
            return None
        return ["\\NoInferiors", marked(found), "\\HasNoChildren"]

    def spelled(self, text: str) -> tuple[str, Callable[[str], bool]]:
        """What of a pattern only spells the mail root, and which canonical names the pattern means."""
        prefix, matcher = self._pattern(text)
        inbox = Pattern(text.upper())
        return prefix, lambda name: (not prefix and inbox.matches(name)) if name == INBOX else matcher.matches(name)

    def _pattern(self, text: str) -> tuple[str, Pattern]:
        """What only spells the mail root, and the pattern after it."""
        prefix = self._prefix(text)
        return prefix, Pattern(text[len(prefix) :])

    def _inbox_attributes(self) -> Attributes:
        try:
            attributes = [marked(os.stat(self.location.inbox))]
        except OSError:
            attributes = ["\\UnMarked"]
        try:
            below = os.scandir(os.path.join(self.root, INBOX))
        except OSError:
            return [*attributes, "\\HasNoChildren"]
        with below:
            children = any(self.shown(entry, self.root) for entry in below)
        return [*attributes, "\\HasChildren" if children else "\\HasNoChildren"]

    def shown(self, entry: os.DirEntry[str], root: str) -> os.stat_result | None:
        """The stat of a directory entry below `root` that LIST shows: a directory or a mailbox; else None."""
        name = entry.name
        if name in RESERVED or name.endswith(".lock") or not name.isascii() or not name.isprintable():
            return None
        if name[0] == "." and self.settings.hide_dot_files:
            return None
        try:
            path = entry.path
            if entry.is_symlink():  # to a file inside the root; links to directories may be loops
                path = self._inside(path, root)
            found = os.lstat(path)
        except (MailError, OSError):
            return None
        if S_ISDIR(found.st_mode):
            return None if entry.is_symlink() else found
        if not S_ISREG(found.st_mode) or path == self.location.inbox or _format(path) is None:
            return None
        return found

    # --- subscriptions --------------------------------------------------------------------------

    def lsub(self, reference: str, pattern: str) -> Listed:
        """Subscribed names that match, whether they exist or not (RFC 3501 §6.3.9).

        With `%`, a name that has only subscribed names below it is told as \\Noselect.
        """
        if not pattern:
            return
        prefix, matches = self.spelled(reference + pattern)
        subscribed = self.subscribed()
        told: dict[str, Attributes] = {name: [] for name in subscribed if matches(name)}
        for name in subscribed if "%" in pattern else ():
            for parent in parents(name):
                if parent not in told and parent not in subscribed and matches(parent):
                    told[parent] = ["\\Noselect"]
        for name in sorted(told, key=sorting):
            yield prefix + name, told[name]

    def subscribed(self) -> dict[str, None]:
        """The names on the list, each in its canonical form and once."""
        return dict.fromkeys(name for line in self.subscriptions.names() if (name := self._line(line)))

    def _line(self, line: str) -> str:
        """The mailbox that a line of the list means; "" for what is none of ours."""
        try:
            return self.canonical(line)
        except BadName:
            return ""

    def _same(self, name: str) -> Callable[[str], bool]:
        return lambda line: self._line(line) == name

    def subscribe(self, name: str) -> None:
        """Put a mailbox that exists on the list; once more is no error."""
        name = self.canonical(name)
        if not self.exists(name):
            raise NoSuchMailbox
        self.subscriptions.add(name, self._same(name))

    def unsubscribe(self, name: str) -> None:
        """Take a name off the list, whether or not there is such a mailbox."""
        if not self.subscriptions.remove(self._same(self.canonical(name))):
            raise NoSuchMailbox("Not subscribed to that mailbox")


def parents(name: str) -> Iterator[str]:
    end = name.find(DELIMITER)
    while end >= 0:
        yield name[:end]
        end = name.find(DELIMITER, end + 1)


def sorting(name: str) -> tuple[bool, list[str]]:
    """INBOX first, then level by level, so that children follow their parent."""
    return (name != INBOX, name.split(DELIMITER))


# --- files -------------------------------------------------------------------------------------


def _format(path: str) -> Any:
    """The format of the mailbox file at `path`; None: it is none, or not to be read."""
    for kind in formats.FORMATS:
        try:
            if kind.probe(path):
                return kind
        except (MailError, OSError):
            pass  # not there, or not ours to read
    return None


def _lstat(path: str) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError as error:
        raise _judged(error, path) from None


def _rename_file(source: str, target: str) -> None:
    """By link and unlink, because rename(2) would silently replace what `target` became meanwhile."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        os.rename(source, target)  # a file system without hard links
    else:
        os.unlink(source)


def _judged(error: OSError, path: str) -> MailError:
    """What an error of the kernel means for a name; the path is for the log."""
    kinds: dict[int | None, type[MailError]] = {
        errno.EEXIST: MailboxExists,
        errno.ENOTEMPTY: HasChildren,
        errno.EISDIR: NotSelectable,
        errno.ELOOP: NoPermission,
        errno.ENAMETOOLONG: BadName,
        errno.EINVAL: BadName,
    }
    if error.errno in kinds:
        return kinds[error.errno](detail=f"{path}: {error.strerror}")
    return files.judged(error, path)


def preload() -> None:
    """Import what a Store imports late (a listener does, once for all its children)."""
    from mailcore import expressions
    from mailcore.store import database, index, quota, territory, textindex, watch  # noqa: F401
    from mailcore.store.formats.mbox import messages

    database.preload()
    expressions.compile_all()
    messages.keep_room()
