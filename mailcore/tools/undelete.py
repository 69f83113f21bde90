"""`mailcore undelete`: what was expunged comes back as new messages at the end of its mailbox.

What lives here: the words of the command.  What does not: keeping what is expunged
(store/formats/mbox/removed.py; only where the setting expunged_days asks for it).
"""

from __future__ import annotations

from time import localtime, strftime

import click

from mailcore import settings as conf
from mailcore.errors import MailError
from mailcore.login import accounts, privileges
from mailcore.store.formats import mbox
from mailcore.store.formats.mbox.flags import NAMES
from mailcore.store.formats.mbox.removed import Kept, Removed
from mailcore.store.index import Index
from mailcore.store.mailbox import Incoming
from mailcore.store.namespace import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox

SUBJECT_LETTERS = 50


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="USER MAILBOX [UID]...")
@click.option("--file", "by_path", is_flag=True, help="In place of USER MAILBOX: a file of whoever types this.")
@click.option("--list", "only_list", is_flag=True, help="Say what could come back; so does no UID at all.")
@click.option("-o", "options", multiple=True, metavar="NAME=VALUE", help="A setting, as for the servers.")
def undelete(words: tuple[str, ...], by_path: bool, only_list: bool, options: tuple[str, ...]) -> None:
    """Put expunged messages back, where expunged_days keeps them.

    They are new messages then, at the end of their mailbox.
    """
    names = 1 if by_path else 2
    if len(words) < names:
        raise click.UsageError("USER and MAILBOX are wanted")
    try:
        uids = [int(word) for word in words[names:]]
    except ValueError:
        raise click.UsageError("UIDs are numbers; --list says them") from None
    settings = conf.load(options)
    try:
        removed, opened = (_file if by_path else _mailbox)(settings, *words[:names])
        kept = {message.uid: message for message in removed.messages()}
        if only_list or not uids:
            for message in kept.values():
                click.echo(_line(message))
            return
        missing = [str(uid) for uid in uids if uid not in kept]
        if missing:
            raise click.ClickException(f"not kept: {' '.join(missing)}; nothing was done")
        with opened() as box:
            new = box.append([_incoming(kept[uid]) for uid in uids])
        click.echo(f"{len(new)} back, with the UIDs {' '.join(map(str, new))}")
    except MailError as error:
        raise click.ClickException(error.detail or error.text) from None


def _mailbox(settings: Settings, user: str, name: str) -> tuple[Removed, Callable[[], Mailbox]]:
    """A mailbox of a user, whom we become if we are root."""
    account = accounts.named(user)
    if account is None:
        raise click.ClickException(f"no such user: {user}")
    privileges.become(account)
    store = Store(account.name, account.home, settings, account.location)
    path = store.path_of(store.canonical(name))
    return Removed(store.index.home, path, settings), lambda: store.open(name)


def _file(settings: Settings, path: str) -> tuple[Removed, Callable[[], Mailbox]]:
    account = accounts.running()
    index = Index(settings, account.name, account.home)
    removed = Removed(index.home, path, settings)
    return removed, lambda: mbox.Box(path, path, settings, False, False, index, account.name)


def _line(message: Kept) -> str:
    when = strftime("%Y-%m-%d %H:%M", localtime(message.date[0]))
    subject = b""
    for line in message.header().split(b"\n"):
        if line.lower().startswith(b"subject:"):
            subject = line[8:].strip()
    shown = "".join(letter if letter.isprintable() else "?" for letter in subject.decode("utf-8", "replace"))
    return f"{message.uid:10} {when} {message.octets:10} {shown[:SUBJECT_LETTERS]}"


def _incoming(message: Kept) -> Incoming:
    flags = [name for bit, name in NAMES.items() if message.bits & bit and name != "\\Deleted"]
    words = [word.decode("ascii", "replace") for word in message.words]
    return Incoming(message, [*flags, *words], message.date, verbatim=True)
