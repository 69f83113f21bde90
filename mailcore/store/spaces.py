"""Mailboxes that are not the user's own: shared, public, and other users' (RFC 2342).

What lives here: which prefixes the settings give a directory to.  What does not: names below them
(namespace.py), and who may read: the kernel knows.

All of them are read only.  A change is journalled beside its maker's index, so a change that one
user's process did not finish could not be finished by another user's.
"""

from __future__ import annotations

import os

from mailcore.errors import BadName, BadSetting
from mailcore.store.location import expand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.settings import Settings

PERSONAL, OTHERS, SHARED = "personal", "others", "shared"
USER_OCTETS = 64


class Space:
    """A prefix of names and the directory that they lie in; `root` is resolved."""

    __slots__ = ("kind", "prefix", "root")

    def __init__(self, prefix: str, root: str, kind: str) -> None:
        self.prefix = prefix
        self.root = os.path.realpath(root)
        self.kind = kind


def fixed(settings: Settings) -> list[Space]:
    """The spaces with one directory for everybody, as far as they exist."""
    given = (("#shared/", settings.shared_directory), ("#public/", settings.public_directory))
    return [Space(prefix, _absolute(path), SHARED) for prefix, path in given if path and os.path.isdir(path)]


def of_user(settings: Settings, name: str) -> Space | None:
    """The space that `~user/...` lies in; None where other users' mail is not shown.  Raises BadName."""
    if not settings.other_users_directory or not name.startswith("~") or name.startswith("~/"):
        return None
    user, slash, _ = name[1:].partition("/")
    if not slash or len(user) > USER_OCTETS or not user.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise BadName
    return Space(f"~{user}/", _absolute(expand(settings.other_users_directory, user, "")), OTHERS)


def places(settings: Settings) -> list[str]:
    """What must be readable for all of them: directories without the part that is a user's."""
    users = settings.other_users_directory
    outer = os.path.dirname(users.partition("%")[0]) if users else ""
    given = (settings.shared_directory, settings.public_directory, outer)
    return [path for path in given if path and os.path.isdir(path)]


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise BadSetting(f"{path}: a directory of mailboxes starts with /")
    return path
