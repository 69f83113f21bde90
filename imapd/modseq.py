"""Mod-sequences as commands speak of them (RFC 7162 §3.1).

What lives here: reading one, and who wants to hear of them.  What does not: what each command does
with them (its own file) and where they come from (mailcore/store/modseq.py).
"""

from __future__ import annotations

from mailcore.errors import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imapd.session import Session
    from imapd.syntax import Args
    from mailcore.store.mailbox import Mailbox


def noted(session: Session) -> bool:
    """The client has said that it knows of mod-sequences (RFC 7162 §3.1)."""
    return "CONDSTORE" in session.enabled or "QRESYNC" in session.enabled


def note(session: Session) -> None:
    """The client has just said so, by a command that makes sense for nobody else."""
    session.enabled.add("CONDSTORE")


def highest(box: Mailbox) -> tuple[str, str]:
    """Told of each mailbox that is selected (RFC 7162 §3.1.2.1)."""
    if not box.highest_modseq:
        return "NOMODSEQ", "No mod-sequences in this mailbox"
    return f"HIGHESTMODSEQ {box.highest_modseq}", "Highest mod-sequence"


def kept(box: Mailbox) -> None:
    """A Mistake where there are none (RFC 7162 §3.1.2.2)."""
    if not box.highest_modseq:
        raise Mistake("No mod-sequences in this mailbox")


def since(session: Session, args: Args) -> int:
    """SP mod-sequence-valzer, about messages of the selected mailbox."""
    number = args.space().mod_sequence()
    kept(session.box)
    note(session)
    return number


def numberless(session: Session) -> bool:
    """The client knows messages by UID only (RFC 9586)."""
    return "UIDONLY" in session.enabled


def quick(session: Session) -> bool:
    """The client wants VANISHED for EXPUNGE, and UIDs with everything (RFC 7162 §3.2.10)."""
    return "QRESYNC" in session.enabled


def code(session: Session) -> str:
    """HIGHESTMODSEQ for the tagged OK of what removed messages (RFC 7162 §3.2.7)."""
    return f"HIGHESTMODSEQ {session.box.highest_modseq}" if quick(session) and session.box.highest_modseq else ""
