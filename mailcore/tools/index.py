"""`mailcore index`: what the index of a user holds, whether it is sound, and its texts made anew.

What lives here: the words of the command.  What does not: the index (store/index.py) and what is
in it (store/columns.py, store/remembered.py).
"""

from __future__ import annotations

import os
from types import SimpleNamespace

import click

from imapd import fetch, message
from mailcore import settings as conf
from mailcore.errors import MailError
from mailcore.login import accounts, privileges
from mailcore.store.formats import mbox
from mailcore.store.index import Index
from mailcore.store.namespace import Store
from mailcore.store.remembered import Chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mailcore.settings import Settings

BLOCK_MESSAGES = 500


@click.command()
@click.argument("user", metavar="USER")
@click.option("--file", "by_path", is_flag=True, help="In place of USER: a mail file of whoever types this.")
@click.option("--show", "todo", flag_value="show", default=True, help="Say what is known of each mailbox (default).")
@click.option("--verify", "todo", flag_value="verify", help="Look at every checksum; status 1 if one is wrong.")
@click.option("--rebuild", "todo", flag_value="rebuild", help="Throw ready-made answers away and make them anew.")
@click.option("-o", "options", multiple=True, metavar="NAME=VALUE", help="A setting, as for the servers.")
def index(user: str, by_path: bool, todo: str, options: tuple[str, ...]) -> None:
    """Show, verify or rebuild the index of a user."""
    settings = conf.load(options)
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


def _verify(known: Index, paths: list[str]) -> None:
    wrong = [] if known.sound() else [known.home]
    with click.progressbar(paths, label="Mailboxes", item_show_func=str) as bar:
        for path in bar:
            if known.load(path) is None:
                wrong.append(path)
            for kind, number, data in known.texts(path):
                if not Chunk.unpacked(kind, data).uid:
                    wrong.append(f"{path}: {kind}, chunk {number}")
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
                for _ in message.read(box, box.uids[first:stop], settings, False, message.SEARCHED):
                    pass
                box.news()
                bar.update(stop - first)
