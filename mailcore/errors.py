"""Facts that end a command or a connection, one class each.

What lives here: every error that a floor may raise for another floor to judge.  What does
not: response codes and wording for clients; each server sorts these once, in its
responses.py.  The text given to an error is fit for the client (no path names, no
secrets); `detail` is for the log only.
"""

from __future__ import annotations


class MailError(Exception):
    """A fact that one command cannot get around; the session goes on."""

    def __init__(self, text: str = "", detail: str = "") -> None:
        super().__init__(text)
        self.text = text or type(self).__doc__.splitlines()[0].rstrip(".")  # type: ignore[union-attr]
        self.detail = detail


# --- what the client said ------------------------------------------------------------


class Mistake(MailError):
    """Syntax error."""


class UidRequired(Mistake):
    """Message numbers are not known any more, say UIDs."""


class TooLong(Mistake):
    """Line too long."""

    head = b""  # how the line began, for the tag to answer with
    tail = b""  # how it ended: a literal may be announced there


class Refusal(MailError):
    """Refused."""

    def __init__(self, text: str = "", code: str = "", detail: str = "") -> None:
        super().__init__(text, detail)
        self.code = code  # a response code without brackets, IMAP's spelling


# --- what the mail store found -------------------------------------------------------


class NoSuchMailbox(MailError):
    """No such mailbox."""


class MailboxExists(MailError):
    """Mailbox already exists."""


class BadName(MailError):
    """Invalid mailbox name."""


class NotAMailbox(MailError):
    """Not a mailbox in a known format."""


class Damaged(MailError):
    """Mailbox is damaged."""


class NotSelectable(MailError):
    """Not a selectable mailbox."""


class HasChildren(MailError):
    """Mailbox has inferior names."""


class NoPermission(MailError):
    """Permission denied."""


class ReadOnly(MailError):
    """Mailbox is read-only."""


class InUse(MailError):
    """Mailbox is locked by another program."""


class OutOfSpace(MailError):
    """No space left for mail."""


class DiskError(MailError):
    """Error reading or writing mail."""


class Expunged(MailError):
    """Message has been expunged."""


class TooBig(MailError):
    """Message is too large."""


# --- how a connection ends -----------------------------------------------------------


class Ending(Exception):
    """The connection is over; `text` is the last word to the client, if it can hear one."""

    def __init__(self, text: str = "", reason: str = "") -> None:
        super().__init__(reason or text)
        self.text = text
        self.reason = reason or text  # for the log


class Hangup(Ending):
    """The client is gone: end of input or a broken connection."""


class Silence(Ending):
    """Nothing was heard from the client for too long."""


class Terminated(Ending):
    """A signal asks this process to end."""


class Goodbye(Ending):
    """We end the conversation: too many bad commands, a shutdown, no memory."""


class Broken(Exception):
    """Our own code did something it must not: never the client's fault."""


class BadSetting(Exception):
    """A setting that does not exist or does not parse; the text names file and line."""
