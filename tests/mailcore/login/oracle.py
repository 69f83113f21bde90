"""The monitor in one process: the real one's judgement, and the real checker's, without any fork."""

from __future__ import annotations

from mailcore.login import channel, checker
from mailcore.login.channel import Question, Verdict
from mailcore.login.monitor import Monitor


class Oracle(Monitor):
    """Answers a conversation's questions as the monitor would over the channel."""

    def __init__(self, service, settings, peer):
        super().__init__(service, settings, peer)
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
        self._take_question(question.kind)
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

    def _count_in(self, verdict):
        return verdict  # sessions are counted by process, and this is one

    def _delay(self, asked: float) -> bool:
        return True
