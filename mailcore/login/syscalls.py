"""System calls that Python has no words for, made without the ctypes package.

What lives here: prctl(2), syscall(2) and the numbers of the calls that seccomp.py names.
What does not: what to forbid.  `_ctypes` is the C half of ctypes; the Python half would cost
a login ten times as much.  Its call_function takes ints of 32 bits and bytes as pointers, so
structures go in packed, and `Octets` are for pointers inside them.
"""

from __future__ import annotations

import _ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MOST_DESCRIPTORS = 65536  # there may be some above the limit, made before it
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38

# machine: (column of NUMBERS, AUDIT_ARCH of <linux/audit.h>)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# name: numbers on x86_64 and aarch64 (<asm/unistd.h>), -1 where there is no such call
NUMBERS = {
    "accept": (43, 202), "accept4": (288, 242), "acct": (163, 89), "add_key": (248, 217), "adjtimex": (159, 171),
    "bind": (49, 200), "bpf": (321, 280), "brk": (12, 214), "capset": (126, 91), "chroot": (161, 51),
    "clock_adjtime": (305, 266), "clock_getres": (229, 114), "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115), "clock_settime": (227, 112), "clone": (56, 220), "clone3": (435, 435),
    "close": (3, 57), "delete_module": (176, 106), "execve": (59, 221), "execveat": (322, 281), "exit": (60, 93),
    "exit_group": (231, 94), "fanotify_init": (300, 262), "finit_module": (313, 273), "fork": (57, -1),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433), "fstat": (5, 80),
    "futex": (202, 98), "getpid": (39, 172), "getppid": (110, 173), "getrandom": (318, 278), "getsockopt": (55, 209),
    "gettid": (186, 178), "gettimeofday": (96, 169), "init_module": (175, 105), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioctl": (16, 29), "ioperm": (173, -1),
    "iopl": (172, -1), "kcmp": (312, 272), "kexec_file_load": (320, 294), "kexec_load": (246, 104),
    "keyctl": (250, 219), "listen": (50, 201), "lseek": (8, 62), "madvise": (28, 233), "memfd_secret": (447, 447),
    "mmap": (9, 222), "modify_ldt": (154, -1), "mount": (165, 40), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "mprotect": (10, 226), "mremap": (25, 216), "munmap": (11, 215),
    "name_to_handle_at": (303, 264), "nanosleep": (35, 101), "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "poll": (7, -1), "ppoll": (271, 73),
    "process_madvise": (440, 440), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pselect6": (270, 72), "ptrace": (101, 117), "quotactl": (179, 60), "read": (0, 63), "readv": (19, 65),
    "reboot": (169, 142), "recvfrom": (45, 207), "recvmsg": (47, 212), "request_key": (249, 218),
    "restart_syscall": (219, 128), "rt_sigaction": (13, 134), "rt_sigpending": (127, 136),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "select": (23, -1), "sendmsg": (46, 211),
    "sendto": (44, 206), "setdomainname": (171, 162), "setfsgid": (123, 152), "setfsuid": (122, 151),
    "setgid": (106, 144), "setgroups": (116, 159), "sethostname": (170, 161), "setns": (308, 268),
    "setregid": (114, 143), "setresgid": (119, 149), "setresuid": (117, 147), "setreuid": (113, 145),
    "settimeofday": (164, 170), "setuid": (105, 146), "shutdown": (48, 210), "sigaltstack": (131, 132),
    "socket": (41, 198), "swapoff": (168, 225), "swapon": (167, 224), "syslog": (103, 116), "tgkill": (234, 131),
    "time": (201, -1), "uname": (63, 160),
    "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282), "vfork": (58, -1),
    "write": (1, 64), "writev": (20, 66),
}  # fmt: skip


def prctl(option: int, value: int, pointer: bytes | int = 0) -> int:
    """prctl(2); -1 is failure."""
    return _function("prctl", option, value, pointer, 0, 0)


def name_process(name: str) -> None:
    """What ps, pgrep and killall call us (15 octets)."""
    _function("prctl", PR_SET_NAME, name.encode()[:15] + b"\0", 0, 0, 0)


def call(number: int, *arguments: int | bytes | None) -> int:
    """syscall(2); -1 is failure."""
    return _function("syscall", number, *arguments)


def wipe_stack() -> None:
    """Write over the C stack below us, where base64 was decoded: a call's arguments lie there, here 500 of them."""
    _function("getpid", *[0] * 500)


def _function(name: str, *arguments: int | bytes | None) -> int:
    function = _ctypes.dlsym(_ctypes.dlopen(None, os.RTLD_NOW), name)  # type: ignore[arg-type]
    return int(_ctypes.call_function(function, arguments))


class _Octet(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class Octets:
    """Bytes that the kernel is given a pointer to: `address` is good for as long as this lives."""

    __slots__ = ("_memory", "address")

    def __init__(self, data: bytes) -> None:
        kind: type[Any] = type("Memory", (_ctypes.Array,), {"_type_": _Octet, "_length_": len(data)})
        self._memory = kind.from_buffer_copy(data)
        self.address: int = _ctypes.addressof(self._memory)


def close_others(keep: Iterable[int]) -> None:
    """Close all descriptors of this process but these."""
    import resource

    start, limit = 0, resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for fd in sorted(set(keep)):
        if start < fd:  # closerange(0, 0) would close all
            os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, max(limit, MOST_DESCRIPTORS))
