"""`mailcore index`: what the index of a user holds, whether it is sound, and its texts made anew.

What lives here: the words of the command.  What does not: the index (store/index.py), what is
in it (store/columns.py, store/remembered.py), and the text index (store/textindex.py).
"""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import click

from imapd import criteria, document, fetch, message
from mailcore import settings as conf
from mailcore.errors import MailError
from mailcore.login import accounts, privileges
from mailcore.store.formats import mbox
from mailcore.store.index import Index
from mailcore.store.namespace import Store
from mailcore.store.remembered import Chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mailcore.settings import Settings
    from mailcore.store.mailbox import Mailbox

BLOCK_MESSAGES = 500


@click.command()
@click.argument("user", metavar="USER")
@click.argument("mailboxes", metavar="[MAILBOX]...", nargs=-1)
@click.option("--file", "by_path", is_flag=True, help="In place of USER: a mail file of whoever types this.")
@click.option("--show", "todo", flag_value="show", default=True, help="Say what is known of each mailbox (default).")
@click.option("--verify", "todo", flag_value="verify", help="Look at every checksum; status 1 if one is wrong.")
@click.option("--rebuild", "todo", flag_value="rebuild", help="Throw ready-made answers away and make them anew.")
@click.option("--text", "todo", flag_value="text", help="Put all mailboxes, or those named, into the text index.")
@click.option("-o", "options", multiple=True, metavar="NAME=VALUE", help="A setting, as for the servers.")
def index(user: str, mailboxes: tuple[str, ...], by_path: bool, todo: str, options: tuple[str, ...]) -> None:
    """Show, verify or rebuild the index of a user, or put mail into the text index."""
    if mailboxes and (todo != "text" or by_path):
        raise click.UsageError("mailboxes are named for --text, and after USER")
    settings = conf.load(options)
    if todo == "text":
        vars(settings)["text_index"], vars(settings)["text_index_step_octets"] = True, sys.maxsize
    account = accounts.running() if by_path else accounts.named(user)
    if account is None:
        raise click.ClickException(f"no such user: {user}")
    if not by_path:
        privileges.become(account)
    store = Store(account.name, account.home, settings, account.location)
    paths = [row[0] for row in store.index.mailboxes() if not by_path or row[0] == os.path.realpath(user)]
    try:
        if todo == "rebuild":
            for path in paths:
                _rebuild(store.index, path, settings, account.name)
        elif todo == "text":
            for box in _opened(store, user, mailboxes, by_path):
                with box:
                    _learn(box, settings, store.index)
        elif todo == "verify":
            _verify(store.index, paths)
        else:
            _show(store.index, paths)
    except MailError as error:
        raise click.ClickException(error.detail or error.text) from None
    finally:
        store.close()


def _show(known: Index, paths: list[str]) -> None:
    for path, messages, validity, uid_next, octets in known.mailboxes():
        if path in paths:
            click.echo(f"{path}: {messages} messages, UIDVALIDITY {validity}, UIDNEXT {uid_next}")
            for kind, text_octets in octets.items():
                click.echo(f"{text_octets:12} octets  {kind}")
    if known.full_text is not None:
        rows, text_octets = known.full_text.size()
        click.echo(f"text index: {rows} messages\n{text_octets:12} octets")


def _verify(known: Index, paths: list[str]) -> None:
    wrong = [] if known.sound() else [known.home]
    with click.progressbar(paths, label="Mailboxes", item_show_func=str) as bar:
        for path in bar:
            record = known.load(path)
            if record is None or not record.columns.have():
                wrong.append(path)
            for kind, number, data in known.texts(path):
                if not Chunk.unpacked(kind, data).uid:
                    wrong.append(f"{path}: {kind}, chunk {number}")
    if known.full_text is not None and not known.full_text.sound():
        wrong.append(known.full_text.path)
    for what in wrong:
        click.echo(f"damaged: {what}")
    if wrong:
        raise click.ClickException("what is damaged is made anew when it is needed; --rebuild makes texts now")


def _rebuild(known: Index, path: str, settings: Settings, user: str) -> None:
    if not os.path.exists(path):
        return
    known.drop_texts(path)
    with mbox.Box(path, path, settings, True, False, known, user) as box:
        session: Any = SimpleNamespace(box=box, settings=settings, rev2=False, enabled=frozenset())
        answers = fetch.Answers(session, [fetch.ENVELOPE, fetch.BODYSTRUCTURE])
        with click.progressbar(length=len(box), label=os.path.basename(path)) as bar:
            for first in range(0, len(box), BLOCK_MESSAGES):
                stop = min(first + BLOCK_MESSAGES, len(box))
                for _ in answers.told([(first, stop)]):
                    pass
                message.kept(box, criteria.usual(), box.uids[first:stop], settings)
                box.news()
                bar.update(stop - first)


def _opened(store: Store, user: str, names: tuple[str, ...], by_path: bool) -> Iterator[Mailbox]:
    """The mailboxes to learn; of those that nobody named one that cannot be read is passed over."""
    if by_path:
        path = os.path.realpath(user)
        yield mbox.Box(path, path, store.settings, True, False, store.index, store.user)
        return
    listed = [name for name, attributes in store.list("", "*") if "\\Noselect" not in attributes]
    for name in names or listed:
        try:
            yield store.open(name, readonly=True)
        except MailError as error:
            if names:
                raise
            click.echo(f"{name}: {error.detail or error.text}", err=True)


def _learn(box: Mailbox, settings: Settings, known: Index) -> None:
    """Put a mailbox into the text index, as far as it is not there."""
    form = document.form(settings)
    wanted = sorted(box.unlearned(form, box.uids))
    read = document.Learner(box, wanted, settings, least=1).listening(message.read(box, wanted, settings, True))
    with click.progressbar(read, length=len(wanted), label=box.name) as bar:
        for _ in bar:
            pass
    texts = known.full_text
    if texts is None or not texts.lasting:
        raise click.ClickException("the text index is of no use, the log says why")
    if texts.full or box.unlearned(form, box.uids):
        raise click.ClickException("not all is in the text index: it is full (text_index_octets), or in use")
