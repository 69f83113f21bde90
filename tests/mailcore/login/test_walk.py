"""S4: from every state before login that can be reached, every word; and every frame of a gatekeeper's.

Two walks, both to the end and not by chance.  The first is through the conversations: the states are those
of the real generators (where each stands and what it knows) together with the monitor's, the words are those
of the real tables, every mechanism's right and wrong answers among them.  The second is what a gatekeeper
that a stranger has taken over may say to the monitor, in every order.  Who is right is judged here once more,
from the RFCs; a session without that is found, and a right proof without a session too.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import inspect
import os
import pwd
import socket
from base64 import b64decode

import pytest

from imapd import unauthenticated
from imapd.session import SERVICE as IMAP
from ipop3d import authorization
from ipop3d.session import SERVICE as POP3
from mailcore import log
from mailcore.errors import Ending
from mailcore.login import change, channel, checker, digests, monitor, sasl, scram, sources, verifiers
from mailcore.login.accounts import Peer
from mailcore.login.channel import Entry, Forged, Verdict, pack
from mailcore.login.monitor import Monitor, Trouble
from mailcore.poppassd import session as poppassd
from mailcore.settings import Settings
from tests.mailcore.login import client
from tests.mailcore.login.oracle import BINDINGS, Door, Oracle, b64, challenge, driven

POPPASSD = poppassd.SERVICE
UID = os.getuid() or 54321
SECRET = b"canary-secret"
STAMP, NONCE = b"<1@mail.example.org>", b"server"
TRIES = 2  # of login_tries, so that both sides of the limit are walked
# of what a conversation knows: what only restricts, and what was read of already
UNSAID = {"count", "commands_left", "mistakes", "strange", "_left", "settings", "commands", "line"}


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Nothing is random, dear or written."""
    monkeypatch.setattr(digests, "stamp", lambda host: STAMP)
    monkeypatch.setattr(scram, "nonce", lambda: NONCE)
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", functools.lru_cache(hashlib.pbkdf2_hmac))
    monkeypatch.setattr(change, "change", lambda *asked: checker.check(*asked[:-1]))
    for level in ("debug", "info", "warning", "error", "alert", "refused"):
        monkeypatch.setattr(log, level, lambda text: None)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "passwd").write_text("".join(f"{name}:!:{UID}:{UID}::/\n" for name in ("fred", "bob")))
    (tmp_path / "secrets").write_text("".join(f"{name}\t{SECRET.decode()}\n" for name in ("fred", "ghost")))
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    (tmp_path / "anonymous").touch()
    return Settings(
        passwd_file=str(tmp_path / "passwd"), cram_md5_file=str(tmp_path / "secrets"), login_tries=TRIES,
        scram_key_file=str(tmp_path / "key"), first_valid_uid=2, host_name="mail.example.org", nologin_file="",
        login_commands=1000, login_bad_commands=1000, bad_commands=1000, login_read_octets=1 << 20,
        anonymous_file=str(tmp_path / "anonymous"),
    )  # fmt: skip


# --- who is right ------------------------------------------------------------------------------


class Judge(Oracle):
    """The monitor, which remembers what it was asked, and what it said."""

    def __init__(self, service, settings, peer):
        super().__init__(service, settings, peer)
        self.last = ("", (), b"")
        self.before = ("", (), b"")

    def ask(self, question):
        failures = self.failures
        verdict = super().ask(question)
        self.before, self.last = self.last, (question.kind, question.fields, verdict.data)
        assert (self.admitted is not None) == (self.service is not POPPASSD and self.proved(failures)), self.last
        return verdict

    def proved(self, failures):
        """Was the last question answered by somebody who knows the secret, in time, and where it may be said?"""
        kind, fields, _ = self.last
        if kind in ("stamp", "scram", "void", "forwarded", "") or failures >= TRIES:
            return False
        return {
            "password": lambda: self._may_be_clear() and fields == (b"fred", SECRET),
            "change": lambda: False,
            "apop": lambda: fields == (b"fred", hashlib.md5(STAMP + SECRET).hexdigest().encode()),
            "cram-md5": lambda: fields == (b"fred", hmac.new(SECRET, STAMP, "md5").hexdigest().encode()),
            "scram-proof": lambda: self._scram(*fields),
            "anonymous": lambda: True,
            "external": lambda: bool(self.peer.user) and fields[0] in (b"", self.peer.user.encode()),
            "certificate": lambda: False,  # nobody vouches for any here
        }[kind]()

    def _may_be_clear(self):
        return (self.peer.secure or self.peer.local) and bool(self.settings.cram_md5_file)

    def _scram(self, opening, closing, proof):
        """RFC 5802 §3, for whoever was named in the first message."""
        kind, (mechanism, user, nonce), first = self.before
        assert kind == "scram" and first.startswith(b"r=" + nonce + NONCE)
        name = "sha256" if b"256" in mechanism else "sha1"
        right = (client.bound(opening, first, closing, SECRET, name)) == proof
        return right and user == b"fred"


# --- the words ---------------------------------------------------------------------------------

BARE = client.FIRST % b"fred"
HEADERS = {"n": b"n,,", "y": b"y,,", "exporter": b"p=tls-exporter,,", "end point": b"p=tls-server-end-point,,"}
DATA = {"exporter": BINDINGS["tls-exporter"], "end point": BINDINGS["tls-server-end-point"]}
PLAINS = {"right": b"\0fred\0" + SECRET, "wrong": b"\0fred\0x", "nobody's": b"\0ghost\0" + SECRET, "short": b"fred"}
CLAIMED = (b"fred x", b"fred " + b"0" * 32)
ARGUMENTS = {
    IMAP: {
        "LOGIN": [b"fred " + SECRET, b"fred {13}\r\n" + SECRET, b"fred wrong", b"ghost " + SECRET, b"anonymous x"],
        "ID": [b"NIL", b'("name" "x")'],
        "ENABLE": [b"IMAP4REV2"],
    },
    POP3: {
        "USER": [b"fred", b"ghost"],
        "PASS": [SECRET, b"wrong"],
        "APOP": [client.apop(STAMP, b"fred", SECRET), *CLAIMED],
        "XCLIENT": [b"ADDR=127.0.0.1"],
    },
    POPPASSD: {"USER": [b"fred"], "PASS": [SECRET, b"wrong"], "NEWPASS": [b"another-one"]},
}
TABLES = {IMAP: unauthenticated.command, POP3: authorization.command, POPPASSD: poppassd.command}


def words(service):
    """What a client may say: each command bare and with arguments, each mechanism, each response; by their names."""
    tag = b"t " if service is IMAP else b""
    said = {}
    for name in TABLES[service]:
        for rest in [b"", *ARGUMENTS[service].get(name, [])]:
            line = name.encode() + (b" " + rest if rest else b"")
            said[" ".join(line.decode().split())] = tag + line
    if service is not POPPASSD:
        word = b"t AUTHENTICATE " if service is IMAP else b"AUTH "
        for name in [*sasl.MECHANISMS, "NTLM"]:
            said[f"AUTH {name}"] = word + name.encode()
        for kind, plain in PLAINS.items():
            said[f"AUTH PLAIN {kind}"] = word + b"PLAIN " + b64(plain)
        said |= responses()
    return said


def responses():
    """What a client may say to a challenge, whatever it was."""
    said = {"cancel": b"*", "empty": b"", "=": b"=", "no base64": b"?", "fred": b64(b"fred"), "secret": b64(SECRET)}
    said |= {f"plain {kind}": b64(plain) for kind, plain in PLAINS.items()}
    said["digest"] = lambda door: client.cram_md5(b64(door.heard), b"fred", SECRET)
    said["digest wrong"] = lambda door: client.cram_md5(b64(door.heard), b"fred", b"wrong")
    said |= {f"first {name}": b64(header + BARE) for name, header in HEADERS.items()}
    for hashed in ("sha1", "sha256"):
        said |= {
            f"final {hashed} {name}": functools.partial(final, header + DATA.get(name, b""), hashed, SECRET)
            for name, header in HEADERS.items()
        }
        said[f"final {hashed} wrong"] = functools.partial(final, b"n,,", hashed, b"wrong")
        said[f"final {hashed} other"] = functools.partial(final, HEADERS["exporter"] + b"o" * 32, hashed, SECRET)
    return said


def final(header, hashed, secret, door):
    try:
        return b64(client.proof(BARE, door.heard, secret, header, hashed))
    except ValueError:
        return b64(b"c=biws,r=x,p=AAAA")  # no challenge of SCRAM


# --- the walk through a conversation --------------------------------------------------------------


class Place(Door):
    """A conversation that can tell where it stands."""

    judge = Judge

    def __init__(self, service, settings, peer):
        self.heard = b""
        super().__init__(service, settings, peer=peer)

    def say(self, line):
        answer = b""
        try:
            answer = super().say(line)
        except Ending:
            self.over = True
        try:
            self.heard = challenge(answer.splitlines()[-1]) if answer.startswith(b"+") else b""
        except (ValueError, IndexError):
            self.heard = b""
        return answer

    def standing(self):
        oracle = self.oracle
        failures = min(oracle.failures, TRIES)
        return standing(self.talk), failures, oracle.pending, oracle.admitted is not None, self.heard, self.peer.via


def standing(value, depth=0):
    """What can make a difference later: where generators stand, and what they hold."""
    if inspect.isgenerator(value):
        if value.gi_frame is None:
            return None
        known = [(name, standing(held, depth)) for name, held in sorted(value.gi_frame.f_locals.items())
                 if name not in UNSAID]  # fmt: skip
        return value.__qualname__, value.gi_frame.f_lasti, tuple(known), standing(value.gi_yieldfrom, depth)
    if value is None or isinstance(value, (bytes, str, int, float, frozenset)):
        return value
    if isinstance(value, (bytearray, set, list, tuple)):
        return bytes(value) if isinstance(value, bytearray) else tuple(standing(held, depth) for held in sorted(value))
    if depth > 2 or not type(value).__module__.startswith(("imapd", "ipop3d", "mailcore")):
        return type(value).__name__
    names = getattr(value, "__dict__", None) or [
        name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()) if hasattr(value, name)
    ]
    return tuple((name, standing(getattr(value, name), depth + 1)) for name in sorted(names) if name not in UNSAID)


def far(**values):
    return lambda: Peer("socket", "192.0.2.7", 50000, 143, **values)


def own():
    return Peer("pipe", local=True, user=pwd.getpwuid(os.getuid()).pw_name)


# who comes, to whom, and by which words he proves who he is
PLAINLY = {"plain right", "AUTH PLAIN right", "secret"}
LOGIN = {f"LOGIN fred {SECRET.decode()}", f"LOGIN fred {{13}} {SECRET.decode()}"}
PASS, APOP = {f"PASS {SECRET.decode()}"}, {f"APOP {client.apop(STAMP, b'fred', SECRET).decode()}"}
UNBOUND = {"digest", "final sha1 n", "final sha256 n"}
BOUND = {f"final {hashed} {name}" for hashed in ("sha1", "sha256") for name in DATA}
UNAWARE = {"final sha1 y", "final sha256 y"}  # would bind, but has not heard that we can: true in clear only
ANYBODYS = {"LOGIN anonymous x"} | set(responses()) - {"cancel", "=", "no base64"}  # whatever stands for a name
WORLDS = {
    "imap, TLS": (IMAP, far(secure=True), LOGIN | PLAINLY | UNBOUND | BOUND),
    "imap, clear": (IMAP, far(), UNBOUND | UNAWARE),
    "imap, for anybody": (IMAP, far(), ANYBODYS),
    "pop3, TLS": (POP3, far(secure=True), PASS | APOP | PLAINLY | UNBOUND | BOUND),
    "pop3, clear": (POP3, far(), APOP | UNBOUND | UNAWARE),
    "pop3, his own pipe": (POP3, own, {"empty"}),
    "poppassd": (POPPASSD, lambda: Peer("socket", "127.0.0.1", 5, 106, local=True), set()),
}


def walk(service, peer, settings):
    """Every word from every state: how many states there are, and the words that proved somebody."""
    spoken, found, proving = words(service), set(), set()
    front = [()]
    while front:
        path = front.pop()
        for word in spoken:
            place = replay(service, peer, settings, spoken, path)
            proved = place.oracle.admitted is not None
            say(place, spoken[word])
            admitted = place.oracle.admitted is not None
            assert admitted or not isinstance(place.entry, Entry), (path, word)
            assert not proved or place.over, (path, word)  # an answer to our own proof: in, or gone
            if admitted and not proved:
                proving.add(word)
            if not place.over and place.standing() not in found:
                found.add(place.standing())
                front.append((*path, word))
            place.hang_up()
    return found, proving


def replay(service, peer, settings, spoken, path):
    place = Place(service, settings, peer())
    for word in path:
        say(place, spoken[word])
    return place


def say(place, line):
    place.say(line(place) if callable(line) else line)


@pytest.mark.parametrize("world", WORLDS)
def test_every_word_in_every_state(world, settings, monkeypatch):
    service, peer, expected = WORLDS[world]
    if world == "imap, for anybody":
        settings.anonymous_user = pwd.getpwuid(os.getuid() or 65534).pw_name
    if peer is own:
        settings.passwd_file = settings.cram_md5_file = ""
        monkeypatch.setattr(checker, "_asks_shadow", lambda settings: False)
        monkeypatch.setattr(checker, "_by_pam", lambda *asked: Verdict(False))
    found, proving = walk(service, peer, settings)
    print(len(found), "states")
    assert proving == expected


# --- the walk through what a gatekeeper may say -----------------------------------------------------

CLOSING = b"c=biws,r=nonce" + NONCE


class Watched(Monitor):
    """A monitor that is told frames, and forks nothing."""

    gatekeeper = 0
    asked = ""

    def _take_question(self, kind):
        self.asked = kind
        return super()._take_question(kind)

    def _ask_checker(self, kind, kept, only_refuse):
        about = channel.QUESTIONS[kind]
        case = checker.Case(self.service, self.settings, self.peer, kept)
        tried, verdict = checker._ANSWERS[kind](case, self.channel.receive(about.octet, about.fields))
        return tried, Verdict(False) if only_refuse and not about.challenge else verdict, case.kept
        yield

    def _count_in(self, verdict):
        return verdict

    def _delay(self, asked):
        return True
        yield

    def _dismiss(self):
        yield from ()

    def _post_sealed(self):
        yield from ()

    def known(self):
        peer = self.peer
        name = self.asked if self.admitted else ""
        failures = min(self.failures, TRIES)
        return self.pending, failures, self.troubles, name, self.trace, self.sealed, peer.via, peer.secure

    def told(self, *frames):
        """How it ends when it hears these and then nothing."""
        self.channel, theirs = channel.pair()
        for frame in frames:
            theirs._sock.send(frame)
        theirs._sock.shutdown(socket.SHUT_WR)
        try:
            return "session" if driven(self._answer()) else "left"
        except (Forged, Trouble, EOFError) as error:
            return str(error)
        finally:
            self.channel.close()
            theirs.close()


def packets(settings, user, peer):
    """A right question of every kind by `user`; fields that are made of a challenge are made of the next one."""
    verifier, _ = verifiers.find(settings, peer, "SCRAM-SHA-256", user)
    first = scram.server_first(b"nonce", NONCE, verifier)
    opening = b"n=%b,r=nonce" % user
    fields = {
        "password": [user, SECRET],
        "change": [user, SECRET, b"another-one"],
        "external": [user],
        "certificate": [b"", b"no certificate"],
        "anonymous": [user],
        "apop": client.apop(STAMP, user, SECRET).split(),
        "stamp": [],
        "cram-md5": b64decode(client.cram_md5(b64(STAMP), user, SECRET)).split(),
        "scram": [b"SCRAM-SHA-256", user, b"nonce"],
        "scram-proof": [opening, CLOSING, client.bound(opening, first, CLOSING, SECRET)],
        "forwarded": [b"192.0.2.9", b"1", b"0", b"ID", b""],
        "void": [user, b"failed"],
    }
    return {kind: pack(about.octet, fields[kind]) for kind, about in channel.QUESTIONS.items()}


def frames(settings, peer):
    """All that a gatekeeper may say: every question right, wrong and too long, every other frame; by their names."""
    piece, half = pack(channel.PIECE, [b"tag"]), b"P\x02\0"
    said = {
        "hand over": (pack(channel.HAND_OVER, [b"LOGIN", b"3", b"0", b"0"]), piece),
        "hand over no more": (pack(channel.HAND_OVER, [b"LOGIN", b"3", b"0", b"0"]),),
        "hand over much": (pack(channel.HAND_OVER, [b"LOGIN", b"999999999", b"0", b"0"]), piece),
    }
    alone = {
        "piece": piece, "half": half, "unknown": b"Q\0",
        "verdict": pack(channel.VERDICT, [b"1", b"fred", b"", b"", b""]),
        "report": pack(channel.REPORT, [b"fred", b"1", b"fred", b"9", b"9", b"/"] + [b""] * 6),
        "farewell": pack(channel.FAREWELL, [b"Logout"]), "trouble": pack(channel.TROUBLE, [b"id", b"text"]),
        "STARTTLS": pack(channel.STARTTLS, []), "posted": pack(channel.POSTED, []),
        "cram-md5 unasked": pack(b"C", b64decode(client.cram_md5(b"", b"fred", SECRET)).split()),
    }  # fmt: skip
    alone |= {f"{kind} right": frame for kind, frame in packets(settings, b"fred", peer).items()}
    alone |= {f"{kind} wrong": frame for kind, frame in packets(settings, b"ghost", peer).items()}
    for kind, about in channel.QUESTIONS.items():
        alone[f"{kind} long"] = pack(about.octet, [b"x"] * (about.fields + 1))
    return said | {name: (frame,) for name, frame in alone.items()}


BEFORE = {"cram-md5": ("stamp right", "stamp wrong"), "scram-proof": ("scram right",)}
MINDS = {
    "imap, TLS": (IMAP, far(secure=True), {"password", "cram-md5", "scram-proof"}),
    "imap, clear": (IMAP, far(), {"password", "cram-md5", "scram-proof"}),  # the first after STARTTLS
    "imap, for anybody": (IMAP, far(secure=True), {"password", "cram-md5", "scram-proof", "anonymous"}),
    "pop3, TLS": (POP3, far(secure=True), {"password", "apop", "cram-md5", "scram-proof"}),
    "poppassd": (POPPASSD, lambda: Peer("socket", "127.0.0.1", 5, 106, local=True), set()),
}


@pytest.mark.parametrize("world", MINDS)
def test_every_frame_in_every_state(world, settings, monkeypatch):
    """A session comes of a right proof, of its own challenge, before too many wrong ones, and of nothing else."""
    service, peer, openers = MINDS[world]
    settings.trusted_networks = "192.0.2.7"
    settings.hosts_allow = settings.hosts_deny = ""
    settings.address_sessions = 0
    monkeypatch.setattr(monitor, "_end_on_signals", lambda: None)
    monkeypatch.setattr(monitor, "TROUBLES", 2)
    if "anonymous" in openers:
        settings.anonymous_user = pwd.getpwuid(os.getuid() or 65534).pw_name
    one = Place(service, settings, peer()).peer
    said, found, opened, front = frames(settings, one), set(), set(), [()]
    while front:
        path = front.pop()
        for word in said:
            heard = peer()
            sources.survey(settings, heard, service.name)
            heard.starttls = not heard.secure
            watched = Watched(service, settings, heard, (0, 1))
            end = watched.told(*(frame for name in (*path, word) for frame in said[name]))
            if end == "session":
                opened.add([name for name in path if name != "trouble"][-1].partition(" ")[0])
                check_session(path, word)
            assert (word, end) != ("STARTTLS", "gatekeeper died") or watched.pending == ("", b""), path
            if end == "gatekeeper died" and watched.known() not in found:
                found.add(watched.known())
                front.append((*path, word))
    print(len(found), "states")
    assert opened == openers


def check_session(path, word):
    """What a session may come of; `trouble` is only for the log, wherever it stands."""
    path = [name for name in path if name != "trouble"]
    kind, _, how = path[-1].partition(" ")
    assert word == "hand over" and (how == "right" or kind == "anonymous"), (path, word)
    assert kind not in BEFORE or path[-2] in BEFORE[kind], path
    assert sum(map(judged, path[:-1])) < TRIES, path


def judged(name):
    """A try, right or wrong, and not a challenge nor a word for the log."""
    about = channel.QUESTIONS.get(name.partition(" ")[0])
    return about is not None and not about.challenge and about.octet not in (channel.FORWARDED, b"Z")
