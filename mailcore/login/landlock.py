"""Landlock: which files a process may still reach.

What lives here: rules for directories and files, and their loading (landlock(7)).  What does not:
which directories (the store says so, privileges.py asks).  Whatever no rule names cannot be
opened, listed, made, removed or moved, whoever owns it; what is open stays open.

    "tree"   all that lies below a directory, read and written, with its directories
    "files"  the same without making or removing directories, nothing moved in or out
    "read"   a file, or all below a directory, only read
    "write"  a file or a device, read and written
"""

from __future__ import annotations

import os

from mailcore.login import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all machines
VERSION_FLAG = 1
PATH_BENEATH = 1
LEAST = 2  # before, a file could never be moved from one directory to another

WRITE_FILE, READ_FILE, READ_DIRECTORY = 1 << 1, 1 << 2, 1 << 3  # <linux/landlock.h>
REMOVE_DIRECTORY, REMOVE_FILE, MAKE_DIRECTORY, MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
REFER, TRUNCATE = 1 << 13, 1 << 14
TCP = 3  # bind and connect
SCOPES = 3  # abstract UNIX sockets, signals

READ = READ_FILE | READ_DIRECTORY
FILES = READ | WRITE_FILE | TRUNCATE | REMOVE_FILE | MAKE_FILE
OF_A_FILE = WRITE_FILE | READ_FILE | TRUNCATE
WORDS = {
    "tree": FILES | MAKE_DIRECTORY | REMOVE_DIRECTORY | REFER,
    "files": FILES,
    "read": READ,
    "write": OF_A_FILE,
}
KNOWN = {1: 13, 2: 14, 3: 15, 4: 15}  # how many file rights a version has; later ones 16


def version() -> int:
    """Landlock's version (ABI), 0 where there is none."""
    return max(0, syscalls.call(CREATE_RULESET, None, 0, VERSION_FLAG))


def enclose(places: Iterable[tuple[str, str]]) -> bool:
    """Reach no more than `places` (path, word); what does not exist is left out.

    False: the kernel cannot.  OSError: it can, but it did not.  PR_SET_NO_NEW_PRIVS must be set.
    """
    number = version()
    if number < LEAST:
        return False
    handled = (1 << KNOWN.get(number, 16)) - 1
    ruleset = _create(number, handled)
    try:
        for path, word in places:
            _add(ruleset, path, WORDS[word] & handled)
        if syscalls.call(RESTRICT_SELF, ruleset, 0) != 0:
            raise OSError("Landlock does not take its rules")
    finally:
        os.close(ruleset)
    return True


def _create(number: int, handled: int) -> int:
    """A ruleset that forbids all the kernel knows to forbid."""
    fields = [handled]
    if number >= 4:
        fields.append(TCP)
    if number >= 6:
        fields.append(SCOPES)
    attributes = b"".join(field.to_bytes(8, "little") for field in fields)
    ruleset = syscalls.call(CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        raise OSError("Landlock makes no ruleset")
    return ruleset


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there: nothing to allow
    try:
        if not _is_directory(fd):
            rights &= OF_A_FILE
        beneath = rights.to_bytes(8, "little") + fd.to_bytes(4, "little")
        if syscalls.call(ADD_RULE, ruleset, PATH_BENEATH, beneath, 0) != 0:
            raise OSError(f"Landlock does not take {path}")
    finally:
        os.close(fd)


def _is_directory(fd: int) -> bool:
    return os.fstat(fd).st_mode & 0o170000 == 0o040000
