"""MONITOR: one connection whole, from the greeting to the end of the session.

It forks the GATEKEEPER when the client has spoken and then only answers questions; it never reads from the
client and never has a password in its memory: each question is read by a CHECKER, forked
for it.  After the right password it takes the gatekeeper's entry, becomes the user and is
the SESSION.  Not root, it does the same without the change of user.

`Monitor.attend` is a generator that never blocks: it yields a `Pause`, and whoever drives it waits.
A process for one connection drives one (`serve`); a listener drives those of all its connections,
and the sessions are forks of its own.

This runs as root; DESIGN.md section 1 lists what else does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal costs an enum at start-up
import _socket
import os
import select
from time import monotonic

from mailcore import log
from mailcore.dialogue import READ_OCTETS, say_at_once
from mailcore.errors import Terminated
from mailcore.login import access, accounts, certificates, channel, sources
from mailcore.login.channel import Forged, Verdict
from mailcore.login.tenancy import Tenancy, sorry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from mailcore.login.accounts import Account, Peer
    from mailcore.login.channel import Channel, Entry
    from mailcore.login.keykeeper import Keykeeper
    from mailcore.login.listener import Listener
    from mailcore.login.lodge import Porter
    from mailcore.settings import Settings

    Admitted = tuple[Account, Entry | None]
    Steps = Generator[Any, bool | None, Any]  # yields Pauses

GRACE_SECONDS = 30  # a gatekeeper ends by itself at login_timeout_seconds; so much later it is ended
LOOK_SECONDS = 5  # a signal that came just before a wait is seen so late at worst
CHECK_SECONDS = 120  # PAM may ask another machine; longer is broken
GOODBYE_SECONDS = 2  # for the gatekeeper to tell the client that we end
TROUBLES = 5  # errors of our own before login that are logged
NAME_OCTETS = 64  # UW calls a longer user name an attack
TAG_OCTETS = 64 * 1024


class Trouble(Exception):
    """Our own code failed where the client has been told already; the text is for the log."""


class Pause:
    """What a monitor waits for: `fd` has one of `events` or is hung up (True), or `until` has come (False)."""

    __slots__ = ("fd", "events", "until")

    def __init__(self, fd: int, events: int, until: float) -> None:
        self.fd = fd
        self.events = events
        self.until = until


def serve(
    service: Any,
    settings: Settings,
    peer: Peer,
    in_fd: int = 0,
    out_fd: int = 1,
    keykeeper: Keykeeper | None = None,
) -> int:
    """One client from greeting to goodbye; the exit status."""
    monitor = Monitor(service, settings, peer, (in_fd, out_fd), keykeeper)
    admitted = _alone(monitor.attend())
    if admitted is None:
        return monitor.status
    account, entry = admitted
    return Tenancy(service, settings, account, (in_fd, out_fd)).begin(peer, entry)


def _alone(steps: Steps) -> Admitted | None:
    """Drive the only monitor of this process; a signal that comes while it waits is raised inside it."""
    reply: bool = False
    error: Terminated | None = None
    try:
        while True:
            pause = steps.send(reply or None) if error is None else steps.throw(error)
            reply, error = False, None
            try:
                reply = _wait(pause)
            except Terminated as ending:
                error = ending
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _wait(pause: Pause) -> bool:
    poll = select.poll()
    poll.register(pause.fd, pause.events)
    while True:
        seconds = pause.until - monotonic()
        if poll.poll(int(min(max(seconds, 0), LOOK_SECONDS) * 1000)):
            return True
        if seconds <= 0:
            return False


class Monitor:
    """The time before login, seen from root's side.

    `house` is the listener that this is part of; None: it has the process to itself.
    """

    def __init__(
        self,
        service: Any,
        settings: Settings,
        peer: Peer,
        client_fds: tuple[int, int],
        keykeeper: Keykeeper | None = None,
        house: Listener | None = None,
    ) -> None:
        self.service = service
        self.settings = settings
        self.peer = peer
        self.deadline = monotonic() + settings.login_timeout_seconds + GRACE_SECONDS
        self.failures = 0
        self.troubles = 0
        self.tried = ""  # the last name tried, for the log
        self.pending = ("", b"")  # the challenge that may be answered now: its question, and what it left
        self.voids = 0
        self.trace: str | None = None  # what somebody let in as ANONYMOUS said of himself
        self.admitted: Account | None = None
        self.handed_over = False  # the session begins
        self.client_fds = client_fds
        self.channel: Channel
        self.gatekeeper = 0  # its pid, if we forked it
        self.keykeeper = keykeeper
        self.house = house
        self.status = 0  # of the process, when nobody was let in
        self.slots: list[int] = []  # descriptors that count this connection (caps.py)
        self.sealed = certificates.at_once(service, settings, peer.local_port)  # we speak TLS
        peer.secure = peer.secure or self.sealed
        self.gatekeeper_fd = -1  # its pidfd
        self.received = False  # asked already who may come in
        self.refused = False  # somebody was told no
        self.porter: Porter | None = None  # the gatekeeper, where it may stay (lodge.py)

    # --- the gatekeeper's life -------------------------------------------------------------

    def attend(self) -> Steps:
        """All before the session: who was let in, or None."""
        try:
            admitted = self._preauthenticated()
            if admitted is not None:
                return admitted
            if self.house is None and self._may_wait() and not (yield from self._wait_for_word()):
                return None
            if not self.received:
                self._receive()
            return (yield from self._admit())
        except access.TurnedAway as refusal:
            if refusal.text and not self.sealed:
                say_at_once(self.client_fds[1], self.service.sorry(refusal.text))
        except (Forged, Trouble) as error:
            log.alert(f"{error} host={self.peer.host}")
            self.status = 1
        except Terminated as ending:  # while the gatekeeper was being ended
            if self.handed_over:
                say_at_once(self.client_fds[1], self.service.sorry(ending.text))
        except Exception as error:
            self.status = sorry(self.service, error, self.client_fds[1])
        return None

    def _may_wait(self) -> bool:
        """The first word in clear is the client's, after our greeting."""
        peer = self.peer
        return not self.sealed and not access.is_proxy(self.settings, peer)

    def _wait_for_word(self) -> Steps:
        """Greet; True when the client speaks: who goes without a word costs no gatekeeper."""
        from mailcore.login import waiting

        room = waiting.WaitingRoom(self.service, self.settings)
        caller = room.receive(self.client_fds[0], self.peer, patient=True, out_fd=self.client_fds[1])
        self.received = True
        log.open_log(self.service.program)
        if caller is None:
            return False
        _end_on_signals()
        try:
            spoke = yield Pause(caller.fd, select.POLLIN | select.POLLRDHUP, caller.until)
        except Terminated as ending:
            room.shut(ending)
            return False
        if not spoke:
            room.dismiss(caller)
        elif caller.said_nothing():
            room.gone(caller)
        else:
            self.slots = caller.slots
            return True
        return False

    def _receive(self) -> None:
        self.slots.append(access.receive(self.service, self.settings, self.peer))

    def _preauthenticated(self) -> tuple[Account, None] | None:
        """An ordinary user on his own pipe needs no password; never on a network socket, nor under TLS."""
        peer, settings = self.peer, self.settings
        by_itself = self.service.name == "imap" or (self.service.name == "pop3" and settings.pop3_preauth)
        if not peer.user or self.sealed or settings.passwd_file or not by_itself:
            return None
        log.open_log(self.service.program)
        account = accounts.running()
        log.info(f"Preauthenticated user={log.word(account.name)} host={log.word(peer.host)}")
        return account, None

    def _admit(self) -> Steps:
        """Let strangers talk until one has the right password; None when they leave."""
        alone = self.house is None
        if alone:
            os.umask(0o022)
            _signal.pthread_sigmask(_signal.SIG_BLOCK, _ENDINGS)  # until there is somebody to say goodbye
        complaints = [] if self.received else sources.survey(self.settings, self.peer, self.service.name)
        if self.sealed:
            log.open_log(self.service.program)  # loading a certificate has something to say
            yield from self._post_sealed()
        else:
            self._post_gatekeeper()
        try:
            if alone:
                _end_on_signals()
                log.open_log(self.service.program)
            self._note_arrival(complaints)
            return (yield from self._answer())
        except Terminated as ending:
            yield from self._say_goodbye()
            self._log_end(ending.reason)
            return None
        finally:
            yield from self._dismiss()
            if alone and self.keykeeper is not None:
                self.keykeeper.close()

    def _note_arrival(self, complaints: list[str]) -> None:
        for complaint in complaints:
            log.error(complaint)
        what = f"{self.service.name}{'s SSL' if self.sealed else ''}"
        log.debug(f"{what} service init from {self.peer.address or self.peer.kind}")

    def _fork(self, *keep: int) -> int:
        """fork(2); a child has of the house no more than the descriptors `keep`."""
        pid = fork()
        if pid == 0 and self.house is not None:
            self.house.leave(keep)
        return pid

    def _post_gatekeeper(self) -> None:
        """One that talks in clear: which waits for this client (lodge.py), or a fork."""
        peer = self.peer
        if not peer.greeted:
            peer.starttls = not peer.secure and certificates.offered(self.service, self.settings, peer)
        if self.house is not None:
            self.porter = self.house.lodge.send(peer, self.client_fds[0], self._left())
        if self.porter is not None:
            self.channel, self.gatekeeper_fd = self.porter.channel, self.porter.pidfd
        else:
            self._fork_gatekeeper()

    def _fork_gatekeeper(self) -> None:
        from mailcore.login import gatekeeper

        lodge = self.house.lodge if self.house is not None and self.house.lodge.may_keep(self.peer) else None
        self.channel, theirs = channel.pair()
        me = os.getpid()
        self.gatekeeper = self._fork(*self.client_fds, theirs.fileno())
        if self.gatekeeper == 0:
            if self.house is None:
                self.channel.close()
            keep = gatekeeper.keep if lodge is None else lodge.keep
            keep(self.service, self.settings, self.peer, *self.client_fds, theirs, me, self._left())
        self.gatekeeper_fd = os.pidfd_open(self.gatekeeper)
        theirs.close()
        if lodge is not None:
            self.porter = lodge.engage(self.channel, self.gatekeeper_fd, self.peer)

    def _left(self) -> float:
        """Seconds that a gatekeeper has for all it does."""
        left: float = self.deadline - GRACE_SECONDS - monotonic()
        return max(1.0, left)

    def _post_sealed(self) -> Steps:
        """Fork one that talks TLS, or have the keykeeper do it; the client is its own from now on.

        Our descriptors of the client become the clear end of what it deciphers, for the session.
        """
        if self.settings.tls_client_ca:
            self.peer.sources |= {sources.AUTHORITIES}
        self.channel, theirs = channel.pair()
        clear, far = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM, 0)
        if not self._ask_keykeeper((*self.client_fds, theirs.fileno(), far.fileno()), self._left()):
            self._fork_sealed(theirs, far.fileno(), self._left())
        theirs.close()
        far.close()
        for fd in self.client_fds:
            os.dup2(clear.fileno(), fd, inheritable=self.house is None)
        clear.close()
        if self.gatekeeper == 0:
            from mailcore.login import keykeeper

            if (yield self._pause(keykeeper.START_SECONDS, select.POLLIN)):
                self.gatekeeper_fd = keykeeper.pidfd_of(self.channel)

    def _ask_keykeeper(self, fds: tuple[int, int, int, int], seconds: float) -> bool:
        try:
            keeper = self.keykeeper if self.house is None else self.house.post.holder()
            if keeper is None:
                return False
            keeper.ask(self.peer, seconds, fds)
        except OSError:
            return False  # it could not load the certificate, or is gone: do without
        return True

    def _fork_sealed(self, theirs: Channel, far: int, seconds: float) -> None:
        self.gatekeeper = self._fork(*self.client_fds, theirs.fileno(), far)
        if self.gatekeeper == 0:
            from mailcore.login import sealed  # not before the fork: a session has no OpenSSL in its memory

            sealed.keep(self.service, self.settings, self.peer, (*self.client_fds, far), theirs, seconds)
        self.gatekeeper_fd = os.pidfd_open(self.gatekeeper)

    def _start_tls(self) -> Steps:
        """STARTTLS: all that was said in clear dies with the gatekeeper that heard it."""
        self.channel.receive(channel.STARTTLS, 0)
        yield from self._dismiss()
        self.sealed = self.peer.secure = self.peer.greeted = True
        self.peer.starttls = False
        self.pending = ("", b"")
        if self.house is None:
            _end_on_signals()
        yield from self._post_sealed()

    def _dismiss(self) -> Steps:
        """The gatekeeper has said all it may say: it ends now, whatever it is doing.

        One that speaks TLS stays for the session, if there is one; one in clear perhaps for another client.
        """
        if self.house is None:
            _mind_no_signals()
        elif self._in_order() and self.porter is not None and self.house.lodge.take_in(self.porter):
            return
        if not (self.sealed and self.handed_over) and self.gatekeeper_fd >= 0:
            self._signal(_signal.SIGKILL)
            yield Pause(self.gatekeeper_fd, select.POLLIN, monotonic() + CHECK_SECONDS)
            if self.gatekeeper and self.house is None:
                os.waitpid(self.gatekeeper, 0)
        self.gatekeeper = 0
        if self.gatekeeper_fd >= 0:
            os.close(self.gatekeeper_fd)
            self.gatekeeper_fd = -1
        self.channel.close()

    def _in_order(self) -> bool:
        """Somebody was let in, and nothing was odd before."""
        odd = self.refused or self.troubles or self.trace is not None or self.sealed or self.peer.via
        return self.handed_over and not odd

    def _signal(self, number: int) -> None:
        """Send the gatekeeper a signal."""
        if self.gatekeeper_fd >= 0:
            send_signal(self.gatekeeper_fd, number)

    def _say_goodbye(self) -> Steps:
        """Let the gatekeeper tell the client that it is over, whether or not it waits for an answer of ours."""
        self._signal(_signal.SIGTERM)
        try:
            self.channel.answer(Verdict(False, code="UNAVAILABLE", text="Server shutting down"))
        except OSError:
            pass  # it has gone
        yield self._pause(GOODBYE_SECONDS)

    def _pause(self, seconds: float, events: int = 0) -> Pause:
        """Wait so long for the gatekeeper to hang up, or to speak."""
        return Pause(self.channel.fileno(), events, monotonic() + seconds)

    def _log_end(self, reason: str) -> None:
        log.info(f"{log.clean(reason)} user={log.word(self.tried) or '???'} host={log.word(self.peer.host)}")

    # --- questions -------------------------------------------------------------------------

    def _answer(self) -> Steps:
        """One frame after the other until the gatekeeper hands over or says farewell."""
        while True:
            kind = yield from self._next()
            if kind == channel.HAND_OVER and self.admitted is not None:
                return (yield from self._take_over(self.admitted))
            if kind in channel.KINDS and self.admitted is None:
                yield from self._take_question(channel.KINDS[kind])
            elif kind == channel.STARTTLS and self.admitted is None and self.peer.starttls:
                yield from self._start_tls()
            elif kind == channel.FAREWELL:
                reason = self.channel.receive(channel.FAREWELL, 1)[0].decode("ascii", "replace")
                if reason:
                    self._log_end(reason)
                return None
            elif kind == channel.TROUBLE:
                self._note_trouble(*self.channel.receive(channel.TROUBLE, 2))
            else:
                raise Forged("gatekeeper: not a frame that may come now")

    def _believe(self) -> None:
        """A front end names its client, who must be as welcome as if he had come himself."""
        access.believe(self.settings, self.peer, self.channel.receive(channel.QUESTIONS["forwarded"].octet, 5))
        self._receive()
        self._say(Verdict(True))

    def _take_question(self, kind: str) -> Steps:
        """One question, if it may come now; any question makes an end of the challenge before it."""
        about = channel.QUESTIONS[kind]
        (before, kept), self.pending = self.pending, ("", b"")
        self.trace = None
        if about.needs and about.needs not in self.peer.sources or about.after and about.after != before:
            raise Forged(f"gatekeeper: {kind} may not be asked now")
        if kind == "void":
            self._note_void()
        elif kind == "forwarded":
            self._believe()
        elif about.challenge:
            yield from self._challenge(kind)
        else:
            yield from self._judge(kind, kept)
        if sources.CHANGE in self.peer.sources:
            self.admitted = None  # poppassd: whatever was proved or changed, nobody comes in

    def _note_trouble(self, name: bytes, text: bytes) -> None:
        """Our own code failed in the gatekeeper; a few such lines are enough."""
        self.troubles += 1
        log.error(f"gatekeeper [{log.clean(name)}] {_printable(text)}")
        if self.troubles >= TROUBLES:
            raise Trouble("gatekeeper is broken")

    def _next(self) -> Steps:
        """The kind of the next frame."""
        if not (yield Pause(self.channel.fileno(), select.POLLIN, self.deadline)):
            raise Trouble("gatekeeper did not end in time")
        kind = self.channel.peek()
        if not kind:
            raise Trouble("gatekeeper died")
        return kind

    def _take_over(self, account: Account) -> Steps:
        limits = (TAG_OCTETS, channel.STATE_OCTETS, self.settings.login_read_octets + READ_OCTETS)
        try:
            bundle = self.channel.take_over(account, limits)
            while not bundle.whole:
                if not (yield Pause(self.channel.fileno(), select.POLLIN, self.deadline)):
                    raise Trouble("gatekeeper did not end in time")
                bundle.take(self.channel)
        except EOFError:
            raise Trouble("gatekeeper died") from None
        entry = bundle.entry()
        self.handed_over = True
        user, host = log.word(account.name), log.word(self.peer.host)
        if self.trace is not None:
            entry.method = "ANONYMOUS"  # whatever the gatekeeper says: the session is a lesser one
            log.info(f"Authenticated anonymous={log.word(self.trace)} host={host}")
        elif entry.method == "LOGIN":
            log.info(f"Login user={user} host={host}")
        else:
            log.info(f"Authenticated user={user} host={host} mech={log.word(entry.method)}")
        return account, entry

    def _judge(self, kind: str, kept: bytes) -> Steps:
        """Answer one question: right at once, wrong after the same time whatever was wrong."""
        asked = monotonic()
        refusal = self._refusal(kind)
        if channel.QUESTIONS[kind].checked:
            self.tried, verdict, _ = yield from self._ask_checker(kind, kept, bool(refusal))
        else:
            find_out = {"external": self._recognise, "anonymous": self._let_anybody_in}[kind]
            self.tried, verdict = find_out(bool(refusal))
        if refusal or not verdict.right:
            verdict.right, verdict.account, verdict.data = False, None, b""
            self._log_refusal(refusal or "failed", verdict.override)
            if refusal == "excessive login failures":
                verdict = Verdict(False, code="LIMIT", text="Too many login failures")
            self.failures += 1
            if not (yield from self._delay(asked)):
                return
        elif verdict.account is not None:
            verdict = self._count_in(verdict)
        self.admitted = verdict.account
        if verdict.override and verdict.account is not None:
            log.refused(f"Admin {log.word(verdict.override)} override of user={log.word(verdict.account.name)} "
                        f"host={log.word(self.peer.host)}")  # fmt: skip
        self._say(verdict)

    def _challenge(self, kind: str) -> Steps:
        """Give the client something to prove, once; who never does has tried nothing."""
        if kind == "stamp":
            from mailcore.login import digests

            self.channel.receive(channel.QUESTIONS[kind].octet, 0)
            kept = digests.stamp(self.settings.host_name or os.uname().nodename)
            verdict = Verdict(False, data=kept)
        else:
            self.tried, verdict, kept = yield from self._ask_checker(kind, b"", False)
        self.pending = (kind, kept) if verdict.data else ("", b"")
        self._say(verdict)

    def _note_void(self) -> None:
        """A try that came to no question: fail2ban sees it, but no password was tried."""
        user, why = self.channel.receive(channel.QUESTIONS["void"].octet, 2)
        self.voids += 1
        if self.voids > self.settings.login_commands or why not in channel.VOIDS:
            raise Forged("gatekeeper: more than it may say")
        name = log.word(user.decode("utf-8", "surrogateescape")) or "???"
        log.refused(f"Login {why.decode()} user={name} auth={name} host={log.word(self.peer.host)}")
        self._say(Verdict(False))

    def _say(self, verdict: Verdict) -> None:
        self.refused = self.refused or not (verdict.right or verdict.data)
        try:
            self.channel.answer(verdict)
        except OSError:
            raise Trouble("gatekeeper died") from None

    def _count_in(self, verdict: Verdict) -> Verdict:
        """The right password is not enough for a user who has too many sessions, or comes too often."""
        user = verdict.account.name if verdict.account else ""
        crowd = access.crowd(self.service, self.settings, user)
        if isinstance(crowd, int):
            self.slots.append(crowd)
            return verdict
        log.info(f"{crowd.text} user={log.word(user)} host={log.word(self.peer.host)}")
        return crowd

    def _refusal(self, kind: str) -> str:
        """Why no password would be right now, in UW's words for the log; "" if one would."""
        if self.failures >= self.settings.login_tries:
            return "excessive login failures"
        if kind in ("password", "change") and not access.plaintext_allowed(self.settings, self.peer):
            return "disabled"
        return ""

    def _log_refusal(self, reason: str, override: str) -> None:
        """auth.notice in the two shapes that fail2ban's uwimap-auth filter reads."""
        user, star, auth = self.tried.partition("*")
        user, auth, host = log.word(user), log.word(auth if star else user), log.word(self.peer.host)
        if len(self.tried.encode("utf-8", "surrogateescape")) > NAME_OCTETS:
            reason = "SYSTEM BREAK-IN ATTEMPT"
            self.failures = self.settings.login_tries
        if override and reason == "failed":
            log.refused(f"Failed {log.word(override)} override of user={user} host={host}")
        else:
            log.refused(f"Login {reason} user={user} auth={auth} host={host}")

    def _delay(self, asked: float) -> Steps:
        """Wait until login_delay_seconds (or a multiple, if it took longer) after the question.

        Longer for an address from which many wrong passwords come (pace.py).
        False when the gatekeeper is gone meanwhile.
        """
        from mailcore.login import pace

        delay = self.settings.login_delay_seconds + pace.penalty(self.settings, self.peer)
        return not (delay and (yield self._pause(delay - (monotonic() - asked) % delay)))

    # --- finding out -------------------------------------------------------------------------

    def _recognise(self, only_refuse: bool) -> tuple[str, Verdict]:
        """EXTERNAL: the running user, under his own name or none."""
        acting = self.channel.receive(channel.EXTERNAL, 1)[0].decode("utf-8", "surrogateescape")
        right = bool(self.peer.user) and not self.settings.passwd_file and acting in ("", self.peer.user)
        return acting or self.peer.user, Verdict(right, accounts.running() if right else None)

    def _let_anybody_in(self, only_refuse: bool) -> tuple[str, Verdict]:
        """ANONYMOUS (RFC 4505): as the user that the settings name; what he says of himself is for the log."""
        trace = self.channel.receive(channel.QUESTIONS["anonymous"].octet, 1)[0]
        account = accounts.named(self.settings.anonymous_user)
        right = account is not None and account.uid > 0 and (os.geteuid() == 0 or account.uid == os.geteuid())
        if right and not only_refuse:
            self.trace = trace.decode("utf-8", "surrogateescape")
        return "ANONYMOUS", Verdict(right, account if right else None)

    def _ask_checker(self, kind: str, kept: bytes, only_refuse: bool) -> Steps:
        """Have a checker take the question from the channel, and read its report."""
        reader, writer = channel.pair()
        told = None
        desk = self.house.desk if self.house is not None else None
        if desk is None or not desk.ask(kind, kept, only_refuse, self.peer, (self.channel.fileno(), writer.fileno())):
            desk = None
            pid, pidfd = self._fork_checker(kind, kept, only_refuse, writer)
        writer.close()
        try:
            yield Pause(reader.fileno(), select.POLLIN, monotonic() + CHECK_SECONDS)
            told = self._report(reader)
        finally:
            reader.close()
            if desk is not None:
                desk.release(told is not None)
            else:
                self._end_checker(pid, pidfd)
        return told or self._unanswered(kind)

    def _fork_checker(self, kind: str, kept: bytes, only_refuse: bool, writer: Channel) -> tuple[int, int]:
        """One for this question: its pid and its pidfd."""
        from mailcore.login import checker, privileges

        privileges.keep_secrets()  # the checker inherits it, and a fault here shows no more than one there
        pid = self._fork(*self.client_fds, self.channel.fileno(), writer.fileno())
        if pid == 0:
            checker.run(
                self.service, self.settings, self.peer, self.channel, writer, self.client_fds, only_refuse, kind, kept
            )
        return pid, os.pidfd_open(pid)

    def _end_checker(self, pid: int, pidfd: int) -> None:
        """It has reported, or is late."""
        send_signal(pidfd, _signal.SIGKILL)
        os.close(pidfd)
        if self.house is None:
            os.waitpid(pid, 0)

    def _report(self, reader: Channel) -> tuple[str, Verdict, bytes] | None:
        """What the checker says; None for silence and for nonsense."""
        if reader.has_spoken():
            try:
                return reader.read_report()
            except (EOFError, Forged, ValueError):
                pass
        return None

    def _unanswered(self, kind: str) -> tuple[str, Verdict, bytes]:
        """The question is over; where the checker did not come to take it, nobody shall take it for the next one."""
        log.error("checker: no answer")
        if self.channel.has_spoken() and self.channel.peek() == channel.QUESTIONS[kind].octet:
            self.channel.discard()
        return self.tried, Verdict(False, code="UNAVAILABLE", text="Temporary authentication failure"), b""


def _printable(text: bytes) -> str:
    """What the gatekeeper says of its own trouble: longer than a field, but as clean."""
    return "".join(chr(octet) if 0x20 <= octet < 0x7F else "?" for octet in text)


# --- signals ---------------------------------------------------------------------------

_ENDINGS = (_signal.SIGTERM, _signal.SIGHUP)


def fork() -> int:
    """fork(2); a signal finds the parent with its handlers, or the child with none."""
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _ENDINGS)
    pid = os.fork()
    if pid == 0:
        _mind_no_signals()
        before = before.difference(_ENDINGS)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
    return pid


def send_signal(pidfd: int, number: int) -> None:
    try:
        _signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass  # it has ended, and a listener has reaped it


def _end_on_signals() -> None:
    """TERM and HUP raise Terminated, once."""
    for number in _ENDINGS:
        _signal.signal(number, _end)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _ENDINGS)


def _end(number: int, frame: object) -> None:
    _mind_no_signals()
    raise Terminated("Server shutting down", "Killed (terminated)" if number == _signal.SIGTERM else "Hangup")


def _mind_no_signals() -> None:
    """TERM and HUP do what they do to any program."""
    for number in _ENDINGS:
        _signal.signal(number, _signal.SIG_DFL)
