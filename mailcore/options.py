"""The command line of both servers.

It is read only when there are arguments: an inetd line needs none, and click costs more
than a whole start without it.
"""

from __future__ import annotations

import sys

from mailcore import VERSION, settings
from mailcore.errors import BadSetting
from mailcore.login import arrival, renewal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(service: Any, arguments: list[str]) -> int:
    """Do what the command line says; the exit status."""
    words = arguments[arguments.index("--listen") + 1 :] if "--listen" in arguments else []
    if words and renewal.is_meant(words):
        from mailcore.login import listener

        return listener.resume(service, words)  # no need for click
    import click

    arrival.shut_stderr()
    try:
        return int(_command(service).main(arguments, service.program, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 1


def _command(service: Any) -> Any:
    import click

    kind = {"imap": "IMAP4", "pop3": "POP3", "poppassd": "Change-password"}[service.name]
    options: list[click.Parameter] = [
        click.Option(
            ["--listen"], metavar="HOST:PORT", multiple=True, help="Be the listener ([::1]:1143 for IPv6); any number."
        ),
        click.Option(["--listen-tls"], metavar="HOST:PORT", multiple=True, help="The same, with TLS at once."),
        click.Option(["--tls"], is_flag=True, help="Speak TLS at once."),
        click.Option(["--passwd-file"], metavar="FILE", help="Accounts user:hash:uid:gid::home from FILE, not PAM."),
        click.Option(["--mail-location"], metavar="SPEC", help="Where mail is: mbox:~/mail:INBOX=/var/mail/%u"),
        click.Option(
            ["-o", "settings_"], metavar="NAME=VALUE", multiple=True, help="Any setting, before mailcore.conf."
        ),
        click.Option(["--version"], is_flag=True, help="Say which version this is."),
    ]
    return click.Command(
        service.program,
        callback=lambda **values: _start(service, **values),
        params=options,
        help=f"{kind} server. Without arguments it serves stdin and stdout, as inetd and xinetd start it.",
    )


def _start(
    service: Any,
    listen: tuple[str, ...],
    listen_tls: tuple[str, ...],
    tls: bool,
    passwd_file: str | None,
    mail_location: str | None,
    settings_: tuple[str, ...],
    version: bool,
) -> int:
    if version:
        print(f"{service.program} {VERSION}")
        return 0
    given = [*settings_]
    given += ["tls=true"] if tls else []
    given += [f"passwd_file={passwd_file}"] if passwd_file is not None else []
    given += [f"mail_location={mail_location}"] if mail_location is not None else []
    if listen or listen_tls:
        return _listen(service, listen, listen_tls, given)
    return arrival.arrive(service, given)


def _listen(service: Any, addresses: tuple[str, ...], sealed: tuple[str, ...], given: list[str]) -> int:
    from mailcore.login import access, listener, sockets

    try:
        access.check(settings.load(given))
        listener.listen(service, given, addresses, sealed)
    except (BadSetting, sockets.BadAddress) as error:
        return _complain(service, str(error))


def _complain(service: Any, text: str) -> int:
    sys.stderr.write(f"{service.program}: {text}\n")
    return 2
