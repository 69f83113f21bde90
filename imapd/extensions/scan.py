"""SCAN (UW): mailboxes with a text in them, told as LIST tells them.

It is LIST with one more argument.  What counts are the messages as they are stored, octet for octet
but for the case of ASCII letters; a mailbox that cannot be read is not told.
"""

from __future__ import annotations

from imapd.authenticated import command
from imapd.responses import Flag, Name, Untagged
from mailcore.errors import MailError, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session, Talk
    from imapd.syntax import Args
    from mailcore.store.mailbox import Text

PIECE_OCTETS = 4 * 1024 * 1024


@command("SCAN")
def scan(session: Session, args: Args) -> Talk:
    """SCAN reference pattern text (UW): the names that match and have the text in their messages."""
    reference = args.space().mailbox()
    pattern = args.space().list_mailbox()
    wanted = args.space().astring().lower()
    args.end()
    delimiter = session.store.delimiter.encode()
    left: int = session.settings.search_mailboxes
    for name, attributes in session.store.list(reference, pattern):
        if "\\Noselect" in attributes:
            continue
        left -= 1
        if left < 0:
            raise Refusal("Too many mailboxes", "LIMIT")
        if _has(session, name, wanted):
            yield Untagged("LIST", [Flag(attribute) for attribute in attributes], delimiter, Name(name.encode()))


def _has(session: Session, name: str, wanted: bytes) -> bool:
    try:
        with session.store.open(name, readonly=True) as box:
            return any(_in_text(text, wanted) for _, text in box.texts(box.uids))
    except MailError:
        return False


def _in_text(text: Text, wanted: bytes) -> bool:
    """In pieces, which overlap by the text that is looked for."""
    step = PIECE_OCTETS + len(wanted)
    return any(wanted in text[at : at + step].lower() for at in range(0, max(len(text), 1), PIECE_OCTETS))
