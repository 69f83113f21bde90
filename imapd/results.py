"""What a search has found, and how it is told (RFC 3501 §7.2.5, RFC 4466 §2.6, RFC 4731).

What lives here: the result of SEARCH and SORT, the table SEARCH_RETURN_OPT of what RETURN can ask
of it, and the answers.  What does not: the searching (search.py, extensions/sort.py) and the
options themselves, each of which comes with its extension.

A result is an ordered list of UIDs: of SEARCH in the order of the mailbox, of SORT as sorted.
"""

from __future__ import annotations

from imapd import modseq, portion
from imapd.responses import Name, Ready, Untagged
from imapd.sequence import compact
from mailcore.errors import MailError, Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from imapd.responses import Data
    from imapd.search import Query
    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.message.needle import Needle
    from mailcore.store.mailbox import Mailbox

    Search = Callable[[Sequence[int] | None], list[int]]  # which of these (or of all) fit, as the mailbox has them
    Sorted = Callable[[Sequence[int]], list[int]]


class Found:
    """The result of one search: `uids` in the order that was asked for, and how to search again."""

    __slots__ = ("box", "by_uid", "fuzzy", "modseq", "search", "sorted", "uids")

    def __init__(self, box: Mailbox, by_uid: bool, search: Search, query: Query | None = None) -> None:
        self.box = box
        self.by_uid = by_uid  # told as UIDs, else as message numbers
        self.search = search
        # what need not match exactly; None without a FUZZY key (RFC 6203)
        self.fuzzy: Sequence[Needle] | None = query.fuzzy if query else None
        self.modseq = query is not None and query.modseq
        self.sorted: Sorted | None = None  # in the order of the mailbox
        self.uids = search(None)

    def sort(self, sorted_: Sorted) -> None:
        self.sorted = sorted_
        self.uids = sorted_(self.uids)

    def names(self, uids: Sequence[int]) -> Sequence[int]:
        """These as they are told: UIDs or message numbers."""
        return uids if self.by_uid else numbers(self.box, uids)

    def set_of(self, uids: Sequence[int]) -> Ready:
        """These as a sequence set, in their order (RFC 5267 §3.2)."""
        return Ready(compact(self.names(uids)))


def numbers(box: Mailbox, uids: Sequence[int]) -> list[int]:
    """The message numbers of these, 0 for one that has none."""
    if len(uids) < len(box) // 10:
        return [box.number(uid) for uid in uids]
    number_of = dict(zip(box.uids, range(1, len(box) + 1), strict=True))
    return [number_of.get(uid, 0) for uid in uids]


class Option:
    """One result option.

    `told` makes the data that it adds to the ESEARCH response; `part`, what of the result it is
    about, if not all (for SAVE); `act` is done after the response.
    """

    __slots__ = ("act", "name", "part", "told")

    def __init__(
        self,
        name: str,
        told: Callable[[Found], list[Data]] | None = None,
        part: Callable[[list[int]], list[int]] | None = None,
        act: Callable[[Session, Found, Sequence[Option]], Talk | None] | None = None,
    ) -> None:
        self.name = name
        self.told = told
        self.part = part
        self.act = act


# RFC 4466 §2.6.1 search-return-opt; what follows the name is parsed by the function
SEARCH_RETURN_OPT: dict[str, Callable[[Session, Args], Option]] = {}
ORDER = ("MIN", "MAX", "ALL", "COUNT")  # as UW told them; then the others, as the client asked for them


def options(session: Session, args: Args) -> list[Option] | None:
    """[SP "RETURN" SP "(" [options] ")"]; none in the parentheses mean ALL (RFC 4731 §3.1).

    None where there is no RETURN: the answer is a SEARCH (or SORT) response then, unless IMAP4rev2
    is enabled (RFC 9051 §6.4.4).
    """
    if not args.skip(b" RETURN ("):
        return [SEARCH_RETURN_OPT["ALL"](session, args)] if "IMAP4REV2" in session.enabled else None
    named: dict[str, Option] = {}
    while not args.skip(b")"):
        if named:
            args.space()
        name = args.keyword()
        if name not in SEARCH_RETURN_OPT:
            raise Mistake(f"Unknown result option {name}")
        if name in named:
            raise Mistake(f"Result option {name} twice")
        named[name] = SEARCH_RETURN_OPT[name](session, args)
    if "PARTIAL" in named and "ALL" in named:
        raise Mistake("PARTIAL and ALL exclude each other")  # RFC 5267 §4.4
    if not named:
        named["ALL"] = SEARCH_RETURN_OPT["ALL"](session, args)
    return sorted(named.values(), key=lambda option: ORDER.index(option.name) if option.name in ORDER else len(ORDER))


def told(session: Session, word: str, wanted: Sequence[Option] | None, search: Callable[[], Found]) -> Talk:
    """The answer to a search: `word` and the numbers, or an ESEARCH response."""
    try:
        found = search()
        code = newest(session, found, wanted)
        items = data(session, found, wanted or ())
        numbers = b"".join([b" %d" % number for number in found.names(found.uids)]) if wanted is None else b""
        if wanted is None and items:
            numbers += b" (MODSEQ %d)" % items[1]
    except Mistake:
        raise
    except MailError:
        if any(option.name == "SAVE" for option in wanted or ()):
            session.saved = []  # RFC 5182 §2.1
        raise
    if wanted is None:
        yield Ready(b"* %b%b\r\n" % (word.encode(), numbers))
        return portion.done(code)
    if items or [option.name for option in wanted] != ["SAVE"]:
        yield esearch(session, found, items)
    for option in wanted:
        if option.act and (steps := option.act(session, found, wanted)) is not None:
            yield from steps
    return portion.done(code)


LISTED = ("ALL", "SAVE", "UPDATE")  # options that are about each message of a result


def newest(session: Session, found: Found, wanted: Sequence[Option] | None) -> str:
    """Cut a result that is too large to be listed (RFC 9738 §3.1); the code that says so.

    What is sorted cannot be cut so that its client could go on.
    """
    if wanted is not None and all(option.name not in LISTED for option in wanted):
        return ""
    if found.sorted is not None:
        portion.count(session, len(found.uids))
        return ""
    newest, code = portion.uids(session, found.uids)
    found.uids = list(newest)
    return code


def data(session: Session, found: Found, wanted: Sequence[Option]) -> list[Data]:
    """What the options tell, and the highest mod-sequence if the search was about such (RFC 7162 §3.1.5, §3.1.10)."""
    items = [item for option in wanted if option.told for item in option.told(found)]
    if not found.modseq:
        return items
    modseq.note(session)
    uids = found.box.changed_since(0, named_by(found, wanted))
    return [*items, "MODSEQ", max(map(found.box.modseq, uids))] if uids else items


def esearch(session: Session, found: Found, data: Sequence[Data], tag: bytes = b"", mailbox: str = "") -> Untagged:
    """An ESEARCH response (RFC 4731 §3.1); with `mailbox` it says whose UIDs these are (RFC 7377 §2.1)."""
    correlator: list[Data] = ["TAG", tag or session.request.tag]
    if mailbox:
        correlator += ["MAILBOX", Name(mailbox.encode()), "UIDVALIDITY", found.box.uid_validity]
    return Untagged("ESEARCH", correlator, *(["UID"] if found.by_uid else []), *data)


def named_by(found: Found, wanted: Sequence[Option]) -> Iterator[int]:
    """The UIDs that the options are about: all, if one of them is about all (RFC 5182 §2.4, RFC 9394 §3.2)."""
    parts = [option.part for option in wanted if option.part]
    if not parts or any(option.name in ("ALL", "COUNT") for option in wanted):
        yield from found.uids
    for part in parts:
        yield from part(found.uids)
