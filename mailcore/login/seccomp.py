"""Seccomp: which system calls a process may still make.

What lives here: the two lists and the BPF program made of them.  What does not: when to
load them (privileges.py).  Loaded only where the kernel has it, on x86_64 and aarch64.

The gatekeeper has a list of what it may do, because what it does after lock-in is known to
the last call: hear, speak, wait, allocate.  The session has a list of what it may not do: it
reads and writes files through SQLite and Python's library, which learn new calls with each
release, and a change of a mailbox must not break in the middle for one of those.

A forbidden call answers EPERM and the process lives.  An error of ours then comes to the log
with its place, and a C library that tries something new and knows how to go on without does so;
a killed process would say nothing.  Killed is what asks by another architecture's numbers, which
no honest program does.
"""

from __future__ import annotations

import os

from mailcore.login import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Condition = tuple[int, int, int]  # argument number, mask, value: `argument & mask == value`
    Rule = tuple[int, str, tuple[Condition, ...]]  # first match counts: answer, call, all of these are true

SECCOMP_MODE_FILTER = 2  # <linux/seccomp.h>
KILL = 0x80000000  # SECCOMP_RET_KILL_PROCESS
ALLOW = 0x7FFF0000
DENY = 0x00050000 | 1  # SECCOMP_RET_ERRNO, EPERM

LOAD, AND, JUMP_EQUAL, JUMP_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06  # <linux/filter.h>
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16  # struct seccomp_data
X32 = 0x40000000  # the third set of numbers on x86_64

PROT_EXEC = 4
AF_UNIX, SOCK_DGRAM, SOCK_TYPE_MASK = 1, 2, 0xF
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # type into the terminal that we came from

GATEKEEPER = """
    read write readv writev recvfrom recvmsg sendto sendmsg close shutdown
    poll ppoll select pselect6 futex nanosleep clock_nanosleep restart_syscall
    brk munmap mremap madvise getrandom
    clock_gettime clock_getres gettimeofday time getpid gettid getppid uname fstat lseek getsockopt
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending sigaltstack tgkill exit exit_group
"""
NO_CODE = ((2, PROT_EXEC, 0),)  # of mmap and mprotect: memory that cannot be run

SESSION = """
    execve execveat fork vfork clone clone3
    ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd pidfd_send_signal
    socket bind listen accept accept4
    mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr setns unshare
    name_to_handle_at open_by_handle_at fanotify_init quotactl swapon swapoff acct
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register memfd_secret
    add_key request_key keyctl
    init_module finit_module delete_module kexec_load kexec_file_load reboot syslog
    settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname iopl ioperm modify_ldt personality
    setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset
"""
_gatekeepers = b""  # their program, once it is made

SYSLOG = ((0, 0xFFFFFFFF, AF_UNIX), (1, SOCK_TYPE_MASK, SOCK_DGRAM))  # libc opens it anew when syslogd did


def keep_to_gatekeeping() -> bool:
    """From now on only what a gatekeeper does; False: the kernel cannot."""
    return _load(_gatekeeping())


def keep_to_mail() -> bool:
    """From now on nothing that a session never does; False: the kernel cannot."""
    rules: list[Rule] = [(ALLOW, "socket", SYSLOG)]
    rules += [(DENY, name, ()) for name in SESSION.split()]
    rules += [(DENY, "ioctl", ((1, 0xFFFFFFFF, request),)) for request in (TIOCSTI, TIOCLINUX)]
    return _load(_made(rules, ALLOW))


def prepare() -> None:
    """Make the gatekeepers' program now, so that the forks of a listener need not."""
    global _gatekeepers
    _gatekeepers = _gatekeeping()


def _gatekeeping() -> bytes:
    if _gatekeepers:
        return _gatekeepers
    rules: list[Rule] = [(ALLOW, name, ()) for name in GATEKEEPER.split()]
    rules += [(ALLOW, "mmap", NO_CODE), (ALLOW, "mprotect", NO_CODE)]
    return _made(rules, DENY)


def _made(rules: Iterable[Rule], otherwise: int) -> bytes:
    """The program for this machine; b"" where there is none."""
    machine = os.uname().machine
    return program(rules, otherwise, *syscalls.MACHINES[machine]) if machine in syscalls.MACHINES else b""


def _load(made: bytes) -> bool:
    """Load the program; prctl(PR_SET_NO_NEW_PRIVS) must have been called."""
    if not made:
        return False
    code = syscalls.Octets(made)
    fprog = (len(made) // 8).to_bytes(8, "little") + code.address.to_bytes(8, "little")  # struct sock_fprog
    return syscalls.prctl(syscalls.PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog) == 0


def program(rules: Iterable[Rule], otherwise: int, column: int, architecture: int) -> bytes:
    """The filter: wrong architecture or x32 → KILL, the first rule that matches, else `otherwise`."""
    steps = [_step(LOAD, ARCHITECTURE_AT), _step(JUMP_EQUAL, architecture, 1), _step(RETURN, KILL)]
    steps += [_step(LOAD, NUMBER_AT), _step(JUMP_LEAST, X32, 0, 1), _step(RETURN, KILL)]
    for answer, name, conditions in rules:
        number = syscalls.NUMBERS[name][column]
        if number >= 0:
            steps += _rule(number, conditions, answer)
    return b"".join([*steps, _step(RETURN, otherwise)])


def _rule(number: int, conditions: tuple[Condition, ...], answer: int) -> list[bytes]:
    """Steps for one call; what does not match falls through with the number loaded."""
    if not conditions:
        return [_step(JUMP_EQUAL, number, 0, 1), _step(RETURN, answer)]
    inside: list[bytes] = [_step(RETURN, answer)]
    for argument, mask, value in reversed(conditions):
        test = [_step(LOAD, ARGUMENTS_AT + 8 * argument), _step(AND, mask)]
        inside = [*test, _step(JUMP_EQUAL, value, 0, len(inside)), *inside]
    return [_step(JUMP_EQUAL, number, 0, len(inside) + 1), *inside, _step(LOAD, NUMBER_AT)]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """struct sock_filter."""
    return code.to_bytes(2, "little") + bytes((if_true, if_false)) + value.to_bytes(4, "little")
