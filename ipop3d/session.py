"""One POP3 connection: the loop that cuts lines, asks the state's table, and says answers.

What lives here: the session's state and the two conversations (before and after login)
that mailcore.login starts.  What does not: commands (authorization.py, transaction.py) and
bytes (responses.py).
"""

from __future__ import annotations

from ipop3d import authorization
from ipop3d.responses import ANSWERS, Body, Err, Ok, Prompt, encode, judged
from ipop3d.syntax import cut
from mailcore import VERSION, log
from mailcore.commands import is_foreign
from mailcore.errors import Broken, Ending, Goodbye, Hangup, MailError, Refusal, Silence, TooLong
from mailcore.login import access
from mailcore.login.channel import Entry, StartTLS
from mailcore.wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from ipop3d.drop import Drop
    from mailcore.commands import State
    from mailcore.login.accounts import Account, Peer
    from mailcore.login.channel import Verdict
    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox

    Talk = Generator[Any, Any, None]

LINE_OCTETS = 1024  # RFC 2449 §4 asks for 255; SASL lines may be longer before login


class Session:
    """What is known of one client."""

    def __init__(self, settings: Settings, peer: Peer, wire: Wire, commands: State, line_octets: int) -> None:
        self.settings = settings
        self.peer = peer
        self.wire = wire
        self.commands = commands
        self.line_octets = line_octets
        self.user = b""  # named by USER, waiting for PASS
        self.entry: Entry | None = None  # set by the right password
        self.drop: Drop
        self.over = False
        self.tls_next = False  # STLS was said
        self.ending = ""
        self.stranger = False  # until the login
        self.first = False  # nothing was said yet by a stranger
        self.strange = 0  # commands that there are not
        self.mistakes = 0  # in a row
        self.commands_left = -1  # how many more may be said; before login there is a limit

    # --- the loop ----------------------------------------------------------------------

    def talk(self) -> Talk:
        """Lines in, answers out, until it is over."""
        while not self.over:
            try:
                line = yield from self.wire.line(self.line_octets)
            except TooLong:
                yield from encode(Err("Command line too long"))
                self._count_mistake()
                continue
            yield from self._obey(line)

    def _obey(self, line: bytes) -> Talk:
        """One command; whatever it raises is judged here."""
        try:
            yield from self._carry_out(line)
            self.mistakes = 0
        except MailError as error:
            if error.detail:
                log.warning(error.detail)
            yield from encode(judged(error))
            self._count_mistake()

    def _carry_out(self, line: bytes) -> Talk:
        if self.commands_left == 0:
            raise Goodbye("Too many commands before login")
        self.commands_left -= 1
        first, self.first = self.first, False
        if first and is_foreign(line):
            raise Goodbye("This is a POP3 server")
        keyword, args = cut(line)
        if not keyword:
            raise Refusal("Null command")
        command = self.commands.get(keyword)
        if command is None:
            self.strange += 1
            raise Refusal(f"Unknown {self.commands.name} state command")
        yield from self._voice(command.run(self, args))

    def _voice(self, steps: Talk) -> Talk:
        """Encode what a handler yields; bring it the client's and the monitor's replies."""
        reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                return
            reply = None
            if isinstance(step, Prompt):
                yield from encode(step)
                reply = yield from self.wire.line(self.settings.sasl_octets)
            elif isinstance(step, Body):
                yield from _whole(step)
            elif isinstance(step, ANSWERS):
                yield from encode(step)
            else:
                reply = yield step

    def _count_mistake(self) -> None:
        self.mistakes += 1
        too_strange = self.stranger and self.strange >= self.settings.login_bad_commands
        if too_strange or self.mistakes >= self.settings.bad_commands:
            raise Goodbye("Too many bad commands")

    # --- login -------------------------------------------------------------------------

    def let_in(self, verdict: Verdict, method: str) -> None:
        """Take the monitor's word: the conversation before login ends with the right password."""
        if not verdict.right:
            if verdict.code == "LIMIT":
                raise Goodbye("Too many login failures")
            raise Refusal("; ".join([verdict.text or "Bad login", *verdict.alerts]), _auth_code(verdict.code))
        if verdict.account is None:
            raise Broken("a right verdict names an account")
        told = "; ".join(verdict.alerts).encode()  # said with the OK: POP3 has no other place for it
        self.entry = Entry(verdict.account, b"", self.wire.rest(), told, method)
        self.over = True


def _whole(body: Body) -> Iterator[bytes]:
    """A message.  One that breaks off in the middle ends the connection: no answer could be told from mail."""
    try:
        yield from encode(body)
    except MailError as error:
        raise Hangup(reason=f"Message cut short, {error.text}") from error


def _auth_code(code: str) -> str:
    """RFC 3206: was it the password, or is something broken here?"""
    return {"UNAVAILABLE": "SYS/TEMP", "SESSIONS": "IN-USE", "LOGIN-DELAY": "LOGIN-DELAY"}.get(code, "AUTH")


def _last_words(session: Session) -> Talk:
    """The conversation, with the answer to an ending that the client can still hear."""
    try:
        yield from session.talk()
    except Silence:
        session.ending = "Autologout"
        yield from encode(Err("Autologout; idle for too long"))
    except Ending as ending:
        session.ending = ending.reason
        if ending.text:
            yield from encode(Err(ending.text))


def _close(box: Mailbox) -> None:
    """Leave the mailbox; what cannot be tidied now is tidied by whoever opens it next."""
    try:
        box.close()
    except MailError as error:
        log.warning(f"Closing INBOX: {error.text} {error.detail}".rstrip())


class Service:
    """What ipop3d gives to mailcore.login (see monitor.py there)."""

    name = "pop3"
    program = "ipop3d"
    pam_services = ("pop3", "pop")

    def preload(self) -> None:
        """Import what a session after login needs (the listener does, once for all)."""
        from ipop3d import drop, transaction  # noqa: F401
        from mailcore.store import namespace

        namespace.preload()

    def strangers(self, settings: Settings, peer: Peer) -> Generator[Any, Any, Entry | StartTLS | None]:
        """The AUTHORIZATION state; returns who was let in, or that TLS comes next.

        After STLS it begins anew, without a greeting.
        """
        wire = Wire(settings.login_timeout_seconds)
        session = Session(settings, peer, wire, authorization.command, settings.login_line_octets)
        session.commands_left = settings.login_commands
        session.stranger = session.first = True
        # nothing may stand between "+OK" and "POP3": an old client looks for just that, but Dovecot in front
        # of us for its own sign
        sign = "[XCLIENT] " if access.is_trusted(settings, peer) else ""
        name, stamp = ("", f" {peer.stamp.decode()}") if peer.stamp else (f" {_host(settings)}", "")  # as UW
        if not peer.greeted:
            yield from encode(Ok(f"{sign}POP3{name} mailcore {VERSION} server ready{stamp}"))
        yield from _last_words(session)
        return StartTLS() if session.tls_next else session.entry

    def session(self, settings: Settings, peer: Peer, account: Account, entry: Entry | None) -> Talk:
        """The TRANSACTION state: opens the maildrop and says so, as the answer to the login."""
        from ipop3d import transaction
        from ipop3d.drop import Drop
        from mailcore.store.namespace import Store

        wire = Wire(settings.pop3_idle_seconds, entry.read_ahead if entry else b"")
        session = Session(settings, peer, wire, transaction.command, LINE_OCTETS)
        host = peer.host
        store = Store(account.name, account.home, settings, account.location)
        yield store.territory(names=False)
        try:
            box = store.open("INBOX")
            session.drop = Drop(box)
        except MailError as error:
            log.error(f"Error opening INBOX user={account.name} host={host}: {error.text} {error.detail}")
            yield from encode(judged(error))
            return
        total = len(session.drop.uids)
        told = entry.state.decode("ascii", "replace") if entry else ""
        yield from encode(Ok("; ".join(filter(None, (f"Mailbox open, {total} messages", told)))))
        try:
            yield from _last_words(session)
        finally:
            _close(box)
            log.info(
                f"{session.ending or 'Logout'} user={account.name} host={host} "
                f"nmsgs={total} ndele={len(session.drop.deleted)} nseen={len(session.drop.retrieved)}"
            )

    def sorry(self, text: str) -> bytes:
        """What the client hears when all else fails."""
        return b"".join(encode(Err(text, "SYS/TEMP")))


def _host(settings: Settings) -> str:
    import os

    return settings.host_name or os.uname().nodename


SERVICE = Service()
