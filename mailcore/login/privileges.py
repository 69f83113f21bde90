"""The only file that changes who a process is and what it may do.

`confine` makes the gatekeeper out of root's fork: nobody, nowhere, with nothing.  `become`
makes the session: the user, for good.  Each verifies at run time that there is no way back
and raises `NotSafe` if there is one; nothing goes on after that.  Not started by root, both
leave out what only root can do.

`fence` then takes from the session what it does not need of the user's rights: it reaches
the user's mail and no other file, starts no program, speaks to nobody but the client.  How
Landlock and seccomp do it is in landlock.py and seccomp.py.
"""

from __future__ import annotations

import os

from mailcore import log
from mailcore.login import landlock, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

    from mailcore.login.accounts import Account
    from mailcore.settings import Settings

SIGKILL = 9

ROOM_OCTETS = 64 * 1024 * 1024  # what a gatekeeper may allocate on top of what it has
CPU_SECONDS = 20  # parsing 64 KiB takes none; TLS takes a little
UMASK = 0o077

_nobody: dict[str, tuple[int, int]] = {}  # who gatekeepers are, once it is looked up


class NotSafe(OSError):
    """A privilege could not be given up: do not go on."""


# --- secrets -------------------------------------------------------------------------


def keep_secrets() -> None:
    """No core dump, no ptrace: call it before the first secret is read."""
    import resource

    _set(syscalls.PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def die_with(parent: int) -> None:
    """When `parent`, which forked us, ends, so do we."""
    _set(syscalls.PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it ended before we could ask for it


def _set(option: int, value: int) -> None:
    if syscalls.prctl(option, value) != 0:
        raise NotSafe(f"prctl({option}, {value}) failed")


# --- the gatekeeper --------------------------------------------------------------------


def confine(settings: Settings, keep: Collection[int], parent: int, cpu_seconds: int = CPU_SECONDS) -> None:
    """Nobody, in an empty directory, with the descriptors `keep` and not one more.

    With a `parent` it ends when that ends.  Landlock and seccomp come last, where the kernel has
    them; both work without root too.
    """
    from mailcore.login import seccomp

    octets = _address_space()
    keep_secrets()
    if os.geteuid() == 0:
        _lock_in(settings.gatekeeper_user, settings.gatekeeper_root)
    if parent:
        die_with(parent)  # a change of user clears it, so after that
    _set(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    _enclose(())
    syscalls.close_others(keep)
    _limit(_lowest_free(keep), octets + ROOM_OCTETS, cpu_seconds)
    seccomp.keep_to_gatekeeping()


def _enclose(places: Iterable[tuple[str, str]]) -> bool:
    try:
        return landlock.enclose(places)
    except OSError as error:
        raise NotSafe(str(error)) from None


def prepare(settings: Settings) -> None:
    """Look up who gatekeepers are, and load the libraries that know users: the forks of a listener need not."""
    import pwd

    try:
        _nobody[settings.gatekeeper_user] = _nobodys(settings.gatekeeper_user)
        os.getgrouplist(settings.gatekeeper_user, 65534)
        pwd.getpwnam("no such user")
    except (NotSafe, KeyError):
        pass  # it is said when a gatekeeper needs it


def be_nobody(settings: Settings) -> None:
    """Nobody for good, in the same root directory: for work that is no conversation (nobody.py)."""
    if os.geteuid() == 0:
        uid, gid = _nobodys(settings.gatekeeper_user)
        status_fd = _open_status()
        os.setgroups([])
        _change(uid, gid, status_fd)


def _lock_in(user: str, root: str) -> None:
    uid, gid = _nobodys(user)
    status_fd = _open_status()
    _enter_empty(root)
    os.setgroups([])
    _change(uid, gid, status_fd)
    if os.getgroups():
        raise NotSafe("groups are left")


def _nobodys(user: str) -> tuple[int, int]:
    if user in _nobody:
        return _nobody[user]
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise NotSafe(f"gatekeeper_user {user} does not exist") from None
    if not entry.pw_uid or not entry.pw_gid:
        raise NotSafe(f"gatekeeper_user {user} has root's uid or gid")
    return entry.pw_uid, entry.pw_gid


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
        _lower(limit, value)


def _lower(limit: int, value: int) -> None:
    """For good, and never up."""
    import resource

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
        members = groups(account)
        os.setgroups(members)
        _change(account.uid, account.gid, status_fd)
        if not set(os.getgroups()) <= {*members, account.gid}:
            raise NotSafe("groups are left")
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


# --- the fence around the session ----------------------------------------------------------

# What Python, its C libraries and the store read; all of it is closed to the user's writing anyway.
LIBRARY = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo")
READ = (
    "/etc/ld.so.cache", "/etc/localtime", "/etc/machine-id", "/dev/urandom", "/dev/random", "/proc/self",
    "/proc/meminfo", "/proc/filesystems", "/proc/sys/kernel/random/boot_id",
)  # fmt: skip


class Fence:
    """What a session's process is kept to, from its first conversation on."""

    __slots__ = ("_settings", "_places", "entered")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places: dict[str, tuple[int, int] | None] = {}
        self.entered = False

    def prepare(self, service: Any) -> None:
        """What comes as soon as the process is the user's: limits, and who stays outside, for `service` to start."""
        import resource

        keep_secrets()
        _lower(resource.RLIMIT_DATA, self._settings.session_octets)
        engage = getattr(service, "engage", None)
        if engage is not None and self._settings.confine_session:
            engage()

    def enter(self, territory: Any) -> None:
        """Put it up; for a later conversation of the same user it stands already."""
        if self.entered:
            territory.enter()
            return
        places = fence(self._settings, territory)
        self._places = {path: _place(path) for path, _ in places}
        self.entered = True

    def stands(self) -> bool:
        """The places are still the same files and directories, which is what the kernel knows them by."""
        return all(_place(path) == place for path, place in self._places.items())


def _place(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def fence(settings: Settings, territory: Any) -> list[tuple[str, str]]:
    """Limit the session's memory, and let it reach no more than its territory and what Python needs.

    `territory.enter()` gives places (path, word of landlock.py); what it needs to start, it starts then.

    What the kernel cannot do is left out; NotSafe is raised for what it could and did not.  Returns the places.
    """
    import resource

    keep_secrets()
    _lower(resource.RLIMIT_DATA, settings.session_octets)
    if not settings.confine_session:
        log.info("confine_session is false: the session may do whatever its user may")
        return []
    from mailcore.login import seccomp

    places: list[tuple[str, str]] = territory.enter()  # before no_new_privs: it may run the setgid helper
    _set(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if not _enclose([*places, *_needed()]):
        log.debug("this kernel has no Landlock: the session may reach whatever its user may")
    if not seccomp.keep_to_mail():
        log.debug("this kernel has no seccomp for us: the session may make any system call")
    return places


def _needed() -> list[tuple[str, str]]:
    """What is read from wherever this Python stands, and /dev/null."""
    import sys

    import mailcore

    ours = os.path.dirname(os.path.dirname(os.path.abspath(mailcore.__file__)))
    code = [ours, *(path for path in sys.path if path.startswith("/") and path != "/")]
    prefixes = {os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix, sys.base_exec_prefix)}
    return [(path, "read") for path in (*code, *prefixes, *LIBRARY, *READ)] + [("/dev/null", "write")]
