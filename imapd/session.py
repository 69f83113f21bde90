"""One IMAP connection: the loop that cuts commands, asks the state's table, and says answers.

What lives here: the state of a session, the loop, and the two conversations (before and
after login) that mailcore.login starts.  What does not: reading (intake.py), grammar
(syntax.py), bytes (responses.py), and the commands, which live in their state's file:

    command = State("...")          a table for each state, called to decorate a handler
    anytime.command < unauthenticated.command, authenticated.command < selected.command
    selected.uid_command            what may stand behind UID

A handler is `def status(session, args)`: it takes its arguments by args' grammar methods and
yields what it has to say (responses.ANSWERS).  A `Continue` brings it the client's next
line; a `Wait` or a question for the monitor goes to whoever drives the conversation, and
the reply comes back.  It may return a `Done` to choose the text and code of the tagged OK; it may be no generator
at all.  It raises Mistake (BAD), Refusal or another MailError (NO).  Its traits:

    numbers     it means messages by sequence number: no EXPUNGE while it runs (RFC 3501 §7.4.1)
    writes      it needs a mailbox that is selected read-write
    literal     its last literal is a message and may be large (see intake.PRELUDE)
    trycreate   a mailbox that is missing is the target: NO [TRYCREATE]
    silent      no news before its tagged answer (the session or the mailbox ends with it)
"""

from __future__ import annotations

import os
import time

from imapd import alerts, intake, unauthenticated
from imapd.extensions import capabilities
from imapd.responses import ANSWERS, Continue, Done, Status, encode, judged
from mailcore import VERSION, log
from mailcore.commands import State
from mailcore.errors import Broken, Ending, Goodbye, Hangup, MailError, Mistake, ReadOnly, Refusal, Silence
from mailcore.login.channel import Entry, StartTLS
from mailcore.wire import Aside, Wait, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from imapd.deflate import Squeeze
    from imapd.extensions.inprogress import Progress
    from imapd.extensions.notify import Notify
    from mailcore.commands import Command
    from mailcore.login.accounts import Account, Peer
    from mailcore.login.channel import Verdict
    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox
    from mailcore.store.namespace import Store

    Talk = Generator[Any, Any, Any]  # a handler; what it returns is a Done or None
    Speech = Generator[Any, Any, None]  # bytes, Waits and questions: what a driver understands

CODES = {"SESSIONS": "LIMIT"}  # RFC 5530 §3 for what the monitor says in words of its own
# what somebody without a name may say: nothing that changes anything (UW refuses the others as unknown too)
ANYBODYS = frozenset(
    ("CAPABILITY", "NOOP", "LOGOUT", "ID", "ENABLE", "SELECT", "EXAMINE", "LIST", "LSUB", "STATUS", "NAMESPACE", "IDLE",
     "CHECK", "CLOSE", "UNSELECT", "SEARCH", "FETCH", "SORT", "THREAD")
)  # fmt: skip


class Session:
    """What is known of one client."""

    def __init__(self, settings: Settings, peer: Peer, wire: Wire, commands: State) -> None:
        self.settings = settings
        self.peer = peer
        self.host = _host(settings)
        self.wire = wire
        self.commands = commands
        self.uid_commands: State | None = None  # only where a mailbox is selected
        self.stranger = True  # until the login
        self.anonymous = False  # came by ANONYMOUS: looks at mail, changes nothing
        self.user = ""
        self.store: Store
        self.alerts: alerts.Alerts | None = None
        self.box: Any = None  # the selected Mailbox; handlers of the selected state know that there is one
        self.visited: Mailbox | None = None  # where the last command brought messages
        self.saved: list[int] = []  # UIDs, by SEARCH RETURN (SAVE) (RFC 5182)
        self.contexts: Any = None  # searches whose results are kept up to date (RFC 5267)
        self.notify: Notify | None = None  # what the client wants to hear of unasked (RFC 5465)
        self.progress: Progress | None = None  # of the command that runs (RFC 9585)
        self.speaking = False  # an answer is being said
        self.enabled: set[str] = set()  # by ENABLE (RFC 5161)
        self.squeeze: Squeeze | None = None  # by COMPRESS (RFC 4978)
        self.client_id = b""  # what the client calls itself (RFC 2971), for the log
        self.request = intake.Request()  # the command that runs
        self.entry: Entry | None = None  # set by the right password
        self.over = False
        self.tls_next = False  # STARTTLS was said
        self.ending = ""  # for the log
        self.mistakes = 0  # in a row after login, in all before
        self.count = 0  # commands
        self._trouble = ""  # what the mailbox complained of last

    # --- the loop ----------------------------------------------------------------------

    def talk(self) -> Speech:
        """Commands in, answers out, until it is over."""
        while not self.over:
            self.request = intake.Request()
            try:
                if self.notify is not None:
                    yield from self._voice(self.notify.attend(self))
                yield from intake.command(self)
                yield from self._watched()
            except MailError as error:
                yield from self._complain(error)  # our own faults fly on: the monitor logs them and says BYE

    def _watched(self) -> Speech:
        """One whole command, with its progress told."""
        if self.progress is None:
            yield from self._obey()
            return
        self.progress.begin()
        try:
            yield from self._obey()
        finally:
            self.progress.end()

    def _obey(self) -> Speech:
        """One whole command: look it up, run it, tell the news, say OK."""
        command = self._find()
        failure: MailError | None = None
        done: Done | None = None
        try:
            if "trycreate" not in command.traits:
                self.end_visit()
            if "writes" in command.traits and self.box is not None and self.box.readonly:
                raise ReadOnly
            done = yield from self._voice(command.run(self, self.request.args))
        except Mistake:
            raise
        except MailError as error:
            failure = error
            self.end_visit()
        yield from self.alert()
        if self.box is not None and "silent" not in command.traits:
            yield from self.news(expunges="numbers" not in command.traits)
        if self.notify is not None and not self.over:
            yield from self._voice(self.notify.others(self))
        if failure is not None:
            raise failure
        if self.entry is None:  # the OK of a login is said by the process that became the user
            done = done or Done()
            text = done.text or f"{self.request.name} completed"
            yield from self._say(Status("OK", text, done.code, self.request.tag))
            self.mistakes = self.mistakes if self.stranger else 0
        if self.squeeze is not None and not self.squeeze.begun:
            self.squeeze.begin(self.wire.rest())

    def _find(self) -> Command:
        """The command in the table of this state."""
        request = self.request
        self.count += 1
        if self.stranger and self.count > self.settings.login_commands:
            raise Goodbye("Too many commands before login")
        table, word = self.commands, request.name
        if word == "UID" and self.uid_commands is not None:  # RFC 3501 §6.4.8
            table, word = self.uid_commands, request.args.space().keyword()
            request.name = f"UID {word}"
        command: Command | None = table.get(word)
        if command is None:
            raise Mistake(f"Unknown command in the {self.commands.name} state")
        request.traits = command.traits
        return command

    def _voice(self, steps: Talk | Done | None) -> Generator[Any, Any, Done | None]:
        """Say what a handler yields; bring it the replies of the client and the monitor."""
        if steps is None or isinstance(steps, Done):
            return steps
        reply: object = None
        try:
            while True:
                step = steps.send(reply)
                reply = None
                kind = type(step)
                if kind in ANSWERS:
                    yield from self._say(step)
                elif kind is Continue:
                    yield from encode(step)
                    limit = self.settings.sasl_octets if self.stranger else intake.line_octets(self)
                    reply = yield from self.wire.line(limit)
                else:
                    reply = yield step
                    if self.progress is not None:
                        self.progress.begin()
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            steps.close()  # a connection that ends here lets the handler clean up

    def _say(self, value: object) -> Speech:
        """The bytes of an answer.  One that breaks off in the middle ends the connection."""
        begun = False
        self.speaking = True
        try:
            for piece in encode(value, self.utf8):
                yield piece
                begun = True
        except Ending:
            raise
        except Exception as error:
            if not begun:
                raise
            raise Hangup(reason=f"Answer cut short [{log.tracebacks(error)}]") from error
        finally:
            self.speaking = False

    def alert(self) -> Speech:
        """Tell what the alert files say; IDLE does it while it runs."""
        if self.alerts is not None:
            for value in self.alerts.told():
                yield from self._say(value)

    def news(self, expunges: bool = True) -> Speech:
        """Tell the news of the selected mailbox (RFC 3501 §5.2, §7.3-7.4); IDLE does it while it runs."""
        from imapd import news

        try:
            for value in news.tell(self, expunges):
                yield from self._say(value)
            self._trouble = ""
        except MailError as error:
            if self._trouble != error.text:  # say it once, not after each command
                self._trouble = error.text
                _note(error)
                yield from self._say(Status("NO", error.text, "ALERT"))

    def _complain(self, error: MailError) -> Speech:
        """The tagged answer to a command that failed; too many Mistakes end the session."""
        _note(error)
        request = self.request
        command = self.commands.get(request.name)  # one that failed before it was looked up
        traits = request.traits or (command.traits if command else frozenset())
        answer = judged(error, request.name, "trycreate" in traits)
        answer.tag = request.tag
        yield from self._say(answer)
        if isinstance(error, Mistake):
            self._count_mistake(strange=command is None)

    def _count_mistake(self, strange: bool) -> None:
        if self.stranger and not strange:
            return  # a bad argument: login_commands is limit enough
        self.mistakes += 1
        settings = self.settings
        if self.mistakes >= (settings.login_bad_commands if self.stranger else settings.bad_commands):
            raise Goodbye("Too many bad commands")

    # --- what the client understands ---------------------------------------------------

    @property
    def rev2(self) -> bool:
        """The client has said that it speaks IMAP4rev2 (RFC 9051 §6.3.1)."""
        return "IMAP4REV2" in self.enabled

    @property
    def utf8(self) -> bool:
        """Names of mailboxes, and quoted strings, are in UTF-8 (RFC 9051 §5.1, RFC 9755 §3)."""
        return not self.enabled.isdisjoint(("IMAP4REV2", "UTF8=ACCEPT"))

    # --- states ------------------------------------------------------------------------

    def has_selected(self, name: str) -> bool:
        """Whether that is another way to write the name of the selected mailbox."""
        return self.box is not None and self.box.name == self.store.canonical(name)

    def visit(self, name: str) -> Mailbox:
        """A mailbox to bring messages to; it stays open while the client goes on bringing some."""
        if self.visited is None or not self.visits(name):
            self.end_visit()
            self.visited = self.store.open(name, visiting=True)
        return self.visited

    def visits(self, name: str) -> bool:
        return self.visited is not None and self.visited.name == self.store.canonical(name)

    def end_visit(self) -> None:
        visited, self.visited = self.visited, None
        if visited is not None:
            visited.close()

    def select(self, box: Mailbox) -> None:
        """Go to the selected state (RFC 3501 §3.3)."""
        from imapd import selected

        self.deselect()
        self.box = box
        box.hold(self.settings.delay_newmail)
        self.commands, self.uid_commands = self.allowed(selected.command), self.allowed(selected.uid_command)

    def deselect(self) -> None:
        """Go back to the authenticated state; nothing is expunged."""
        from imapd import authenticated

        self.commands, self.uid_commands = self.allowed(authenticated.command), None
        box, self.box, self._trouble = self.box, None, ""
        self.saved, self.contexts = [], None
        if box is not None:
            box.close()

    def allowed(self, state: State) -> State:
        """The commands of a state that this client may say."""
        if not self.anonymous:
            return state
        few = State(state.name)
        few.update((name, command) for name, command in state.items() if name in ANYBODYS)
        return few

    def leave(self) -> None:
        """The session is over, whatever happened; nobody is there to hear of trouble."""
        if self.notify is not None:
            self.notify.close()
        try:
            self.end_visit()
            if self.box is not None:
                self.deselect()
        except MailError as error:
            log.warning(f"Closing the mailbox: {error.text} {error.detail}")

    def let_in(self, verdict: Verdict, method: str) -> Speech:
        """Take the monitor's word: the conversation before login ends with the right password."""
        for text in verdict.alerts:
            yield from self._say(Status("OK", text, "ALERT"))
        if not verdict.right:
            if verdict.code == "LIMIT":
                raise Goodbye(verdict.text or "Too many login failures")
            code = CODES.get(verdict.code, verdict.code or "AUTHENTICATIONFAILED")
            raise Refusal(verdict.text or "Authentication failed", code)
        if verdict.account is None:
            raise Broken("a right password of nobody")
        self.entry = Entry(verdict.account, self.request.tag, self.wire.rest(), self.client_id, method)
        self.over = True


def _note(error: MailError) -> None:
    if error.detail:
        log.warning(f"{error.text}: {error.detail}")


def last_words(session: Session, talk: Speech) -> Speech:
    """A conversation, with the BYE for an ending that the client can still hear."""
    try:
        yield from talk
    except Silence:
        session.ending = "Autologout"
        yield from encode(Status("BYE", "Autologout; idle for too long"))
    except Ending as ending:
        session.ending = ending.reason
        if ending.text:
            yield from encode(Status("BYE", ending.text))


class StrangersWire(Wire):
    """A wire with an end: a stranger is heard only so long."""

    __slots__ = ("_left",)

    def __init__(self, patience_seconds: float, octets: int) -> None:
        super().__init__(patience_seconds)
        self._left = octets

    def feed(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise Goodbye("Too much said before login")
        super().feed(data)


class Service:
    """What imapd gives to mailcore.login (see monitor.py there)."""

    name = "imap"
    program = "imapd"
    pam_services = ("imap",)

    def preload(self) -> None:
        """Import what a session after login needs (the listener does, once for all)."""
        from imapd import authenticated, deflate, extensions, fetch, incoming, news, results, search, selected  # noqa: F401
        from mailcore.store import namespace

        extensions.awaited.load()
        namespace.preload()

    def engage(self) -> None:
        """Start who stays outside the fence: each session has mailboxes to subscribe to."""
        from mailcore.store import steward

        steward.engage()

    def strangers(self, settings: Settings, peer: Peer) -> Generator[Any, Any, Entry | StartTLS | None]:
        """The not authenticated state (RFC 3501 §3.1); returns who was let in, or that TLS comes next.

        After STARTTLS it begins anew, without a greeting.
        """
        wire = StrangersWire(settings.login_timeout_seconds, settings.login_read_octets)
        session = Session(settings, peer, wire, unauthenticated.command)
        if alerts.closed(settings):
            yield from encode(Status("BYE", f"Service not available {_banner(settings)}"))
            return None
        if not peer.greeted:
            yield from encode(Status("OK", _banner(settings), f"CAPABILITY {capabilities(session)}"))
        yield from last_words(session, session.talk())
        return StartTLS() if session.tls_next else session.entry

    def session(self, settings: Settings, peer: Peer, account: Account, entry: Entry | None) -> Speech:
        """The authenticated and selected states; says the OK of the login, or PREAUTH, itself.

        That goes out before anything heavy is imported: nothing of the store is needed for it.
        """
        wire = Wire(settings.imap_idle_seconds, entry.read_ahead if entry else b"")
        session = Session(settings, peer, wire, unauthenticated.command)
        session.stranger = False
        session.user = account.name
        session.client_id = entry.state if entry else b""
        session.anonymous = entry is not None and entry.method == "ANONYMOUS"
        try:
            yield from last_words(session, _welcomed(session, account, entry))
        finally:
            session.leave()
            client = f" id={log.clean(session.client_id)}" if session.client_id else ""
            ending = session.ending or "Logout"
            log.info(f"{ending} user={log.clean(account.name)} host={log.clean(peer.host)}{client}")

    def sorry(self, text: str) -> bytes:
        """What the client hears when all else fails."""
        return b"".join(encode(Status("BYE", text)))


def _welcomed(session: Session, account: Account, entry: Entry | None) -> Speech:
    """PREAUTH or the login's OK, then the conversation; in between the logged-in half is imported and fenced in."""
    if alerts.closed(session.settings):  # under TLS, or behind a proxy, strangers cannot see the file
        raise Goodbye(f"Service not available {_banner(session.settings)}")
    yield from encode(_welcome(session, entry))
    yield from _send(session.wire)
    from imapd import authenticated, deflate, extensions
    from imapd.extensions.inprogress import Progress
    from mailcore.store.namespace import Store

    if session.anonymous:
        extensions.awaited.load()  # what he may say is picked out of what is there
    session.store = Store(account.name, account.home, session.settings, account.location)
    session.alerts = alerts.Alerts(session.settings, session.store.notices)
    yield session.store.territory()
    if aside := (yield Aside()):
        session.progress = Progress(session, aside)
    session.commands = session.allowed(authenticated.command)
    yield from deflate.filtered(session, last_words(session, session.talk()))


def _send(wire: Wire) -> Speech:
    """Have what was said sent, and go on at once: no client is waited for with a time of nothing."""
    nothing = os.eventfd(0, os.EFD_CLOEXEC)
    try:
        heard = yield Wait(0, nothing)
    finally:
        os.close(nothing)
    if heard is not None:
        wire.feed(heard)


def _welcome(session: Session, entry: Entry | None) -> Status:
    code = f"CAPABILITY {capabilities(session)}"
    if entry is None:
        return Status("PREAUTH", f"Pre-authenticated user {session.user} {_banner(session.settings)}", code)
    return Status("OK", f"User {session.user} authenticated", code, entry.tag)


def _banner(settings: Settings) -> str:
    """Who we are, in UW's words: HOST IMAP4rev1 VERSION at DATE."""
    now = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    return f"{_host(settings)} IMAP4rev1 mailcore {VERSION} at {now}"


def _host(settings: Settings) -> str:
    return str(settings.host_name) or os.uname().nodename


SERVICE = Service()
