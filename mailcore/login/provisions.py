"""What only root can make for a user, made by the monitor before it becomes the user.

What lives here: an INBOX file and an index directory that are missing.  What does not: anything
below a directory that the user may write in; there the session makes its own.
"""

from __future__ import annotations

import os
from stat import S_ISDIR

from mailcore import log
from mailcore.login.privileges import groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.login.accounts import Account
    from mailcore.settings import Settings

INDEX_HOME = "/var/lib/mailcore"  # the store's SHARED_HOME; login cannot see the store


def provide(settings: Settings, account: Account) -> None:
    """Make what is missing; what cannot be made is logged, and the session sees how far it comes."""
    location = account.location or settings.mail_location
    try:
        provide_inbox(location, account)
    except OSError as error:
        log.warning(f"INBOX of {log.clean(account.name)} cannot be made: {error.strerror}")
    if settings.index_directory or ":INDEX=/" in location or ":INDEX=~" in location:
        return
    try:
        provide_index(account)
    except OSError as error:
        log.warning(f"index directory of {log.clean(account.name)} cannot be made: {error.strerror}")


def provide_index(account: Account, home: str = INDEX_HOME) -> None:
    """Make `home`/USER for this user alone, if nothing is there.

    `home` itself is made by `make install`; without it indexes lie in the users' homes.
    """
    path = os.path.join(home, account.name)
    if not _is_name(account.name) or os.path.lexists(path) or not _trusted(home, account):
        return
    dir_fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.mkdir(account.name, 0o700, dir_fd=dir_fd)
        os.chown(account.name, account.uid, account.gid, dir_fd=dir_fd, follow_symlinks=False)
    except FileExistsError:
        pass  # another session of the user came first
    finally:
        os.close(dir_fd)


def _is_name(user: str) -> bool:
    """Good for one component of a path, and not hidden."""
    return bool(user) and "/" not in user and "\0" not in user and not user.startswith(".")


def provide_inbox(location: str, account: Account) -> None:
    """Make the INBOX file that `location` names if it is missing and only root can make it.

    Only where every directory on the way belongs to root and is closed to the user, so that
    nobody else can have put anything there; everywhere else the session makes its own.
    """
    path = inbox_path(location, account.name)
    if not path:
        return
    directory, name = os.path.split(path)
    if os.path.lexists(path) or not _trusted(directory, account):
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    dir_fd = os.open(directory, flags)
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=dir_fd)
        # in a directory with the setgid bit (Debian's /var/mail) the group is the directory's already
        os.fchown(fd, account.uid, -1 if os.fstat(dir_fd).st_mode & 0o2000 else account.gid)
        os.close(fd)
    except FileExistsError:
        pass  # a delivery came first
    finally:
        os.close(dir_fd)


def inbox_path(location: str, user: str) -> str:
    """INBOX's path in a mail_location, only %u expanded, once; "" if there is none for us to make."""
    if not _is_name(user):
        return ""
    for part in location.split(":"):
        if part.startswith("INBOX=/"):
            before, percent, after = part[len("INBOX=") :].partition("%u")
            path = before + user + after if percent else before
            return "" if "%" in before + after or not os.path.basename(path) else path
    return ""


def _trusted(directory: str, account: Account) -> bool:
    """Only root may change what is on the way to `directory`, followed as written and as resolved."""
    members = groups(account)
    for path in {directory, os.path.realpath(directory)}:
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            try:
                status = os.lstat("/".join(parts[:end]) or "/")
            except OSError:
                return False
            writable = status.st_mode & (0o022 if status.st_gid in members else 0o002)
            if status.st_uid != 0 or (S_ISDIR(status.st_mode) and writable):
                return False
    return True
