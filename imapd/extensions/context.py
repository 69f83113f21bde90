"""CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267): searches whose results are kept up to date.

RETURN (UPDATE) makes a context: after that, whenever news of the mailbox may be told, the client
hears what came into the result and what left it.  CONTEXT alone is a hint that changes nothing
(§4.2), and PARTIAL is partial.py.

What has changed is found by comparing: which messages there are, and with which flags.  Only those
that are new or have other flags are searched again; a text never changes.  Message numbers and
dates in a search mean what they meant when it was made (§4.3).
"""

from __future__ import annotations

from bisect import bisect_left

from imapd import news
from imapd.responses import Ready, Status
from imapd.results import SEARCH_RETURN_OPT, Option, esearch
from imapd.selected import command
from imapd.sequence import compact
from mailcore.errors import Expunged, Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imapd.responses import Untagged
    from imapd.results import Found
    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox


class Context:
    """One search whose result its client has, and follows."""

    __slots__ = ("found", "tag", "uids")

    def __init__(self, tag: bytes, found: Found) -> None:
        self.tag = tag
        self.found = found
        self.uids = list(found.uids)  # as the client knows it

    def without(self, gone: set[int]) -> tuple[list[int], list[int]]:
        """Take `gone` out; who they are, and where each stood when those behind it were out already."""
        places = [place for place, uid in enumerate(self.uids, 1) if uid in gone]
        uids = [self.uids[place - 1] for place in places]
        if uids:
            self.uids = [uid for uid in self.uids if uid not in gone]
        return uids, places

    def judge(self, candidates: Sequence[int]) -> tuple[set[int], set[int]]:
        """Which of these have left the result, and which have come into it."""
        fits = set(self.found.search(candidates))
        known = set(self.uids).intersection(candidates)
        return known - fits, fits - known

    def put(self, fresh: set[int]) -> list[tuple[int, int]]:
        """Put these where they belong; place and uid of each, as they stand in the end."""
        inside = sorted(fresh.union(self.uids))
        self.uids = self.found.sorted(inside) if self.found.sorted else inside
        return [(place, uid) for place, uid in enumerate(self.uids, 1) if uid in fresh]


class Contexts:
    """The contexts of one session, and the mailbox as they know it."""

    __slots__ = ("by_tag", "flags")

    def __init__(self) -> None:
        self.by_tag: dict[bytes, Context] = {}
        self.flags: dict[int, frozenset[str]] = {}

    def __bool__(self) -> bool:
        return bool(self.by_tag)

    def told(self, session: Session, expunges: bool, by_uid: bool) -> Iterator[object]:
        """News of the mailbox with what they mean for each context around them.

        What is expunged leaves a result before the EXPUNGE, as its number is right then; what is
        new comes after the EXISTS (§4.3.3, §4.3.4).
        """
        box: Mailbox = session.box
        before = list(box.uids)
        news_ = box.news(expunges)
        gone = set(self.flags).difference(box.uids)
        for context in self.by_tag.values():
            uids, places = context.without(gone)
            if uids:
                yield _removed(session, context, uids, places, [bisect_left(before, uid) + 1 for uid in uids])
        yield from news.told(session, news_, by_uid)
        changed = self.look(box)
        if changed:
            for context in self.by_tag.values():
                yield from _changed(session, context, changed)

    def look(self, box: Mailbox) -> list[int]:
        """The messages that are new, or have other flags than before; they are known from now on."""
        flags = {}
        for uid in box.uids:
            try:
                flags[uid] = box.flags(uid)
            except Expunged:
                flags[uid] = self.flags.get(uid, frozenset())
        changed = [uid for uid, now in flags.items() if self.flags.get(uid) != now]
        self.flags = flags
        return changed


def _changed(session: Session, context: Context, changed: list[int]) -> Iterator[Untagged]:
    left, came = context.judge(changed)
    uids, places = context.without(left)
    if uids:
        yield _removed(session, context, uids, places, [context.found.box.number(uid) for uid in uids])
    if came:
        yield _added(session, context, context.put(came))


def _removed(session: Session, context: Context, uids: list[int], places: list[int], numbers: list[int]) -> Untagged:
    """REMOVEFROM: of a search in one set, of a sorted one from its end, each with its place (§4.3.4)."""
    names = uids if context.found.by_uid else numbers
    if not context.found.sorted:
        pairs = b"0 %b" % compact(sorted(names))
    else:
        pairs = b" ".join([b"%d %d" % pair for pair in reversed(list(zip(places, names, strict=True)))])
    return _update(session, context, "REMOVEFROM", pairs)


def _added(session: Session, context: Context, placed: list[tuple[int, int]]) -> Untagged:
    """ADDTO: of a search in one set, of a sorted one each run with its place (§4.3.3)."""
    if not context.found.sorted:
        return _update(session, context, "ADDTO", b"0 " + context.found.set_of([uid for _, uid in placed]))
    runs: list[tuple[int, list[int]]] = []
    for place, uid in placed:
        if runs and runs[-1][0] + len(runs[-1][1]) == place:
            runs[-1][1].append(uid)
        else:
            runs.append((place, [uid]))
    return _update(
        session, context, "ADDTO", b" ".join([b"%d %b" % (place, context.found.set_of(uids)) for place, uids in runs])
    )


def _update(session: Session, context: Context, word: str, pairs: bytes) -> Untagged:
    return esearch(session, context.found, [word, Ready(b"(%b)" % pairs)], tag=context.tag)


# --- what a client says ----------------------------------------------------------------


def _keep(session: Session, found: Found, wanted: Sequence[Option]) -> Talk:
    """UPDATE: follow this result from now on, or say that we do not (§4.3, §4.3.1)."""
    contexts = session.contexts
    tag = session.request.tag
    if contexts is None:
        contexts = session.contexts = Contexts()
    if len(contexts.by_tag) >= session.settings.contexts:
        quoted = tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"').decode("ascii")
        yield Status("NO", "Too many contexts", f'NOUPDATE "{quoted}"')
        return None
    if not contexts:
        contexts.look(found.box)
    contexts.by_tag[tag] = Context(tag, found)
    return None


def _update_option(session: Session, args: Args) -> Option:
    """UPDATE; a tag that names a context already names no other (§4.3)."""
    if session.contexts and session.request.tag in session.contexts.by_tag:
        raise Mistake("Tag in use")
    return Option("UPDATE", act=_keep)


SEARCH_RETURN_OPT["UPDATE"] = _update_option
SEARCH_RETURN_OPT["CONTEXT"] = lambda session, args: Option("CONTEXT")


@command("CANCELUPDATE")
def cancelupdate(session: Session, args: Args) -> None:
    """Follow these no longer (RFC 5267 §4.3.5)."""
    tags = [args.space().string()]
    while not args.at_end():
        tags.append(args.space().string())
    known = session.contexts.by_tag if session.contexts else {}
    if any(tag not in known for tag in tags):
        raise Mistake("No such context")
    for tag in tags:
        known.pop(tag, None)
