"""`mailcore poppassd`: the change-password server, for an inetd line that names the one command there is.

What lives here: the word.  What does not: the server, mailcore/poppassd, which the launcher `poppassd`
starts without any of click.
"""

from __future__ import annotations

import click

from mailcore.options import run
from mailcore.poppassd.session import SERVICE


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def poppassd(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """Let people change their passwords (port 106, from a super-server)."""
    ctx.exit(run(SERVICE, list(arguments)))
