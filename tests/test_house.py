"""The rules of the house that matter: who may import whom, and what a greeting may cost.

DESIGN.md says why; here they are kept true.
"""

from __future__ import annotations

import ast
import configparser
import io
import os
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

from tests.playground import MODULES, ROOT, Ground, program

FILES = sorted(path for package in ("mailcore", "imapd", "ipop3d") for path in (ROOT / package).rglob("*.py"))

# Floors, from the ground up; a module may import its own floor and those below it.
GROUND, SPEECH, MESSAGE, SERVICES, SERVERS, DOORS = range(6)
GROUND_FILES = {"mailcore", "mailcore.errors", "mailcore.settings", "mailcore.log", "mailcore.progress",
                "mailcore.bundle", "mailcore.expressions"}
SPEECH_FILES = {"mailcore.wire", "mailcore.dialogue", "mailcore.commands"}
DOOR_NAMES = ("__main__", "options")
SERVER_PACKAGES = ("imapd", "ipop3d", "mailcore.poppassd")

# Third parties have one door each.
WORDS = ("__main__", "cert", "demo", "index", "poppassd", "secret", "undelete")
THIRD_PARTY_DOORS = {
    "passlib": {"mailcore.login.passwords", "mailcore.tools.demo", "mailcore.tools.secret"},
    "OpenSSL": {"mailcore.login.tls"},
    "cryptography": {"mailcore.tools.cert"},
    "click": {"mailcore.options", *(f"mailcore.tools.{word}" for word in WORDS)},
    "sqlite3": {"mailcore.store.database"},
    "_sqlite3": {"mailcore.store.database"},
    "syslog": {"mailcore.log"},
}
NEVER = {"email", "mailbox", "imaplib", "poplib", "asyncio", "dataclasses", "logging", "pickle", "subprocess", "enum"}
NEVER |= {"marshal", "shelve", "yaml", "code", "codeop", "runpy", "pty", "xmlrpc", "multiprocessing"}
NEVER_BUT = {"subprocess": {"mailcore.tools.demo"}}

# Loaded at the greeting of a cold start: nothing of these (DESIGN.md, "What a start may cost").
HEAVY = {
    "re", "enum", "dataclasses", "typing", "functools", "collections", "socket", "ssl", "logging", "argparse",
    "click", "passlib", "OpenSSL", "sqlite3", "ctypes", "tomllib", "hashlib", "hmac", "email", "asyncio", "signal",
    "contextlib", "inspect", "traceback", "subprocess", "threading", "tempfile", "random", "json", "mailcore.store",
    "bisect", "operator", "struct", "datetime", "zlib", "mailcore.login.checker", "imapd.authenticated",
    "ipop3d.transaction",
}  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module: str) -> int:
    last = module.rpartition(".")[2]
    if last in DOOR_NAMES or module.startswith("mailcore.tools"):
        return DOORS
    if module.startswith(SERVER_PACKAGES):
        return SERVERS
    if module.startswith(("mailcore.login", "mailcore.store")):
        return SERVICES
    if module.startswith("mailcore.message"):
        return MESSAGE
    if module in SPEECH_FILES:
        return SPEECH
    assert module in GROUND_FILES, f"{module} has no floor"
    return GROUND


def imported(path: Path) -> set[str]:
    """Every module a file imports anywhere, types for the checker apart."""
    found = set()
    tree = ast.parse(path.read_text())
    hidden = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for part in node.body
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(name: str) -> str | None:
    """The module of ours that `name` (a module, or something in one) stands in."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        if path.with_suffix(".py").exists() or (path / "__init__.py").exists():
            return ".".join(parts[:length])
    return None


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_downstairs(path: Path) -> None:
    here = module_name(path)
    for name in imported(path):
        there = ours(name)
        if there is None:
            continue
        assert floor(there) <= floor(here), f"{here} imports {there}"
        rooms = {package for package in SERVER_PACKAGES for module in (here, there) if module.startswith(package)}
        assert len(rooms) < 2 or floor(here) != SERVERS, f"{here} imports {there}"
        services = {module.split(".")[1] for module in (here, there) if module.startswith("mailcore.")}
        if floor(here) == SERVICES:
            assert not {"login", "store"} <= services, f"{here} imports {there}: login cannot see mail"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_third_parties_have_one_door(path: Path) -> None:
    here = module_name(path)
    for name in imported(path):
        outsider = name.split(".")[0]
        if outsider in THIRD_PARTY_DOORS:
            assert here in THIRD_PARTY_DOORS[outsider], f"{here} imports {outsider}"
        if outsider in NEVER and ours(name) is None:
            assert here in NEVER_BUT.get(outsider, ()), f"{here} imports {outsider}"


# Who may start a program (S63): by which call, called what, out of which constant of the module.
STARTERS = {
    "mailcore.store.locking": ("posix_spawn", "program", "DOTLOCKFILE"),
    "mailcore.store.mlock": ("posix_spawn", "program", "PROGRAMS"),
    "mailcore.login.renewal": ("execv", "program", ""),  # itself
}
START_CALLS = ("system", "popen", "fork_exec", "execl", "execle", "execlp", "execlpe", "execv", "execve", "execvp",
               "execvpe", "posix_spawn", "posix_spawnp", "spawnl", "spawnle", "spawnlp", "spawnlpe", "spawnv",
               "spawnve", "spawnvp", "spawnvpe", "startfile")  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_shell_no_eval(path: Path) -> None:
    """S63: nothing that a stranger says is ever run."""
    here = module_name(path)
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "compile", "__import__"), f"{path}: {node.func.id}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in START_CALLS:
            call, name, constant = STARTERS.get(here, ("", "", ""))
            assert node.func.attr == call, f"{path}: {node.func.attr}"
            assert isinstance(node.args[0], ast.Name) and node.args[0].id == name
            if constant:
                assert _is_absolute(_constant(tree, constant)), f"{path}: {constant} is no absolute path"
            else:
                assert _values(tree, name) == {"sys.executable"}, f"{path}: {name} is not this Python"
        assert not (isinstance(node, ast.keyword) and node.arg == "shell"), f"{path}: shell="
    assert "assert " not in [line.lstrip()[:7] for line in path.read_text().splitlines()], "assert is gone under -O"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_nothing_of_ours_lies_in_tmp(path: Path) -> None:
    """S32: no lock and no file in a directory where anybody may put one first; what waits in /var/tmp has no name."""
    if module_name(path) != "mailcore.tools.demo":
        texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        assert not [text for text in texts if isinstance(text, str) and re.match(r"/(tmp|dev/shm)\b", text)]
        assert not imported(path) & {"tempfile", "tempfile.mkdtemp", "tempfile.NamedTemporaryFile"}


def _is_absolute(value: object) -> bool:
    return all(path.startswith("/") for path in ((value,) if isinstance(value, str) else tuple(value)))  # type: ignore[arg-type]


def _values(tree: ast.Module, name: str) -> set[str]:
    """All that a name is given in a module, as it is written."""
    given = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts, strict=True))
                given |= {ast.unparse(value) for one, value in pairs if isinstance(one, ast.Name) and one.id == name}
    return given


def _constant(tree: ast.Module, name: str) -> object:
    """What a module gives to a name."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{name} is no constant")


# What root runs (S1; DESIGN.md, "Code that root runs"), and how many lines of code it may be.
ROOT_CODE = {
    "mailcore.login.arrival": 60, "mailcore.login.access": 185, "mailcore.login.accounts": 100,
    "mailcore.login.networks": 60, "mailcore.login.wrappers": 280, "mailcore.login.names": 40,
    "mailcore.login.nobody": 50, "mailcore.login.caps": 90, "mailcore.login.ledger": 70,
    "mailcore.login.pace": 50, "mailcore.login.rundir": 60, "mailcore.login.listener": 430,
    "mailcore.login.sockets": 40, "mailcore.login.waiting": 120, "mailcore.login.seats": 120,
    "mailcore.login.innkeeper": 110,
    "mailcore.login.standby": 140, "mailcore.login.renewal": 50, "mailcore.login.parcel": 60,
    "mailcore.login.tenancy": 80, "mailcore.login.keykeeper": 190, "mailcore.login.certificates": 80,
    "mailcore.login.monitor": 540, "mailcore.login.desk": 115, "mailcore.login.lodge": 130,
    "mailcore.login.channel": 220,
    "mailcore.login.privileges": 230, "mailcore.login.provisions": 90, "mailcore.login.syscalls": 75,
    "mailcore.settings": 190, "mailcore.log": 80,
    "mailcore.bundle": 90,
}  # fmt: skip
CHECKER_CODE = {  # root too, but in a process of its own for one password
    "mailcore.login.checker": 300, "mailcore.login.pam": 200, "mailcore.login.passwords": 260,
    "mailcore.login.secrets": 260, "mailcore.login.digests": 60, "mailcore.login.scram": 260,
    "mailcore.login.change": 280, "mailcore.login.sources": 60, "mailcore.login.shadow": 120,
    "mailcore.login.verifiers": 120,
}  # fmt: skip


def code_lines(path: Path) -> int:
    """Lines with code on them: no comments, no docstrings, no blank lines."""
    text = path.read_text()
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            first = node.body[0]
            prose.update(range(first.lineno, (first.end_lineno or 0) + 1))
    nothing = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in nothing:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - prose)


@pytest.mark.parametrize("table", [ROOT_CODE, CHECKER_CODE], ids=["connection", "checker"])
def test_root_runs_little(table: dict[str, int]) -> None:
    counts = {module: code_lines(ROOT.joinpath(*module.split(".")).with_suffix(".py")) for module in table}
    print(*(f"{count:5} {module}" for module, count in counts.items()), f"{sum(counts.values()):5} lines", sep="\n")
    grown = {module: count for module, count in counts.items() if count > table[module]}
    assert not grown, f"more code for root: {grown}"


def test_design_lists_what_root_runs() -> None:
    """By name, and how much it is: that number may be a tenth too old."""
    design = (ROOT / "DESIGN.md").read_text().partition("### What root runs")[2].partition("\n### ")[0]
    for module in (*ROOT_CODE, *CHECKER_CODE):
        assert module.rpartition(".")[2] in design, module
    told = [int(number) for number in re.findall(r"(\d{4}) lines", design)]
    for table, number in zip((ROOT_CODE, CHECKER_CODE), told, strict=True):
        counted = sum(code_lines(ROOT.joinpath(*module.split(".")).with_suffix(".py")) for module in table)
        assert abs(counted - number) < number / 10, counted


def test_the_lock_is_of_what_setup_asks_for() -> None:
    """S64: every dependency has one version and the hashes of its files."""
    text = (ROOT / "requirements.txt").read_text()
    pins = [block for block in text.replace("\\\n", " ").splitlines() if block and not block.startswith("#")]
    names = {pin.split("==")[0].lower() for pin in pins}
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert {wish.split(">=")[0].lower() for wish in setup["options"]["install_requires"].split()} <= names


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_can_be_read_in_one_sitting(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 700
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "a module says what lives in it"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_every_module_has_its_tests(path: Path) -> None:
    """tests/ mirrors the packages; a module that only other tests reach is named here."""
    here = module_name(path)
    if path.name == "__init__.py" or path.name == "__main__.py" or here in TESTED_ELSEWHERE:
        return
    relative = path.relative_to(ROOT)
    mirror = ROOT / "tests" / relative.parent / f"test_{relative.name}"
    assert mirror.exists(), f"no {mirror.relative_to(ROOT)}"


TESTED_ELSEWHERE: dict[str, str] = {
    "mailcore.login.standby": "test_seats.py",
    "mailcore.login.tenancy": "test_monitor.py",
    "mailcore.errors": "a list of names",
    "mailcore.store.formats.mbox.followed": "test_box.py",
    "mailcore.store.formats.mbox.messages": "test_box.py",
    "ipop3d.anytime": "transcripts/ipop3d",
    "ipop3d.authorization": "transcripts/ipop3d",
    "ipop3d.transaction": "transcripts/ipop3d",
}


def test_every_command_has_a_transcript_and_a_source() -> None:
    """Each command of each state is said in some transcript, and its handler names its RFC."""
    from imapd import authenticated, selected, unauthenticated
    from ipop3d import authorization, transaction
    from mailcore.poppassd import session as poppassd

    states = {
        "poppassd": [poppassd.command],
        "ipop3d": [authorization.command, transaction.command],
        "imapd": [unauthenticated.command, authenticated.command, selected.command, selected.uid_command],
    }
    for server, tables in states.items():
        talk = "\n".join(path.read_text() for path in (ROOT / "tests/transcripts" / server).glob("*.txt"))
        said = {line.upper() for line in talk.splitlines() if line.startswith("C: ")}
        for table in tables:
            for name, command in table.items():
                assert any(name in line.split() for line in said), f"{server}: no transcript says {name}"
                assert command.run.__doc__, f"{server}: {name} says nothing about itself"


SPY = """
import os, sys
say = os.write
def write(fd, data):
    if fd == 1:
        data = bytes(data)
        say(1, data[:data.find(b"\\n") + 1] + " ".join(sys.modules).encode())
        os._exit(0)
    return say(fd, data)
os.write = write
"""


@pytest.mark.parametrize("user", ["ordinary", "root"])
@pytest.mark.parametrize("server", ["imapd", "ipop3d", "poppassd"])
def test_what_is_loaded_at_the_greeting(server: str, user: str, ground: Ground) -> None:
    """A cold start pays for nothing that the greeting does not need (spied on inside the real program)."""
    if user == "root" and os.getuid():
        return
    ground.hand_over()
    start = program(server)
    start[start.index("-c") + 1] = SPY + start[start.index("-c") + 1]
    identity = ground.identity() if user == "ordinary" else {}
    env = {"HOME": str(ground.home)}
    done = subprocess.run(start, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, env=env, **identity)
    greeting, _, modules = done.stdout.partition(b"\n")
    assert greeting.startswith((b"* ", b"+OK", b"200 ")), done
    loaded = set(modules.decode().split())
    assert f"{MODULES.get(server, server)}.session" in loaded
    assert not loaded & HEAVY, sorted(loaded & HEAVY)


END = """
import os
from mailcore import settings
for name, value in OPTIONS.items():
    settings.TABLE[name] = (type(settings.TABLE[name][0])(value), settings.TABLE[name][1])
leave = os._exit
def end(status):
    try:
        os.write(1, " ".join(sys.modules).encode())
    finally:
        leave(status)
os._exit = end
"""
UNUSED = {"re", "enum", "typing", "datetime", "sqlite3", "hashlib", "_hashlib", "random", "copy", "contextlib", "json"}
LATER = {"imapd.fetch", "imapd.search", "imapd.criteria", "imapd.results", "imapd.incoming", "imapd.listing"}


def test_what_a_short_session_loads(ground: Ground) -> None:
    """Opening a mailbox that is known costs no extension, no message parsing, no regular expression."""
    ground.hand_over()
    start = program("imapd")
    place = start.index("-c") + 1
    path, begin = start[place].split("; from ")
    start[place] = f"{path}\nOPTIONS = {ground.options()!r}{END}from {begin}"
    identity = ground.identity() if os.getuid() == 0 else {}
    for _ in range(2):
        done = subprocess.run(start, input=b"a SELECT INBOX\r\nb LOGOUT\r\n", capture_output=True, timeout=30,
                              env={"HOME": str(ground.home)}, **identity)  # fmt: skip
    said, _, modules = done.stdout.rpartition(b"\r\n")
    assert b"\r\na OK " in said and b"\r\nb OK " in said, done
    loaded = set(modules.decode().split())
    assert not loaded & (UNUSED | LATER), sorted(loaded & (UNUSED | LATER))
    assert {name for name in loaded if name.startswith("imapd.extensions.")} == {
        "imapd.extensions.id", "imapd.extensions.inprogress"
    }  # fmt: skip
    assert {name for name in loaded if name.startswith("mailcore.message.")} == {"mailcore.message.crlf"}


def patterns() -> list[tuple[str, str, object]]:
    """Every regular expression that a module keeps, with its name."""
    import importlib
    import re

    from mailcore import expressions

    found = []
    for path in FILES:
        here = module_name(path)
        if path.name == "__main__.py" or here.startswith("mailcore.tools"):
            continue
        for name, value in vars(importlib.import_module(here)).items():
            if isinstance(value, expressions.Expression):
                value = value.compiled()
            if isinstance(value, re.Pattern):
                found.append((here, name, value))
    return found


def test_no_pattern_goes_back_and_forth() -> None:
    """S51: nothing without end inside something without end, unless it is possessive: strangers write the input."""
    found = patterns()
    assert len(found) > 20
    for here, name, pattern in found:
        assert not _backtracks(pattern.pattern, pattern.flags), f"{here}.{name}"  # type: ignore[attr-defined]
    assert _backtracks("(?:a+b?)*", 0) and not _backtracks("(?:a++b?)*+", 0)


def _backtracks(pattern: str | bytes, flags: int) -> bool:
    from re import _constants, _parser  # type: ignore[attr-defined]

    def inside(tree: object, repeated: bool) -> bool:
        for op, argument in tree:  # type: ignore[attr-defined]
            endless = op in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and argument[1] > 1000
            if endless and repeated:
                return True
            for part in _parts(argument):
                if inside(part, repeated or endless):
                    return True
        return False

    def _parts(argument: object) -> list[object]:
        if isinstance(argument, _parser.SubPattern):
            return [argument]
        return [part for item in argument for part in _parts(item)] if isinstance(argument, (tuple, list)) else []

    return inside(_parser.parse(pattern, flags & ~64), False)
