"""THREAD (RFC 5256): REFERENCES, ORDEREDSUBJECT, and REFS (draft-ietf-morg-inthread).

What is here: the commands and the reading; the algorithms are mailcore.message.threads.
"""

from __future__ import annotations

from imapd import portion, results, search
from imapd.extensions.sort import base_subject, packed_date, sent
from imapd.message import kept, limits
from imapd.responses import Ready
from imapd.selected import command, uid_command
from mailcore.errors import Expunged, Refusal
from mailcore.message import references, threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox

# RFC 5256 §5 thread-alg
THREAD_ALG: dict[str, Callable[[Sequence[threads.Read]], threads.Forest]] = {
    "ORDEREDSUBJECT": threads.ordered_subject,
    "REFERENCES": threads.references,
    "REFS": threads.refs,
}


@command("THREAD", numbers=True)
def thread(session: Session, args: Args) -> Talk:
    """Numbers of the messages that fit, in threads (RFC 5256 §3)."""
    yield _thread(session, args, by_uid=False)


@uid_command("THREAD")
def uid_thread(session: Session, args: Args) -> Talk:
    """UIDs of the messages that fit, in threads (RFC 5256 §3)."""
    yield _thread(session, args, by_uid=True)


def _thread(session: Session, args: Args, by_uid: bool) -> Ready:
    name = args.space().keyword()
    if name not in THREAD_ALG:
        raise Refusal("No such thread type", "CANNOT")
    query = search.query(session, args, by_uid)
    found = search.found(search.charset_program(query), session.box, session.settings)
    portion.count(session, len(found))
    text = _written(session, name, found, by_uid)
    return Ready(b"* THREAD%b%b\r\n" % (b" " if text else b"", text))


def _written(session: Session, name: str, uids: Sequence[int], by_uid: bool) -> bytes:
    """The threads of these messages; those of all are remembered."""
    box = session.box
    kind = f"thread {name} {'uid' if by_uid else 'number'}" + limits(session.settings, False)
    whole = len(uids) == len(box)
    text = box.remembered_of_all(kind) if whole else None
    if text is None:
        reads = _read(session, uids, by_uid)
        text = threads.written(THREAD_ALG[name](reads))
        if whole and len(reads) == len(uids):
            box.remember_of_all(kind, text)
    return text


def _read(session: Session, uids: Sequence[int], by_uid: bool) -> list[threads.Read]:
    """What threads are made of; who is gone is left out."""
    box, settings = session.box, session.settings
    found = []
    texts = kept(box, {"sent": packed_date, "thread": _ids, "subject": base_subject}, uids, settings)
    names = uids if by_uid else results.numbers(box, uids)
    columns = (sent(box, uids, texts["sent"]), texts["thread"], texts["subject"], names, _arrived(box, uids))
    for date, ids, subject, name, arrived in zip(*columns, strict=True):
        if date is None or ids is None or subject is None or arrived is None:
            continue
        read = threads.Read(name, date, arrived)
        read.subject, read.reply = subject[1:], subject[:1] == b"1"
        read.id, *read.ancestors = ids.split(b"\n")
        found.append(read)
    return found


def _arrived(box: Mailbox, uids: Sequence[int]) -> list[int | None]:
    """When they arrived; None for who is gone."""
    try:
        return [seconds for seconds, _ in box.dates_of(uids)]
    except Expunged:
        pass
    dates: list[int | None] = []
    for uid in uids:
        try:
            dates.append(box.internal_date(uid)[0])
        except Expunged:
            dates.append(None)
    return dates


def _ids(header: bytes) -> bytes:
    """The id of a message and those of its ancestors, one a line."""
    return b"\n".join((references.message_id(header) or b"", *references.ancestors(header)))
