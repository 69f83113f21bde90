"""Questions and answers before login, with the real monitor's and checker's judgement and no processes.

Every mechanism against every kind of bad account. test_walk.py goes through all states instead.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import hmac
import os
import random
from pathlib import Path

import pytest
from passlib.hash import sha512_crypt

from imapd.session import SERVICE as IMAP
from ipop3d.session import SERVICE as POP3
from mailcore import log
from mailcore.errors import Ending
from mailcore.login import accounts, channel, checker, digests, pam, passwords, sasl, secrets, shadow
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Forged, Question
from mailcore.settings import Settings
from tests.mailcore.login import client
from tests.mailcore.login.oracle import BINDINGS, Door, b64, challenge

UID = os.getuid() or 54321
SECRET = b"canary-secret"
CHEAP = sha512_crypt.using(rounds=1000)


@pytest.fixture
def lines(monkeypatch):
    """What is logged, whatever it is called there."""
    heard = []
    for level in ("debug", "info", "warning", "error", "alert", "refused"):
        monkeypatch.setattr(log, level, lambda text, level=level: heard.append(f"{level} {text}"))
    yield heard
    assert SECRET.decode() not in "\n".join(heard)


@pytest.fixture
def settings(tmp_path):
    """fred, admin and bob may come in; root, low and nohome may not, whatever they know."""
    names = {"fred": UID, "bob": UID, "admin": UID, "root": 0, "low": 1, "broken": -5}
    passwd = tmp_path / "passwd"
    passwd.write_text("".join(f"{name}:{CHEAP.hash(SECRET)}:{uid}:{UID}::/\n" for name, uid in names.items()))
    with passwd.open("a") as file:
        file.write(f"locked:!{CHEAP.hash(SECRET)}:{UID}:{UID}::/\n")
    secrets = tmp_path / "secrets"
    secrets.write_text("".join(f"{name}\t{SECRET.decode()}\n" for name in [*names, "ghost"]))
    for path in (passwd, secrets):
        path.chmod(0o600)
    return Settings(
        passwd_file=str(passwd), cram_md5_file=str(secrets), scram_key_file=str(tmp_path / "key"), first_valid_uid=2,
        login_commands=1000, host_name="mail.example.org", anonymous_file="",
    )  # fmt: skip


# --- a client's mechanisms -----------------------------------------------------------------


def auth(door, name):
    return door.say(b"AUTH " + name if door.service is POP3 else b"t AUTHENTICATE " + name)


def by_login(door, user, secret):
    if door.service is POP3:
        return door.say(b"USER " + user) and door.say(b"PASS " + secret)
    return door.say(b't LOGIN "%b" "%b"' % (user, secret))


def by_plain(door, user, secret):
    acting, star, admin = user.partition(b"*")
    auth(door, b"PLAIN")
    return door.say(b64(b"%b\0%b\0%b" % ((acting, admin, secret) if star else (b"", user, secret))))


def by_sasl_login(door, user, secret):
    auth(door, b"LOGIN")
    door.say(b64(user))
    return door.say(b64(secret))


def by_cram_md5(door, user, secret):
    stamp = challenge(auth(door, b"CRAM-MD5"))
    return door.say(client.cram_md5(b64(stamp), user, secret))


def by_apop(door, user, secret):
    stamp = door.greeting.split()[-1]
    return door.say(b"APOP " + client.apop(stamp, user, secret))


def by_scram(mechanism, header=b"n,,", data=b""):
    name = "sha256" if "256" in mechanism else "sha1"

    def talk(door, user, secret):
        acting, star, admin = user.partition(b"*")
        gs2 = header.replace(b",,", b",a=%b," % acting) if star else header
        bare = client.FIRST % (admin if star else user)
        auth(door, mechanism.encode())
        heard = door.say(b64(gs2 + bare))
        if not heard.startswith(b"+"):
            return heard
        first = challenge(heard)
        final = client.proof(bare, first, secret, gs2 + data, name)
        heard = door.say(b64(final))
        if heard.startswith(b"+"):
            assert challenge(heard) == client.signature(bare, first, final, secret, name)
            heard = door.say(b"")
        return heard

    return talk


EXPORTER, POINT = (b"p=%b,," % name.encode() for name in BINDINGS)
WAYS = {
    "LOGIN": by_login,
    "PLAIN": by_plain,
    "SASL LOGIN": by_sasl_login,
    "CRAM-MD5": by_cram_md5,
    "SCRAM-SHA-256-PLUS": by_scram("SCRAM-SHA-256-PLUS", EXPORTER, BINDINGS["tls-exporter"]),
    "SCRAM-SHA-1-PLUS": by_scram("SCRAM-SHA-1-PLUS", POINT, BINDINGS["tls-server-end-point"]),
    "SCRAM-SHA-256": by_scram("SCRAM-SHA-256"),
    "SCRAM-SHA-1": by_scram("SCRAM-SHA-1"),
}
BOTH = [(service, way) for service in (IMAP, POP3) for way in WAYS] + [(POP3, "APOP")]
WAYS["APOP"] = by_apop
each_way = pytest.mark.parametrize("service, way", BOTH, ids=lambda value: getattr(value, "name", value))


@each_way
def test_the_right_credential_is_let_in(service, way, settings, lines):
    door = Door(service, settings)
    WAYS[way](door, b"fred", SECRET)
    assert door.entry.account.name == "fred"
    assert door.oracle.admitted.uid == UID
    assert not any(line.startswith(("refused", "alert", "error")) for line in lines)


# wrong, unknown, no account behind the secret, uid 0, below first_valid_uid, locked: the last four with the right one
STRANGERS = ((b"fred", b"wrong"), (b"nobody-here", SECRET), (b"ghost", SECRET), (b"root", SECRET), (b"low", SECRET),
             (b"locked", SECRET))  # fmt: skip


@each_way
def test_every_bad_account_hears_the_same(service, way, settings, lines):
    """Wrong password, nobody, no account behind the secret, root, low uid, nonsense uid, nobody's names."""
    heard = set()
    for user, secret in (
        *STRANGERS, (b"broken", SECRET), (b"x:fred", SECRET), (b"fred:143", SECRET), (b"fred*bob", SECRET),
        (b"fred*", SECRET), (b"*fred", b"wrong"), (b"bob*fred", b"wrong"),
    ):  # fmt: skip
        door = Door(service, settings)
        answer = WAYS[way](door, user, secret)
        assert door.entry is None, user
        assert door.oracle.admitted is None, user
        heard.add(answer)
    assert len(heard) == 1, heard
    assert heard.pop().split(b" ")[0] in (b"-ERR", b"t")
    shapes = ("refused Login failed user=", "refused Failed ")
    assert all(line.startswith(shapes) and line.endswith(" host=[192.0.2.7]") for line in lines), lines


@pytest.fixture
def work(monkeypatch):
    """What a login does that takes time, in order: each hash with its cost, each comparison, each file that is read."""
    done = []

    def watch(place, name, what):
        real = getattr(place, name)
        watched = lambda *given, **words: done.append((name, what(*given))) or real(*given, **words)  # noqa: E731
        monkeypatch.setattr(place, name, watched)

    watch(shadow, "matches", lambda password, hashed: hashed[:14])
    watch(hashlib, "pbkdf2_hmac", lambda name, password, salt, rounds, *size: (name, len(salt), rounds))
    watch(hmac, "compare_digest", lambda given, right: None)
    watch(digests, "_md5", lambda *text: None)
    watch(secrets, "read", lambda path, *bits: path)
    watch(passwords, "text", lambda path: path)
    return done


@each_way
@pytest.mark.parametrize("place", ["secrets", "passwd"])
def test_every_bad_account_costs_the_same(service, way, place, settings, lines, work):
    """S7, counted and not timed (benchmarks/timing.py does that); only for who was right an account is looked up."""
    settings.cram_md5_only = place == "secrets"
    spent = {}
    for user, secret in STRANGERS * 2:  # the first of all makes SCRAM's key
        door = Door(service, settings)
        work.clear()
        WAYS[way](door, user, secret)
        spent[user] = tuple(step for step in work if step != ("text", settings.passwd_file))
    assert len(set(spent.values())) == 1, spent
    assert spent[b"fred"]


@pytest.mark.parametrize("service, way", [pair for pair in BOTH if pair[1] not in ("CRAM-MD5", "APOP")])
def test_challenges_do_not_tell_who_is_there(service, way, settings, lines):
    """All that is said before the last answer is alike for users and for others, random parts apart."""
    seen = {}
    for user in (b"fred", b"nobody-here", b"root", b"ghost"):
        door, told = Door(service, settings), []
        say = door.say
        door.say = lambda line, say=say, told=told: told.append(say(line)) or told[-1]
        WAYS[way](door, user, b"wrong")
        seen[user] = [len(answer) for answer in told]
    assert len({tuple(sizes) for sizes in seen.values()}) == 1, seen


@each_way
def test_counting_can_only_restrict(service, way, settings, lines):
    """CVE-2005-0198: after too many failures the right one is wrong, and no number of them opens."""
    door = Door(service, settings)
    for _ in range(settings.login_tries):
        WAYS[way](door, b"fred", b"wrong")
    WAYS[way](door, b"fred", SECRET)
    assert door.entry is None
    assert door.over
    assert any("Login excessive login failures user=fred auth=fred" in line for line in lines)


def test_random_failures_never_open(settings, lines, monkeypatch):
    """S5: 10 000 orders of wrong answers by all mechanisms; then the right one, which counts as long as one may try."""
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", functools.lru_cache(hashlib.pbkdf2_hmac))
    chance = random.Random(5)
    ways = {service: [way for owner, way in BOTH if owner is service] for service in (IMAP, POP3)}
    doors = 0
    for _ in range(10_000):
        settings.login_tries = chance.choice((1, 3, 1000))
        service = chance.choice((IMAP, POP3))
        door = Door(service, settings)
        for _ in range(chance.randint(1, 6)):
            way = chance.choice(ways[service])
            if not door.over:
                WAYS[way](door, chance.choice((b"fred", b"ghost", b"", b"*", b"root")), b"wrong")
        assert door.entry is None
        failures = door.oracle.failures
        if not door.over:
            WAYS["PLAIN"](door, b"fred", SECRET)
            assert (door.entry is not None) == (failures < settings.login_tries)
            doors += 1
    assert doors > 1000


# --- another user's mail ---------------------------------------------------------------------


@pytest.fixture
def admins(monkeypatch):
    """`admin` is a member of mailadm, and a system user."""
    import grp
    import pwd

    group = grp.struct_group(("mailadm", "x", 1, ["admin", "root"]))
    monkeypatch.setattr(grp, "getgrnam", lambda name: {"mailadm": group}[name])
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.struct_passwd((name, "x", UID, UID, "", "/", "")))


@each_way
def test_an_administrator_becomes_another_user(service, way, settings, lines, admins):
    door = Door(service, settings)
    WAYS[way](door, b"bob*admin", SECRET)
    assert door.oracle.admitted.name == "bob"
    assert lines == ["refused Admin admin override of user=bob host=[192.0.2.7]"]


@pytest.mark.parametrize("user, logged", [
    (b"bob*fred", "Failed fred override of user=bob host=[192.0.2.7]"),
    (b"root*admin", "Failed admin override of user=root host=[192.0.2.7]"),
    (b"nobody-here*admin", "Failed admin override of user=nobody-here host=[192.0.2.7]"),
    (b"bob*admin*admin", "Login failed user=bob auth=admin*admin host=[192.0.2.7]"),
    (b"bob*root", "Login failed user=bob auth=root host=[192.0.2.7]"),
    (b"bob*nobody-here", "Login failed user=bob auth=nobody-here host=[192.0.2.7]"),
])  # fmt: skip
def test_nobody_else_does(user, logged, settings, lines, admins):
    door = Door(IMAP, settings)
    by_login(door, user, SECRET)
    assert door.entry is None
    assert lines == [f"refused {logged}"]


def test_a_name_in_a_passwd_file_is_not_the_system_user_in_the_group(settings, lines, admins, monkeypatch):
    import pwd

    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.struct_passwd((name, "x", UID + 1, UID, "", "/", "")))
    door = Door(IMAP, settings)
    by_login(door, b"bob*admin", SECRET)
    assert door.entry is None


def test_no_group_no_override(settings, lines, admins):
    settings.admin_group = ""
    door = Door(IMAP, settings)
    by_login(door, b"bob*admin", SECRET)
    assert door.entry is None


# --- where the secrets file rules --------------------------------------------------------------


@pytest.mark.parametrize(
    "only, right, wrong", [(True, b"in-secrets", b"in-passwd"), (False, b"in-passwd", b"in-secrets")]
)
def test_which_password_counts(settings, tmp_path, only, right, wrong, lines):
    (tmp_path / "passwd").write_text(f"fred:{CHEAP.hash('in-passwd')}:{UID}:{UID}::/\n")
    (tmp_path / "secrets").write_text("fred\tin-secrets\n")
    settings.cram_md5_only = only
    for service, way in ((IMAP, "LOGIN"), (POP3, "LOGIN"), (POP3, "PLAIN")):
        door = Door(service, settings)
        WAYS[way](door, b"fred", wrong)
        assert door.entry is None
        WAYS[way](door, b"fred", right)
        assert door.entry is not None
    door = Door(POP3, settings)
    by_apop(door, b"fred", b"in-secrets")
    assert door.entry is not None


def test_a_user_of_the_secrets_file_who_has_expired(settings, lines, monkeypatch):
    """As sshd does for keys, PAM is asked whether he may."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts, "named", lambda name: Account(name, UID, UID, "/"))
    monkeypatch.setattr(pam, "present", lambda: True)
    asked = []

    def permitted(service, user, rhost):
        asked.append((user, rhost))
        return pam.Outcome("EXPIRED", user, ["Pay"])

    monkeypatch.setattr(pam, "permitted", permitted)
    settings.passwd_file = ""
    settings.cram_md5_file = ""
    peer = Peer("socket", "192.0.2.7")
    case = checker.Case(IMAP, settings, peer)
    verdict = checker._of_account(case, b"fred")
    assert (verdict.right, verdict.code, verdict.alerts) == (False, "EXPIRED", ["Pay"])
    assert asked == [("fred", "192.0.2.7")]


# --- channel binding (S19) -----------------------------------------------------------------------

E, P = BINDINGS["tls-exporter"], BINDINGS["tls-server-end-point"]


@pytest.mark.parametrize("mechanism, header, data, secure, right", [
    ("SCRAM-SHA-256-PLUS", EXPORTER, E, True, True),
    ("SCRAM-SHA-256-PLUS", POINT, P, True, True),
    ("SCRAM-SHA-256-PLUS", EXPORTER, P, True, False),  # wrong data
    ("SCRAM-SHA-256-PLUS", EXPORTER, b"", True, False),
    ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,", E, True, False),
    ("SCRAM-SHA-256-PLUS", b"n,,", b"", True, False),  # bound, and yet not
    ("SCRAM-SHA-256-PLUS", EXPORTER, E, False, False),  # not offered in clear
    ("SCRAM-SHA-256", b"y,,", b"", True, False),  # somebody took PLUS from the list
    ("SCRAM-SHA-256", b"y,,", b"", False, True),
    ("SCRAM-SHA-256", b"n,,", b"", True, True),
    ("SCRAM-SHA-256", b"n,,", b"x", True, False),
    ("SCRAM-SHA-256", EXPORTER, E, True, False),
])  # fmt: skip
def test_channel_binding(settings, lines, mechanism, header, data, secure, right):
    door = Door(IMAP, settings, secure)
    by_scram(mechanism, header, data)(door, b"fred", SECRET)
    assert (door.entry is not None) == right
    if not right and mechanism in sasl.offered(settings, door.peer, "imap"):
        assert any("Login failed" in line for line in lines)


def test_an_exchange_cannot_be_played_again(settings, lines):
    door = Door(IMAP, settings)
    bare = client.FIRST % b"fred"
    auth(door, b"SCRAM-SHA-256")
    first = challenge(door.say(b64(b"n,," + bare)))
    final = b64(client.proof(bare, first, SECRET))
    assert door.say(final).startswith(b"+")  # overheard, and not ended
    for again in (1, 2):
        door = Door(IMAP, settings)
        auth(door, b"SCRAM-SHA-256")
        assert challenge(door.say(b64(b"n,," + bare))) != first, again
        assert door.say(final).startswith(b"t NO")
        assert door.entry is None


# --- a gatekeeper that a stranger has taken over ----------------------------------------------------


@pytest.mark.parametrize("kinds", [
    ["cram-md5"], ["scram-proof"], ["scram", "cram-md5"], ["stamp", "scram-proof"], ["stamp", "password", "cram-md5"],
    ["scram", "stamp", "scram-proof"], ["scram", "void", "scram-proof"], ["stamp", "cram-md5", "cram-md5"],
    ["scram", "scram-proof", "scram-proof"], ["anonymous"],
])  # fmt: skip
def test_questions_out_of_order_are_forged(settings, lines, kinds):
    oracle = Door(IMAP, settings).oracle
    fields = {"scram": (b"SCRAM-SHA-256", b"fred", b"nonce"), "stamp": ()}
    with pytest.raises(Forged):
        for kind in kinds:
            oracle.ask(Question(kind, fields.get(kind, (b"x",) * channel.QUESTIONS[kind].fields)))
    assert oracle.admitted is None


@pytest.mark.parametrize("kind", ["apop", "stamp", "cram-md5", "scram", "scram-proof", "anonymous", "change"])
def test_a_question_without_its_source_is_forged(settings, lines, kind):
    settings.cram_md5_file = ""
    oracle = Door(POP3, settings).oracle
    with pytest.raises(Forged):
        oracle.ask(Question(kind, (b"x",) * channel.QUESTIONS[kind].fields))


@pytest.mark.parametrize("why", [b"", b"Failed", b"excessive login failures", b"x user=y"])
def test_a_void_says_one_of_two_things(settings, lines, why):
    with pytest.raises(Forged):
        Door(POP3, settings).oracle.ask(Question("void", (b"fred", why)))


@pytest.mark.parametrize("service", [IMAP, POP3])
def test_a_password_in_clear_is_seen_but_counts_for_nothing(service, settings, lines):
    """UW counted it among the tries (and then refused the right one)."""
    door = Door(service, settings, secure=False)
    for _ in range(5):
        if service is IMAP:
            assert door.say(b"t LOGIN fred " + SECRET).startswith(b"t NO [PRIVACYREQUIRED]")
        else:
            assert door.say(b"USER fred").startswith(b"-ERR [AUTH]")
    assert lines == ["refused Login disabled user=fred auth=fred host=[192.0.2.7]"] * 5
    WAYS["SCRAM-SHA-256"](door, b"fred", SECRET)
    assert door.entry is not None


def test_a_client_that_gives_up_for_ever_is_forged(settings, lines):
    settings.login_commands = 5
    oracle = Door(POP3, settings).oracle
    for _ in range(5):
        oracle.ask(Question("void", (b"", b"failed")))
    with pytest.raises(Forged):
        oracle.ask(Question("void", (b"", b"failed")))


def test_nothing_is_left_of_an_exchange_that_was_broken_off(settings, lines):
    """S44: a client that goes in the middle of each mechanism."""
    for service, name in ((IMAP, b"SCRAM-SHA-256"), (POP3, b"CRAM-MD5"), (POP3, b"LOGIN"), (IMAP, b"PLAIN")):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            door = Door(service, settings)
            auth(door, name)
            with pytest.raises((Ending, StopIteration)):
                door.talk.throw(Ending("gone"))
                door.talk.send(None)
        assert len(os.listdir("/proc/self/fd")) == before


SECRET_NAMES = {"secret", "password", "digest", "proof", "stored_key", "server_key", "crypted", "signature", "given"}


JUDGES = ["change", "checker", "digests", "scram", "passwords", "secrets", "shadow", "verifiers"]


@pytest.mark.parametrize("module", JUDGES)
def test_secrets_are_compared_in_constant_time(module):
    """S6: hmac.compare_digest and nothing else, wherever one side is a secret or made of one."""
    tree = ast.parse(Path(sasl.__file__).with_name(f"{module}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            names = {getattr(side, "id", getattr(side, "attr", "")) for side in (node.left, *node.comparators)}
            assert not names & SECRET_NAMES, f"{module}.py:{node.lineno}"
