"""mailcore.login.wrappers: hosts.allow and hosts.deny, judged by Debian's own tcpdmatch."""

from __future__ import annotations

import os
import shlex
import subprocess
import time

import pytest

from mailcore import log
from mailcore.login import names, wrappers
from mailcore.settings import Settings
from tests.conftest import need, need_root

HOSTS = {
    "mail.example.org": "192.0.2.1",
    "evil.example.net": "192.0.2.2",
    "onlyhost": "192.0.2.3",
    "six.example.org": "2001:db8::5",
}
BY_NAME = tuple(HOSTS)
EVERYBODY = ("10.0.0.1", "10.1.2.3", "192.0.2.9", "2001:db8::1", "2001:db9::1", "::1", "127.0.0.1")
NOBODY = "ALL: ALL\n"

# hosts.allow, hosts.deny, the clients it is asked for; asked of the daemon imapd
RULES = [
    ("", "", EVERYBODY[:1]),
    ("", NOBODY, EVERYBODY[:1]),
    ("imapd: ALL\n", NOBODY, EVERYBODY[:1]),
    ("IMAPD: all\n", NOBODY, EVERYBODY[:1]),
    ("ipop3d: ALL\n", NOBODY, EVERYBODY[:1]),
    ("ipop3d imapd: ALL\n", NOBODY, EVERYBODY[:1]),
    ("ipop3d,imapd : 10.0.0.1,192.0.2.9\n", NOBODY, EVERYBODY),
    ("ALL EXCEPT imapd: ALL\n", NOBODY, EVERYBODY[:1]),
    ("ALL EXCEPT ipop3d: ALL\n", NOBODY, EVERYBODY[:1]),
    ("imap*: ALL\n", NOBODY, EVERYBODY[:1]),
    ("ima: ALL\n", NOBODY, EVERYBODY[:1]),
    # addresses and nets
    ("imapd: 10.\n", NOBODY, EVERYBODY),
    ("imapd: 10.0.0.0/8\n", NOBODY, EVERYBODY),
    ("imapd: 10.0.0.0/255.255.0.0\n", NOBODY, EVERYBODY),
    ("imapd: 10.0.0.1/255.0.0.0\n", NOBODY, EVERYBODY),
    ("imapd: 10.0.0.1/32\n", NOBODY, EVERYBODY),
    ("imapd: 10.0.0.1/33\n", NOBODY, EVERYBODY),
    ("imapd: 10/8\n", NOBODY, EVERYBODY),
    ("imapd: 10.0.0.1/\n", NOBODY, EVERYBODY[:1]),
    ("imapd: 0.0.0.0/0\n", NOBODY, EVERYBODY),
    ("imapd: 0.0.0.0/0.0.0.0\n", NOBODY, EVERYBODY),
    ("imapd: 10.*\n", NOBODY, EVERYBODY),
    ("imapd: 10.?.0.1\n", NOBODY, EVERYBODY),
    ("imapd: [2001:db8::]/32\n", NOBODY, EVERYBODY),
    ("imapd: [2001:db8::1]\n", NOBODY, EVERYBODY),
    ("imapd: [2001:0db8:0::0001]\n", NOBODY, EVERYBODY),
    ("imapd: [2001:db8::1]/32\n", NOBODY, EVERYBODY),
    ("imapd: [::]/0\n", NOBODY, EVERYBODY),
    ("imapd: [::1]/128\n", NOBODY, EVERYBODY),
    ("imapd: [10.0.0.1]\n", NOBODY, EVERYBODY),
    ("imapd: [::ffff:10.0.0.1]\n", NOBODY, EVERYBODY),
    ("imapd: [2001:db8::]/129\n", NOBODY, EVERYBODY),
    ("imapd: 2001:db8::1\n", NOBODY, EVERYBODY),
    # words and names
    ("imapd: LOCAL\n", NOBODY, BY_NAME + EVERYBODY[:1]),
    ("imapd: KNOWN\n", NOBODY, BY_NAME + EVERYBODY[:1]),
    ("imapd: UNKNOWN\n", NOBODY, BY_NAME + EVERYBODY[:1]),
    ("imapd: PARANOID\n", NOBODY, BY_NAME + EVERYBODY[:1]),
    ("imapd: .example.org\n", NOBODY, BY_NAME),
    ("imapd: example.org\n", NOBODY, BY_NAME),
    ("imapd: MAIL.example.ORG\n", NOBODY, BY_NAME),
    ("imapd: mail.\n", NOBODY, BY_NAME),
    ("imapd: m??l.example.*\n", NOBODY, BY_NAME),
    ("imapd: *.example.*\n", NOBODY, BY_NAME),
    ("imapd: 192.0.2.\n", NOBODY, BY_NAME),
    ("imapd: ALL@.example.org\n", NOBODY, BY_NAME),
    ("imapd: KNOWN@.example.org\n", NOBODY, BY_NAME),
    ("imapd: root@.example.org\n", NOBODY, BY_NAME),
    ("imapd: UNKNOWN@10.0.0.1\n", NOBODY, EVERYBODY),
    # EXCEPT, and EXCEPT in EXCEPT
    ("imapd: ALL EXCEPT .example.org\n", NOBODY, BY_NAME),
    ("imapd: ALL EXCEPT 10.0.0.1 192.0.2.9\n", NOBODY, EVERYBODY),
    ("imapd: ALL EXCEPT 10. EXCEPT 10.0.0.1\n", NOBODY, EVERYBODY),
    ("imapd: 10. except 10.0.0.1\n", NOBODY, EVERYBODY),
    ("imapd: EXCEPT 10.0.0.1\n", NOBODY, EVERYBODY),
    ("imapd: ALL EXCEPT\n", NOBODY, EVERYBODY[:1]),
    # the shape of a file
    ("# imapd: ALL\n\n  \nimapd : \\\n  10.0.0.1 \\\n  192.0.2.9\n", NOBODY, EVERYBODY),
    ("# a comment that goes on \\\nimapd: ALL\n", NOBODY, EVERYBODY[:1]),
    (" # no comment\nimapd: ALL\n", NOBODY, EVERYBODY[:1]),
    ("imapd ALL\n", NOBODY, EVERYBODY[:1]),
    ("imapd\timapd:\tALL\t\r\n", NOBODY, EVERYBODY[:1]),
    ("imapd: ALL", NOBODY, EVERYBODY[:1]),
    ("imapd:\n", NOBODY, EVERYBODY[:1]),
    (": ALL\n", NOBODY, EVERYBODY[:1]),
    ("imapd: 10.0.0.1\nimapd: 192.0.2.9\n", "imapd: 10.\n", EVERYBODY),
    ("", "imapd: ALL EXCEPT 10.0.0.1\n", EVERYBODY),
    ("imapd: FILE\n", NOBODY, EVERYBODY),
    ("imapd: ALL EXCEPT FILE\n", NOBODY, EVERYBODY),
    ("imapd: /nonexistent/file\n", NOBODY, EVERYBODY[:1]),
    ("imapd: @netgroup\n", NOBODY, EVERYBODY[:1]),
    # options
    ("imapd: ALL: allow\n", NOBODY, EVERYBODY[:1]),
    ("imapd: ALL: ALLOW\n", NOBODY, EVERYBODY[:1]),
    ("imapd: 10. : deny\nALL: ALL\n", "", EVERYBODY),
    ("", "imapd: ALL: allow\n", EVERYBODY[:1]),
    ("", "imapd: 10. : allow\nALL: ALL\n", EVERYBODY),
    ("imapd: ALL: allow :\n", "", EVERYBODY[:1]),
    ("imapd: ALL :\n", "", EVERYBODY[:1]),
    ("imapd: ALL: allow yes\n", "", EVERYBODY[:1]),
    ("imapd: ALL: severity mail.info\n", NOBODY, EVERYBODY[:1]),
    ("imapd: ALL: severity = local3.debug : allow\n", NOBODY, EVERYBODY[:1]),
    ("imapd: ALL: severity info\n", NOBODY, EVERYBODY[:1]),
    ("imapd: ALL: severity loud\n", "", EVERYBODY[:1]),
    ("imapd: ALL: severity\n", "", EVERYBODY[:1]),
    ("imapd: ALL: spawn /bin/true\n", NOBODY, EVERYBODY[:1]),
    ("imapd: ALL: spawn (echo a\\:b) : deny\n", "", EVERYBODY[:1]),
    ("imapd: ALL: spawn (echo a\\:b) : allow\n", NOBODY, EVERYBODY[:1]),
    ("", "imapd: ALL: spawn /bin/true\n", EVERYBODY[:1]),
    ("", "imapd: ALL: spawn /bin/true : allow\n", EVERYBODY[:1]),
    ("imapd: ALL: allow : spawn /bin/true\n", "", EVERYBODY[:1]),
    ("imapd: ALL: /bin/true\n", "", EVERYBODY[:1]),
    ("imapd: ALL: nonsense\n", "", EVERYBODY[:1]),
    ("imapd: ALL: keepalive : linger 5 : nice : allow\n", NOBODY, EVERYBODY[:1]),
    ("imapd: ALL: keepalive no\n", "", EVERYBODY[:1]),
    ("imapd: ALL: twist /bin/true : allow\n", "", EVERYBODY[:1]),
]
PAIRS = [(number, client) for number, (_, _, clients) in enumerate(RULES) for client in clients]

# Where we answer otherwise than tcpdmatch, and why.
DIFFERENT = [
    # its netmask 255.255.255.255 is the C library's sign for an error
    ("imapd: 10.0.0.1/255.255.255.255\n", NOBODY, "10.0.0.1", True),
    # a rule that keeps out and that nobody finished: tcpd passes over it, we keep out
    ("", "ALL: ALL", "10.0.0.1", False),
    # tcpd would give the client to another program; we are none, and he is not for us
    ("imapd: ALL: twist /bin/echo go away\n", "", "10.0.0.1", False),
    # it runs the program and takes its word; we never run one
    ("imapd: ALL: aclexec /bin/true\n", "", "10.0.0.1", False),
]


class Syslog:
    def __init__(self, monkeypatch):
        self.lines = []
        for level in ("error", "warning"):
            monkeypatch.setattr(log, level, self.lines.append)


@pytest.fixture
def logged(monkeypatch):
    return Syslog(monkeypatch).lines


@pytest.fixture
def ask(tmp_path, logged):
    def ask(allow, deny, client, daemons=("imapd",), server="192.0.2.100", lookups=None):
        (tmp_path / "patterns").write_text("10.0.0.1\n  192.0.2.9 [2001:db8::]/32\n")
        paths = tmp_path / "hosts.allow", tmp_path / "hosts.deny"
        for path, text in zip(paths, (allow, deny), strict=True):
            path.write_text(text.replace("FILE", str(tmp_path / "patterns")))
        found = [] if lookups is None else lookups

        def name(address):
            found.append(address)
            return next((name for name, known in HOSTS.items() if known == address and client in HOSTS), "unknown")

        ends = (wrappers.Host(HOSTS.get(client, client), name), wrappers.Host(server, name))
        request = wrappers.Request(daemons, *ends)
        answer = wrappers.permits(str(paths[0]), str(paths[1]), request)
        ask.request = request
        return answer

    return ask


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    """What tcpdmatch says of all pairs, in a mount namespace of its own with our HOSTS for /etc/hosts."""
    tcpdmatch, unshare = need("tcpdmatch"), need("unshare")
    need_root()
    path = tmp_path_factory.mktemp("tcpdmatch")
    (path / "hosts").write_text("".join(f"{address} {name}\n" for name, address in HOSTS.items()))
    (path / "patterns").write_text("10.0.0.1\n  192.0.2.9 [2001:db8::]/32\n")
    script = [f"mount --bind {path}/hosts /etc/hosts || exit 1"]
    for number, (allow, deny, clients) in enumerate(RULES):
        here = path / str(number)
        here.mkdir()
        for name, text in (("hosts.allow", allow), ("hosts.deny", deny)):
            (here / name).write_text(text.replace("FILE", str(path / "patterns")))
        script.append(f"cd {here}")
        script += [
            f"echo {number} {client} $({tcpdmatch} -d imapd {shlex.quote(client)} 2>/dev/null | grep ^access)"
            for client in clients
        ]
    done = subprocess.run(
        [unshare, "-m", "sh", "-c", "\n".join(script)], capture_output=True, text=True, check=True, timeout=60
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    return {(int(number), client): rest[-1] for number, client, *rest in lines}


@pytest.mark.parametrize("number, client", PAIRS)
def test_the_same_answer_as_tcpdmatch(ask, oracle, number, client):
    allow, deny, _ = RULES[number]
    said = oracle[number, client]
    assert said in ("granted", "denied")
    assert ask(allow, deny, client) == (said == "granted"), f"{allow!r} {deny!r} {client}: tcpdmatch says {said}"


@pytest.mark.parametrize("allow, deny, client, answer", DIFFERENT)
def test_where_we_differ_and_why(ask, logged, allow, deny, client, answer):
    assert ask(allow, deny, client) is answer


def test_there_are_enough_pairs():
    assert len(PAIRS) >= 60


def test_no_file_at_all_lets_everybody_in(tmp_path):
    host = wrappers.Host("10.0.0.1", lambda address: "unknown")
    request = wrappers.Request(("imapd",), host, host)
    assert wrappers.permits(str(tmp_path / "a"), str(tmp_path / "b"), request)


def test_a_file_that_cannot_be_read_keeps_out(ask, tmp_path, logged):
    host = wrappers.Host("10.0.0.1", lambda address: "unknown")
    request = wrappers.Request(("imapd",), host, host)
    (tmp_path / "allow").mkdir()
    assert not wrappers.permits(str(tmp_path / "allow"), str(tmp_path / "b"), request)
    (tmp_path / "huge").write_bytes(b"#" * (wrappers.FILE_OCTETS + 1))
    assert not wrappers.permits(str(tmp_path / "a"), str(tmp_path / "huge"), request)
    assert len(logged) == 2


@pytest.mark.parametrize(
    "rule, lookups",
    [
        ("imapd: 10.0.0.1\n", 0),
        ("imapd: 10.0.0.0/8 .example.org\n", 0),
        ("ipop3d: .example.org\n", 0),
        ("imapd: [2001:db8::1]\n", 0),
        ("imapd: .example.org\n", 1),
        ("imapd: .example.org LOCAL evil.example.net KNOWN\n", 1),
        ("imapd@mail.example.org: .example.org\n", 1),
    ],
)
def test_a_name_is_looked_up_only_when_a_rule_needs_it_and_once(ask, rule, lookups):
    found = []
    ask(rule, NOBODY, "10.0.0.1", lookups=found)
    assert len(found) == lookups


def test_a_daemon_has_all_its_names(ask):
    for names_, rule, answer in (
        (("mail-imapd", "imapd"), "imapd: ALL\n", True),
        (("mail-imapd", "imapd"), "mail-imapd: ALL\n", True),
        (("mail-imapd", "imapd"), "ALL EXCEPT imapd: ALL\n", False),
        (("imapd",), "imapd@192.0.2.100: ALL\n", True),
        (("imapd",), "imapd@192.0.2.: ALL\n", True),
        (("imapd",), "imapd@10.0.0.1: ALL\n", False),
    ):
        assert ask(rule, NOBODY, "10.0.0.1", daemons=names_) is answer, rule


def test_files_that_name_each_other_end(ask, tmp_path):
    (tmp_path / "loop").write_text(f"10.0.0.7 {tmp_path}/loop\n")
    assert ask(f"imapd: {tmp_path}/loop\n", NOBODY, "10.0.0.7")
    assert not ask(f"imapd: {tmp_path}/loop\n", NOBODY, "10.0.0.8")


def test_severity_is_what_the_refusal_is_logged_with(ask):
    assert not ask("", "imapd: ALL: severity auth.notice : deny\n", "10.0.0.1")
    assert ask.request.severity == "auth.notice"


def test_nothing_is_run_and_the_log_says_so(ask, logged, tmp_path):
    proof = tmp_path / "proof"
    for option in ("spawn", "twist", "aclexec"):
        ask(f"imapd: ALL: {option} touch {proof}\n", "", "10.0.0.1")
        assert f"{option} is not carried out" in logged[-1]
    assert not proof.exists()


@pytest.mark.parametrize("pattern", ["*" * 60 + "b", "*a" * 30 + "b", "?" * 300])
def test_no_pattern_takes_long(pattern):
    began = time.monotonic()
    assert not wrappers._is_text(pattern, "a" * 250)
    assert time.monotonic() - began < 1


# --- names ---------------------------------------------------------------------------------


def fake_dns(monkeypatch, reverse, forward):
    def getnameinfo(where, flags):
        if reverse is None:
            raise OSError("no name")
        return (reverse, "0")

    def getaddrinfo(name, *others):
        if forward is None:
            raise OSError("no address")
        return [(0, 0, 0, "", (address, 0)) for address in forward]

    class Fake:
        AF_INET = AF_INET6 = NI_NAMEREQD = SOCK_STREAM = 0

    Fake.getnameinfo, Fake.getaddrinfo = staticmethod(getnameinfo), staticmethod(getaddrinfo)
    monkeypatch.setattr(wrappers, "_socket", Fake)


@pytest.mark.parametrize(
    "reverse, forward, name",
    [
        ("Mail.Example.org", ["192.0.2.1"], "mail.example.org"),
        ("mail.example.org", ["192.0.2.7", "192.0.2.1"], "mail.example.org"),
        ("mail.example.org", ["::ffff:192.0.2.1"], "mail.example.org"),
        ("mail.example.org", ["192.0.2.7"], "paranoid"),
        ("mail.example.org", None, "paranoid"),
        ("10.0.0.1", ["192.0.2.1"], "paranoid"),
        ("::1", ["192.0.2.1"], "paranoid"),
        (None, [], "unknown"),
    ],
)
def test_a_name_counts_only_if_it_has_the_address(monkeypatch, reverse, forward, name):
    fake_dns(monkeypatch, reverse, forward)
    assert wrappers.confirmed_name("192.0.2.1") == name


def test_names_come_from_a_child_that_is_nobody(monkeypatch):
    monkeypatch.setattr(wrappers, "confirmed_name", lambda address: f"uid{os.getuid()}.{address}.example")
    uid = os.getuid() or 65534
    assert names.of("192.0.2.1", Settings()) == f"uid{uid}.192.0.2.1.example"
