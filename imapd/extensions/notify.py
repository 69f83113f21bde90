r"""NOTIFY (RFC 5465): the client says what it wants to hear of, and hears it whenever it happens.

What lives here: the grammar, which mailbox is in which group, and the answers.  What does not: finding
out what happened to mailboxes that are not selected (mailcore/store/lookout.py), and the news of the selected
one (news.py), which ask here what is wanted.

A mailbox belongs to the first group that it fits (§3.1).  What happens to others than the selected one
is told as STATUS, LIST or METADATA, between commands too.  Who names no group for the selected mailbox
wants no news of it: its view stays as it is, numbers and all, until a command of the client's own removes
messages.  What a session does to names itself is not told to it (§5); mail that it put somewhere is.
"""

from __future__ import annotations

from bisect import bisect_right

from imapd import fetch, modseq
from imapd.authenticated import command
from imapd.extensions.idle import vigil
from imapd.listing import Entry
from imapd.responses import Name, Status, Untagged
from imapd.syntax import Args
from mailcore.errors import InUse, MailError, Mistake, NoPermission, Refusal
from mailcore.store.lookout import Lookout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from imapd.responses import Data
    from imapd.session import Session, Talk
    from mailcore.store.lookout import Report
    from mailcore.store.mailbox import Mailbox
    from mailcore.store.namespace import Attributes, Store

    Listed = Iterable[tuple[str, Attributes]]
    Counts = tuple[int, int, int, int, int]

MESSAGE_NEW, MESSAGE_EXPUNGE, FLAG_CHANGE = "MessageNew", "MessageExpunge", "FlagChange"
MAILBOX_NAME, SUBSCRIPTION_CHANGE = "MailboxName", "SubscriptionChange"
MAILBOX_METADATA, SERVER_METADATA = "MailboxMetadataChange", "ServerMetadataChange"
MESSAGE_EVENTS = (MESSAGE_NEW, MESSAGE_EXPUNGE, FLAG_CHANGE)
# RFC 5465 §8 event; there are no annotations here, so no AnnotationChange
EVENT = {
    word.upper(): word
    for word in (*MESSAGE_EVENTS, MAILBOX_NAME, SUBSCRIPTION_CHANGE, MAILBOX_METADATA, SERVER_METADATA)
}
ANSWERED = ("EXPUNGE", "MOVE", "REPLACE")  # commands whose answers are EXPUNGEs
NAMING = {"CREATE": 1, "DELETE": 1, "RENAME": 2, "SUBSCRIBE": 1, "UNSUBSCRIBE": 1}  # and how many names they have


# --- which mailboxes (RFC 5465 §6) ------------------------------------------------------


class Group:
    """One event-group: the mailboxes that fit it, and what of them is told."""

    __slots__ = ("_names", "_store", "events", "kind")

    def __init__(self, store: Store, kind: str, names: Collection[str], events: frozenset[str]) -> None:
        self._store = store
        self.kind = kind
        self._names = names
        self.events = events

    def _named(self) -> Collection[str]:
        return self._store.subscribed() if self.kind == "SUBSCRIBED" else self._names

    def fitting(self, names: Collection[str]) -> set[str]:
        """Those of `names`, whether they exist or not, that are in this group."""
        if self.kind == "PERSONAL":
            return {name for name in names if not self._store.space(name)}
        fit = set(self._named()).intersection(names)
        if self.kind == "SUBTREE":
            tops = tuple(name + self._store.delimiter for name in self._names)
            fit.update(name for name in names if name.startswith(tops))
        return fit

    def listed(self) -> Listed:
        """The mailboxes that there are."""
        if self.kind == "PERSONAL":
            yield from self._store.list("", "*")
            return
        for name in self._named():
            if (attributes := self._store.describe(name)) is not None:
                yield name, attributes
            if self.kind == "SUBTREE":
                yield from self._store.list("", f"{name}{self._store.delimiter}*")


# --- what a session wants to hear -------------------------------------------------------


class Notify:
    """What one client asked for, and what it knows."""

    __slots__ = ("_counts", "_groups", "_limit", "_lookout", "_store", "flags", "immediate", "items", "selected")

    def __init__(self, session: Session, wanted: Wanted) -> None:
        self._store: Store = session.store
        self._groups = wanted.groups
        self._limit: int = session.settings.notify_mailboxes
        self._counts: dict[str, Counts] = {}  # as they were told, or found
        self.selected = wanted.selected  # events of the selected mailbox
        self.immediate = wanted.immediate and MESSAGE_EXPUNGE in wanted.selected
        self.flags = FLAG_CHANGE in wanted.selected
        self.items = wanted.items  # of new messages
        events = frozenset().union(*(group.events for group in self._groups))
        self._lookout = Lookout(
            self._store,
            self._listed,
            root=any(group.kind != "INBOXES" for group in self._groups),
            subscriptions=SUBSCRIPTION_CHANGE in events or any(group.kind == "SUBSCRIBED" for group in self._groups),
            notes=bool(events & {MAILBOX_METADATA, SERVER_METADATA}),
        )
        if self._too_many():
            self.close()
            raise Refusal("Too many mailboxes", "NOTIFICATIONOVERFLOW")

    def close(self) -> None:
        self._lookout.close()

    def _listed(self) -> Listed:
        for group in self._groups:
            yield from group.listed()

    def _too_many(self) -> bool:
        return sum(place.selectable for place in self._lookout.places.values()) > self._limit

    def _events(self, names: Collection[str]) -> dict[str, frozenset[str]]:
        """What is wanted of each: what the first group that it fits says (§3.1)."""
        events: dict[str, frozenset[str]] = {}
        for group in self._groups:
            for name in group.fitting(names):
                events.setdefault(name, group.events)
        return events

    # --- when ----------------------------------------------------------------------------

    def attend(self, session: Session, keepalive_seconds: float | None = None) -> Talk:
        """Tell what happens until the client says something."""
        if session.box is not None and self.selected:
            self._lookout.also(session.box.paths_to_watch())

        def tell() -> Talk:
            yield from session.alert()
            if session.box is not None:
                yield from session.news(expunges=self.immediate or keepalive_seconds is not None)
            yield from self.others(session)

        yield from vigil(session, self._lookout, tell, keepalive_seconds)

    def mute(self, session: Session) -> bool:
        """No news of the selected mailbox, unless they are what the client has just asked for."""
        return not self.selected and not session.request.name.endswith(ANSWERED)

    # --- the selected mailbox (§5.2) -------------------------------------------------------

    def new(self, session: Session, before: int) -> Iterator[object]:
        """What is wanted of messages that the client has just heard of: those with UIDs above `before`."""
        uids = session.box.uids
        first = bisect_right(uids, before)
        if self.items and first < len(uids):
            items = list(self.items)
            if (modseq.quick(session) or session.rev2) and fetch.UID not in items:
                items.insert(0, fetch.UID)
            yield from fetch.Answers(session, items).told([(first, len(uids))])

    # --- all others --------------------------------------------------------------------------

    def others(self, session: Session) -> Talk:
        """What happened to mailboxes that are not selected."""
        report = self._lookout.look()
        if report is None:
            return
        if self._too_many():
            self._groups = []
            self._lookout.close()
            self._lookout = Lookout(self._store, self._listed, root=False, subscriptions=False, notes=False)
            yield Status("OK", "Too many mailboxes, only the selected one is watched", "NOTIFICATIONOVERFLOW")
            return
        own = _own_names(session)
        yield from self._names(report, lambda name: any(_related(name, mine) for mine in own))
        yield from self._notes(report)
        events = self._events(report.changed)
        for name in report.changed:
            yield from self._mail(session, name, events.get(name, frozenset()))

    def _names(self, report: Report, own: Callable[[str], bool]) -> Iterator[Untagged]:
        """LIST for names and for what is subscribed (§5.4, §5.5)."""
        renamed = [name for pair in report.renamed for name in pair]
        lists = [*report.subscribed, *report.unsubscribed]
        events = self._events([*report.appeared, *report.gone, *renamed, *lists])
        for name in report.unsubscribed:  # was in the group of those that are subscribed
            events.setdefault(name, self._of_the_list())

        def wanted(name: str, event: str) -> bool:
            return event in events.get(name, ()) and not own(name)

        for name in report.gone:
            if wanted(name, MAILBOX_NAME) and self._store.describe(name) is None:
                yield self._listing(name)
        for old, name in report.renamed:
            if wanted(name, MAILBOX_NAME) or wanted(old, MAILBOX_NAME):
                yield self._listing(name, old)
        for name in report.appeared:
            if wanted(name, MAILBOX_NAME) and name not in report.subscribed:
                yield self._listing(name)
        for name in lists:
            if wanted(name, SUBSCRIPTION_CHANGE):
                yield self._listing(name, subscribed=name in report.subscribed)

    def _of_the_list(self) -> frozenset[str]:
        return next((group.events for group in self._groups if group.kind == "SUBSCRIBED"), frozenset())

    def _listing(self, name: str, old: str = "", subscribed: bool = False) -> Untagged:
        """What LIST says of a name now."""
        attributes = self._store.describe(name)
        entry = Entry(name, ["\\NonExistent"] if attributes is None else attributes)
        if subscribed:
            entry.attributes.append("\\Subscribed")
        if old:
            entry.extended = [b"OLDNAME", [Name(old.encode())]]
        return entry.answer(self._store.delimiter)

    def _notes(self, report: Report) -> Iterator[Untagged]:
        """METADATA: names of entries, no values (§5.6, §5.7, RFC 5464 §4.4.2)."""
        events = self._events(report.noted)
        for name, entries in report.noted.items():
            if name:
                wanted = MAILBOX_METADATA in events.get(name, ())
            else:
                wanted = any(SERVER_METADATA in group.events for group in self._groups)
            if wanted:
                yield Untagged("METADATA", Name(name.encode()), *(Name(entry.encode()) for entry in entries))

    # --- counts (§5.1-5.3) ---------------------------------------------------------------------

    def _mail(self, session: Session, name: str, events: frozenset[str]) -> Iterator[Untagged]:
        """STATUS of a mailbox whose file changed, if it is another than the client was told."""
        if session.box is not None and name == session.box.name:
            self._counts[name] = _counts(session.box)  # as its client knows it when it leaves
            return
        if events.isdisjoint(MESSAGE_EVENTS):
            return
        before = self._counts.get(name)
        try:
            now = self._counted(name)
        except InUse:
            self._lookout.unread(name)
            return
        except MailError:
            return  # it is gone, or nobody may read it any more
        messages = MESSAGE_NEW in events and (before is None or before[:3] != now[:3])
        if messages or (FLAG_CHANGE in events and (before is None or before[3:] != now[3:])):
            yield _status(session, name, now, events)

    def _counted(self, name: str) -> Counts:
        with self._store.open(name, readonly=True) as box:
            counts = self._counts[name] = _counts(box)
        return counts

    def status(self, session: Session) -> Iterator[Untagged | Status]:
        """How things are, for each mailbox whose mail is wanted (§3.1 status-indicator)."""
        places = self._lookout.places
        events = self._events([name for name, place in places.items() if place.selectable])
        for name in places:
            if events.get(name, frozenset()).isdisjoint(MESSAGE_EVENTS) or session.has_selected(name):
                continue
            try:
                yield _status(session, name, self._counted(name), events[name])
            except NoPermission:
                yield Entry(name, ["\\NoAccess"]).answer(self._store.delimiter)
            except MailError as error:
                yield Status("NO", f"{error.text}: {name}")


def _own_names(session: Session) -> list[str]:
    """The names in the command that has just been obeyed."""
    request = session.request
    args = Args(request.args.text, request.args.literals, request.args.utf8)
    try:
        return [session.store.canonical(args.space().mailbox()) for _ in range(NAMING.get(request.name, 0))]
    except MailError:
        return []


def _related(one: str, other: str) -> bool:
    """The same, or one is above the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _counts(box: Mailbox) -> Counts:
    return box.uid_validity, box.uid_next, len(box), box.unseen, box.highest_modseq


def _status(session: Session, name: str, counts: Counts, events: frozenset[str]) -> Untagged:
    """The mod-sequence is all that tells of flags but \\Seen, so who wants to hear of those gets it."""
    uid_validity, uid_next, messages, unseen, highest = counts
    items: list[Data] = ["MESSAGES", messages, "UIDNEXT", uid_next, "UIDVALIDITY", uid_validity, "UNSEEN", unseen]
    if highest and (FLAG_CHANGE in events or modseq.noted(session)):
        items += ["HIGHESTMODSEQ", highest]
    return Untagged("STATUS", Name(name.encode()), items)


# --- grammar (RFC 5465 §8) ----------------------------------------------------------------


class Wanted:
    """What a NOTIFY says: by default nothing at all."""

    __slots__ = ("groups", "immediate", "items", "selected", "status", "unknown")

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.selected: frozenset[str] = frozenset()
        self.immediate = False  # expunges of the selected mailbox at any time, not only while they are awaited
        self.items: list[fetch.Item] = []
        self.status = False
        self.unknown = False  # an event that there is not


@command("NOTIFY")
def notify(session: Session, args: Args) -> Talk:
    """From now on tell this, and nothing that was asked for before (RFC 5465 §3.1)."""
    wanted = Wanted()
    word = args.space().keyword()
    if word == "SET":
        _notify_set(session, args, wanted)
    elif word != "NONE":
        raise Mistake("SET or NONE expected")
    args.end()
    if wanted.unknown:
        raise Refusal("Unknown event", f"BADEVENT ({' '.join(EVENT.values())})")
    made = Notify(session, wanted)
    if session.notify is not None:
        session.notify.close()
    session.notify = made
    if wanted.status:
        yield from made.status(session)


def _notify_set(session: Session, args: Args, wanted: Wanted) -> None:
    """"SET" [SP "STATUS"] 1*(SP event-group)."""
    wanted.status = args.skip(b" STATUS")
    seen_selected = False
    while args.space().need(b"("):
        kind = args.keyword()
        if kind in ("SELECTED", "SELECTED-DELAYED"):
            if seen_selected:
                raise Mistake("The selected mailbox twice")
            seen_selected = True
            wanted.immediate = kind == "SELECTED"
            wanted.selected = _events(args, wanted, selected=True)
        else:
            names = _filter(session, args, kind)
            wanted.groups.append(Group(session.store, kind, names, _events(args, wanted)))
        args.need(b")")
        if args.at_end():
            return


def _filter(session: Session, args: Args, kind: str) -> list[str]:
    """The names that follow subtree and mailboxes."""
    if kind in ("INBOXES", "PERSONAL", "SUBSCRIBED"):
        return ["INBOX"] if kind == "INBOXES" else []
    if kind not in ("SUBTREE", "MAILBOXES"):
        raise Mistake(f"Unknown mailboxes {kind}")
    names = args.many(args.mailbox) if args.space().peek(b"(") else [args.mailbox()]
    return list(dict.fromkeys(map(session.store.canonical, names)))


def _events(args: Args, wanted: Wanted, selected: bool = False) -> frozenset[str]:
    """SP "NONE" / SP "(" event *(SP event) ")"; what belongs together must come together (§5)."""
    if not args.space().peek(b"("):
        if args.keyword() != "NONE":
            raise Mistake("NONE or events expected")
        return frozenset()
    events = frozenset(args.many(lambda: _event(args, wanted, selected)))
    if (MESSAGE_NEW in events) is not (MESSAGE_EXPUNGE in events):
        raise Mistake("MessageNew and MessageExpunge go together")
    if FLAG_CHANGE in events and MESSAGE_NEW not in events:
        raise Mistake("FlagChange needs MessageNew and MessageExpunge")
    if selected and not wanted.unknown and not events.issubset(MESSAGE_EVENTS):
        raise Mistake("Only messages of the selected mailbox can be meant")
    return events


def _event(args: Args, wanted: Wanted, selected: bool) -> str:
    word = args.keyword()
    if word not in EVENT:
        wanted.unknown = True
        return word
    if word == MESSAGE_NEW.upper() and args.skip(b" ("):
        if not selected:
            raise Mistake("Only new messages of the selected mailbox can be fetched")
        wanted.items = _fetch_atts(args)
    return EVENT[word]


def _fetch_atts(args: Args) -> list[fetch.Item]:
    """fetch-att *(SP fetch-att) ")"."""
    items = [fetch.fetch_att(args, args.keyword())]
    while args.skip(b" "):
        items.append(fetch.fetch_att(args, args.keyword()))
    args.need(b")")
    return list({item.label: item for item in items}.values())
