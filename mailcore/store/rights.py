"""What Unix permissions say, as rights of an access control list (RFC 4314).

What lives here: bits to letters and back.  What does not: POSIX ACLs of the file system and group
memberships of others, which the kernel obeys and we do not tell; MYRIGHTS asks the kernel.

A file knows three who: its owner, its group, and everybody; and of each, to read and to write.  So a list
has three rows, and a right comes only with the others of its set.
"""

from __future__ import annotations

import os
from stat import S_ISDIR

from mailcore.errors import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.store.namespace import Store

READ = "lr"  # see it, read it
WRITE = "swite"  # flags (\\Seen too), append, delete and expunge: the file can be written
DELETE, CREATE, ADMINISTER = "x", "k", "a"
ORDER = "lrswipkxtecda"  # c and d are the rights of RFC 2086 (RFC 4314 §2.1.1)
SETS = {frozenset(): 0, frozenset(READ): 4, frozenset(READ + WRITE): 6}  # what bits can say


def spelled(rights: str) -> str:
    """Each right once, in the order of the RFC, with the old c and d (RFC 4314 §2.1.1)."""
    if CREATE in rights or DELETE in rights:
        rights += "c"
    if set("te") <= set(rights):
        rights += "d"
    return "".join(letter for letter in ORDER if letter in rights)


def mine(store: Store, name: str) -> str:
    """What this user may do, asked of the kernel."""
    path = store.path_of(name)
    found = os.lstat(path)
    if S_ISDIR(found.st_mode):
        rights = "l" + (CREATE if os.access(path, os.W_OK | os.X_OK) else "")
        content = rights
    else:
        content = (READ if os.access(path, os.R_OK) else "l") + (WRITE if os.access(path, os.W_OK) else "")
    if store.space(name):
        return spelled(content.translate(str.maketrans("", "", WRITE + CREATE)))  # others' mail is read only here
    if name != "INBOX" and os.access(os.path.dirname(path), os.W_OK | os.X_OK):
        content += DELETE
    if found.st_uid == os.geteuid() and name != "INBOX" and not S_ISDIR(found.st_mode):
        content += ADMINISTER
    return spelled(content)


def table(store: Store, name: str) -> list[tuple[str, str]]:
    """Identifier and rights: the owner, `group:NAME`, `anyone`."""
    found = os.lstat(store.path_of(name))
    owner, group = _user(found.st_uid), f"group:{_group(found.st_gid)}"
    rows = []
    for who, bits in ((owner, found.st_mode >> 6), (group, found.st_mode >> 3), ("anyone", found.st_mode)):
        rights = (READ if bits & 4 else "") + (WRITE if bits & 2 else "")
        if who == owner and owner == _user(os.geteuid()):
            rights = mine(store, name)
        if rights:
            rows.append((who, spelled(rights)))
    return rows


def granted(store: Store, name: str, who: str, rights: str) -> None:
    """Give group or anyone all of READ, or of READ and WRITE, or nothing.  Refusal for what bits cannot say."""
    path = store.path_of(name)
    found = os.lstat(path)
    places = {f"group:{_group(found.st_gid)}": 3, "anyone": 0}
    if who not in places:
        raise Refusal("Permissions of a file are for its group and anyone", "CANNOT")
    bits = SETS.get(frozenset(rights) - frozenset("cd"))
    if bits is None:
        raise Refusal("Permissions of a file can say lr or lrswite or nothing", "CANNOT")
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.fchmod(fd, found.st_mode & 0o777 & ~(7 << places[who]) | bits << places[who])
    finally:
        os.close(fd)


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
