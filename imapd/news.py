"""What happened to the selected mailbox, told to the client (RFC 3501 §5.2, §7.2.6-7.4).

What lives here: the wording and the order of news.  What does not: finding them out (a
Mailbox does, in `refresh` and `news`) and when they may be told (session.py).
"""

from __future__ import annotations

from imapd import modseq
from imapd.responses import Flag, Ready, Status, Untagged, flag
from imapd.sequence import compact
from mailcore.errors import Expunged
from mailcore.store.mailbox import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imapd.session import Session
    from mailcore.store.mailbox import Mailbox, News

LOOKING = ("NOOP", "CHECK", "IDLE")  # the commands that look for others' changes under delay_newmail
SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, DRAFT, SEEN)  # in UW's order


def tell(session: Session, expunges: bool) -> Iterator[object]:
    """Look at the mailbox, and tell what is new; expunges only where the client may hear of them."""
    box, notify = session.box, session.notify
    if box is None or (notify is not None and notify.mute(session)):
        return
    before = box.uids[-1] if len(box) else 0
    held = notify is None and session.settings.delay_newmail and session.request.name not in LOOKING
    if not held:
        box.refresh()
        box.hold(False)
    by_uid = session.request.name.startswith("UID")
    if session.contexts:
        yield from session.contexts.told(session, expunges, by_uid)
    else:
        yield from told(session, box.news(expunges), by_uid)
    box.hold(session.settings.delay_newmail and notify is None)
    if notify is not None:
        yield from notify.new(session, before)


def told(session: Session, news: News, by_uid: bool = False) -> Iterator[Untagged | Status | Ready]:
    """News in the order in which a client can follow them.

    New keywords come before flags that use them, expunges before the count they lead to
    (RFC 3501 §7.4.1), and flags last, as their numbers are those after the expunges.  IMAP4rev2
    has no RECENT, and UIDs in all FETCH answers that nobody asked for (RFC 9051 §7.5.2).
    """
    box = session.box
    if news.keywords:
        yield from flags(box)
    if news.vanished and (modseq.quick(session) or modseq.numberless(session)):
        yield Untagged("VANISHED", Ready(compact(news.vanished)))
    else:
        for number in news.expunged:
            yield Untagged(number, "EXPUNGE")
    if news.exists is not None:
        yield Untagged(news.exists, "EXISTS")
    if news.recent is not None and not session.rev2:
        yield Untagged(news.recent, "RECENT")
    if news.changed and (session.notify is None or session.notify.flags):
        yield changed(session, news.changed, by_uid)


def flags(box: Mailbox) -> Iterator[Untagged | Status]:
    r"""Which flags there are, and which of them can be stored (RFC 3501 §7.2.6, §7.1 PERMANENTFLAGS).

    Keywords come first, as UW had them; `\*` says that a client may make new ones.
    """
    keywords = [Flag(keyword) for keyword in box.keywords]
    system = [Flag(name) for name in SYSTEM_FLAGS]
    yield Untagged("FLAGS", [*keywords, *system])
    permanent = "" if box.readonly else b" ".join(map(flag, [*keywords, "\\*", *system])).decode()
    yield Status("OK", "Permanent flags", f"PERMANENTFLAGS ({permanent})")


def changed(session: Session, numbers: Sequence[int], by_uid: bool) -> Ready:
    """FETCH answers with the flags of these messages.

    The UID is told if the client speaks of UIDs, the mod-sequence if it knows what that is.  Those
    that were expunged meanwhile are left out.
    """
    from imapd.fetch import FlagLists

    box: Mailbox = session.box
    written = FlagLists(box.keywords, recent=not session.rev2)
    by_uid = by_uid or modseq.quick(session) or session.rev2
    with_modseq = modseq.noted(session) and box.highest_modseq
    lines = []
    for number in numbers:
        uid = box.uids[number - 1]
        try:
            items = b"FLAGS " + written[box.flags(uid)]
            if with_modseq:
                items += b" MODSEQ (%d)" % box.modseq(uid)
        except Expunged:
            continue
        if modseq.numberless(session):
            lines.append(b"* %d UIDFETCH (%b)\r\n" % (uid, items))
            continue
        if by_uid:
            items = b"UID %d %b" % (uid, items)
        lines.append(b"* %d FETCH (%b)\r\n" % (number, items))
    return Ready(b"".join(lines))
