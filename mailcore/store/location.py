"""`mail_location`: where one user's mail is, in Dovecot's words.

What lives here: the specification to paths.  What does not: the paths' contents and the
names below them (namespace.py).
"""

from __future__ import annotations

import os

from mailcore.errors import BadName, BadSetting


class Location:
    """Where one user's mail is, as `mail_location` says (Dovecot's words)."""

    __slots__ = ("inbox", "index", "root")

    def __init__(self, root: str, inbox: str, index: str) -> None:
        self.root = root
        self.inbox = inbox
        self.index = index  # "" = nothing said


def parse_location(spec: str, user: str, home: str) -> Location:
    """`mbox:ROOT[:INBOX=FILE][:INDEX=DIRECTORY]` with its %-words replaced.

    `~` stands for the home at the start of a path.  Without INBOX the inbox is the file
    `inbox` in the root, as Dovecot has it.  INDEX=MEMORY is as good as no INDEX: ours is
    needed for more than speed (journals).
    """
    kind, colon, rest = spec.partition(":")
    if not colon or kind != "mbox":
        raise BadSetting(f"mail_location {spec}: mbox:DIRECTORY is wanted")
    paths = {"ROOT": "", "INBOX": "", "INDEX": ""}
    for number, word in enumerate(rest.split(":")):
        name, equals, value = word.partition("=") if number else ("ROOT", "=", word)
        if name not in paths or not equals:
            raise BadSetting(f"mail_location {spec}: {word}: INBOX=FILE or INDEX=DIRECTORY is wanted")
        if paths[name]:
            raise BadSetting(f"mail_location {spec}: {name} twice")
        if (name, value) != ("INDEX", "MEMORY"):
            paths[name] = _absolute(expand(value, user, home), home, spec)
    return Location(paths["ROOT"], paths["INBOX"] or os.path.join(paths["ROOT"], "inbox"), paths["INDEX"])


def _absolute(path: str, home: str, spec: str) -> str:
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    if not path.startswith("/"):
        raise BadSetting(f"mail_location {spec}: {path or 'an empty path'} does not start with / or ~/")
    return os.path.normpath(path)


def expand(template: str, user: str, home: str) -> str:
    """Replace %u (user), %n (before the @), %d (after it), %h (home), %%.

    Between % and the letter: `L` lower case, `U` upper case, or [OFFSET.]WIDTH octets, so
    /var/mail/%1u/%u is the usual hashed spool.  One pass: what comes from the user is never
    expanded again, and holds no slash and is no dot name.
    """
    local, _, domain = user.partition("@")
    values = {"u": user, "n": local, "d": domain, "h": home, "%": "%"}
    pieces = template.split("%")
    out = [pieces[0]]
    at = 1
    while at < len(pieces):
        piece = pieces[at]
        if not piece and at + 1 < len(pieces):  # %%
            out.append("%" + pieces[at + 1])
            at += 2
            continue
        letter = piece.lstrip("0123456789.LU")[:1]
        modifiers = piece[: piece.find(letter)] if letter else ""
        if letter not in values or letter in ("", "%"):
            raise BadSetting(f"{template}: %{piece[:8]} is not one of %u %n %d %h %%")
        value = values[letter]
        if letter != "h" and ("/" in value or "\0" in value or value in (".", "..")):
            raise BadName("No mail for a user of that name", f"user {user!r} in {template}")
        out.append(_modified(value, modifiers, template) + piece[len(modifiers) + 1 :])
        at += 1
    return "".join(out)


def _modified(value: str, modifiers: str, template: str) -> str:
    """`value` in the case and of the width that the modifiers of a %-word ask for."""
    digits = modifiers.strip("LU")
    if "L" in modifiers:
        value = value.lower()
    if "U" in modifiers:
        value = value.upper()
    if not digits:
        return value
    offset, dot, width = digits.rpartition(".")
    if not width.isdigit() or (dot and not offset.isdigit()) or len(digits) > 8:
        raise BadSetting(f"{template}: %{modifiers}: [OFFSET.]WIDTH is wanted")
    start = int(offset or 0)
    return value[start : start + int(width)]
