"""MONITOR: one connection whole, from the greeting to the end of the session.

It forks the GATEKEEPER at once and then only answers questions; it never reads from the
client and never has a password in its memory: each question is read by a CHECKER, forked
for it.  After the right password it takes the gatekeeper's entry, becomes the user and is
the SESSION.  Not root, it does the same without the change of user.

The monitor is what is left of root: everything here and in channel.py, checker.py,
privileges.py, pam.py and passwords.py runs as root, nothing else does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal costs an enum at start-up
import _socket
import os
import select
from time import monotonic

from mailcore import log
from mailcore.dialogue import READ_OCTETS, Dialogue
from mailcore.errors import Ending, Hangup, Terminated
from mailcore.login import access, accounts, certificates, channel, sources
from mailcore.login.channel import Entry, Forged, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mailcore.login.accounts import Account, Peer
    from mailcore.login.channel import Channel
    from mailcore.login.keykeeper import Keykeeper
    from mailcore.settings import Settings

GRACE_SECONDS = 30  # a gatekeeper ends by itself at login_timeout_seconds; so much later it is ended
LOOK_SECONDS = 5  # a signal that came just before a wait is seen so late at worst
CHECK_SECONDS = 120  # PAM may ask another machine; longer is broken
GOODBYE_SECONDS = 2  # for the gatekeeper to tell the client that we end
TROUBLES = 5  # errors of our own before login that are logged
NAME_OCTETS = 64  # UW calls a longer user name an attack
TAG_OCTETS = 64 * 1024


class Trouble(Exception):
    """Our own code failed where the client has been told already; the text is for the log."""


def serve(
    service: Any,
    settings: Settings,
    peer: Peer,
    in_fd: int = 0,
    out_fd: int = 1,
    keykeeper: Keykeeper | None = None,
) -> int:
    """One client from greeting to goodbye; the exit status."""
    monitor = Monitor(service, settings, peer, keykeeper)
    try:
        access.receive(service, settings, peer)
        admitted = monitor.preauthenticated() or monitor.admit(in_fd, out_fd)
        if admitted is None:
            return 0
        account, entry = admitted
        _change_to(account, settings)
    except access.TurnedAway as refusal:
        return _turn_away(service, "" if monitor.sealed else refusal.text, in_fd, out_fd)
    except (Forged, Trouble) as error:
        log.alert(f"{error} host={peer.host}")
        return 1
    except Exception as error:
        return _sorry(service, error, in_fd, out_fd)
    try:
        return _session(service, settings, peer, account, entry, in_fd, out_fd)
    except Exception as error:
        return _sorry(service, error, in_fd, out_fd)


def _turn_away(service: Any, text: str, in_fd: int, out_fd: int) -> int:
    """No greeting; the log has the reason already."""
    try:
        if text:
            dialogue = Dialogue(in_fd, out_fd)
            dialogue.say(service.sorry(text))
            dialogue.finish()
    except OSError:
        pass
    return 0


def _change_to(account: Account, settings: Settings) -> None:
    """Make what only root can make, then be the user."""
    from mailcore.login import privileges

    if os.geteuid() == 0:
        from mailcore.login import provisions

        provisions.provide(settings, account)
    privileges.become(account)


def _session(
    service: Any, settings: Settings, peer: Peer, account: Account, entry: Entry | None, in_fd: int, out_fd: int
) -> int:
    """The conversation after login, as the user; it tells why it ended, or logs that itself (None).

    It asks one question, to be fenced in: when its greeting is out, and before it looks at mail or
    at what the client says next.
    """
    from mailcore.login import privileges

    dialogue = Dialogue(in_fd, out_fd)
    dialogue.obey_signals()
    dialogue.wake_for_signals()
    try:
        reason = dialogue.converse(
            service.session(settings, peer, account, entry), lambda territory: privileges.fence(settings, territory)
        )
    except Ending as ending:
        reason = ending.reason
        if ending.text and not isinstance(ending, Hangup):
            dialogue.say(service.sorry(ending.text))
            dialogue.finish()
    except Exception:
        dialogue.finish()
        raise
    if reason:
        log.info(f"{log.clean(str(reason))} user={_word(account.name)} host={_word(peer.host)}")
    return 0


def _sorry(service: Any, error: Exception, in_fd: int, out_fd: int) -> int:
    """Our own failure: a traceback for the log, its id for the client."""
    log.open_log(service.program)
    name = log.tracebacks(error)
    try:
        dialogue = Dialogue(in_fd, out_fd)
        dialogue.say(service.sorry(f"Internal error [{name}]"))
        dialogue.finish()
    except OSError:
        pass
    return 1


def _word(value: str) -> str:
    """One field of a log line: no blanks either, so that fail2ban finds its end."""
    return log.clean(value).replace(" ", "\\x20")


class Monitor:
    """The time before login, seen from root's side."""

    def __init__(self, service: Any, settings: Settings, peer: Peer, keykeeper: Keykeeper | None = None) -> None:
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
        self.client_fds = (0, 1)
        self.channel: Channel
        self.gatekeeper = 0  # its pid
        self.keykeeper = keykeeper
        self.sealed = certificates.at_once(service, settings, peer.local_port)  # we speak TLS
        peer.secure = peer.secure or self.sealed
        self.gatekeeper_fd = -1  # the pidfd of one that the keykeeper forked

    # --- the gatekeeper's life -------------------------------------------------------------

    def preauthenticated(self) -> tuple[Account, None] | None:
        """An ordinary user on his own pipe needs no password; never on a network socket, nor under TLS."""
        peer, settings = self.peer, self.settings
        by_itself = self.service.name == "imap" or (self.service.name == "pop3" and settings.pop3_preauth)
        if not peer.user or self.sealed or settings.passwd_file or not by_itself:
            return None
        log.open_log(self.service.program)
        account = accounts.running()
        log.info(f"Preauthenticated user={_word(account.name)} host={_word(peer.host)}")
        return account, None

    def admit(self, in_fd: int, out_fd: int) -> tuple[Account, Entry] | None:
        """Let strangers talk until one has the right password; None when they leave."""
        self.client_fds = (in_fd, out_fd)
        os.umask(0o022)
        _signal.pthread_sigmask(_signal.SIG_BLOCK, _ENDINGS)  # until there is somebody to say goodbye
        complaints = sources.survey(self.settings, self.peer, self.service.name)
        if self.sealed:
            log.open_log(self.service.program)  # loading a certificate has something to say
            self._post_sealed()
        else:
            self._post_gatekeeper()
        try:
            _end_on_signals()
            log.open_log(self.service.program)
            for complaint in complaints:
                log.error(complaint)
            what = f"{self.service.name}{'s SSL' if self.sealed else ''}"
            log.debug(f"{what} service init from {self.peer.address or self.peer.kind}")
            return self._answer()
        except Terminated as ending:
            self._say_goodbye()
            self._log_end(ending.reason)
            return None
        finally:
            self._dismiss()
            if self.keykeeper is not None:
                self.keykeeper.close()

    def _post_gatekeeper(self) -> None:
        """Fork one that talks in clear."""
        from mailcore.login import gatekeeper

        peer = self.peer
        peer.starttls = not peer.secure and certificates.offered(self.service, self.settings, peer)
        self.channel, theirs = channel.pair()
        me = os.getpid()
        self.gatekeeper = fork()
        if self.gatekeeper == 0:
            self.channel.close()
            gatekeeper.keep(self.service, self.settings, peer, *self.client_fds, theirs, me)
        theirs.close()

    def _post_sealed(self) -> None:
        """Fork one that talks TLS, or have the keykeeper do it; the client is its own from now on.

        Our descriptors of the client become the clear end of what it deciphers, for the session.
        """
        if self.settings.tls_client_ca:
            self.peer.sources |= {sources.AUTHORITIES}
        self.channel, theirs = channel.pair()
        clear, far = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM, 0)
        seconds = max(1.0, self.deadline - GRACE_SECONDS - monotonic())
        if not self._ask_keykeeper((*self.client_fds, theirs.fileno(), far.fileno()), seconds):
            self._fork_sealed(theirs, far.fileno(), seconds)
        theirs.close()
        far.close()
        for fd in self.client_fds:
            os.dup2(clear.fileno(), fd)
        clear.close()
        if self.gatekeeper == 0:
            from mailcore.login import keykeeper

            self.gatekeeper_fd = keykeeper.pidfd_of(self.channel)

    def _ask_keykeeper(self, fds: tuple[int, int, int, int], seconds: float) -> bool:
        if self.keykeeper is None:
            return False
        try:
            self.keykeeper.ask(self.peer, seconds, fds)
        except OSError:
            return False  # it could not load the certificate, or is gone: do without
        return True

    def _fork_sealed(self, theirs: Channel, far: int, seconds: float) -> None:
        self.gatekeeper = fork()
        if self.gatekeeper == 0:
            from mailcore.login import sealed  # not before the fork: a session has no OpenSSL in its memory

            sealed.keep(self.service, self.settings, self.peer, (*self.client_fds, far), theirs, seconds)

    def _start_tls(self) -> None:
        """STARTTLS: all that was said in clear dies with the gatekeeper that heard it."""
        self.channel.receive(channel.STARTTLS, 0)
        self._dismiss()
        self.sealed = self.peer.secure = self.peer.greeted = True
        self.peer.starttls = False
        self.pending = ("", b"")
        _end_on_signals()
        self._post_sealed()

    def _dismiss(self) -> None:
        """The gatekeeper has said all it may say: it ends now, whatever it is doing.

        One that speaks TLS stays for the session, if there is one.
        """
        _mind_no_signals()
        if not (self.sealed and self.handed_over):
            self._signal(_signal.SIGKILL)
            if self.gatekeeper:
                os.waitpid(self.gatekeeper, 0)
        self.gatekeeper = 0
        if self.gatekeeper_fd >= 0:
            os.close(self.gatekeeper_fd)
            self.gatekeeper_fd = -1
        self.channel.close()

    def _signal(self, number: int) -> None:
        """Send the gatekeeper a signal."""
        if self.gatekeeper:
            os.kill(self.gatekeeper, number)
        elif self.gatekeeper_fd >= 0:
            try:
                _signal.pidfd_send_signal(self.gatekeeper_fd, number)
            except ProcessLookupError:
                pass

    def _say_goodbye(self) -> None:
        """Let the gatekeeper tell the client that it is over."""
        self._signal(_signal.SIGTERM)
        self._hung_up(GOODBYE_SECONDS)

    def _hung_up(self, seconds: float) -> bool:
        """The gatekeeper is gone before `seconds` are over."""
        poll = select.poll()
        poll.register(self.channel.fileno(), 0)
        return bool(poll.poll(int(seconds * 1000)))

    def _log_end(self, reason: str) -> None:
        log.info(f"{log.clean(reason)} user={_word(self.tried) or '???'} host={_word(self.peer.host)}")

    # --- questions -------------------------------------------------------------------------

    def _answer(self) -> tuple[Account, Entry] | None:
        """One frame after the other until the gatekeeper hands over or says farewell."""
        while True:
            kind = self._next()
            if kind == channel.HAND_OVER and self.admitted is not None:
                return self._take_over(self.admitted)
            if kind in channel.KINDS and self.admitted is None:
                self._take_question(channel.KINDS[kind])
            elif kind == channel.STARTTLS and self.admitted is None and self.peer.starttls:
                self._start_tls()
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
        access.receive(self.service, self.settings, self.peer)
        self._say(Verdict(True))

    def _take_question(self, kind: str) -> None:
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
            self._challenge(kind)
        elif about.checked:
            self._judge(kind, lambda refuse: self._ask_checker(kind, kept, refuse)[:2])
        else:
            self._judge(kind, {"external": self._recognise, "anonymous": self._let_anybody_in}[kind])
        if sources.CHANGE in self.peer.sources:
            self.admitted = None  # poppassd: whatever was proved or changed, nobody comes in

    def _note_trouble(self, name: bytes, text: bytes) -> None:
        """Our own code failed in the gatekeeper; a few such lines are enough."""
        self.troubles += 1
        log.error(f"gatekeeper [{log.clean(name)}] {_printable(text)}")
        if self.troubles >= TROUBLES:
            raise Trouble("gatekeeper is broken")

    def _next(self) -> bytes:
        """The kind of the next frame."""
        poll = select.poll()
        poll.register(self.channel.fileno(), select.POLLIN)
        ready: list[tuple[int, int]] = []
        while not ready:
            if monotonic() > self.deadline:
                raise Trouble("gatekeeper did not end in time")
            ready = poll.poll(LOOK_SECONDS * 1000)
        kind = self.channel.peek()
        if not kind:
            raise Trouble("gatekeeper died")
        return kind

    def _take_over(self, account: Account) -> tuple[Account, Entry]:
        limits = (TAG_OCTETS, channel.STATE_OCTETS, self.settings.login_read_octets + READ_OCTETS)
        try:
            entry = self.channel.take_over(account, limits)
        except EOFError:
            raise Trouble("gatekeeper died") from None
        self.handed_over = True
        user, host = _word(account.name), _word(self.peer.host)
        if self.trace is not None:
            entry.method = "ANONYMOUS"  # whatever the gatekeeper says: the session is a lesser one
            log.info(f"Authenticated anonymous={_word(self.trace)} host={host}")
        elif entry.method == "LOGIN":
            log.info(f"Login user={user} host={host}")
        else:
            log.info(f"Authenticated user={user} host={host} mech={_word(entry.method)}")
        return account, entry

    def _judge(self, kind: str, find_out: Any) -> None:
        """Answer one question: right at once, wrong after the same time whatever was wrong."""
        asked = monotonic()
        refusal = self._refusal(kind)
        self.tried, verdict = find_out(bool(refusal))
        if refusal or not verdict.right:
            verdict.right, verdict.account, verdict.data = False, None, b""
            self._log_refusal(refusal or "failed", verdict.override)
            if refusal == "excessive login failures":
                verdict = Verdict(False, code="LIMIT", text="Too many login failures")
            self.failures += 1
            if not self._delay(asked):
                return
        elif verdict.account is not None:
            verdict = self._count_in(verdict)
        self.admitted = verdict.account
        if verdict.override and verdict.account is not None:
            log.refused(f"Admin {_word(verdict.override)} override of user={_word(verdict.account.name)} "
                        f"host={_word(self.peer.host)}")  # fmt: skip
        self._say(verdict)

    def _challenge(self, kind: str) -> None:
        """Give the client something to prove, once; who never does has tried nothing."""
        if kind == "stamp":
            from mailcore.login import digests

            self.channel.receive(channel.QUESTIONS[kind].octet, 0)
            kept = digests.stamp(self.settings.host_name or os.uname().nodename)
            verdict = Verdict(False, data=kept)
        else:
            self.tried, verdict, kept = self._ask_checker(kind, b"", False)
        self.pending = (kind, kept) if verdict.data else ("", b"")
        self._say(verdict)

    def _note_void(self) -> None:
        """A try that came to no question: fail2ban sees it, but no password was tried."""
        user, why = self.channel.receive(channel.QUESTIONS["void"].octet, 2)
        self.voids += 1
        if self.voids > self.settings.login_commands or why not in channel.VOIDS:
            raise Forged("gatekeeper: more than it may say")
        name = _word(user.decode("utf-8", "surrogateescape")) or "???"
        log.refused(f"Login {why.decode()} user={name} auth={name} host={_word(self.peer.host)}")
        self._say(Verdict(False))

    def _say(self, verdict: Verdict) -> None:
        try:
            self.channel.answer(verdict)
        except OSError:
            raise Trouble("gatekeeper died") from None

    def _count_in(self, verdict: Verdict) -> Verdict:
        """The right password is not enough for a user who has too many sessions, or comes too often."""
        user = verdict.account.name if verdict.account else ""
        crowd = access.crowd(self.service, self.settings, user)
        if crowd is None:
            return verdict
        log.info(f"{crowd.text} user={_word(user)} host={_word(self.peer.host)}")
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
        user, auth, host = _word(user), _word(auth if star else user), _word(self.peer.host)
        if len(self.tried.encode("utf-8", "surrogateescape")) > NAME_OCTETS:
            reason = "SYSTEM BREAK-IN ATTEMPT"
            self.failures = self.settings.login_tries
        if override and reason == "failed":
            log.refused(f"Failed {_word(override)} override of user={user} host={host}")
        else:
            log.refused(f"Login {reason} user={user} auth={auth} host={host}")

    def _delay(self, asked: float) -> bool:
        """Wait until login_delay_seconds (or a multiple, if it took longer) after the question.

        Longer for an address from which many wrong passwords come (pace.py).
        False when the gatekeeper is gone meanwhile.
        """
        from mailcore.login import pace

        delay = self.settings.login_delay_seconds + pace.penalty(self.settings, self.peer)
        return not (delay and self._hung_up(delay - (monotonic() - asked) % delay))

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

    def _ask_checker(self, kind: str, kept: bytes, only_refuse: bool) -> tuple[str, Verdict, bytes]:
        """Fork a checker, which takes the question from the channel, and read its report."""
        from mailcore.login import checker, privileges

        privileges.keep_secrets()  # the checker inherits it, and a fault here shows no more than one there
        reader, writer = channel.pair()
        pid = fork()
        if pid == 0:
            checker.run(
                self.service, self.settings, self.peer, self.channel, writer, self.client_fds, only_refuse, kind, kept
            )
        writer.close()
        try:
            return self._report(reader)
        finally:
            reader.close()
            os.kill(pid, _signal.SIGKILL)
            os.waitpid(pid, 0)

    def _report(self, reader: Channel) -> tuple[str, Verdict, bytes]:
        poll = select.poll()
        poll.register(reader.fileno(), select.POLLIN)
        try:
            if poll.poll(CHECK_SECONDS * 1000):
                return reader.read_report()
        except EOFError:
            pass
        log.error("checker: no answer")
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
