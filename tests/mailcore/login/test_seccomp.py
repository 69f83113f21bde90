"""mailcore.login.seccomp: the program, step by step, and what a filtered process can still do."""

from __future__ import annotations

import ast
import os
import socket
import subprocess

import pytest

from mailcore.login import seccomp, syscalls
from mailcore.login.seccomp import ALLOW, DENY, KILL
from tests.conftest import need
from tests.mailcore.login.fork import in_a_fork

X86, ARM = syscalls.MACHINES["x86_64"], syscalls.MACHINES["aarch64"]


def verdict(program, number, architecture, *arguments):
    """What the kernel would answer: a machine for the five instructions that we use."""
    data = number.to_bytes(4, "little") + architecture.to_bytes(4, "little") + bytes(8)
    data += b"".join(argument.to_bytes(8, "little") for argument in (*arguments, *(0,) * (6 - len(arguments))))
    at = accumulator = 0
    while True:
        step = program[8 * at : 8 * at + 8]
        code, yes, no = int.from_bytes(step[:2], "little"), step[2], step[3]
        value = int.from_bytes(step[4:], "little")
        at += 1
        if code == seccomp.LOAD:
            accumulator = int.from_bytes(data[value : value + 4], "little")
        elif code == seccomp.AND:
            accumulator &= value
        elif code == seccomp.JUMP_EQUAL:
            at += yes if accumulator == value else no
        elif code == seccomp.JUMP_LEAST:
            at += yes if accumulator >= value else no
        else:
            assert code == seccomp.RETURN
            return value


RULES = [
    (ALLOW, "read", ()),
    (ALLOW, "mmap", seccomp.NO_CODE),
    (ALLOW, "socket", seccomp.SYSLOG),
    (DENY, "socket", ()),
    (ALLOW, "vfork", ()),
    (ALLOW, "exit", ()),
]


@pytest.mark.parametrize("column, architecture", [X86, ARM], ids=["x86_64", "aarch64"])
@pytest.mark.parametrize(
    "call, arguments, answer",
    [
        ("read", (), ALLOW),
        ("write", (), DENY),
        ("mmap", (0, 0, 3), ALLOW),
        ("mmap", (0, 0, 7), DENY),
        ("socket", (1, 2), ALLOW),
        ("socket", (1, 2 | os.O_CLOEXEC), ALLOW),
        ("socket", (1, 1), DENY),
        ("socket", (2, 2), DENY),
        ("socket", (1 << 32 | 2, 2), DENY),
        ("exit", (), ALLOW),
    ],
)
def test_the_first_rule_counts(column, architecture, call, arguments, answer):
    program = seccomp.program(RULES, DENY, column, architecture)
    assert verdict(program, syscalls.NUMBERS[call][column], architecture, *arguments) == answer


def test_other_architectures_and_x32_are_killed():
    program = seccomp.program(RULES, ALLOW, *X86)
    assert verdict(program, 0, ARM[1]) == KILL
    assert verdict(program, 0, 0x40000003) == KILL  # i386: there 0 is restart_syscall
    assert verdict(program, 0x40000000, X86[1]) == KILL
    assert verdict(program, 12345, X86[1]) == ALLOW


def test_a_jump_fits_its_octet():
    for rules in ([(ALLOW, name, ()) for name in seccomp.GATEKEEPER.split()], RULES):
        assert len(seccomp.program(rules, DENY, *X86)) // 8 < 4096


def _tried(call):
    try:
        call()
    except OSError as error:
        return error.errno
    except BaseException as error:
        return type(error).__name__
    return "possible"


def filtered(keep, calls):
    """What the calls answer in a process that has the filter."""

    def work():
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        if not keep():
            return ["no seccomp"]
        return [_tried(call) for call in calls]

    return ast.literal_eval(in_a_fork(work))


def raw(name, *arguments):
    number = syscalls.NUMBERS[name][syscalls.MACHINES[os.uname().machine][0]]

    def call():
        if syscalls.call(number, *arguments) == -1:
            raise OSError(1, "failed")

    call.__name__ = name
    return call


HOSTILE = [
    lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    lambda: os.execv("/bin/true", ["true"]),
    os.fork,
    lambda: os.posix_spawn("/bin/true", ["true"], {}),
    lambda: os.setuid(os.getuid()),
    lambda: os.setgroups([]),
    lambda: os.chroot("/"),
    raw("ptrace", 0, 0, None, None),
    raw("mount", b"x", b"/mnt", b"tmpfs", 0, None),
    raw("umount2", b"/mnt", 0),
    raw("unshare", 0),
    raw("setns", 0, 0),
    raw("bpf", 0, None, 0),
    raw("keyctl", 0, 0, 0, 0, 0),
    raw("add_key", b"user", b"x", b"y", 1, 0),
    raw("perf_event_open", None, 0, 0, 0, 0),
    raw("userfaultfd", 0),
    raw("io_uring_setup", 1, None),
    raw("personality", 0),
    raw("open_by_handle_at", 0, None, 0),
    raw("kcmp", 0, 0, 0, 0, 0),
    raw("process_vm_readv", 0, None, 0, None, 0, 0),
]


@pytest.mark.parametrize("keep", [seccomp.keep_to_gatekeeping, seccomp.keep_to_mail], ids=["gatekeeper", "session"])
def test_hostile_calls_are_refused(keep):
    assert filtered(keep, HOSTILE) == [1] * len(HOSTILE)  # EPERM


def test_a_gatekeeper_opens_nothing_and_asks_nothing():
    calls = [
        lambda: os.open("/etc/passwd", os.O_RDONLY),
        lambda: os.stat("/"),
        lambda: os.unlink("/nothing"),
        os.pipe,
        lambda: os.dup(0),
        lambda: os.kill(os.getpid(), 0),
        os.getuid,
        lambda: os.memfd_create("x"),
        os.sched_yield,
    ]
    assert filtered(seccomp.keep_to_gatekeeping, calls) == [1, 1, 1, 1, 1, 1, "possible", 1, 1]


def test_a_session_works_on_files_and_speaks_to_syslog(tmp_path):
    def files():
        import sqlite3

        database = sqlite3.connect(tmp_path / "x.db")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.commit()
        database.close()

    calls = [
        files,
        lambda: os.rename(tmp_path / "x.db", tmp_path / "y"),
        lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        lambda: os.urandom(8),
        os.pipe,
    ]
    assert filtered(seccomp.keep_to_mail, calls) == ["possible"] * len(calls)


def test_an_unknown_machine_has_no_filter(monkeypatch):
    monkeypatch.setattr(syscalls, "MACHINES", {})
    assert seccomp.keep_to_mail() is False


def test_tls_works_behind_the_list(tmp_path):
    """A handshake, talk and goodbye with OpenSSL loaded before: no call more than the list has."""
    import ssl
    import threading

    from OpenSSL import SSL

    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    ours, theirs = socket.socketpair()
    heard = []

    def client():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(ours) as tls:
            tls.sendall(b"hello")
            heard.append(tls.recv(100))
            heard.append(tls.recv(100))

    def work():
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_privatekey_file(str(key))
        context.use_certificate_file(str(certificate))
        connection = SSL.Connection(context, None)  # memory BIOs
        connection.set_accept_state()
        ours.close()
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        assert seccomp.keep_to_gatekeeping()
        said = b""
        while not said:
            try:
                said = connection.recv(100)
                connection.sendall(said.upper())
                connection.shutdown()
            except SSL.WantReadError:
                pass
            try:
                while True:
                    theirs.sendall(connection.bio_read(65536))
            except SSL.WantReadError:
                pass
            if not said:
                connection.bio_write(theirs.recv(65536))
        theirs.shutdown(socket.SHUT_WR)
        return said

    thread = threading.Thread(target=client)
    thread.start()
    try:
        assert in_a_fork(work) == repr(b"hello")
    finally:
        theirs.close()
        thread.join(20)
    assert heard == [b"HELLO", b""]
