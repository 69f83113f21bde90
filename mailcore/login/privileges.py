"""The only file that changes who a process is and what it may do.

`confine` makes the gatekeeper out of root's fork: nobody, nowhere, with nothing.  `become`
makes the session: the user, for good.  Each verifies at run time that there is no way back
and raises `NotSafe` if there is one; nothing goes on after that.  Not started by root, both
leave out what only root can do.

Seccomp and Landlock come here too, as the last step of each.
"""

from __future__ import annotations

import os
from stat import S_ISDIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from mailcore.login.accounts import Account
    from mailcore.settings import Settings

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
SIGKILL = 9

ROOM_OCTETS = 64 * 1024 * 1024  # what a gatekeeper may allocate on top of what it has
CPU_SECONDS = 20  # parsing 64 KiB takes none; TLS takes a little
UMASK = 0o077


class NotSafe(OSError):
    """A privilege could not be given up: do not go on."""


# --- secrets -------------------------------------------------------------------------


def keep_secrets() -> None:
    """No core dump, no ptrace: call it before the first secret is read."""
    import resource

    _prctl(PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def die_with(parent: int) -> None:
    """When `parent`, which forked us, ends, so do we."""
    _prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it ended before we could ask for it


def _prctl(option: int, value: int) -> None:
    """prctl(2) without the ctypes package, which would double the cost of a start."""
    import _ctypes

    call = _ctypes.dlsym(_ctypes.dlopen(None, os.RTLD_NOW), "prctl")  # type: ignore[arg-type]
    if _ctypes.call_function(call, (option, value, 0, 0, 0)) != 0:
        raise NotSafe(f"prctl({option}, {value}) failed")


# --- the gatekeeper --------------------------------------------------------------------


def confine(settings: Settings, keep: Collection[int], parent: int, cpu_seconds: int = CPU_SECONDS) -> None:
    """Nobody, in an empty directory, with the descriptors `keep` and not one more.

    With a `parent` it ends when that ends.
    """
    octets = _address_space()
    keep_secrets()
    if os.geteuid() == 0:
        _lock_in(settings.gatekeeper_user, settings.gatekeeper_root)
    if parent:
        die_with(parent)  # a change of user clears it, so after that
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _close_others(keep)
    _limit(_lowest_free(keep), octets + ROOM_OCTETS, cpu_seconds)


def _lock_in(user: str, root: str) -> None:
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise NotSafe(f"gatekeeper_user {user} does not exist") from None
    if not entry.pw_uid or not entry.pw_gid:
        raise NotSafe(f"gatekeeper_user {user} has root's uid or gid")
    status_fd = _open_status()
    _enter_empty(root)
    os.setgroups([])
    _change(entry.pw_uid, entry.pw_gid, status_fd)


def _enter_empty(root: str) -> None:
    """Make `root` our root directory; it must be root's and hold nothing."""
    os.makedirs(root, 0o755, exist_ok=True)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    status = os.fstat(fd)
    if status.st_uid != 0 or status.st_mode & 0o022 or os.listdir(fd):
        raise NotSafe(f"gatekeeper_root {root} is not an empty directory that only root may write")
    os.fchdir(fd)
    os.chroot(".")
    os.chdir("/")
    os.close(fd)


def _close_others(keep: Collection[int]) -> None:
    import resource

    start = 0
    for fd in sorted(set(keep)):
        if start < fd:
            os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], start + 1))


def _lowest_free(keep: Collection[int]) -> int:
    """Below this number no descriptor is free, so with it as the limit none can be made; poll(2) needs 2."""
    number = 0
    while number in keep:
        number += 1
    return max(number, 2)


def _limit(descriptors: int, octets: int, cpu_seconds: int) -> None:
    import resource

    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_NOFILE, descriptors),
        (resource.RLIMIT_AS, octets),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))


def _address_space() -> int:
    """Octets of address space in use, or a guess where /proc is not mounted."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(64).split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 512 * 1024 * 1024


# --- the session -----------------------------------------------------------------------


def become(account: Account) -> None:
    """Be the user of the session, at home, for good (not root: stay who we are)."""
    if os.geteuid() == 0:
        if account.uid <= 0 or account.gid < 0:
            raise NotSafe(f"uid {account.uid} gid {account.gid} is no user for a session")
        status_fd = _open_status()
        os.setgroups(groups(account))
        _change(account.uid, account.gid, status_fd)
    os.umask(UMASK)
    os.environ["HOME"] = account.home
    os.environ["USER"] = os.environ["LOGNAME"] = account.name
    try:
        os.chdir(account.home)
    except (OSError, ValueError):
        os.chdir("/")


def groups(account: Account) -> list[int]:
    """The user's groups; an account that only a passwd-file knows has none but its own.

    A name in a passwd-file that happens to be a system user's must not inherit that user's groups.
    """
    import pwd

    try:
        real = pwd.getpwnam(account.name).pw_uid == account.uid
    except KeyError:
        real = False
    return os.getgrouplist(account.name, account.gid) if real else [account.gid]


def _change(uid: int, gid: int, status_fd: int) -> None:
    """All three user and group ids, irrevocably, and proved to be so."""
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid,) * 3 or os.getresgid() != (gid,) * 3:
        raise NotSafe("the user did not change")
    for call, arguments in (
        (os.setuid, (0,)),
        (os.seteuid, (0,)),
        (os.setresuid, (-1, 0, -1)),
        (os.setresuid, (-1, -1, 0)),
        (os.setgroups, ([0],)),
    ):
        try:
            call(*arguments)
        except PermissionError:
            continue
        raise NotSafe(f"{call.__name__} still works")
    if status_fd >= 0 and _capabilities(status_fd):
        raise NotSafe("capabilities are left")


def _open_status() -> int:
    """/proc/self/status, to be read when there is no /proc any more; -1 where there never was one."""
    try:
        return os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _capabilities(status_fd: int) -> int:
    """Effective, permitted and ambient capabilities that are left."""
    lines = os.read(status_fd, 8192).split(b"\n")
    os.close(status_fd)
    left = 0
    for line in lines:
        if line.startswith((b"CapEff:", b"CapPrm:", b"CapAmb:")):
            left |= int(line.split()[1], 16)
    return left


# --- files made for a user ---------------------------------------------------------------


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
    if not user or "/" in user or "\0" in user or user.startswith("."):
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
