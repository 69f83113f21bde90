"""TLS as clients see it, through inetd and through our own listener: openssl, Python, STARTTLS and STLS."""

from __future__ import annotations

import imaplib
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import need, need_root
from tests.integration.machine import PASSWORD, Daemon, Line, children, free_port, launcher, status, wait_for
from tests.mailcore.login.test_tls import make_authority, vouched
from tests.playground import certificate, context

HOST = "127.0.0.1"
ABORTS = int(os.environ.get("MAILCORE_TLS_ABORTS", "100"))


class Servers:
    """Both servers on four ports, and where their certificates are."""

    def __init__(self, mode: str, path: Path) -> None:
        self.mode = mode
        self.certificates = path / "tls"
        self.certificates.mkdir(mode=0o755)
        certificate(self.certificates)
        certificate(self.certificates, "other.example.org", "rsa", "imapd-other.example.org.pem")
        self.imap, self.imaps, self.pop3, self.pop3s = (free_port() for _ in range(4))
        options = ["-o", f"tls_directory={self.certificates}", "-o", "tls_handshake_seconds=2"]
        options += ["-o", "session_keep_seconds=1"]
        lines = [
            (self.imap, launcher(path / "imapd", "imapd"), options),
            (self.imaps, launcher(path / "imaps", "imapd"), [*options, "--tls"]),
            (self.pop3, launcher(path / "ipop3d", "ipop3d"), options),
            (self.pop3s, launcher(path / "pop3s", "ipop3d"), [*options, "--tls"]),
        ]
        if mode == "inetd":
            conf = path / "inetd.conf"
            conf.write_text(
                "".join(
                    f"{HOST}:{port} stream tcp nowait.9999 root {program} {program.name} {' '.join(words)}\n"
                    for port, program, words in lines
                )
            )
            ports = tuple(port for port, _, _ in lines)
            self.daemons = [Daemon(need("inetd"), "-i", str(conf), ports=ports)]
        else:
            self.daemons = [
                self.listener(path / name, *ports, *options)
                for name, *ports in (("imapd", self.imap, self.imaps), ("ipop3d", self.pop3, self.pop3s))
            ]

    @staticmethod
    def listener(program: Path, clear: int, sealed: int, *words: str) -> Daemon:
        """One process for both ports."""
        return Daemon(
            str(program), "--listen", f"{HOST}:{clear}", "--listen-tls", f"{HOST}:{sealed}", *words,
            ports=(clear, sealed),
        )  # fmt: skip

    def family(self) -> set[int]:
        """All processes below ours."""
        found, front = set(), [daemon.process.pid for daemon in self.daemons]
        while front:
            below = [child for pid in front for child in children(pid)]
            found |= set(below)
            front = below
        return found


@pytest.fixture(scope="module", params=["inetd", "listen"])
def servers(request, tmp_path_factory):
    if request.param == "inetd":
        need_root()
    path = tmp_path_factory.mktemp(f"tls-{request.param}")
    for parent in (path, path.parent):
        parent.chmod(0o755)
    servers = Servers(request.param, path)
    yield servers
    for daemon in servers.daemons:
        daemon.stop()


def s_client(port: int, *arguments: str, say: str = "") -> str:
    """What `openssl s_client` prints; it says its lines when the server has greeted."""
    command = [need("openssl"), "s_client", "-connect", f"{HOST}:{port}", "-crlf", "-ign_eof", *arguments]
    done = subprocess.run(command, input=say.encode(), capture_output=True, timeout=30, check=False)
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.parametrize(
    "port, arguments, say, heard",
    [
        ("imaps", (), "a LOGOUT\n", "a OK LOGOUT completed"),
        ("imap", ("-starttls", "imap"), "a LOGOUT\n", "a OK LOGOUT completed"),
        ("pop3s", (), "QUIT\n", "+OK Sayonara"),
        ("pop3", ("-starttls", "pop3"), "QUIT\n", "+OK Sayonara"),
    ],
)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl(servers, port, arguments, say, heard, version):
    said = s_client(getattr(servers, port), *arguments, version, "-quiet", say=say)
    assert heard in said, said
    greeted = "ready" in said or "IMAP4rev1 mailcore" in said
    assert greeted == (not arguments), said  # after STARTTLS there is no second greeting


def test_old_versions_are_refused(servers):
    for version in ("-tls1", "-tls1_1"):
        said = s_client(servers.imaps, version, "-cipher", "ALL:@SECLEVEL=0")
        assert "Cipher is (NONE)" in said or "New, (NONE)" in said, said
    for ciphers in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "NULL:@SECLEVEL=0"):
        said = s_client(servers.imaps, "-tls1_2", "-cipher", ciphers)
        assert "Cipher is (NONE)" in said or "New, (NONE)" in said or "no cipher match" in said, said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed(servers, version, tmp_path):
    """A listener's tickets are good for its next connections; a cold server's die with it."""
    ticket = str(tmp_path / "ticket")
    first = s_client(servers.imaps, version, "-sess_out", ticket, say="a LOGOUT\n")
    assert "New, TLS" in first or "Reused" not in first
    second = s_client(servers.imaps, version, "-sess_in", ticket, say="a LOGOUT\n")
    assert ("Reused, TLS" in second) == (servers.mode == "listen"), second
    assert "a OK LOGOUT" in second


@pytest.mark.parametrize(
    "port, offers, chosen",
    [
        ("imaps", ["imap"], "imap"),
        ("imaps", ["h2", "imap"], "imap"),
        ("imaps", None, None),
        ("pop3s", ["pop3"], "pop3"),
        ("imaps", ["pop3"], "refused"),
        ("pop3s", ["http/1.1"], "refused"),
    ],
)
def test_alpn(servers, port, offers, chosen):
    client = context()
    if offers:
        client.set_alpn_protocols(offers)
    with socket.create_connection((HOST, getattr(servers, port)), timeout=20) as sock:
        if chosen == "refused":
            with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
                client.wrap_socket(sock)
            return
        with client.wrap_socket(sock) as sealed:
            assert sealed.selected_alpn_protocol() == chosen


@pytest.mark.parametrize(
    "name, served",
    [
        ("mail.example.org", b"mail.example.org"),
        ("other.example.org", b"other.example.org"),
        ("OTHER.example.org", b"other.example.org"),
        ("unknown.example.org", b"mail.example.org"),
        ("..%2fimapd", b"mail.example.org"),
    ],
)
def test_sni(servers, name, served):
    said = s_client(servers.imaps, "-servername", name, say="a LOGOUT\n")
    assert f"CN = {served.decode()}" in said or f"CN={served.decode()}" in said, said


# --- command injection (S13, S14) ---------------------------------------------------------


def upgraded(port: int, pieces: list[bytes]) -> ssl.SSLSocket | None:
    """Send pieces in clear, hear the OK, shake hands; None when there is no TLS to be had."""
    sock = socket.create_connection((HOST, port), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line(sock)
    for piece in pieces:
        sock.sendall(piece)
    answer = line(sock)
    assert answer.startswith((b"a OK", b"+OK")), answer
    try:
        return context().wrap_socket(sock)
    except (ssl.SSLError, OSError):
        return None
    finally:
        sock.close()


def line(sock: socket.socket) -> bytes:
    """One line, and not an octet more."""
    heard = b""
    while not heard.endswith(b"\r\n"):
        octet = sock.recv(1)
        assert octet, heard
        heard += octet
    return heard


@pytest.mark.parametrize(
    "port, attack, injected, probe",
    [
        ("imap", b"a STARTTLS\r\nevil CAPABILITY\r\n", b"evil", b"b NOOP\r\n"),
        ("pop3", b"STLS\r\nCAPA\r\n", b"Capability list", b"NOOP-IS-UNKNOWN\r\n"),
    ],
)
def test_nothing_said_in_clear_is_executed_under_tls(servers, port, attack, injected, probe):
    """S13: in one packet, and in two, split everywhere; and in three."""
    cuts = [(at,) for at in range(len(attack) + 1)] + [(at, at + 3) for at in range(0, len(attack) - 3, 4)]
    if servers.mode == "inetd":
        cuts = cuts[::6]  # each costs a cold start
    for cut in cuts:
        edges = [0, *cut, len(attack)]
        pieces = [attack[start:end] for start, end in zip(edges, edges[1:], strict=False) if start < end]
        sealed = upgraded(getattr(servers, port), pieces)
        if sealed is None:
            continue  # the handshake broke on it: as good
        with sealed:
            sealed.sendall(probe)
            heard = sealed.recv(4096)
        assert injected not in heard and heard.startswith((b"b OK", b"-ERR Unknown")), (cut, heard)


def test_what_was_said_before_tls_is_forgotten(servers):
    """S14: the user named in clear; and there is no TLS inside TLS."""
    with upgraded(servers.pop3, [b"STLS\r\n"]) as sealed:
        sealed.sendall(b"STLS\r\n")
        assert line(sealed) == b"-ERR Already in a TLS session\r\n"
    with upgraded(servers.imap, [b"a STARTTLS\r\n"]) as sealed:
        sealed.sendall(b"b STARTTLS\r\nc CAPABILITY\r\n")
        assert line(sealed).startswith(b"b BAD")
        assert b"STARTTLS" not in line(sealed)
    sock = socket.create_connection((HOST, servers.pop3), timeout=20)
    line(sock)
    for said in (b"USER fred\r\n", b"STLS\r\n"):
        sock.sendall(said)
        assert line(sock).startswith(b"+OK")
    with context().wrap_socket(sock) as sealed:
        sealed.sendall(b"PASS x\r\n")
        assert line(sealed) == b"-ERR USER comes first\r\n"


# --- those who stay in the door (S41, S44) --------------------------------------------------


def test_a_slow_handshake_is_ended(servers):
    began = time.monotonic()
    with socket.create_connection((HOST, servers.imaps), timeout=20) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00")
        assert sock.recv(100) == b""
    assert 1.5 < time.monotonic() - began < 15


def descriptors(pids: set[int]) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def resident_octets(pids: set[int]) -> int:
    return sum(int(status(pid)["VmRSS"][0]) for pid in pids) * 1024


def test_aborted_handshakes_leave_nothing(servers):
    """S44: no process, no descriptor, no file, no memory to speak of."""
    need_root()
    count = ABORTS if servers.mode == "listen" else ABORTS // 10
    s_client(servers.imaps, say="a LOGOUT\n")
    wait_for(lambda: all(_is_keeper(pid) for pid in servers.family()), "quiet")
    daemons = {daemon.process.pid for daemon in servers.daemons}
    before = descriptors(daemons | servers.family()), set(os.listdir("/tmp"))
    octets = resident_octets(daemons | servers.family())
    hello = _hello()
    for number in range(count):
        with socket.create_connection((HOST, servers.imaps), timeout=20) as sock:
            sock.sendall(hello[: number * len(hello) // count])
    s_client(servers.imaps, say="a LOGOUT\n")  # served after all that came before it

    def quiet() -> bool:
        family = servers.family()
        return all(map(_is_keeper, family)) and descriptors(daemons | family) == before[0]

    wait_for(quiet, "the last gatekeeper to end and nothing to stay open")
    grown = resident_octets(daemons | servers.family()) - octets
    print(f"{count} handshakes: {grown} octets more, {before[0]} descriptors as before")
    assert grown < 1 << 20
    left = {name for name in set(os.listdir("/tmp")) - before[1] if "mailcore" in name}
    assert not {name for name in left if not name.startswith(("mailcore-tree-", "mailcore-demo-"))}  # other test runs


def _is_keeper(pid: int) -> bool:
    """A listener's only child while nobody calls, which waits for questions; inetd has none."""
    try:
        waiting = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"--listen" in waiting and _uid(pid) == 0 and os.path.exists(f"/proc/{pid}/fd/10")
    except OSError:
        return False


def _hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context().wrap_bio(incoming, outgoing)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


# --- who has the key (S1) -------------------------------------------------------------------


def private_number(pem: Path) -> bytes:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem.read_bytes(), None)
    return key.private_numbers().private_value.to_bytes(32, "big")


def remembers(pid: int, secrets: tuple[bytes, ...]) -> bool:
    """One of the secrets is in the memory of a process."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            words = line.split()
            if "r" not in words[1] or words[-1].startswith("[v"):
                continue
            start, end = (int(edge, 16) for edge in words[0].split("-"))
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:
                continue
            if any(secret in content for secret in secrets):
                return True
    return False


@pytest.mark.parametrize("way", ["imaps", "imap"])
def test_the_session_has_never_seen_the_key(servers, fred, way):
    number = private_number(servers.certificates / "imapd.pem")
    text = (servers.certificates / "imapd.pem").read_bytes().splitlines()[1]
    secrets = (number, number[::-1], text)
    before = servers.family()
    if way == "imaps":
        client = imaplib.IMAP4_SSL(HOST, servers.imaps, ssl_context=context(), timeout=20)
    else:
        client = imaplib.IMAP4(HOST, servers.imap, timeout=20)
        client.starttls(context())
    client.login(fred.name, PASSWORD)
    client.select("INBOX")
    ours = servers.family() - before
    sessions = {pid for pid in servers.family() if _uid(pid) == fred.uid}  # one that waited may serve
    pumps = {pid for pid in ours if _uid(pid) == 65534}
    assert sessions and len(pumps) == 1, ours  # the session, and the steward that makes its dot locks
    assert not any(remembers(pid, secrets) for pid in sessions)
    assert all(remembers(pid, secrets) for pid in pumps), "the scan would find nothing anywhere"
    assert not any("_rust.abi3" in Path(f"/proc/{pid}/maps").read_text() for pid in sessions)  # nor OpenSSL at all
    assert all("_rust.abi3" in Path(f"/proc/{pid}/maps").read_text() for pid in pumps)
    client.logout()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in sessions | pumps), "both to end")


def _uid(pid: int) -> int:
    try:
        return int(status(pid)["Uid"][0])
    except (FileNotFoundError, ProcessLookupError):
        return -1


# --- without one ------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path):
    """A listener that finds no certificate."""
    tmp_path.chmod(0o755)
    (tmp_path / "none").mkdir()
    daemons = []

    def start(*words):
        port = free_port()
        program = launcher(tmp_path / f"imapd{port}", "imapd", "-o", f"tls_directory={tmp_path / 'none'}", *words)
        daemons.append(Daemon(str(program), "--listen", f"{HOST}:{port}", ports=(port,)))
        return port

    yield start
    for daemon in daemons:
        daemon.stop()


def test_without_a_certificate(bare, syslog, tmp_path):
    client = Line(bare())
    assert "STARTTLS" not in client.hear()
    assert client.ask("a STARTTLS") == "a NO [CONTACTADMIN] Server certificate not installed"
    client.close()
    client = Line(bare("--tls"))
    assert client.hear() == ""
    client.close()
    if syslog is not None:
        wait_for(lambda: syslog.saw("no certificate: looked for"), "the log line")
        wanted = [entry for entry in syslog.lines if "no certificate" in entry]
        assert len(wanted) == 1 and f"{tmp_path / 'none'}/imapd.pem" in wanted[0]


def test_a_certificate_that_comes_later_needs_no_restart(bare, tmp_path):
    port = bare()
    certificate(tmp_path / "none")
    assert "a OK LOGOUT" in s_client(port, "-starttls", "imap", say="a LOGOUT\n")


def test_the_well_known_ports_need_no_option(tmp_path):
    """The lines of inetd.conf.sample as they stand, the certificate apart."""
    need_root()
    tmp_path.chmod(0o755)
    certificate(tmp_path)
    word = f"tls_directory={tmp_path}"
    imapd, ipop3d = (launcher(tmp_path / name, name) for name in ("imapd", "ipop3d"))
    (tmp_path / "inetd.conf").write_text(
        f"imaps stream tcp nowait.200 root {imapd} imapd -o {word}\n"
        f"pop3s stream tcp nowait.200 root {ipop3d} ipop3d -o {word}\n"
    )
    daemon = Daemon(need("inetd"), "-i", str(tmp_path / "inetd.conf"), ports=(993, 995))
    try:
        assert "a OK LOGOUT" in s_client(993, say="a LOGOUT\n")
        assert "+OK Sayonara" in s_client(995, say="QUIT\n")
    finally:
        daemon.stop()


def test_hup_brings_a_new_certificate(bare, tmp_path):
    directory = tmp_path / "none"
    certificate(directory)
    port = bare("--tls")
    assert "mail.example.org" in s_client(port, say="a LOGOUT\n")
    certificate(directory, "new.example.org")
    listener = next(
        int(name) for name in os.listdir("/proc")
        if name.isdigit() and _listens(name, port) and os.getpgid(int(name)) == int(name)
    )  # fmt: skip
    os.kill(listener, signal.SIGHUP)
    wait_for(lambda: "new.example.org" in s_client(port, say="a LOGOUT\n"), "the new one")


def _listens(pid: str, port: int) -> bool:
    try:
        return f"{HOST}:{port}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


# --- client certificates ------------------------------------------------------------------------


def test_a_login_by_certificate(bare, tmp_path, fred, syslog):
    """EXTERNAL as a real user; not as another one, not for root, and not without a certificate."""
    make_authority(tmp_path)
    certificate(tmp_path / "none")
    words = ("--tls", "-o", f"tls_client_ca={tmp_path / 'ca.pem'}", "-o", "login_delay_seconds=0.1")
    port = bare(*words)
    known, admin = vouched(tmp_path, f"/CN={fred.name}"), vouched(tmp_path, "/CN=root")
    for path, said, answer in (
        (known, "a AUTHENTICATE EXTERNAL =", "a OK"),
        (known, "a AUTHENTICATE EXTERNAL bm9ib2R5", "a NO"),  # nobody
        (admin, "a AUTHENTICATE EXTERNAL =", "a NO"),
        (None, "a AUTHENTICATE EXTERNAL =", "a NO"),
    ):
        client = context()
        if path:
            client.load_cert_chain(path)
        sock = socket.create_connection((HOST, port), timeout=20)
        with client.wrap_socket(sock) as sealed:
            assert (b"AUTH=EXTERNAL" in line(sealed)) == bool(path)
            sealed.sendall(said.encode() + b"\r\n")
            assert line(sealed).decode().startswith(answer), said
    if syslog is not None:
        assert syslog.saw(f"Authenticated user={fred.name} host=[127.0.0.1] mech=EXTERNAL")
        assert syslog.saw("Login failed user=root auth=root host=[127.0.0.1]")
