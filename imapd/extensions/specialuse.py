r"""SPECIAL-USE and CREATE-SPECIAL-USE (RFC 6154): which mailbox is for drafts, for sent mail, for junk.

The store knows (metadata.py): what the client said by CREATE, or the usual names.  XLIST, which
clients of those days still say, is LIST with them, and \Inbox.
"""

from __future__ import annotations

from imapd import listing
from imapd.authenticated import CREATE_PARAM, command
from imapd.listing import ALWAYS, LIST_RETURN_OPT, LIST_SELECT_BASE_OPT, Option
from imapd.responses import Flag, Untagged
from mailcore.errors import Mistake, Refusal
from mailcore.store.metadata import SPECIAL_USE, USUAL_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from imapd.listing import Entry, Mark
    from imapd.session import Session, Talk
    from imapd.syntax import Args

USES = {use.upper(): use for use in USUAL_NAMES}


def attribute(word: str) -> str:
    r"""`\SENT` as we spell it; Refusal for what no mailbox here can be (\All, \Flagged) (RFC 6154 §3)."""
    if word.upper() not in USES:
        raise Refusal("No mailbox here can be for that", "USEATTR")
    return USES[word.upper()]


def _marker(session: Session) -> Mark:
    """Marks come in every LIST (RFC 6154 §2), when there is anything to mark."""
    uses = session.store.uses()

    def mark(entry: Entry) -> None:
        if uses and entry.name:
            entry.attributes += uses.get(session.store.canonical(entry.name), [])

    return mark


def _use(session: Session, args: Args) -> Callable[[str], None]:
    """USE SP "(" [use-attr *(SP use-attr)] ")" of CREATE (RFC 6154 §3)."""
    words = [] if args.space().skip(b"()") else args.many(lambda: _use_attr(args))
    value = " ".join(dict.fromkeys(map(attribute, words))).encode()
    return lambda name: session.store.metadata.set(session.store.canonical(name), {SPECIAL_USE: value or None})


def _use_attr(args: Args) -> str:
    if not args.skip(b"\\"):
        raise Mistake("Missing attribute")
    return "\\" + args.atom().decode("ascii")


ALWAYS.append(_marker)
CREATE_PARAM["USE"] = _use
LIST_SELECT_BASE_OPT["SPECIAL-USE"] = lambda session: session.store.uses()
LIST_RETURN_OPT["SPECIAL-USE"] = lambda session, args: Option()


@command("XLIST")
def xlist(session: Session, args: Args) -> Talk:
    r"""LIST before RFC 6154, as Gmail had it."""
    for answer in listing.list_(session, args):
        word, attributes, delimiter, name, *_ = answer.items
        if name == b"INBOX":
            attributes.append(Flag("\\Inbox"))
        yield Untagged("XLIST", attributes, delimiter, name)
