"""What a mailbox is to a session, in whatever format it lies on the disk.

What lives here: the words every format shares (system flags, `Incoming`, `News`) and the
documented base class `Mailbox`.  What does not: files, locks and formats (formats/), names
(namespace.py), and any protocol: a server asks a Mailbox and words the answer itself.

A Mailbox is one session's view.  Number n of the view is uids[n-1] (RFC 3501 §2.3.1.2); a
message that somebody else expunged stays in the view until `news` says so (RFC 3501 §7.4.1).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left

from mailcore.errors import Expunged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, Protocol

    class Text(Protocol):
        """A message's octets: bytes, or something that reads them when asked."""

        def __len__(self) -> int: ...
        def __getitem__(self, span: slice) -> bytes: ...
        def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int: ...


# RFC 3501 §2.3.2, in the spelling used everywhere in the house
SEEN = "\\Seen"
ANSWERED = "\\Answered"
FLAGGED = "\\Flagged"
DELETED = "\\Deleted"
DRAFT = "\\Draft"
RECENT = "\\Recent"
SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)

# fields that programs write anew without making another message of it (X-Mozilla-… too)
FLEETING = frozenset((b"CONTENT-LENGTH", b"LINES", b"STATUS"))

PIECE_OCTETS = 1024 * 1024

ANYTHING = "\2\2\2"  # the text, for the text index, of a message that may have any string in it


class Incoming:
    """A message on its way into a mailbox (APPEND, COPY).

    `content` is bytes, or an object with `octets` and `chunks()` that may be asked more than
    once.  `verbatim` says that it lay in an mbox already, so its "From " lines are safe.
    """

    __slots__ = ("content", "date", "flags", "verbatim")

    def __init__(
        self,
        content: Any,
        flags: Iterable[str] = (),
        date: tuple[int, int] | None = None,
        verbatim: bool = False,
    ) -> None:
        self.content = content
        self.flags = frozenset(flags)
        self.date = date  # unix seconds and zone in minutes; None: now
        self.verbatim = verbatim

    @property
    def octets(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else int(self.content.octets)

    def chunks(self) -> Iterator[bytes]:
        """The content in pieces."""
        if isinstance(self.content, bytes):
            return iter((self.content,))
        chunks: Iterator[bytes] = self.content.chunks()
        return chunks


class News:
    """What a session has not told its client yet (RFC 3501 §7)."""

    __slots__ = ("changed", "exists", "expunged", "keywords", "recent", "vanished")

    def __init__(self) -> None:
        self.expunged: list[int] = []  # numbers to be told in this order, each as it is by then
        self.vanished: list[int] = []  # the uids of the same, ascending
        self.exists: int | None = None
        self.recent: int | None = None
        self.changed: list[int] = []  # numbers (after the expunges) whose flags are others now
        self.keywords = False  # the mailbox has new keywords: FLAGS and PERMANENTFLAGS again

    def __bool__(self) -> bool:
        grew = self.exists is not None or self.recent is not None
        return bool(grew or self.expunged or self.changed or self.keywords)


class Mailbox:
    """One session's view of one mailbox; every format is a subclass.

    Every method may raise a MailError: InUse (locked for too long), OutOfSpace, DiskError,
    NoPermission, NotAMailbox (no longer a mailbox), and where named Expunged and ReadOnly.
    No lock is held when a method returns.
    """

    name: str
    readonly: bool
    uid_validity: int
    uid_next: int
    keywords: list[str]  # all keywords of the mailbox, in order of first use
    uids: array[int]  # ascending; the view
    object_id: str  # stays when the mailbox is renamed (RFC 8474 §4)

    room: Callable[[int], None] | None = None  # raises OutOfSpace when so many octets more are too many

    def __enter__(self) -> Mailbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.uids)

    def number(self, uid: int) -> int:
        """The message number of `uid` in the view; 0 if it is not there."""
        index = bisect_left(self.uids, uid)
        return index + 1 if index < len(self.uids) and self.uids[index] == uid else 0

    # --- one message -----------------------------------------------------------------

    def flags(self, uid: int) -> frozenset[str]:
        """System flags and keywords, \\Recent among them when it is so for this session."""
        raise NotImplementedError

    def octets(self, uid: int) -> int:
        """RFC822.SIZE: the octets `text` has in CRLF form."""
        raise NotImplementedError

    def internal_date(self, uid: int) -> tuple[int, int]:
        """When it arrived: unix seconds and zone in minutes."""
        raise NotImplementedError

    def text(self, uid: int) -> Text:
        """The message without the fields that a mailbox keeps in it.  Raises Expunged."""
        raise NotImplementedError

    def header(self, uid: int) -> bytes:
        """Its header with the empty line.  Raises Expunged."""
        raise NotImplementedError

    def modseq(self, uid: int) -> int:
        """Its mod-sequence (RFC 7162 §3.1).  Raises Expunged."""
        raise NotImplementedError

    def saved(self, uid: int) -> int:
        """When it came into this mailbox, unix seconds (RFC 8514).  Raises Expunged."""
        raise NotImplementedError

    def email_id(self, uid: int) -> str:
        """The same for the same message in every mailbox (RFC 8474 §5.1).  Raises Expunged."""
        raise NotImplementedError

    # --- many messages ---------------------------------------------------------------

    def flags_of(self, uids: Sequence[int]) -> list[frozenset[str]]:
        """`flags` of each of these.  Raises Expunged."""
        return [self.flags(uid) for uid in uids]

    def octets_of(self, uids: Sequence[int]) -> Sequence[int]:
        """`octets` of each of these.  Raises Expunged."""
        return [self.octets(uid) for uid in uids]

    def dates_of(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """`internal_date` of each of these.  Raises Expunged."""
        return [self.internal_date(uid) for uid in uids]

    def modseqs_of(self, uids: Sequence[int]) -> Sequence[int]:
        """`modseq` of each of these.  Raises Expunged."""
        return [self.modseq(uid) for uid in uids]

    def headers(self, uids: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Uid and header of these, in their order; those that are gone are left out."""
        for uid in uids:
            try:
                yield uid, self.header(uid)
            except Expunged:
                continue

    def texts(self, uids: Iterable[int]) -> Iterator[tuple[int, Text]]:
        """Uid and text of these, in their order; those that are gone are left out."""
        for uid in uids:
            try:
                yield uid, self.text(uid)
            except Expunged:
                continue

    # --- what was made of messages before ----------------------------------------------

    def remembered(self, kind: str, uids: Sequence[int]) -> list[bytes | None]:
        """Texts of this kind that `remember` got, for each of these (ascending), None where there is none."""
        return [None] * len(uids)

    def remember(self, kind: str, pairs: Iterable[tuple[int, bytes]]) -> None:
        """Keep texts, made since `remembered` was asked, for later and for other sessions.

        What a text is made of must be what makes a message that message: no flag, no FLEETING field.
        """

    def remembered_of_all(self, kind: str) -> bytes | None:
        """The text of this kind that was made of all messages of the view together; None if they were others."""
        return None

    def remember_of_all(self, kind: str, text: bytes) -> None:
        """Keep it; it says nothing that another number, UID, text or internal date of a message would not change."""

    # --- the text index (store/textindex.py) -------------------------------------------
    # `form` says how the text was taken out of messages: what was learned in another one does not count

    def without(self, form: str, strings: Sequence[str]) -> set[int]:
        """UIDs of messages that surely do not have all of these strings in their text."""
        return set()

    def unlearned(self, form: str, uids: Iterable[int]) -> set[int]:
        """Those of these whose text `learn` wants."""
        return set()

    def learn(self, form: str, documents: list[tuple[int, str]]) -> bool:
        """Take UIDs and texts, of what was read since `unlearned` was asked; False: no more now."""
        return False

    # --- mod-sequences (RFC 7162) ----------------------------------------------------

    @property
    def highest_modseq(self) -> int:
        """No message has a higher one, and none that is gone had; 0: none are kept."""
        raise NotImplementedError

    def changed_since(self, modseq: int, uids: Iterable[int]) -> list[int]:
        """Those of `uids` that are there and have a higher mod-sequence."""
        raise NotImplementedError

    def vanished_since(self, modseq: int) -> list[int] | None:
        """UIDs of messages that are gone, at least all those that went after that; None: they are forgotten."""
        raise NotImplementedError

    # --- counts ----------------------------------------------------------------------

    @property
    def recent(self) -> int:
        """How many messages of the view are \\Recent."""
        raise NotImplementedError

    @property
    def unseen(self) -> int:
        """How many messages of the view are not \\Seen."""
        raise NotImplementedError

    @property
    def first_unseen(self) -> int | None:
        """The number of the first message that is not \\Seen."""
        raise NotImplementedError

    # --- changes ---------------------------------------------------------------------

    def store(
        self, uids: Iterable[int], change: str, flags: Iterable[str], unchanged_since: int | None = None
    ) -> list[int]:
        """Add ("+"), remove ("-") or set ("=") flags, durably; the uids that are gone come back.

        So do those with a mod-sequence above `unchanged_since`, which are left alone (RFC 7162 §3.1.3).
        """
        raise NotImplementedError

    def append(self, messages: list[Incoming]) -> list[int]:
        """Add messages, all or none, durably; their uids."""
        raise NotImplementedError

    def copy(self, uids: Iterable[int], target: Mailbox) -> list[tuple[int, int]]:
        """Copy messages with flags and dates, all or none; pairs of old and new uid.  Raises Expunged."""
        raise NotImplementedError

    def move(self, uids: Iterable[int], target: Mailbox) -> list[tuple[int, int]]:
        """Copy, then remove here what is safe there (RFC 6851 §3.3)."""
        pairs = self.copy_to_move(uids, target)
        self.remove([old for old, _ in pairs])
        return pairs

    def copy_to_move(self, uids: Iterable[int], target: Mailbox) -> list[tuple[int, int]]:
        """Copy what is removed here at once: that takes no more room."""
        room, target.room = target.room, None
        try:
            return self.copy(uids, target)
        finally:
            target.room = room

    def expunge(self, uids: Iterable[int] | None = None) -> list[int]:
        """Remove what is \\Deleted (and in `uids`, RFC 4315 §2.1); the uids that this call removed."""
        raise NotImplementedError

    def remove(self, uids: Iterable[int]) -> list[int]:
        """Remove these whatever their flags; the uids that this call removed."""
        raise NotImplementedError

    # --- what others did -------------------------------------------------------------

    def refresh(self) -> None:
        """Look at the disk; cheap when nothing changed.  The view stays as it is until `news`."""
        raise NotImplementedError

    def news(self, expunges: bool = True) -> News:
        """Bring the view up to date and say what changed; without `expunges` nothing leaves the view."""
        raise NotImplementedError

    def hold(self, arrivals: bool) -> None:
        """From now on `news` keeps new messages out of the view, or lets them in."""
        raise NotImplementedError

    def paths_to_watch(self) -> list[str]:
        """What to watch for changes while idle."""
        raise NotImplementedError

    def checkpoint(self) -> None:
        """Let other programs see in the mailbox what is only noted so far; no error if that must wait."""
        raise NotImplementedError

    def close(self) -> None:
        """The session leaves the mailbox."""
        raise NotImplementedError
