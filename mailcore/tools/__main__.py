"""The command `mailcore`: what an administrator types; one file for each of its words.

What lives here: the list of words.  A word's file is imported when the word is said, because
each needs libraries of its own.
"""

from __future__ import annotations

from importlib import import_module

import click

from mailcore import VERSION

# word: what --help says of it; the command is `mailcore.tools.WORD.WORD`
WORDS = {
    "cert": "Make the servers' key and certificate (imapd.pem, ipop3d.pem).",
    "demo": "Serve a few messages over IMAP and POP3 on this machine, until Ctrl-C.",
    "index": "Show, verify or rebuild the index of a user, or put mail into the text index.",
    "poppassd": "Let people change their passwords (port 106, from a super-server).",
    "secret": "Add, change, remove and list secrets of users.",
    "undelete": "Put expunged messages back, where expunged_days keeps them.",
}


class Words(click.Group):
    """The words, each known by its meaning until it is said."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(WORDS)

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        if cmd_name not in WORDS:
            return None
        command: click.Command = getattr(import_module(f"mailcore.tools.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(WORDS.items()))


@click.group(cls=Words, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="mailcore")
def main() -> None:
    """Tools around imapd and ipop3d."""


if __name__ == "__main__":
    main(prog_name="mailcore")
