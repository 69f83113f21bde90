"""A client for tests: speaks to imapd's two conversations without any descriptor."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from imapd import authenticated, extensions
from imapd.alerts import Alerts
from imapd.session import SERVICE, Session, last_words
from mailcore.errors import MailboxExists, NoSuchMailbox
from mailcore.login.accounts import Account, Peer
from mailcore.login.channel import Question, Verdict
from mailcore.settings import Settings, load
from mailcore.store.mailbox import Incoming
from mailcore.store.namespace import Store
from mailcore.wire import Wait, Wire
from tests.imapd.fakebox import FakeBox
from tests.playground import Ground


class FakeStore:
    """Mailboxes in memory."""

    delimiter = "/"

    def __init__(self, *boxes: FakeBox) -> None:
        self.boxes = {box.name: box for box in boxes}
        self.opened: list[tuple[str, bool]] = []

    def open(self, name: str, readonly: bool = False, visiting: bool = False) -> FakeBox:
        self.opened.append((name, readonly))
        if name not in self.boxes:
            raise NoSuchMailbox
        self.boxes[name].readonly = readonly
        return self.boxes[name]

    spaces = ()
    quota = SimpleNamespace(room=lambda octets: None)

    def uses(self) -> dict[str, list[str]]:
        return {}

    def subscribed(self) -> list[str]:
        return []

    def describe(self, name: str) -> list[str] | None:
        return ["\\NoInferiors"] if name in self.boxes else None

    def canonical(self, name: str) -> str:
        return name.removeprefix("mail/")

    def list(self, reference: str, pattern: str) -> list[tuple[str, list[str]]]:
        return [(name, ["\\HasNoChildren"]) for name in self.boxes]

    lsub = list

    def exists(self, name: str) -> bool:
        return name in self.boxes

    def create(self, name: str) -> None:
        if name in self.boxes:
            raise MailboxExists
        self.boxes[name] = FakeBox(name=name)

    def rename(self, old: str, new: str) -> None:
        self.boxes[new] = self.open(old)

    def delete(self, name: str) -> None:
        self.open(name)
        del self.boxes[name]

    def list(self, reference: str, pattern: str) -> Iterator[tuple[str, list[str]]]:
        return iter([(name, ["\\NoInferiors"]) for name in self.boxes])


class Client:
    """Says octets and hears octets; the conversation stops where it waits for more."""

    def __init__(self, talk: object, verdicts: tuple[Verdict, ...] = ()) -> None:
        self.talk = talk
        self.verdicts = list(verdicts)
        self.questions: list[Question] = []
        self.over = False
        self.result: object = None
        self.wait: Wait | None = None
        self.greeting = self._go(None)

    def say(self, data: bytes | None, chunk: int = 0) -> bytes:
        """Send octets (at once, or `chunk` at a time); all that the server answers.  None: its waiting is over."""
        if data is None or not chunk:
            return self._go(data)
        return b"".join(self._go(data[start : start + chunk]) for start in range(0, len(data), chunk) if not self.over)

    def fail(self, error: BaseException) -> bytes:
        """What happens to the connection is raised where the conversation waits."""
        return self._go(None, error)

    def _go(self, reply: object, error: BaseException | None = None) -> bytes:
        said = b""
        while not self.over:
            try:
                step = self.talk.throw(error) if error else self.talk.send(reply)
            except StopIteration as end:
                self.over, self.result = True, end.value
                break
            error, reply = None, None
            if isinstance(step, bytes):
                said += step
            elif isinstance(step, Wait):
                self.wait = step
                break
            else:
                self.questions.append(step)
                reply = Verdict(False) if step.kind == "void" else self.verdicts.pop(0)
        return said


def stranger(*verdicts: Verdict, peer: Peer | None = None, **settings: object) -> Client:
    """A client before login."""
    values = Settings(**({"host_name": "mail.example.org"} | settings))
    return Client(SERVICE.strangers(values, peer or Peer("socket", "127.0.0.1", local=True)), verdicts)


def user(*boxes: FakeBox, **settings: object) -> tuple[Client, Session]:
    """A client after login, with these mailboxes."""
    extensions.awaited.load()
    values = Settings(**({"host_name": "mail.example.org"} | settings))
    session = Session(values, Peer("pipe", local=True), Wire(values.imap_idle_seconds), authenticated.command)
    session.stranger = False
    session.user = "fred"
    session.store = FakeStore(*boxes)
    return Client(last_words(session, session.talk())), session


def at_home(ground: Ground, **settings: object) -> Client:
    """A client after login, with a real store."""
    extensions.awaited.load()
    values = load([*(f"{name}={value}" for name, value in ground.options().items())], "/nonexistent")
    vars(values).update(settings)
    session = Session(values, Peer("pipe", local=True), Wire(values.imap_idle_seconds), authenticated.command)
    session.stranger = False
    session.user = "fred"
    session.store = Store("fred", str(ground.home), values)
    session.alerts = Alerts(values, session.store.notices)
    return Client(last_words(session, session.talk()))


def right(name: str = "fred") -> Verdict:
    return Verdict(True, Account(name, 1000, 1000, "/home/fred"))


class Watched(FakeBox):
    """A mailbox that IDLE can watch, and that takes messages as APPEND brings them."""

    path: object = None

    def paths_to_watch(self) -> list[str]:
        return [str(self.path)] if self.path else []

    def append(self, messages: list[Incoming]) -> list[int]:
        if self.failure:
            raise self.failure
        self.kinds = [type(message.content) for message in messages]
        return [self.deliver(b"".join(message.chunks()), *message.flags) for message in messages]


def inbox(*texts: bytes) -> Watched:
    return Watched(*(texts or (b"Subject: x\n\nbody\n",)))
