"""mailcore.login.lodge: a gatekeeper that has let somebody in serves the next call of the same address, or none."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from types import SimpleNamespace

import pytest
from passlib.hash import sha512_crypt

from mailcore import log
from mailcore.login import channel, lodge, parcel
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Channel, Verdict
from mailcore.login.gatekeeper import Doorstep
from mailcore.login.listener import Listener
from mailcore.login.lodge import CHANNEL, CLIENT, Lodge, Porter
from mailcore.login.monitor import Monitor
from mailcore.login.sockets import open_sockets
from mailcore.settings import Settings
from tests.conftest import need_root
from tests.mailcore.login.fork import in_a_fork
from tests.mailcore.login.parrot import SERVICE

SECONDS = 10
UID = os.getuid() or 54321
FRAMES = 300


@pytest.fixture
def town(tmp_path):
    """Start a listener for fred and wilma; its address and its pid."""
    hashed = sha512_crypt.using(rounds=1000).hash("secret")
    users = enumerate(("fred", "wilma") if os.getuid() == 0 else ("fred",))
    (tmp_path / "passwd").write_text("".join(f"{user}:{hashed}:{UID + n}:{UID + n}::/\n" for n, user in users))
    (tmp_path / "passwd").chmod(0o600)
    (tmp_path / "empty").mkdir(mode=0o755)
    pids = []

    def start(**values):
        (sock,) = open_sockets("127.0.0.1:0")
        fixed = {"passwd_file": str(tmp_path / "passwd"), "gatekeeper_root": str(tmp_path / "empty")}
        fixed |= {"run_directory": str(tmp_path / "run"), "login_delay_seconds": 0.0, "gatekeeper_visits": 1000}
        pid = os.fork()
        if pid == 0:
            try:
                log.open_log = lambda ident: None
                os._exit(Listener(SERVICE, Settings(**fixed | values), [sock]).run())
            finally:
                os._exit(99)
        pids.append(pid)
        where = sock.getsockname()
        sock.close()
        return Town(where, pid)

    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class Town:
    def __init__(self, where, listener):
        self.where = where
        self.listener = listener

    def call(self, address="127.0.0.1"):
        client = socket.create_connection(self.where, timeout=SECONDS, source_address=(address, 0))
        file = client.makefile("rb")
        assert file.readline() == b"HELLO\r\n"
        return client, file

    def visit(self, *lines, user="fred", address="127.0.0.1", ending=b"PASS %s secret\r\nQUIT\r\n"):
        """The pid of the gatekeeper of a call in which all this is said before the login."""
        client, file = self.call(address)
        client.sendall(b"ME\r\n")
        pid = int(file.readline())
        for line in lines:
            client.sendall(line + b"\r\n")
            assert file.readline()
        client.sendall(ending % user.encode() if b"%s" in ending else ending)
        rest = file.read()
        assert rest.endswith(b"BYE\r\n"), rest
        assert b"%s" not in ending or rest.startswith(b"WELCOME " + user.encode())
        client.close()
        return pid

    def waiting(self):
        """The pids of the listener's gatekeepers."""
        with open(f"/proc/{self.listener}/task/{self.listener}/children") as file:
            return [int(pid) for pid in file.read().split() if _is_gatekeeper(int(pid))]


def _is_gatekeeper(pid):
    """Sessions are not under a list of calls here: nobody fences the parrot in."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return "Seccomp:\t2\n" in file.read()
    except FileNotFoundError:
        return False


def gone(pid):
    until = time.monotonic() + SECONDS
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
        time.sleep(0.02)
    return not os.path.exists(f"/proc/{pid}")


def test_the_same_one_serves_the_next_call(town):
    begin = town()
    assert len({begin.visit() for _ in range(5)}) == 1


def test_as_installed_each_has_its_own(town):
    begin = town(gatekeeper_visits=Settings().gatekeeper_visits)
    first, second = begin.visit(), begin.visit()
    assert first != second and gone(first) and gone(second)


def test_two_users_by_one_gatekeeper(town):
    need_root()
    begin = town()
    assert begin.visit(user="fred") == begin.visit(user="wilma")


def test_another_address_has_its_own(town):
    begin = town()
    first, other = begin.visit(), begin.visit(address="127.0.0.2")
    assert first != other
    assert begin.visit() == first and begin.visit(address="127.0.0.2") == other


def test_two_at_once_are_two(town):
    begin = town()
    first = begin.visit()
    (one, one_file), (other, other_file) = begin.call(), begin.call()
    one.sendall(b"ME\r\n")
    other.sendall(b"ME\r\n")
    pids = int(one_file.readline()), int(other_file.readline())
    assert first in pids and pids[0] != pids[1]
    one.close()
    other.close()


@pytest.mark.parametrize(
    "values, lines",
    [
        ({}, [b"PASS fred wrong"]),
        ({}, [b"PASS nobody-at-all secret"]),
        ({}, [b"NOTE"]),  # an error of ours
        ({"login_line_octets": 50}, [b"x" * 30, b"y" * 30]),  # more than one line may be long
    ],
)
def test_whose_visit_was_not_in_order(town, values, lines):
    begin = town(**values)
    first = begin.visit(*lines)
    assert begin.visit() != first and gone(first)


@pytest.mark.parametrize("ending", [b"QUIT\r\n"])
def test_who_let_nobody_in(town, ending):
    begin = town()
    first = begin.visit(ending=ending)
    assert begin.visit() != first and gone(first)


def test_who_hangs_up(town):
    begin = town()
    first = begin.visit()
    client, file = begin.call()
    client.sendall(b"ME\r\n")
    assert int(file.readline()) == first
    file.close()
    client.close()
    assert gone(first)


def test_so_many_visits(town):
    begin = town(gatekeeper_visits=2)
    pids = [begin.visit() for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_ten_minutes(town, monkeypatch):
    monkeypatch.setattr(lodge, "MOST_SECONDS", 0)
    begin = town()
    assert begin.visit() != begin.visit()


def test_one_that_nobody_needs_ends(town, monkeypatch):
    monkeypatch.setattr(lodge, "KEEP_SECONDS", 0.2)
    begin = town()
    first = begin.visit()
    time.sleep(0.3)
    begin.call()  # the listener looks when something happens, and every five seconds
    assert gone(first)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_one_that_ends_while_it_waits(town, number):
    begin = town()
    first = begin.visit()
    os.kill(first, number)
    assert gone(first)
    assert begin.visit() != first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_none_stays_when_the_listener_ends(town, number):
    begin = town()
    pids = begin.visit(), begin.visit(address="127.0.0.2")
    assert set(begin.waiting()) == set(pids)
    os.kill(begin.listener, number)
    assert all(gone(pid) for pid in pids)


def test_each_has_his_own_words(town):
    """What one sent ahead goes into his session, and nothing of it to the next."""
    begin = town()
    for number in range(3):
        client, file = begin.call()
        client.sendall(b"PASS fred secret\r\nONE %d\r\nTWO\r\nQUIT\r\n" % number)
        heard = file.read().splitlines()
        assert heard[0].startswith(b"WELCOME fred") and heard[1:] == [b"ONE %d" % number, b"TWO", b"BYE"]
        client.close()
    assert len(begin.waiting()) == 1


def test_the_limits_begin_anew(town):
    """Octets before login, and tries."""
    begin = town(login_read_octets=200, login_tries=1)
    first = begin.visit(b"x" * 90, b"y" * 60)
    assert begin.visit(b"x" * 90, b"y" * 60) == first
    client, file = begin.call()
    client.sendall(b"x" * 200)
    assert file.read() == b"SORRY Too much said before login\r\n"
    assert gone(first)


def test_it_hears_the_client_who_is_told_goodbye(town):
    """TERM while the second client is served."""
    begin = town()
    first = begin.visit()
    client, file = begin.call()
    client.sendall(b"ME\r\n")
    assert int(file.readline()) == first
    os.kill(begin.listener, signal.SIGTERM)
    assert file.read() == b"SORRY Server shutting down\r\n"


def test_it_stays_locked_in(town):
    """S2: nobody, no descriptor but the channel while it waits, no third one ever, the list of calls."""
    need_root()
    begin = town()
    pid = begin.visit()
    assert begin.visit(b"OPEN /etc/hostname") == pid
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
    assert status["Uid"].split() == ["65534"] * 4 and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert int(status["CapEff"], 16) == 0
    assert os.readlink(f"/proc/{pid}/root") != "/"
    assert os.listdir(f"/proc/{pid}/fd") == [str(CHANNEL)]
    with open(f"/proc/{pid}/limits") as file:
        assert "Max open files            2                    2 " in file.read()


# --- the listener's end by itself --------------------------------------------------------------


class House:
    """What the lodge needs of a listener."""

    def __init__(self, **values):
        self.settings = Settings(**{"gatekeeper_visits": 3} | values)
        self.expected = {}

    def expect(self, fd, events, then):
        self.expected[fd] = then

    def forget(self, fd):
        del self.expected[fd]


PEER = Peer("socket", "192.0.2.7", 50000, 143)


@pytest.fixture
def porter():
    """One whose process sleeps, and the other end of its channel."""
    ours, theirs = channel.pair()
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    yield Porter(ours, os.pidfd_open(pid), PEER), theirs
    theirs.close()
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL


def peer(**values):
    other = Peer("socket", "192.0.2.7", 50001, 143)
    for name, value in values.items():
        setattr(other, name, value)
    return other


@pytest.mark.parametrize(
    "caller, suits",
    [
        (peer(), True),
        (peer(address="192.0.2.8"), False),
        (peer(sources=frozenset({"verifiers"})), False),  # it has not imported what they need
    ],
)
def test_whom_it_suits(porter, caller, suits):
    house = House()
    rooms = Lodge(house)
    assert rooms.take_in(porter[0])
    assert (rooms.send(caller, 0, 30) is porter[0]) == suits
    assert len(house.expected) == (not suits)
    rooms.keep_nobody()


@pytest.mark.parametrize(
    "caller, values, may",
    [
        (peer(), {}, True),
        (peer(), {"gatekeeper_visits": 1}, False),
        (peer(kind="local", address=""), {}, False),
        (peer(address=""), {}, False),
        (peer(via="PROXY 10.0.0.1"), {}, False),
    ],
)
def test_whose_gatekeeper_may_stay(caller, values, may):
    assert Lodge(House(**values)).may_keep(caller) is may


def test_what_is_told_of_the_next_client(porter):
    ours, theirs = porter
    caller = peer(sources=frozenset({"stamp", "secrets"}), stamp=b"<1@x>", starttls=True, greeted=True)
    assert ours.offer(caller, 0, 29.7)
    data, fds = theirs.receive_parcel(lodge.VISIT_OCTETS, 1)
    seconds, *known = parcel.unpacked(data)
    told = parcel.peer_of(known)
    assert (seconds, told.address, told.stamp) == (b"29", "192.0.2.7", b"<1@x>") and told.starttls and told.greeted
    assert told.sources == caller.sources and len(fds) == 1 and os.path.samestat(os.fstat(fds[0]), os.fstat(0))
    os.close(fds[0])


def test_who_speaks_when_nobody_asked_ends(porter):
    """Fuzz: whatever it says while it waits, it gets no client, and no monitor reads it."""
    chance = random.Random(5)
    for _ in range(FRAMES):
        ours, theirs = channel.pair()
        house = House()
        rooms = Lodge(house)
        assert rooms.take_in(Porter(ours, os.dup(porter[0].pidfd), PEER))
        theirs._sock.send(chance.randbytes(chance.randrange(1, 40)))
        if chance.randrange(2):
            house.expected[ours.fileno()](0)  # the listener hears it before the next call comes
        assert rooms.send(peer(), 0, 30) is None and not house.expected
        with pytest.raises(ConnectionResetError):  # it is over, and was sent nothing
            theirs._sock.recv(100)
        theirs.close()


def test_no_more_than_so_many_wait(monkeypatch, porter):
    monkeypatch.setattr(lodge, "MOST_WAITING", 2)
    house = House()
    rooms = Lodge(house)
    ends = [channel.pair() for _ in range(3)]
    for ours, _ in ends:
        assert rooms.take_in(Porter(ours, os.dup(porter[0].pidfd), PEER))
    assert len(house.expected) == 2 and ends[0][1]._sock.recv(1) == b""
    rooms.keep_nobody()
    assert not house.expected
    assert not rooms.take_in(porter[0])  # none from now on


def test_expire(monkeypatch, porter):
    house = House()
    rooms = Lodge(house)
    assert rooms.take_in(porter[0])
    rooms.expire()
    assert house.expected
    porter[0].free_since -= lodge.KEEP_SECONDS + 1
    rooms.expire()
    assert not house.expected


@pytest.mark.parametrize(
    "happened, in_order",
    [
        ({}, True),
        ({"handed_over": False}, False),
        ({"refused": True}, False),
        ({"troubles": 1}, False),
        ({"trace": ""}, False),  # ANONYMOUS
        ({"sealed": True}, False),
    ],
)
def test_what_is_in_order(happened, in_order):
    monitor = Monitor(SERVICE, Settings(), peer(), (0, 1))
    for name, value in ({"handed_over": True} | happened).items():
        setattr(monitor, name, value)
    assert monitor._in_order() is in_order


def test_who_was_named_by_a_front_end_is_not_in_order():
    monitor = Monitor(SERVICE, Settings(), peer(via="ID 10.0.0.1"), (0, 1))
    monitor.handed_over = True
    assert not monitor._in_order()


@pytest.mark.parametrize(
    "verdict, refused",
    [
        (Verdict(True, Account("fred")), False),
        (Verdict(False, data=b"<stamp>"), False),  # a challenge
        (Verdict(False), True),
        (Verdict(False, code="LIMIT"), True),
    ],
)
def test_what_counts_as_refused(verdict, refused):
    monitor = Monitor(SERVICE, Settings(), peer(), (0, 1))
    monitor.channel, theirs = channel.pair()
    monitor._say(verdict)
    assert monitor.refused is refused
    theirs.close()
    monitor.channel.close()


# --- the gatekeeper's end by itself ------------------------------------------------------------


def in_place(work):
    """`work(ours)` in a process that has a client at 0 and the channel's other end at 1."""

    def done():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client, _ = socket.socketpair()
        ours, theirs, client = (os.dup(sock.fileno()) for sock in (ours, theirs, client))
        os.dup2(client, CLIENT)
        os.dup2(theirs, CHANNEL)
        os.closerange(theirs, theirs + 1)
        return work(socket.socket(fileno=ours))

    return in_a_fork(done)


def next_visit(**values):
    last = SimpleNamespace(in_order=lambda octets: True)
    return lodge.next_visit(Settings(**values), last, Channel(socket.socket(fileno=CHANNEL)))


def test_a_visit_begins_anew():
    def work(ours):
        null = os.open("/dev/null", os.O_RDWR)
        data = parcel.packed([b"30", *parcel.facts(peer(greeted=True))])
        parcel.send(ours, data, (null,))
        told, dialogue = next_visit(login_read_octets=77)
        left = round(dialogue.deadline - time.monotonic())
        return told.address, told.greeted, dialogue.octets_in, dialogue.limit_octets, dialogue.in_fd, left

    assert in_place(work) == repr(("192.0.2.7", True, 0, 77, CLIENT, 30))


def test_who_was_not_in_order_waits_for_nobody():
    last = SimpleNamespace(in_order=lambda octets: False)
    with pytest.raises(EOFError):
        lodge.next_visit(Settings(), last, None)


def test_what_is_out_of_order(tmp_path):
    with (tmp_path / "x").open("w") as file:
        doorstep = Doorstep(Settings(), file.fileno(), file.fileno(), None)
    assert doorstep.in_order(0)
    doorstep.octets_in = 1
    assert not doorstep.in_order(0)
    doorstep.octets_in = 0
    doorstep._end("Hangup")
    assert not doorstep.in_order(0)


def test_one_client_at_a_time():
    """The kernel gives no second descriptor to who has not let go of the first."""

    def work(ours):
        import resource

        null = os.open("/dev/null", os.O_RDWR)
        parcel.send(ours, b"x", (null,))
        parcel.send(ours, b"x", (null,))
        monitor = Channel(socket.socket(fileno=CHANNEL))
        resource.setrlimit(resource.RLIMIT_NOFILE, (2, 2))
        kept = monitor.receive_parcel(100, 1)
        os.close(CLIENT)
        return kept, monitor.receive_parcel(100, 1)

    assert in_place(work) == repr(((b"x", []), (b"x", [CLIENT])))


def test_a_packet_that_is_none():
    """Fuzz: octets and descriptors that no lodge sends end it, or are a visit; it never has two clients."""
    chance = random.Random(7)

    def once(data, count):
        def work(ours):
            null = os.open("/dev/null", os.O_RDWR)
            parcel.send(ours, data, (null,) * count)
            ours.close()
            try:
                next_visit()
            except (EOFError, ValueError) as error:
                return type(error).__name__
            return "visit"

        return in_place(work)

    whole = parcel.packed([b"30", *parcel.facts(peer())])
    assert once(whole, 1) == "'visit'" and once(whole, 0) == "'EOFError'" and once(b"", 0) == "'EOFError'"
    for _ in range(FRAMES // 10):
        cut = bytearray(whole)
        del cut[chance.randrange(len(cut)) :]
        assert once(bytes(cut), chance.randrange(3)) in ("'EOFError'", "'ValueError'", "'Cut'")
