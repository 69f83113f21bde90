"""`mailcore secret`: who may log in by which secret, without an editor and without half-written files.

What lives here: the words of the command, and new password hashes.  What does not: changing the
files (login/secrets.py), verifying passwords.

Two kinds of file.  /etc/cram-md5.pwd holds secrets in clear, as APOP and CRAM-MD5 need them.  A
passwd-file (`user:hash[:uid:gid:gecos:home[:location]]`) holds hashes; a SCRAM verifier is one more
kind of hash there, and still checks a password sent in clear.

A password is never an argument, for arguments are seen by everybody who lists processes: it is asked
twice, or with --stdin (or where standard input is no terminal) is its first line.
"""

from __future__ import annotations

import os
import pwd
import sys
from contextlib import contextmanager

import click

from mailcore.login import scram, secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

SCHEMES = ("sha512_crypt", "bcrypt", "argon2", *map(str.lower, scram.HASHES))
PASSWORD_OCTETS = 4096  # what libraries behind us take
STARTS = {"$6$": "sha512_crypt", "$5$": "sha256_crypt", "$2": "bcrypt", "$argon2": "argon2", "$y$": "yescrypt"}


@click.group()
def secret() -> None:
    """Add, change, remove and list secrets of users."""


def _place(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which file is meant."""
    secrets_file = click.option(
        "--file", "file", default=secrets.PATH, show_default=True, metavar="FILE", help="The file of clear secrets."
    )
    passwd_file = click.option("--passwd-file", metavar="FILE", help="Not that one: a file of password hashes.")
    return secrets_file(passwd_file(command))


def _fields(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that fill a line of a passwd-file."""
    options = [
        click.option("--stdin", is_flag=True, help="Read the password from standard input, ask nothing."),
        click.option("--scheme", type=click.Choice(SCHEMES), help=f"The hash; else {SCHEMES[0]}."),
        click.option("--uid", type=click.IntRange(1, 2**32 - 2), help="With --gid: a user the system does not know."),
        click.option("--gid", type=click.IntRange(0, 2**32 - 2)),
        click.option("--home", metavar="DIR", help="The home directory."),
        click.option("--location", metavar="SPEC", help="Where the user's mail is, if not where all others have it."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@secret.command()
@click.argument("user")
@_place
@_fields
def add(user: str, file: str, passwd_file: str | None, stdin: bool, **fields: Any) -> None:
    """Give a new USER a secret."""
    _put(user, file, passwd_file, fields, stdin, new=True)


@secret.command("set")
@click.argument("user")
@_place
@_fields
def set_(user: str, file: str, passwd_file: str | None, stdin: bool, **fields: Any) -> None:
    """Change the secret of USER."""
    _put(user, file, passwd_file, fields, stdin, new=False)


@secret.command()
@click.argument("user")
@_place
def remove(user: str, file: str, passwd_file: str | None) -> None:
    """Remove USER from the file."""
    path, separator = _which(file, passwd_file)
    with _complaints(path, user):
        left = secrets.remove(path, separator, os.fsencode(user))
    if not left and separator == secrets.TAB:
        click.echo(f"note: {path} is empty now, so nobody can log in; without the file PAM is asked again", err=True)


@secret.command("list")
@_place
def list_(file: str, passwd_file: str | None) -> None:
    """List the users of the file, never their secrets."""
    path, separator = _which(file, passwd_file)
    with _complaints(path):
        text, status = secrets.read(path, secrets.forbidden(separator))
    if status is None:
        raise click.ClickException(f"{path} is not there")
    seen = set()
    for number, line in enumerate(text.splitlines(), 1):
        entry = secrets.entry(line, separator)
        if entry is None:
            if line and not line.startswith(b"#"):
                click.echo(f"note: line {number} is no entry", err=True)
            continue
        kind = "clear" if separator == secrets.TAB else _kind(entry[1].split(b":")[0].decode("ascii", "replace"))
        again = "  (again: the first line counts)" if entry[0] in seen else ""
        click.echo(f"{_shown(entry[0])}  {kind}{again}")
        seen.add(entry[0])


# --- what they have in common ----------------------------------------------------------------


def _which(file: str, passwd_file: str | None) -> tuple[str, bytes]:
    return (file, secrets.TAB) if passwd_file is None else (passwd_file, secrets.COLON)


def _put(user: str, file: str, passwd_file: str | None, fields: dict[str, Any], stdin: bool, new: bool) -> None:
    path, separator = _which(file, passwd_file)
    fields = {name: value for name, value in fields.items() if value is not None}
    if separator == secrets.TAB and fields:
        raise click.UsageError(f"--{next(iter(fields))} belongs to a --passwd-file")
    if ("uid" in fields) != ("gid" in fields):
        raise click.UsageError("--uid and --gid go together")
    first = not os.path.lexists(path)
    name = os.fsencode(user)
    with _complaints(path, user):
        _expect(path, separator, name, new)  # before the question, for the person's sake
        password = _password(user, stdin)
        rest = password if separator == secrets.TAB else _hashed(fields.pop("scheme", SCHEMES[0]), password)

        def value(present: bytes | None) -> bytes:
            _agree(present is not None, new)
            return rest if separator == secrets.TAB else _line(present, rest, fields)

        secrets.put(path, separator, name, value)
        _advise(path, separator, name, first)


def _expect(path: str, separator: bytes, name: bytes, new: bool) -> None:
    text, _ = secrets.read(path, secrets.forbidden(separator))
    _agree(name in dict(secrets.entries(text, separator)), new)


def _agree(known: bool, new: bool) -> None:
    if known and new:
        raise secrets.UserExists
    if not known and not new:
        raise secrets.NoSuchUser


def _password(user: str, stdin: bool) -> bytes:
    """Asked twice on a terminal, else the first line of standard input."""
    if sys.stdin.isatty() and not stdin:
        asked = click.prompt(f"New password of {user}", hide_input=True, confirmation_prompt="Once more")
        return str(asked).encode()
    line = sys.stdin.buffer.readline(PASSWORD_OCTETS + 2)
    password = line.removesuffix(b"\n").removesuffix(b"\r")
    if not password or len(password) > PASSWORD_OCTETS:
        raise click.ClickException(f"a password of 1 to {PASSWORD_OCTETS} octets is wanted on standard input")
    return password


def _hashed(scheme: str, password: bytes) -> bytes:
    """The hash field of a passwd-file."""
    if any(octet in b"\0\t\r\n" for octet in password):
        raise ValueError("a password has no TAB, CR, LF or NUL")
    if scheme.upper() in scram.HASHES:
        return scram.derive(scheme.upper(), password).text().encode()
    from passlib import hash as hashes  # type: ignore[import-untyped]

    try:
        return str(getattr(hashes, scheme).hash(password)).encode()
    except RuntimeError:
        raise ValueError(f"{scheme} needs a library that is not installed") from None


def _line(present: bytes | None, hashed: bytes, fields: dict[str, Any]) -> bytes:
    """The line behind the user's name: a new hash, new fields where some are given, the others as they were."""
    parts = [hashed, *(present or b"").split(b":", 5)[1:]]
    places = {"uid": 1, "gid": 2, "home": 4, "location": 5}
    for name, given in fields.items():
        parts += [b""] * (places[name] + 1 - len(parts))
        parts[places[name]] = os.fsencode(str(given))
        if name != "location" and b":" in parts[places[name]]:
            raise ValueError(f"--{name} has no :")
    return b":".join(parts)


def _advise(path: str, separator: bytes, name: bytes, first: bool) -> None:
    """What an administrator may not expect."""
    if first and separator == secrets.TAB:
        click.echo(f"note: {path} is new: it turns APOP and CRAM-MD5 on, and is asked in place of PAM", err=True)
    text, _ = secrets.read(path, secrets.forbidden(separator))
    rest = dict(reversed(secrets.entries(text, separator)))[name]
    if separator == secrets.COLON and len(rest.split(b":")) > 1 and rest.split(b":")[1]:
        return
    try:
        pwd.getpwnam(os.fsdecode(name).lower())
    except KeyError:
        click.echo(f"note: this system has no user {_shown(name)}, so nobody can log in by that name", err=True)


def _kind(hashed: str) -> str:
    if hashed.startswith("{"):
        return hashed[1:].partition("}")[0]
    return next((name for start, name in STARTS.items() if hashed.startswith(start)), "other" if hashed else "none")


def _shown(name: bytes) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name.decode("utf-8", "replace"))


@contextmanager
def _complaints(path: str, user: str = "") -> Iterator[None]:
    """Facts as sentences, without a traceback."""
    try:
        yield
    except secrets.UserExists:
        raise click.ClickException(f"{path} has {user} already: `set` changes the secret") from None
    except secrets.NoSuchUser:
        raise click.ClickException(f"{path} has no {user}") from None
    except (secrets.Unusable, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
