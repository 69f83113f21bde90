"""What strangers say by chance: no session, no error of ours, an answer of whole lines, and the next command works."""

from __future__ import annotations

import random
import re
import ssl

import pytest

from imapd import unauthenticated
from imapd.session import SERVICE as IMAP
from ipop3d import authorization
from ipop3d.session import SERVICE as POP3
from mailcore import log
from mailcore.errors import Ending
from mailcore.login import sasl
from mailcore.login.accounts import Peer
from mailcore.login.channel import StartTLS
from mailcore.login.tls import Keys, Refused
from mailcore.poppassd import session as poppassd
from mailcore.settings import Settings
from tests.mailcore.login.oracle import Door, b64
from tests.playground import certificate, context

POPPASSD = poppassd.SERVICE
RUNS = 4000
TABLES = {IMAP: unauthenticated.command, POP3: authorization.command, POPPASSD: poppassd.command}
ANSWERS = {
    IMAP: re.compile(rb"(\* |\+ |[^\s(){%*\"\\+\x00-\x1f\x7f-\xff]+ (OK|NO|BAD) )[^\x00\r\n]*"),
    POP3: re.compile(rb"(\+OK|-ERR|\+ )[^\x00\r\n]*|[\x21-\x7e][\x20-\x7e]*"),
    POPPASSD: re.compile(rb"[25]00 [\x20-\x7e]+"),
}
CRUMBS = [
    b" ", b" ", b"\t", b'"', b"\\", b"(", b")", b"{3}", b"{3+}", b"{0}", b"~{3}", b"{4294967296}", b"*", b"=",
    b"+", b"%", b"\0", b"\r", b"\n", b"\xff", b"\xc3\xa4", b"fred", b"wrong", b"NIL", b"1", b"ADDR=1.2.3.4",
    b"CAPABILITY", b"n,,n=fred,r=x", b"c=biws,r=x,p=AAAA", b"0" * 32, b"a" * 70, b"?" * 600, b"x" * 9000,
    b"{%b}" % (b"9" * 5000),
]  # fmt: skip


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for level in ("debug", "info", "warning", "error", "alert", "refused"):
        monkeypatch.setattr(log, level, lambda text: None)
    (tmp_path / "passwd").write_text("fred:!:54321:54321::/\n")
    (tmp_path / "secrets").write_text("fred\tcanary-secret\n")
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    return Settings(
        passwd_file=str(tmp_path / "passwd"), cram_md5_file=str(tmp_path / "secrets"), login_tries=1000,
        scram_key_file=str(tmp_path / "key"), nologin_file="", trusted_networks="192.0.2.7", hosts_allow="",
        hosts_deny="", address_sessions=0, login_bad_commands=1000, bad_commands=1000, login_commands=1000,
    )  # fmt: skip


def line(chance, service):
    """A command with something behind it, a response, or noise."""
    crumbs = b"".join(chance.choice(CRUMBS) for _ in range(chance.randrange(6)))
    sort = chance.randrange(5)
    if sort == 0:
        return chance.randbytes(chance.randrange(40)).replace(b"\n", b"") + b"\n"
    if sort == 1:
        return b64(crumbs) + b"\r\n"
    if sort == 2:
        return crumbs + b"\r\n"
    name = chance.choice(list(TABLES[service])).encode()
    if name in (b"AUTH", b"AUTHENTICATE") and chance.randrange(4):
        name += b" " + chance.choice(list(sasl.MECHANISMS)).encode() + chance.choice((b"", b" " + b64(crumbs)))
    tag = b"t " if service is IMAP else b""
    return tag + name + (b" " + crumbs if sort == 3 else b"") + b"\r\n"


class Crowd(Door):
    """A door that takes octets, cut anywhere."""

    def hear(self, octets):
        """The answer; b"" where nothing is to be said yet."""
        reply, said = octets, b""
        try:
            while not self.over:
                step = self.talk.send(reply)
                reply = None
                if isinstance(step, bytes):
                    said += step
                elif type(step).__name__ == "Question":
                    reply = self.oracle.ask(step)
                else:
                    break
        except StopIteration as end:
            self.entry, self.over = end.value, True
        except Ending:
            self.over = True
        return said


@pytest.mark.parametrize("service", TABLES, ids=lambda service: service.program)
def test_anything(service, settings):
    chance = random.Random(8)
    alive = 0
    for run in range(RUNS):
        peer = Peer("socket", "192.0.2.7", secure=bool(run % 2), local=service is POPPASSD)
        crowd = Crowd(service, settings, peer=peer)
        octets = b"".join(line(chance, service) for _ in range(chance.randrange(1, 6)))
        cut = chance.randrange(len(octets) + 1)
        said = crowd.hear(octets[:cut]) if cut else b""
        said += crowd.hear(octets[cut:]) if cut < len(octets) else b""
        assert said.endswith(b"\r\n") or not said, octets
        for answer in said.split(b"\r\n")[:-1]:
            assert ANSWERS[service].fullmatch(answer), (octets, answer)
        assert crowd.oracle.admitted is None and (crowd.entry is None or isinstance(crowd.entry, StartTLS)), octets
        alive += not crowd.over
        assert crowd.over or goes_on(crowd), octets
        crowd.hang_up()
    assert alive > RUNS // 4


def goes_on(crowd):
    """It still obeys, after whatever was begun has been ended: a literal, an exchange, a line."""
    last = {IMAP: b"n NOOP", POP3: b"CAPA", POPPASSD: b"QUIT"}[crowd.service]
    right = {IMAP: b"n OK", POP3: b"+OK Capability", POPPASSD: b"200 Bye"}[crowd.service]
    for end in (b"\r\n", b"*\r\n", b"xxx\r\n", b"*\r\n"):
        crowd.hear(end)
    return crowd.over or right in crowd.hear(last + b"\r\n")


class Imap:
    name, program = "imap", "imapd"


def test_any_hello(tmp_path):
    """Of TLS: a handshake with octets changed, lost or added is refused or waited for, and never an error of ours."""
    certificate(tmp_path)
    keys = Keys(Imap, Settings(tls_directory=str(tmp_path)))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context().wrap_bio(incoming, outgoing, server_hostname="mail.example.org").do_handshake()
    hello, chance, refused = outgoing.read(), random.Random(9), 0
    for _ in range(2000):
        octets = bytearray(hello)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(octets))
            sort = chance.randrange(3)
            octets[at : at + (sort != 0)] = b"" if sort == 1 else bytes([chance.randrange(256)])
        cipher = keys.cipher()
        cipher.feed(bytes(octets))
        try:
            assert not cipher.shake_hands()
        except Refused:
            refused += 1
        cipher.take()
    assert refused > 500
