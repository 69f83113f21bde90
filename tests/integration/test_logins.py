"""Clients log in by every mechanism that they know, as a real user, through a real super-server, and get his mail.

In clear, after STARTTLS or STLS, and under TLS from the first octet.  What each said is seen in the log.
"""

from __future__ import annotations

import imaplib
import os
import poplib
import socket
import subprocess
from base64 import b64decode, b64encode

import pytest
from OpenSSL import SSL

from tests.integration.machine import PASSWORD, SECONDS, Daemon, free_port, launcher, mutt, need, wait_for
from tests.mailcore.login import client
from tests.playground import certificate, context

HOST = "127.0.0.1"
MESSAGE = b"From joe@example.org Sat Nov 21 09:00:00 2026\nFrom: joe@example.org\nSubject: hello\n\nhello, world\n\n"
PORTS = {"imap": ("imapd", ()), "imaps": ("imapd", ("--tls",)), "pop3": ("ipop3d", ()), "pop3s": ("ipop3d", ("--tls",))}
XINETD = """service mctest_{0}
{{
    type = UNLISTED
    disable = no
    socket_type = stream
    protocol = tcp
    bind = 127.0.0.1
    port = {1}
    wait = no
    user = root
    server = {2}
}}
"""

# where a client goes: the port, and whether it has to ask for TLS there
IMAP = {"imap": ("imap", False), "imap STARTTLS": ("imap", True), "imaps": ("imaps", False)}
POP3 = {"pop3": ("pop3", False), "pop3 STLS": ("pop3", True), "pop3s": ("pop3s", False)}
WAYS = IMAP | POP3
SEALED = [way for way in WAYS if way not in ("imap", "pop3")]


class Servers:
    """A super-server with both servers, in clear and under TLS; PAM has the password, the file of secrets too."""

    def __init__(self, super_server, path, fred):
        self.user = fred.name
        self.port = {name: free_port() for name in PORTS}
        _, _, own = certificate(path).read_text().partition("-----BEGIN CERT")
        self.certificate = "-----BEGIN CERT" + own
        secrets = path / "cram-md5.pwd"
        secrets.write_text(f"{fred.name}\t{PASSWORD}\n")
        secrets.chmod(0o600)
        options = [
            f"tls_directory={path}", f"cram_md5_file={secrets}", f"scram_key_file={path / 'scram-key'}",
            "cram_md5_only=false", "login_delay_seconds=0.1", f"run_directory={path / 'run'}",
        ]  # fmt: skip
        words = [word for option in options for word in ("-o", option)]
        lines = [
            (name, self.port[name], launcher(path / name, program, *words, *more))
            for name, (program, more) in PORTS.items()
        ]
        conf = path / f"{super_server}.conf"
        if super_server == "inetd":
            line = "{3}:{1} stream tcp nowait.9999 root {2} {0}\n"
            command = (need("inetd"), "-i", str(conf))
        else:
            line = XINETD
            command = (need("xinetd"), "-dontfork", "-f", str(conf), "-pidfile", str(path / "pid"))
        conf.write_text("".join(line.format(*words, HOST) for words in lines))
        self.daemon = Daemon(*command, ports=tuple(self.port.values()))


def started(super_server, tmp_path_factory, fred):
    path = tmp_path_factory.mktemp(super_server)
    for parent in (path, path.parent):
        parent.chmod(0o755)
    servers = Servers(super_server, path, fred)
    yield servers
    servers.daemon.stop()


@pytest.fixture(scope="module")
def inetd(tmp_path_factory, fred):
    yield from started("inetd", tmp_path_factory, fred)


@pytest.fixture(scope="module")
def xinetd(tmp_path_factory, fred):
    yield from started("xinetd", tmp_path_factory, fred)


@pytest.fixture(autouse=True)
def mail(fred):
    fred.inbox.write_bytes(MESSAGE)
    fred.inbox.chmod(0o600)
    os.chown(fred.inbox, fred.uid, fred.gid)


@pytest.fixture
def seen(fred, syslog):
    """Ask whether the log has a login by this mechanism, "" for a password without one; where we can see it."""

    def seen(mechanism):
        text = f"Authenticated user={fred.name} host=[127.0.0.1] mech={mechanism}"
        text = f"Login user={fred.name} host=[127.0.0.1]" if mechanism in ("", "LOGIN") else text
        if syslog is not None:
            wait_for(lambda: syslog.saw(text), f"{text} in {syslog.lines}", 5)

    return seen


def run(*command, text="", env=None):
    """What a program prints; it must be content."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
    return done.stdout


# --- programs --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", SEALED)
def test_openssl(inetd, seen, way):
    port, asks = WAYS[way]
    starttls = ("-starttls", port) if asks else ()
    said = f"USER {inetd.user}\nPASS {PASSWORD}\nRETR 1\nQUIT\n"
    if way in IMAP:
        said = f"a LOGIN {inetd.user} {PASSWORD}\nb SELECT INBOX\nc FETCH 1 BODY[]\nd LOGOUT\n"
    command = (need("openssl"), "s_client", "-quiet", "-crlf", "-connect", f"{HOST}:{inetd.port[port]}", *starttls)
    assert "hello, world" in run(*command, text=said)
    seen("")


CURL = [(way, mechanism) for way in WAYS for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5")]
CURL += [(way, "+APOP") for way in POP3]


@pytest.mark.parametrize("way, mechanism", CURL)
def test_curl(inetd, seen, way, mechanism):
    port, asks = WAYS[way]
    url = f"{port}://{HOST}:{inetd.port[port]}/" + ("INBOX;MAILINDEX=1" if way in IMAP else "1")
    words = ("-s", "-k", "-m", "30", "--login-options", f"AUTH={mechanism}", "-u", f"{inetd.user}:{PASSWORD}")
    assert "hello, world" in run(need("curl"), *words, *(("--ssl-reqd",) if asks else ()), url)
    seen(mechanism.lstrip("+"))


FETCHMAIL = [(way, "apop", "any") for way in POP3 if way != "pop3 STLS"]  # told APOP, it says no STLS, whatever it must
FETCHMAIL += [(way, "imap" if way in IMAP else "pop3", auth) for way in WAYS for auth in ("cram-md5", "password")]


@pytest.mark.parametrize("way, protocol, auth", FETCHMAIL)
def test_fetchmail(inetd, seen, tmp_path, way, protocol, auth):
    port, asks = WAYS[way]
    tls = "ssl" if port.endswith("s") else f"sslproto '{'TLS1.2+' if asks else ''}'"
    rc = tmp_path / "fetchmailrc"
    rc.write_text(
        f"poll {HOST} service {inetd.port[port]} protocol {protocol} auth {auth}\n"
        f'    user "{inetd.user}" password "{PASSWORD}" {tls} no sslcertck fetchall mda "cat > {tmp_path}/got"\n'
    )
    rc.chmod(0o600)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path), "LC_ALL": "C"}
    said = run(need("fetchmail"), "-v", "-f", str(rc), env=env)
    assert "hello, world" in (tmp_path / "got").read_text()
    assert ("SSL/TLS: using protocol" in said) == (way in SEALED), said
    seen({"apop": "APOP"}.get(protocol) or {"cram-md5": "CRAM-MD5"}.get(auth, ""))


# the mechanism in mutt's own words: what it has from its SASL library, and what it says itself
MUTT = [(way, "imap", word, mechanism) for way in IMAP for word, mechanism in (
    ("login", ""), ("plain", "PLAIN"), ("cram-md5", "CRAM-MD5"), ("scram-sha-256", "SCRAM-SHA-256"),
)]  # fmt: skip
MUTT += [(way, "pop", word, mechanism) for way in POP3 for word, mechanism in (
    ("user", ""), ("apop", "APOP"), ("cram-md5", "CRAM-MD5"), ("scram-sha-1", "SCRAM-SHA-1"),
)]  # fmt: skip


@pytest.mark.parametrize("way, protocol, word, mechanism", MUTT)
def test_mutt(inetd, seen, tmp_path, way, protocol, word, mechanism):
    port, asks = WAYS[way]
    sealed = port.endswith("s")
    own = tmp_path / "certificates"
    own.write_text(inetd.certificate)
    more = (
        f'set {protocol}_user="{inetd.user}" {protocol}_pass="{PASSWORD}" {protocol}_authenticators="{word}"\n'
        f"set ssl_force_tls={'yes' if asks else 'no'} ssl_starttls={'yes' if asks else 'no'}\n"
        f'set ssl_verify_host=no certificate_file="{own}" pop_delete=no\n'
    )
    mailbox = f"{protocol}{'s' * sealed}://{inetd.user}@{HOST}:{inetd.port[port]}/" + "INBOX" * (protocol == "imap")
    mutt(tmp_path, mailbox, f"<first-entry><copy-message>{tmp_path}/got<enter><enter><quit>", more)
    assert "hello, world" in (tmp_path / "got").read_text()
    seen(mechanism)


# unbound only where it is told so: it would rather not log in than without the binding that its TLS has
GSASL = {
    "PLAIN": (), "LOGIN": (), "CRAM-MD5": (), "SCRAM-SHA-1": ("--no-cb",), "SCRAM-SHA-256": ("--no-cb",),
    "SCRAM-SHA-1-PLUS": (), "SCRAM-SHA-256-PLUS": (),
}  # fmt: skip


@pytest.mark.parametrize("mechanism", GSASL)
def test_gsasl(inetd, seen, mechanism):
    """It says STARTTLS by itself, and takes its channel binding (tls-exporter) from GnuTLS."""
    command = (need("gsasl"), "--imap", f"--connect={HOST}:{inetd.port['imap']}", "--x509-ca-file=", "-d")
    who = ("-a", inetd.user, "-p", PASSWORD)
    assert f"User {inetd.user} authenticated" in run(*command, "-m", mechanism, *GSASL[mechanism], *who)
    seen(mechanism)


# --- Python's libraries ------------------------------------------------------------------------


def imap(servers, way):
    port, asks = WAYS[way]
    if port == "imaps":
        return imaplib.IMAP4_SSL(HOST, servers.port[port], ssl_context=context(), timeout=SECONDS)
    talk = imaplib.IMAP4(HOST, servers.port[port], timeout=SECONDS)
    if asks:
        talk.starttls(context())
    return talk


def pop3(servers, way):
    port, asks = WAYS[way]
    if port == "pop3s":
        return poplib.POP3_SSL(HOST, servers.port[port], context=context(), timeout=SECONDS)
    talk = poplib.POP3(HOST, servers.port[port], timeout=SECONDS)
    if asks:
        talk.stls(context())
    return talk


def by_sasl_login(user, password):
    words = [user, password]
    return lambda challenge: words.pop(0).encode()


def by_plain(user, password):
    return lambda challenge: f"\0{user}\0{password}".encode()


IMAPLIB = {
    "": lambda talk, user: talk.login(user, PASSWORD),
    "CRAM-MD5": lambda talk, user: talk.login_cram_md5(user, PASSWORD),
    "PLAIN": lambda talk, user: talk.authenticate("PLAIN", by_plain(user, PASSWORD)),
    "LOGIN": lambda talk, user: talk.authenticate("LOGIN", by_sasl_login(user, PASSWORD)),
}


@pytest.mark.parametrize("mechanism", IMAPLIB)
@pytest.mark.parametrize("way", IMAP)
def test_imaplib(inetd, seen, way, mechanism):
    with imap(inetd, way) as talk:
        assert IMAPLIB[mechanism](talk, inetd.user)[0] == "OK"
        assert talk.select("INBOX") == ("OK", [b"1"])
        assert b"hello, world" in talk.fetch("1", "BODY[]")[1][0][1]
    seen(mechanism)


def pop3_auth(mechanism, *answers):
    """poplib knows no AUTH of its own (RFC 5034)."""

    def auth(talk, user):
        talk._shortcmd(f"AUTH {mechanism}")
        return [talk._shortcmd(b64encode(answer.format(user).encode()).decode()) for answer in answers][-1]

    return auth


def pop3_cram_md5(talk, user):
    stamp = talk._shortcmd("AUTH CRAM-MD5").partition(b" ")[2]
    return talk._shortcmd(client.cram_md5(stamp, user.encode(), PASSWORD.encode()).decode())


POPLIB = {
    "": lambda talk, user: talk.user(user) and talk.pass_(PASSWORD),
    "APOP": lambda talk, user: talk.apop(user, PASSWORD),
    "CRAM-MD5": pop3_cram_md5,
    "PLAIN": pop3_auth("PLAIN", "\0{}\0" + PASSWORD),
    "LOGIN": pop3_auth("LOGIN", "{}", PASSWORD),
}


@pytest.mark.parametrize("mechanism", POPLIB)
@pytest.mark.parametrize("way", POP3)
def test_poplib(inetd, seen, way, mechanism):
    talk = pop3(inetd, way)
    assert POPLIB[mechanism](talk, inetd.user).startswith(b"+OK Mailbox open, 1 message")
    assert b"hello, world" in talk.retr(1)[1]
    talk.quit()
    seen(mechanism)


# --- SCRAM, by a small client -------------------------------------------------------------------


class Line:
    """A connection by lines, under TLS by pyOpenSSL, which tells a client the bindings that `ssl` does not."""

    def __init__(self, servers, way):
        port, asks = WAYS[way]
        self.imap, self.sealed, self.left = way in IMAP, None, b""
        self.sock = socket.create_connection((HOST, servers.port[port]), timeout=SECONDS)
        if not port.endswith("s"):
            self.hear()
        if asks:
            assert self.ask("a STARTTLS" if self.imap else "STLS").startswith(("a OK", "+OK"))
        if way in SEALED:
            self.seal()
        if port.endswith("s"):
            self.hear()

    def seal(self):
        self.sock.settimeout(None)
        self.sealed = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), self.sock)
        self.sealed.set_connect_state()
        self.sealed.do_handshake()

    def hear(self):
        while b"\r\n" not in self.left:
            self.left += self.sealed.recv(4096) if self.sealed else self.sock.recv(4096)
        line, _, self.left = self.left.partition(b"\r\n")
        return line.decode()

    def ask(self, line):
        octets = line.encode() + b"\r\n"
        self.sealed.sendall(octets) if self.sealed else self.sock.sendall(octets)
        return self.hear()

    def bindings(self):
        """What RFC 9266 and RFC 5929 §4 have a client compute."""
        own = self.sealed.get_peer_certificate()
        return {
            "tls-exporter": self.sealed.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""),
            "tls-server-end-point": bytes.fromhex(own.digest("sha256").decode().replace(":", "")),
        }

    def scram(self, user, mechanism, header=b"n,,", data=b""):
        """The whole exchange (RFC 5802 §3): its last answer, after the server has proved itself too."""
        name = "sha256" if "256" in mechanism else "sha1"
        bare = client.FIRST % user.encode()
        opening = b64encode(header + bare).decode()
        heard = self.ask(f"a AUTHENTICATE {mechanism} {opening}" if self.imap else f"AUTH {mechanism} {opening}")
        first = b64decode(heard.partition("+ ")[2])
        final = client.proof(bare, first, PASSWORD.encode(), header + data, name)
        heard = self.ask(b64encode(final).decode())
        if not heard.startswith("+ "):
            return heard
        signature = client.signature(bare, first, final, PASSWORD.encode(), name)
        assert b64decode(heard.partition("+ ")[2]) == signature
        return self.ask("")

    def close(self):
        self.sock.close()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("way", WAYS)
def test_scram(inetd, seen, way, mechanism):
    line = Line(inetd, way)
    assert line.scram(inetd.user, mechanism).startswith(("a OK", "+OK Mailbox open, 1 message"))
    line.close()
    seen(mechanism)


@pytest.mark.parametrize("binding", ["tls-exporter", "tls-server-end-point"])
@pytest.mark.parametrize("way", SEALED)
def test_scram_bound_to_its_tls(inetd, seen, way, binding):
    """Somebody in between, who has another TLS connection to each side, has other data; then the right one."""
    line = Line(inetd, way)
    own = line.bindings()[binding]
    header = b"p=%b,," % binding.encode()
    others = bytes(len(own))
    assert line.scram(inetd.user, "SCRAM-SHA-256-PLUS", header, others).startswith(("a NO", "-ERR"))
    assert line.scram(inetd.user, "SCRAM-SHA-256-PLUS", header, own).startswith(("a OK", "+OK Mailbox open"))
    line.close()
    seen("SCRAM-SHA-256-PLUS")


# --- the other super-server ---------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_xinetd(xinetd, seen, way):
    if way in IMAP:
        with imap(xinetd, way) as talk:
            assert talk.login_cram_md5(xinetd.user, PASSWORD)[0] == "OK"
            assert talk.select("INBOX") == ("OK", [b"1"])
    else:
        talk = pop3(xinetd, way)
        assert pop3_cram_md5(talk, xinetd.user).startswith(b"+OK Mailbox open, 1 message")
        talk.quit()
    seen("CRAM-MD5")
