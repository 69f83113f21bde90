"""A Mailbox in memory, and a session that has selected it: what the handlers see, without disk or wire."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from types import SimpleNamespace

from imapd import news
from imapd.responses import Done, Status, encode, judged
from imapd.syntax import Args
from mailcore.errors import Expunged, MailError, NoSuchMailbox, ReadOnly
from mailcore.message.crlf import octets
from mailcore.message.headers import end_of_header
from mailcore.settings import Settings
from mailcore.store.mailbox import DELETED, RECENT, SEEN, Mailbox, News

SYSTEM = {name.lower(): name for name in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
DAY = 784_111_777  # Sun, 06 Nov 1994 08:49:37 GMT


class FakeBox(Mailbox):
    """Messages are texts; `vanish` is what another session's expunge does."""

    highest_modseq = 0

    def __init__(self, *texts: bytes, name: str = "INBOX", readonly: bool = False) -> None:
        self.name = name
        self.readonly = readonly
        self.uid_validity = 1234
        self.uid_next = 1
        self.keywords: list[str] = []
        self.uids = array("I")
        self.messages: dict[int, bytes] = {}
        self.marks: dict[int, frozenset[str]] = {}
        self.dates: dict[int, tuple[int, int]] = {}
        self.stores: list[tuple[list[int], str, list[str]]] = []
        self.texts_read: list[int] = []
        self.headers_read: list[int] = []
        self.failure: MailError | None = None
        self.closed = False
        self.modseqs: dict[int, int] = {}  # counted from 1
        self.object_id = "F1234"
        self._keywords_told = 0
        self._changed: set[int] = set()
        self._new: list[int] = []
        for text in texts:
            self.deliver(text)
        self.news()

    # --- for tests ---

    def deliver(self, text: bytes, *flags: str, date: tuple[int, int] = (DAY, 0)) -> int:
        uid = self.uid_next
        self.uid_next += 1
        self.messages[uid], self.marks[uid], self.dates[uid] = text, frozenset(flags), date
        self.keywords += [flag for flag in flags if flag[0] != "\\" and flag not in self.keywords]
        self._new.append(uid)
        self._numbered(uid)
        return uid

    def _numbered(self, uid: int) -> None:
        self.highest_modseq += 1
        self.modseqs[uid] = self.highest_modseq

    def vanish(self, *uids: int) -> None:
        for uid in uids:
            del self.messages[uid]

    def flag_elsewhere(self, uid: int, *flags: str) -> None:
        self.marks[uid] = frozenset(flags)
        self._numbered(uid)
        self._changed.add(uid)

    # --- the contract ---

    def _there(self, uid: int) -> int:
        if uid not in self.messages:
            raise Expunged
        return uid

    def flags(self, uid: int) -> frozenset[str]:
        return self.marks[self._there(uid)]

    def octets(self, uid: int) -> int:
        return octets(self.messages[self._there(uid)])

    def internal_date(self, uid: int) -> tuple[int, int]:
        return self.dates[self._there(uid)]

    def modseq(self, uid: int) -> int:
        return self.modseqs[self._there(uid)]

    def saved(self, uid: int) -> int:
        return self.dates[self._there(uid)][0] + 3600

    def email_id(self, uid: int) -> str:
        return f"M{sum(self.messages[self._there(uid)])}"

    def changed_since(self, modseq: int, uids: Iterable[int]) -> list[int]:
        return [uid for uid in uids if uid in self.messages and self.modseqs[uid] > modseq]

    def text(self, uid: int) -> bytes:
        self.texts_read.append(uid)
        return self.messages[self._there(uid)]

    def header(self, uid: int) -> bytes:
        self.headers_read.append(uid)
        text = self.messages[self._there(uid)]
        return text[: end_of_header(text)]

    @property
    def recent(self) -> int:
        return sum(RECENT in self.marks[uid] for uid in self.uids)

    @property
    def unseen(self) -> int:
        return sum(SEEN not in self.marks[uid] for uid in self.uids)

    @property
    def first_unseen(self) -> int | None:
        return next((number for number, uid in enumerate(self.uids, 1) if SEEN not in self.marks[uid]), None)

    def store(
        self, uids: Iterable[int], change: str, flags: Iterable[str], unchanged_since: int | None = None
    ) -> list[int]:
        if self.failure:
            raise self.failure
        uids, flags = list(uids), [self._known(flag) for flag in flags]
        self.stores.append((uids, change, flags))
        failed = set(self.changed_since(unchanged_since, uids)) if unchanged_since is not None else set()
        for uid in uids:
            if uid in self.messages and uid not in failed:
                self._numbered(uid)
                old = self.marks[uid]
                recent = old & {RECENT}
                new = {"+": old.union(flags), "-": old.difference(flags), "=": recent.union(flags)}[change]
                self.marks[uid] = frozenset(new)
        return [uid for uid in uids if uid not in self.messages or uid in failed]

    def _known(self, flag: str) -> str:
        if flag.startswith("\\"):
            return SYSTEM[flag.lower()]
        for keyword in self.keywords:
            if keyword.lower() == flag.lower():
                return keyword
        self.keywords.append(flag)
        return flag

    def copy(self, uids: Iterable[int], target: Mailbox) -> list[tuple[int, int]]:
        assert isinstance(target, FakeBox)
        uids = [self._there(uid) for uid in uids]
        if target.failure:
            raise target.failure
        return [(uid, target.deliver(self.messages[uid], *self.marks[uid], date=self.dates[uid])) for uid in uids]

    def expunge(self, uids: Iterable[int] | None = None) -> list[int]:
        chosen = set(self.messages if uids is None else uids)
        return self.remove([uid for uid in self.messages if uid in chosen and DELETED in self.marks[uid]])

    def remove(self, uids: Iterable[int]) -> list[int]:
        removed = [uid for uid in uids if uid in self.messages]
        self.vanish(*removed)
        return removed

    def refresh(self) -> None:
        pass

    def hold(self, arrivals: bool) -> None:
        pass

    def news(self, expunges: bool = True) -> News:
        told = News()
        told.keywords = len(self.keywords) > self._keywords_told
        self._keywords_told = len(self.keywords)
        if expunges:
            for number in range(len(self.uids), 0, -1):
                if self.uids[number - 1] not in self.messages:
                    told.expunged.append(number)
                    told.vanished.insert(0, self.uids[number - 1])
                    del self.uids[number - 1]
        if self._new:
            self.uids.extend(uid for uid in self._new if uid in self.messages)
            self._new.clear()
            told.exists, told.recent = len(self.uids), self.recent
        told.changed = sorted(self.number(uid) for uid in self._changed if uid in self.messages and self.number(uid))
        self._changed.clear()
        return told

    def checkpoint(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class FakeSession:
    """What a handler may touch of a session, and `say`, which runs one command as session.py does."""

    def __init__(self, box: FakeBox, *others: FakeBox, **settings: int) -> None:
        self.box: FakeBox | None = box
        self.settings = Settings(**settings)
        self.visited: FakeBox | None = None
        self.others = {other.name: other for other in others}
        self.store = SimpleNamespace(open=self._open)
        self.request = SimpleNamespace(name="", tag=b"t")
        self.enabled: set[str] = set()
        self.rev2 = False
        self.saved: list[int] = []
        self.contexts = None
        self.notify = None

    def _open(self, name: str, readonly: bool = False) -> FakeBox:
        if name not in self.others:
            raise NoSuchMailbox
        self.others[name].closed = False
        return self.others[name]

    def visit(self, name: str) -> FakeBox:
        self.visited = self._open(name)
        return self.visited

    def end_visit(self) -> None:
        if self.visited is not None:
            self.visited.close()

    def has_selected(self, name: str) -> bool:
        return self.box is not None and self.box.name == name

    def deselect(self) -> None:
        assert self.box is not None
        self.box.close()
        self.box = None

    def say(self, line: bytes, *literals: bytes) -> list[bytes]:
        """The answers to a command, without CR LF at their ends; the tagged one has the tag `t`."""
        from imapd import extensions, selected

        extensions.awaited.load()

        word, _, rest = line.partition(b" ")
        table, name = selected.command, word.decode().upper()
        if name == "UID":
            word, _, rest = rest.partition(b" ")
            table, name = selected.uid_command, f"UID {word.decode().upper()}"
        self.request.name = name
        command = table[word.decode().upper()]
        try:
            return _answers(self._run(command, Args((b" " if rest else b"") + rest, literals), name))
        finally:
            if self.visited is not None:  # session.py keeps it for the next such command
                self.visited.close()

    def _run(self, command, args, name):  # type: ignore[no-untyped-def]
        said: list[bytes] = []
        last = Status("OK", f"{name} completed", tag=b"t")
        try:
            if "writes" in command.traits and self.box.readonly:
                raise ReadOnly
            done = command.run(self, args)
            if done is not None and not isinstance(done, Done):
                while True:
                    try:
                        said += encode(next(done))
                    except StopIteration as end:
                        done = end.value
                        break
            if done:
                last = Status("OK", done.text or f"{name} completed", done.code, b"t")
        except MailError as error:
            last = judged(error, name, "trycreate" in command.traits)
            last.tag = b"t"
        if self.box is not None and "silent" not in command.traits and last.kind != "BAD":
            for value in news.tell(self, "numbers" not in command.traits):  # type: ignore[arg-type]
                said += encode(value)
        return [*said, *encode(last)]


def _answers(said: list[bytes]) -> list[bytes]:
    """Cut into answers: one begins at `* ` or at the tag after a line end."""
    whole = b"".join(said)
    cut = whole.replace(b"\r\n* ", b"\r\n\0* ").replace(b"\r\nt ", b"\r\n\0t ")
    return [answer.removesuffix(b"\r\n") for answer in cut.split(b"\0")]
