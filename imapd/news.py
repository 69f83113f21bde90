"""What happened to the selected mailbox, told to the client (RFC 3501 §5.2, §7.2.6-7.4).

What lives here: the wording and the order of news.  What does not: finding them out (a
Mailbox does, in `refresh` and `news`) and when they may be told (session.py).
"""

from __future__ import annotations

from imapd.responses import Flag, Ready, Status, Untagged, flag
from mailcore.errors import Expunged
from mailcore.store.mailbox import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imapd.session import Session
    from mailcore.store.mailbox import Mailbox, News

LOOKING = ("NOOP", "CHECK", "IDLE")  # the commands that look for others' changes under delay_newmail
SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, DRAFT, SEEN)  # in UW's order


def tell(session: Session, expunges: bool) -> Iterator[Untagged | Status | Ready]:
    """Look at the mailbox, and tell what is new; expunges only where the client may hear of them."""
    box = session.box
    if box is None:
        return
    if not session.settings.delay_newmail or session.request.name in LOOKING:
        box.refresh()
    by_uid = session.request.name.startswith("UID")
    if session.contexts:
        yield from session.contexts.told(session, expunges, by_uid)
    else:
        yield from told(box, box.news(expunges), by_uid or session.rev2, session.rev2)


def told(
    box: Mailbox, news: News, by_uid: bool = False, rev2: bool = False
) -> Iterator[Untagged | Status | Ready]:
    """News in the order in which a client can follow them.

    New keywords come before flags that use them, expunges before the count they lead to
    (RFC 3501 §7.4.1), and flags last, as their numbers are those after the expunges.  IMAP4rev2
    has no RECENT, and UIDs in all FETCH answers that nobody asked for (RFC 9051 §7.5.2).
    """
    if news.keywords:
        yield from flags(box)
    for number in news.expunged:
        yield Untagged(number, "EXPUNGE")
    if news.exists is not None:
        yield Untagged(news.exists, "EXISTS")
    if news.recent is not None and not rev2:
        yield Untagged(news.recent, "RECENT")
    if news.changed:
        yield changed(box, news.changed, by_uid, recent=not rev2)


def flags(box: Mailbox) -> Iterator[Untagged | Status]:
    r"""Which flags there are, and which of them can be stored (RFC 3501 §7.2.6, §7.1 PERMANENTFLAGS).

    Keywords come first, as UW had them; `\*` says that a client may make new ones.
    """
    keywords = [Flag(keyword) for keyword in box.keywords]
    system = [Flag(name) for name in SYSTEM_FLAGS]
    yield Untagged("FLAGS", [*keywords, *system])
    permanent = "" if box.readonly else b" ".join(map(flag, [*keywords, "\\*", *system])).decode()
    yield Status("OK", "Permanent flags", f"PERMANENTFLAGS ({permanent})")


def changed(box: Mailbox, numbers: Sequence[int], by_uid: bool, recent: bool = True) -> Ready:
    """FETCH answers with the flags of these messages, and their UIDs if the client speaks of UIDs.

    Those that were expunged meanwhile are left out.
    """
    from imapd.fetch import FlagLists

    written = FlagLists(box.keywords, recent)
    lines = []
    for number in numbers:
        uid = box.uids[number - 1]
        try:
            list_ = written[box.flags(uid)]
        except Expunged:
            continue
        if by_uid:
            lines.append(b"* %d FETCH (UID %d FLAGS %b)\r\n" % (number, uid, list_))
        else:
            lines.append(b"* %d FETCH (FLAGS %b)\r\n" % (number, list_))
    return Ready(b"".join(lines))
