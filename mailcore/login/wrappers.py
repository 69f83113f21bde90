"""hosts.allow and hosts.deny, as tcpd reads them (hosts_access(5), hosts_options(5)).

What lives here: the two files and what they say of one client.  What does not: whom we ask
them about and what happens then (access.py), and host names (names.py), which are looked up
only when a pattern needs one.

A rule is `daemons : clients [: option …]`.  The first rule in hosts.allow that fits lets in, then
the first one in hosts.deny that fits keeps out, then everybody may come.  Options `allow` and
`deny` decide by themselves.  What would start a program is never done: `spawn` is passed over,
and `twist`, which means "something else answers", and `aclexec`, whose program decides, keep out.
An option we do not know, or an error in one, keeps out, as with tcpd.

Nobody asks the client's machine who its user is (RFC 1413): in `user@host` the user is unknown.
"""

from __future__ import annotations

import _socket

from mailcore import log
from mailcore.login.networks import bits, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE_OCTETS = 1024 * 1024
FILE_DEPTH = 8  # `/file` patterns inside each other
UNKNOWN, PARANOID = "unknown", "paranoid"
BLANKS = " \t\r\n"

# option: what it needs (V a value, v maybe one, L the last place)
OPTIONS = {
    "allow": "L", "deny": "L", "severity": "V", "spawn": "V", "twist": "VL", "aclexec": "V",
    "banners": "V", "group": "V", "keepalive": "", "linger": "V", "nice": "v", "rfc931": "v",
    "setenv": "V", "umask": "V", "user": "V",
}  # fmt: skip
LEFT_OUT = ("spawn", "banners", "group", "nice", "setenv", "umask", "user")  # worth a word in the log


class Host:
    """One end of a connection; `name` is asked for at most once, and only if a pattern needs it."""

    __slots__ = ("address", "_ask", "_name")

    def __init__(self, address: str, ask: Callable[[str], str]) -> None:
        self.address = address or UNKNOWN
        self._ask = ask
        self._name = "" if address else UNKNOWN

    @property
    def name(self) -> str:
        if not self._name:
            self._name = self._ask(self.address)
        return self._name

    @property
    def known_name(self) -> str:
        """The name if it is known by now."""
        return self._name if self._name not in (UNKNOWN, PARANOID) else ""


class Request:
    """What the rules are asked: which daemon, by all its names, and the two ends."""

    __slots__ = ("daemons", "client", "server", "severity")

    def __init__(self, daemons: tuple[str, ...], client: Host, server: Host) -> None:
        self.daemons = daemons
        self.client = client
        self.server = server
        self.severity = ""  # by the option of that name: `level` or `facility.level`


class Decided(Exception):
    """An option has the last word; `verdict` is whether the client may come."""

    def __init__(self, verdict: bool) -> None:
        self.verdict = verdict


def permits(allow_path: str, deny_path: str, request: Request) -> bool:
    """May this client talk to this daemon?"""
    try:
        if _fits(allow_path, request, finished=True):
            return True
        return not _fits(deny_path, request, finished=False)
    except Decided as decided:
        return decided.verdict


# --- the files -----------------------------------------------------------------------------


def _fits(path: str, request: Request, finished: bool) -> bool:
    """Does a rule of the file fit?  A file that is not there has none, one that cannot be read fits all."""
    try:
        text = _read(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        log.error(f"{path}: {error.strerror}")
        raise Decided(False) from None
    for number, line in _lines(path, text, finished):
        daemons, colon, rest = _cut(line)
        if not colon:
            log.warning(f"{path}, line {number}: missing \":\" separator")
            continue
        clients, colon, options = _cut(rest)
        if _among(daemons, lambda pattern: _is_server(pattern, request)) and _among(
            clients, lambda pattern: _is_client(pattern, request.client)
        ):
            if colon:
                _obey(options, request, f"{path}, line {number}")
            return True
    return False


def _read(path: str) -> str:
    with open(path, "rb") as file:
        data = file.read(FILE_OCTETS + 1)
    if len(data) > FILE_OCTETS:
        raise OSError(0, f"larger than {FILE_OCTETS} octets")
    return data.decode("latin-1")


def _lines(path: str, text: str, finished: bool) -> Iterator[tuple[int, str]]:
    """The rules and where they begin; a backslash at the end of a line takes the next one along.

    tcpd passes over a last line that nobody finished.  So do we where it would let in, but not where it
    would keep out.
    """
    rule, start = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        start = start or number
        rule += line
        if rule.endswith("\\"):
            rule = rule[:-1]
            continue
        whole = number <= text.count("\n")
        if rule and not whole:
            log.warning(f"{path}, line {start}: missing newline")
        if not rule.startswith("#") and rule.strip(BLANKS) and (whole or not finished):
            yield start, rule
        rule, start = "", 0


def _cut(text: str) -> tuple[str, str, str]:
    """Up to the first colon that is not in brackets."""
    depth = 0
    for index, letter in enumerate(text):
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == ":" and depth == 0:
            return text[:index], ":", text[index + 1 :]
    return text, "", ""


# --- patterns ------------------------------------------------------------------------------


def _among(text: str, fits: Callable[[str], bool]) -> bool:
    """`pattern … EXCEPT pattern … EXCEPT …`: A EXCEPT (B EXCEPT C)."""
    patterns = text.replace(",", " ").split()
    verdict = False
    for part in reversed(_split(patterns)):
        verdict = any(fits(pattern) for pattern in part) and not verdict
    return verdict


def _split(patterns: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for pattern in patterns:
        if pattern.upper() == "EXCEPT":
            parts.append([])
        else:
            parts[-1].append(pattern)
    return parts


def _is_server(pattern: str, request: Request) -> bool:
    """`daemon` or `daemon@host`."""
    at = pattern.find("@", 1)
    daemon, host = (pattern, "") if at < 0 else (pattern[:at], pattern[at + 1 :])
    return any(_is_text(daemon, name) for name in request.daemons) and (
        at < 0 or _is_host(host, request.server)
    )


def _is_client(pattern: str, client: Host) -> bool:
    """`host` or `user@host`."""
    at = pattern.find("@", 1)
    if at < 0:
        return _is_host(pattern, client)
    return _is_host(pattern[at + 1 :], client) and _is_text(pattern[:at], UNKNOWN)


def _is_host(pattern: str, host: Host, depth: int = 0) -> bool:
    word = pattern.upper()
    if pattern.startswith("@"):
        return False  # a NIS netgroup: there are none here
    if pattern.startswith("/"):
        return depth < FILE_DEPTH and _in_file(pattern, host, depth + 1)
    if word == "KNOWN":
        return host.address != UNKNOWN and host.name not in (UNKNOWN, PARANOID)
    if word == "LOCAL":
        return "." not in host.name and host.name not in (UNKNOWN, PARANOID)
    if "/" in pattern:
        return _in_net(pattern, host.address)
    if _is_text(pattern, host.address):
        return True
    return bool(pattern.strip("0123456789./")) and not pattern.startswith("[") and _is_text(pattern, host.name)


def _in_file(path: str, host: Host, depth: int) -> bool:
    """`/file`: the patterns in that file, blanks between them."""
    try:
        text = _read(path)
    except OSError as error:
        log.warning(f"{path}: {error.strerror}")
        return False
    return any(_is_host(pattern, host, depth) for pattern in text.split())


def _in_net(pattern: str, address: str) -> bool:
    """net/mask, net/length, [net]/length.  An IPv4 net with bits beyond its mask has nobody in it, as with tcpd."""
    net, _, mask = pattern.partition("/")
    packed, inside = pack(net.removeprefix("[").removesuffix("]")), pack(address)
    if packed is None or inside is None or len(packed) != len(inside):
        return False
    wanted = bits(mask, len(packed))
    if wanted is None or (mask == "0" and len(packed) == 4):
        return False  # tcpd writes that as 0.0.0.0/0.0.0.0 only
    number = int.from_bytes(packed, "big")
    return int.from_bytes(inside, "big") & wanted == (number if len(packed) == 4 else number & wanted)


def _is_text(pattern: str, text: str) -> bool:
    """One name, address or daemon; capitals make no difference."""
    wanted, text = pattern.lower(), text.lower()
    if "*" in wanted or "?" in wanted:
        return _is_glob(wanted, text)
    if wanted.startswith("."):
        return len(text) > len(wanted) and text.endswith(wanted)
    if wanted == "all":
        return True
    if wanted == "known":
        return text != UNKNOWN
    if wanted.endswith("."):
        return text.startswith(wanted)
    if wanted.startswith("[") and wanted.endswith("]"):
        packed = pack(wanted[1:-1])
        return packed is not None and len(packed) == 16 and packed == pack(text)
    return wanted == text


def _is_glob(pattern: str, text: str) -> bool:
    """`*` is any letters, `?` is one; without going back more than to the last star."""
    at = place = 0
    star = resume = -1
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[place]):
            at += 1
            place += 1
        elif star >= 0:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


# --- options -------------------------------------------------------------------------------


def _obey(text: str, request: Request, where: str) -> None:
    """The options of a rule that fits; Decided when one of them has the last word."""
    fields = _fields(text)
    for place, field in enumerate(fields, 1):
        name, value = _option(field)
        needs = OPTIONS.get(name)
        last = place == len(fields)
        if (
            needs is None
            or ("V" in needs and not value)
            or (value and "V" not in needs and "v" not in needs)
            or ("L" in needs and not last)
        ):
            log.error(f"{where}: bad option {log.clean(field)}")
            raise Decided(False)
        if name in ("allow", "deny"):
            raise Decided(name == "allow")
        _carry_out(name, value, request, where)


def _fields(text: str) -> list[str]:
    """The options, divided by colons; `\\:` is a colon."""
    parts = text.replace("\\:", "\0").split(":")
    return [part.replace("\0", ":").strip(BLANKS) for part in parts]


def _option(field: str) -> tuple[str, str]:
    """`name`, `name value` or `name = value`."""
    for index, letter in enumerate(field):
        if letter in " \t=":
            value = field[index:].lstrip(BLANKS)
            return field[:index].lower(), (value[1:] if value.startswith("=") else value).lstrip(BLANKS)
    return field.lower(), ""


def _carry_out(name: str, value: str, request: Request, where: str) -> None:
    if name == "severity":
        if not log.is_severity(value):
            log.error(f"{where}: bad severity {log.clean(value)}")
            raise Decided(False)
        request.severity = value
    elif name in ("twist", "aclexec"):
        log.warning(f"{where}: {name} is not carried out, so the client is refused")
        raise Decided(False)
    elif name in LEFT_OUT:
        log.warning(f"{where}: option {name} is not carried out")


# --- names ---------------------------------------------------------------------------------


def confirmed_name(address: str) -> str:
    """The name of an address if that name has this address; else PARANOID, and UNKNOWN if it has none.

    Blocks as long as the resolver does: names.py bounds it.
    """
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    try:
        name = _socket.getnameinfo((address, 0), _socket.NI_NAMEREQD)[0]
    except OSError:
        return UNKNOWN
    if pack(name) is not None or not name:
        return PARANOID  # a name that looks like an address
    try:
        found = _socket.getaddrinfo(name, None, family, _socket.SOCK_STREAM)
    except OSError:
        return PARANOID
    wanted = pack(address)
    if any(pack(str(where[0]).partition("%")[0]) == wanted for *_, where in found):
        return name.lower()
    return PARANOID
