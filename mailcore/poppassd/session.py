"""Eudora's change-password dialogue: USER, PASS, NEWPASS, QUIT, answered by 200 or 500.

What lives here: the talk with a stranger, which is all of it; he is never let in.  What does not:
changing anything (login/change.py, by way of the monitor and a checker).

No standard describes it; this is what Eudora's clients, and the password drivers of web mail
programs after them, have said since 1993:

    S: 200 mail.example.org poppassd ready, who are you?
    C: USER fred
    S: 200 Your password please
    C: PASS old words
    S: 200 Your new password please
    C: NEWPASS new words
    S: 200 Password changed, thank you

The old password is looked at when the new one is there: PASS tells nobody anything.  After a 500 to
NEWPASS the client starts again with USER.
"""

from __future__ import annotations

from mailcore.commands import State
from mailcore.errors import Broken, Goodbye, Mistake, Refusal, Silence, TooLong
from mailcore.login.channel import Question
from mailcore.wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from mailcore.login.accounts import Account, Peer
    from mailcore.login.channel import Entry, Verdict
    from mailcore.settings import Settings

    Talk = Generator[Any, Any, None]

command = State("poppassd")


class Session:
    """What is known of one client."""

    __slots__ = ("settings", "wire", "user", "old", "over", "commands_left")

    def __init__(self, settings: Settings, wire: Wire) -> None:
        self.settings = settings
        self.wire = wire
        self.user = b""
        self.old = b""
        self.over = False
        self.commands_left = settings.login_commands

    def talk(self) -> Talk:
        """Lines in, answers out, until it is over."""
        while not self.over:
            try:
                line = yield from self.wire.line(self.settings.login_line_octets)
                yield from self._obey(line)
            except TooLong:
                yield answer(500, "Line too long")
            except (Mistake, Refusal) as error:
                yield answer(500, error.text)

    def _obey(self, line: bytes) -> Talk:
        if self.commands_left == 0:
            raise Goodbye("Too many commands")
        self.commands_left -= 1
        keyword, _, rest = line.partition(b" ")
        known = command.get(keyword.decode("ascii", "replace").upper())
        if known is None:
            raise Mistake("USER, PASS, NEWPASS or QUIT is wanted")
        yield from known.run(self, rest)

    def forget(self) -> None:
        self.user = self.old = b""


@command("USER")
def user(session: Session, rest: bytes) -> Talk:
    """Whose password; the answer never tells whether there is such a user."""
    session.forget()
    session.user = rest.strip(b" ")
    if not session.user:
        raise Mistake("USER needs a name")
    yield answer(200, "Your password please")


@command("PASS")
def pass_(session: Session, rest: bytes) -> Talk:
    """The old password: the whole rest of the line, blanks kept."""
    if not session.user:
        raise Mistake("USER comes first")
    if not rest:
        raise Mistake("PASS needs the old password")
    session.old = rest
    yield answer(200, "Your new password please")


@command("NEWPASS")
def newpass(session: Session, rest: bytes) -> Talk:
    """The new password, in the same way; this changes it, or says why not."""
    if not session.old:
        raise Mistake("USER and PASS come first")
    if not rest:
        raise Mistake("NEWPASS needs the new password")
    question = Question("change", (session.user, session.old, rest))
    session.forget()
    verdict: Verdict = yield question
    if not verdict.right and verdict.code == "LIMIT":
        raise Goodbye("Too many failures")
    if not verdict.right or verdict.code:
        raise Refusal(verdict.text or "Old password is wrong")
    yield answer(200, "Password changed, thank you")


@command("QUIT")
def quit_(session: Session, rest: bytes) -> Talk:
    """The end."""
    session.over = True
    yield answer(200, "Bye")


def answer(code: int, text: str) -> bytes:
    """One line: a text of ours, or of PAM's with nothing in it that could end the line."""
    return b"%d %b\r\n" % (code, "".join(ch if " " <= ch < "\x7f" else "?" for ch in text).encode())


class Service:
    """What poppassd gives to mailcore.login (see monitor.py there)."""

    name = "poppassd"
    program = "poppassd"
    pam_services = ("poppassd",)

    def preload(self) -> None:
        """Nothing is imported later but by the checker."""

    def strangers(self, settings: Settings, peer: Peer) -> Talk:
        """The whole dialogue; nobody is ever let in."""
        if not (peer.local or settings.poppassd_remote):
            raise Goodbye("Passwords are changed from the mail host itself only", "Refused, not from this host")
        if not peer.greeted:
            yield answer(200, f"{_host(settings)} poppassd ready, who are you?")
        try:
            yield from Session(settings, Wire(settings.login_timeout_seconds)).talk()
        except Silence as ending:
            raise Silence("Idle for too long", ending.reason) from None

    def session(self, settings: Settings, peer: Peer, account: Account, entry: Entry | None) -> Talk:
        """There is none."""
        raise Broken("poppassd lets nobody in")

    def sorry(self, text: str) -> bytes:
        """What the client hears when all else fails."""
        return answer(500, text)


def _host(settings: Settings) -> str:
    import os

    return settings.host_name or os.uname().nodename


SERVICE = Service()
