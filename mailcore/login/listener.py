"""LISTENER: holds listening sockets, greets who calls, and is the monitor of all its connections.

Everything a connection will need is imported before the first one comes.  It reads nothing
from any client: a caller waits (waiting.py) until the kernel says that he has spoken, and only then
a gatekeeper is forked for him.  The monitors of all connections are driven here (monitor.py), none of them
is waited for.  Who has logged in gets a session that is free (standby.py), or a new one (innkeeper.py).

What could take long has a process of its own, as a cold start has: a host name that hosts.allow asks
for, a front end that may name its client.  TERM or INT ends it and what it started.  A socket that a
super-server owns is given back after listen_idle_seconds in which nobody called.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import select
from errno import EMFILE, ENFILE
from time import monotonic

from mailcore import log
from mailcore.dialogue import say_at_once, tune
from mailcore.errors import BadSetting, Terminated
from mailcore.login import (
    access,
    certificates,
    desk,
    keykeeper,
    lodge,
    monitor,
    passwords,
    renewal,
    seats,
    sockets,
    standby,
    syscalls,
    tenancy,
    waiting,
)
from mailcore.login.accounts import Peer
from mailcore.settings import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from mailcore.settings import Settings

LAST_SECONDS = 10  # for the sessions to end in order
LOOK_SECONDS = 5
AT_ONCE = 32  # connections accepted before others have their turn
DESCRIPTORS_WAITING, DESCRIPTORS_EACH = 2, 8  # the client and what counts him; a monitor's too
SPARE_DESCRIPTORS = 64


def listen(service: Any, given: Sequence[str], addresses: Sequence[str], sealed: Sequence[str] = ()) -> NoReturn:
    """Listen on each `HOST:PORT` until a signal comes, with the settings `given`; TLS at once on those of `sealed`."""
    clear = [sock for address in addresses for sock in sockets.open_sockets(address)]
    under_tls = [sock for address in sealed for sock in sockets.open_sockets(address)]
    for sock in clear + under_tls:
        host, port = sock.getsockname()[:2]
        print(f"{service.program}: listening on {f'[{host}]' if ':' in host else host}:{port}", flush=True)
    if under_tls:
        ports = {str(sock.getsockname()[1]) for sock in under_tls}
        given = [*given, f"tls_ports={' '.join([*sorted(ports), load(given).tls_ports])}"]
    renewal.start_over(",".join([*addresses, *sealed]), [sock.fileno() for sock in clear + under_tls], given)


def adopt(service: Any, settings: Settings, fds: Sequence[int], given: Sequence[str]) -> int:
    """Serve the listening sockets that a super-server gave us, and give them back when nobody calls."""
    socks = [_socket.socket(fileno=os.dup(fd)) for fd in fds]
    null = os.open("/dev/null", os.O_RDWR)
    for number in {0, 1, *fds}:
        os.dup2(null, number)
    os.close(null)
    if given:  # a command line was read
        renewal.start_over(renewal.LENT, [sock.fileno() for sock in socks], given)
    return Listener(service, settings, socks).run()


def resume(service: Any, words: Sequence[str]) -> int:
    """What `start_over` starts; without sockets it only sees whether it can start."""
    where, fds, given, pids = renewal.understood(words)
    syscalls.name_process(service.program)
    try:
        in_force = load(given)
        access.check(in_force)
    except BadSetting as error:
        log.open_log(service.program)
        log.error(str(error))
        return 2
    socks = [_socket.socket(fileno=fd) for fd in fds]
    for sock in socks:
        os.set_inheritable(sock.fileno(), False)
    listener = Listener(service, in_force, socks, where, given)
    if not socks:
        return listener.try_out()
    listener.apart.update(pids)
    return listener.run()


def preload(service: Any, settings: Settings) -> None:
    """What children of a listener need, so that each finds it made."""
    import mailcore.login.caps
    import mailcore.login.checker
    import mailcore.login.gatekeeper
    import mailcore.login.names
    import mailcore.login.pace
    import mailcore.login.pam
    import mailcore.login.provisions
    import mailcore.login.proxy
    import mailcore.login.shadow
    import mailcore.login.wrappers  # noqa: F401
    from mailcore.login import privileges, sasl, seccomp, sources

    if settings.passwd_file:
        try:
            passwords.preload(settings.passwd_file)
        except passwords.Unusable as error:
            log.error(str(error))
    stranger = Peer("socket")
    sources.survey(settings, stranger, service.name)
    sasl.prepare(stranger)
    seccomp.prepare()
    privileges.prepare(settings)


def preload_logged_in(service: Any) -> None:
    """What sessions need that are no forks of the innkeeper's."""
    import gc

    after_login = getattr(service, "preload", None)
    if after_login is not None:
        after_login()
    gc.freeze()


class Call:
    """A connection that has spoken: its monitor, and what that waits for."""

    __slots__ = ("monitor", "steps", "pause", "fd")

    def __init__(self, whose: monitor.Monitor, fd: int) -> None:
        self.monitor = whose
        self.steps = whose.attend()
        self.pause: monitor.Pause | None = None
        self.fd = fd


class Listener:
    """The loop: accept and greet, fork when somebody speaks, answer the gatekeepers, reap."""

    def __init__(
        self,
        service: Any,
        settings: Settings,
        socks: list[_socket.socket],
        where: str = renewal.LENT,
        given: Sequence[str] = (),
    ) -> None:
        self.service = service
        self.settings = settings
        self.where = where
        self.given = given
        self.socks = {sock.fileno(): sock for sock in socks}
        self.idle_seconds = settings.listen_idle_seconds if where == renewal.LENT else 0  # 0: for ever
        self.room = waiting.WaitingRoom(service, settings)
        self.calls: set[Call] = set()
        self.seats = seats.Seats(self)
        self.desk = desk.Desk(self)
        self.lodge = lodge.Lodge(self)
        self.apart: set[int] = set()  # pids of monitors that have a process each
        self.learned = False  # has imported what its own sessions need
        self.patient: list[waiting.Caller] = []  # who speak, but there are too many
        self.expected: dict[int, Callable[[int], None]] = {}  # what is done when a descriptor has something
        self.accepting = False
        self.ending: Terminated | None = None
        self.renewing = False
        self.trial = 0  # the pid of the new program that is tried out
        self.heir = False  # another one has our sockets: we stay only for those who are here
        self.post = keykeeper.Post(service, settings)
        self.called = monotonic()

    def run(self) -> int:
        """Serve until a signal, or until nobody called for a while."""
        log.open_log(self.service.program)
        self._prepare()
        self.post.rehearse()
        self.pid = os.getpid()
        self.null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self.poll = select.epoll()
        bell = self._hang_bell()
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, renewal.SIGNALS)
        self.expect(bell, select.EPOLLIN, lambda _: bool(os.read(bell, 4096)))
        while self.ending is None and not self._forgotten():
            self._open_or_shut()
            self._round()
            if self.renewing:
                self._renew()
        return self._end()

    def try_out(self) -> int:
        """Is there anything that keeps this program from being the listener?"""
        self._prepare()
        preload_logged_in(self.service)
        return 0

    def _prepare(self) -> None:
        """Import what the children will need, once, and have what they need to look up."""
        import gc
        import resource

        os.umask(0o022)
        preload(self.service, self.settings)
        for sock in self.socks.values():
            sock.setblocking(False)
            tune(sock.fileno())
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        wanted = DESCRIPTORS_WAITING * self.settings.listen_waiting + SPARE_DESCRIPTORS
        wanted += DESCRIPTORS_EACH * self.settings.listen_children
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        gc.freeze()

    def _hang_bell(self) -> int:
        """A descriptor that becomes readable with every signal, so that none comes unseen."""
        bell, rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _signal.set_wakeup_fd(rope, warn_on_full_buffer=False)
        for number in renewal.SIGNALS:
            _signal.signal(number, self._hear_bell)
        return bell

    def _hear_bell(self, number: int, frame: object) -> None:
        if number in (_signal.SIGTERM, _signal.SIGINT):
            self.ending = Terminated("Server shutting down", "Killed (terminated)")
        elif number == _signal.SIGHUP:
            self.renewing = True

    # --- new code and new certificates ---------------------------------------------------------

    def _renew(self) -> None:
        """HUP: see whether the program as it is now would start."""
        self.renewing = False
        if self.trial or self.heir:
            return
        try:
            self.trial = monitor.fork()
        except OSError as error:
            log.error(f"HUP: no process to try the program: {error.strerror}")
            return
        if self.trial == 0:
            try:
                self.leave(())
                renewal.try_out(self.given)
            finally:
                os._exit(1)

    def _judge_trial(self, status: int) -> None:
        """It has started: we are it.  It has not: all stays as it is, but for the certificates."""
        self.trial = 0
        if status == 0:
            return self._replace()
        log.error("HUP: the program does not start with its settings as they are now; the old one goes on")
        self.post.renew()
        return None

    def _replace(self) -> None:
        """Those who are here stay with a fork of what we are; this process, which others know by its number, is new."""
        _signal.pthread_sigmask(_signal.SIG_BLOCK, renewal.SIGNALS)
        if self.ending is not None:  # TERM came while the new one was tried
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, renewal.SIGNALS)
            return
        heir = os.fork()
        if heir:
            renewal.start_over(self.where, [*self.socks], self.given, [heir, *self.apart])
        self.pid, self.heir, self.trial, self.apart = os.getpid(), True, 0, set()
        for sock in self.socks.values():
            if self.accepting:
                self.forget(sock.fileno())
            sock.close()
        self.socks = {}
        self.seats.keep_nobody()
        self.lodge.keep_nobody()
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, renewal.SIGNALS)

    def _served(self) -> int:
        """Connections that have a process."""
        return len(self.calls) + len(self.apart) + self.seats.busy

    def _forgotten(self) -> bool:
        if self.room or self.patient or self._served():
            self.called = monotonic()
        elif self.heir:
            return True
        return bool(self.idle_seconds) and monotonic() - max(self.called, self.seats.used) > self.idle_seconds

    # --- waiting -----------------------------------------------------------------------------

    def expect(self, fd: int, events: int, then: Callable[[int], Any]) -> None:
        self.poll.register(fd, events)
        self.expected[fd] = then

    def forget(self, fd: int) -> None:
        del self.expected[fd]
        self.poll.unregister(fd)

    def _open_or_shut(self) -> None:
        """Accept, or leave them to the backlog while there are too many."""
        wanted = self._served() < self.settings.listen_children
        if wanted != self.accepting:
            self.accepting = wanted
            for fd in self.socks:
                if wanted:
                    self.expect(fd, select.EPOLLIN, self._accept)
                else:
                    self.forget(fd)
        while self.patient and self._served() < self.settings.listen_children:
            self._attend(self.patient.pop(0))

    def _round(self) -> None:
        """Whoever rings; then whoever has waited long enough."""
        ready = [(fd, self.expected[fd]) for fd, _ in self.poll.poll(self._seconds())]
        for fd, then in ready:
            if self.expected.get(fd) is then:  # not one that got the number of another in this round
                then(fd)
        self._reap()
        now = monotonic()
        for call in [call for call in self.calls if call.pause is not None and call.pause.until <= now]:
            self._go_on(call, False)
        for caller in self.room.overdue():
            self.forget(caller.fd)
            self.room.dismiss(caller)
        self.seats.expire()
        self.desk.expire()
        self.post.tidy()
        self.lodge.expire()

    def _seconds(self) -> float:
        """Until something is due."""
        seconds = min(LOOK_SECONDS, self.idle_seconds or LOOK_SECONDS)
        due = [call.pause.until for call in self.calls if call.pause is not None]
        due += [caller.until for caller in self.room.first()]
        due += [until for until, _ in self.seats.due()]
        return max(0.0, min([seconds, *(until - monotonic() for until in due)]))

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.apart.discard(pid)
            self.post.note_end(pid, status)
            self.seats.note_end(pid)
            if pid == self.trial:
                self._judge_trial(status)

    # --- one connection, before it speaks ------------------------------------------------------

    def _accept(self, fd: int) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self.socks[fd]._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (EMFILE, ENFILE):
                    self._make_room()
                return
            self.called = monotonic()
            if len(self.room) >= self.settings.listen_waiting:
                self._make_room()
            self._receive(connection)

    def _make_room(self) -> None:
        """Who has been silent longest goes."""
        for caller in self.room.first():
            self.forget(caller.fd)
            self.room.dismiss(self.room.let_go(caller.fd))

    def _receive(self, connection: int) -> None:
        try:
            peer = access.peer_of(connection)
        except OSError:  # no descriptor left to ask it with
            return os.close(connection)
        if peer.kind != "socket" or access.is_proxy(self.settings, peer) or access.is_trusted(self.settings, peer):
            return self._serve_apart(connection)
        try:
            caller = self.room.receive(connection, peer)
        except access.NameWanted:
            return self._serve_apart(connection)
        except access.TurnedAway as refusal:
            if refusal.text and not certificates.at_once(self.service, self.settings, peer.local_port):
                say_at_once(connection, self.service.sorry(refusal.text))
            return os.close(connection)
        except Exception as error:
            tenancy.sorry(self.service, error, connection)
            return os.close(connection)
        if caller is not None and caller.peer.secure and not self.post.can_be_filled():
            self._attend(self.room.let_go(connection))  # there may be no certificate: that is said at once
        elif caller is not None:
            self.expect(connection, select.EPOLLIN | select.EPOLLRDHUP, self._wake)
        return None

    def _wake(self, fd: int) -> None:
        """A caller speaks, or has hung up."""
        self.forget(fd)
        caller = self.room.let_go(fd)
        if caller.said_nothing():
            self.room.gone(caller)
        elif self._served() >= self.settings.listen_children:
            self.patient.append(caller)
        else:
            self._attend(caller)

    def _serve_apart(self, connection: int) -> None:
        """A monitor with a process of its own, for whom the listener would have to wait; it becomes the session."""
        if not self.learned:
            self.learned = True
            preload_logged_in(self.service)
        try:
            keeper = self.post.holder()  # it cannot be asked for one later
            pid = monitor.fork()
        except OSError as error:
            log.error(f"fork: {error.strerror}")
            return os.close(connection)
        if pid == 0:
            self._serve(connection, keeper)
        self.apart.add(pid)
        return os.close(connection)

    def _serve(self, connection: int, keeper: keykeeper.Keykeeper | None) -> NoReturn:
        """The child: the connection takes the place of stdin and stdout."""
        status = 1
        try:
            os.dup2(connection, 0)
            os.dup2(connection, 1)
            self.leave((keeper.sock.fileno(),) if keeper else ())
            status = monitor.serve(self.service, self.settings, access.peer_of(0), keykeeper=keeper)
        finally:
            os._exit(status)

    def leave(self, keep: tuple[int, ...]) -> None:
        """In a child: nothing of ours but 0, 1 and the descriptors `keep`; nothing of what it writes comes to 2."""
        try:
            _signal.set_wakeup_fd(-1)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            _signal.signal(_signal.SIGINT, _signal.SIG_IGN)  # Ctrl-C is for the listener, which tells us
            log.close_log()
            log.open_log(self.service.program)  # not before the first line is a descriptor taken for it
            os.dup2(self.null, 2)
            syscalls.close_others((0, 1, 2, *keep))
        except BaseException:
            os._exit(1)

    # --- one connection, when it speaks --------------------------------------------------------

    def _attend(self, caller: waiting.Caller) -> None:
        """Begin its monitor."""
        fd = caller.fd
        whose = monitor.Monitor(self.service, self.settings, caller.peer, (fd, fd), house=self)
        whose.slots, whose.received = caller.slots, True
        whose.deadline -= monotonic() - caller.since
        call = Call(whose, fd)
        self.calls.add(call)
        self._go_on(call, None)

    def _go_on(self, call: Call, reply: bool | None, error: Terminated | None = None) -> None:
        """The monitor's next step; it ends with who was let in, or with nobody."""
        if call.pause is not None:
            self.forget(call.pause.fd)
            call.pause = None
        try:
            pause = call.steps.send(reply) if error is None else call.steps.throw(error)
        except StopIteration as end:
            self.calls.discard(call)
            self._after(call, end.value)
        else:
            call.pause = pause
            self.expect(pause.fd, pause.events, lambda _: self._go_on(call, True))
        finally:
            if os.getpid() != self.pid:
                os._exit(1)  # a child that fell through

    def _after(self, call: Call, admitted: monitor.Admitted | None) -> None:
        slots = [slot for slot in call.monitor.slots if slot >= 0]
        if admitted is None:
            for fd in (call.fd, *slots):
                os.close(fd)
        else:
            self.seats.let_in(standby.Visit(call.monitor.peer, *admitted, call.fd, slots))

    # --- the end -----------------------------------------------------------------------------

    def _end(self) -> int:
        """No more connections; those there are end in order, or at least."""
        for sock in self.socks.values():
            if self.accepting:
                self.forget(sock.fileno())
            sock.close()
        keeper = self.post.vacate()  # so it ends when the last monitor has gone
        innkeeper = self.seats.shut()
        self.apart.update(pid for pid in (keeper, innkeeper) if pid and not self.heir)
        self.desk.close()
        self.lodge.keep_nobody()
        if self.ending is not None:
            self._tell_all(self.ending)
        return 0

    def _tell_all(self, ending: Terminated) -> None:
        self.room.callers.update((caller.fd, caller) for caller in self.patient)
        self.room.shut(ending)
        for call in [*self.calls]:
            self._go_on(call, None, Terminated(ending.text, ending.reason))
        for seconds, number in ((LAST_SECONDS, _signal.SIGTERM), (1, _signal.SIGKILL)):
            for pid in self.apart:
                os.kill(pid, number)  # not reaped, so still ours
            self.seats.signal(number)
            until = monotonic() + seconds
            while (self.calls or self.seats or self.apart) and monotonic() < until:
                self._round()
