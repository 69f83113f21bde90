"""The time before login in one process: the real conversation, the real monitor's judgement and the real checker's,
without any fork."""

from __future__ import annotations

from base64 import b64decode, b64encode

from mailcore.login import channel, checker, sources
from mailcore.login.accounts import Peer
from mailcore.login.channel import Question, Verdict
from mailcore.login.monitor import Monitor
from mailcore.wire import Wait

BINDINGS = {"tls-exporter": b"e" * 32, "tls-server-end-point": b"p" * 32}


def driven(steps):
    """What a monitor comes to; all it waits for is there, or will never be."""
    reply = None
    try:
        while True:
            steps.send(reply)
            reply = True
    except StopIteration as end:
        return end.value


class Oracle(Monitor):
    """Answers a conversation's questions as the monitor would over the channel."""

    def __init__(self, service, settings, peer):
        super().__init__(service, settings, peer, (0, 1))
        self.channel = self  # receives from itself, and answers to itself
        self.asked: list[str] = []
        self._fields: tuple[bytes, ...] = ()
        self._verdict: Verdict | None = None

    def ask(self, question: Question) -> Verdict:
        about = channel.QUESTIONS[question.kind]
        assert len(question.fields) == about.fields
        if self.admitted is not None:
            raise channel.Forged("a question after the right one")
        self.asked.append(question.kind)
        self._fields, self._verdict = question.fields, None
        for _ in self._take_question(question.kind):
            raise AssertionError("there is nothing to wait for")
        assert self._verdict is not None
        return self._verdict

    def receive(self, kind: bytes, least: int, most: int = 0) -> list[bytes]:
        return list(self._fields)

    def answer(self, verdict: Verdict) -> None:
        self._verdict = verdict

    def _ask_checker(self, kind, kept, only_refuse):
        case = checker.Case(self.service, self.settings, self.peer, kept)
        tried, verdict = checker._ANSWERS[kind](case, list(self._fields))
        if only_refuse and not channel.QUESTIONS[kind].challenge:
            verdict = Verdict(False)
        return tried, verdict, case.kept
        yield  # a generator, as the real one

    def _count_in(self, verdict):
        return verdict  # sessions are counted by process, and this is one

    def _delay(self, asked: float):
        return True
        yield


class Door:
    """A conversation before login, a line at a time."""

    judge = Oracle

    def __init__(self, service, settings, secure=True, peer=None):
        self.service = service
        self.peer = peer or Peer("socket", "192.0.2.7", secure=secure)
        self.peer.bindings = dict(BINDINGS) if self.peer.secure else {}
        sources.survey(settings, self.peer, service.name)
        self.oracle = self.judge(service, settings, self.peer)
        self.talk = service.strangers(settings, self.peer)
        self.entry, self.over = None, False
        self.greeting = self.say(None)

    def say(self, line):
        """The answer to a line."""
        reply, said = (line + b"\r\n" if line is not None else None), b""
        while not self.over:
            try:
                step = self.talk.send(reply)
            except StopIteration as end:
                self.entry, self.over = end.value, True
                break
            reply = None
            if isinstance(step, bytes):
                said += step
            elif isinstance(step, Wait):
                break
            elif isinstance(step, Question):
                reply = self.oracle.ask(step)
        return said

    def hang_up(self):
        self.talk.close()


def b64(data):
    return b64encode(data)


def challenge(answer):
    return b64decode(answer.strip().removeprefix(b"+").strip())
