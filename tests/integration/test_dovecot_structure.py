"""ENVELOPE and BODYSTRUCTURE beside Dovecot's, message by message; tests/golden/DOVECOT.md explains each difference."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.integration.test_dovecot import dovecot
from tests.playground import ROOT, Ground, program

GOLDEN = ROOT / "tests" / "golden"
ITEMS = ("ENVELOPE", "BODYSTRUCTURE")


def explained() -> set[tuple[str, str]]:
    """The names in the tables of DOVECOT.md: `| message | ITEM | why |`."""
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([A-Z]+) \|", (GOLDEN / "DOVECOT.md").read_text(), re.M)
    return set(rows)


def mbox(paths: list[Path]) -> bytes:
    """As mail lies in an mbox: LF, and no line that a program could take for a separator."""
    whole = b""
    for path in paths:
        text = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ")
        text = text if text.endswith(b"\n") else text + b"\n"
        whole += b"From x@y Sat Nov  7 10:00:00 2026 +0000\n" + b">" * text.startswith(b"From ") + text + b"\n"
    return whole


def answers(command: list[str], ground: Ground, count: int) -> list[list[bytes]]:
    """For each item what is said of each message, strings quoted and literals alike."""
    script = b"e EXAMINE golden\r\n" + b"".join(b"f FETCH 1:%d %b\r\n" % (count, item.encode()) for item in ITEMS)
    done = subprocess.run(
        command, input=script + b"z LOGOUT\r\n", capture_output=True, timeout=120, cwd=ground.home,
        env={"HOME": str(ground.home), "USER": ground.user.pw_name}, **ground.identity(),  # type: ignore[call-overload]
    )  # fmt: skip
    told = []
    for item in ITEMS:
        pieces = re.split(rb"(?:^|\r\n)\* (\d+) FETCH \(%b " % item.encode(), done.stdout)
        found = dict(zip(map(int, pieces[1::2]), pieces[2::2], strict=True))
        told.append([_plain(re.split(rb"\)\r\n(?:f OK|\* )", found[number])[0]) for number in range(1, count + 1)])
    return told


def _plain(said: bytes) -> bytes:
    """Literals as quoted strings, types in one case: what the grammar calls the same."""
    text = b""
    while found := re.search(rb"\{(\d+)\}\r\n", said):
        end = found.end() + int(found[1])
        text += said[: found.start()] + b'"%b"' % re.sub(rb'(["\\])', rb"\\\1", said[found.end() : end])
        said = said[end:]
    return (text + said).strip().removesuffix(b")").upper().replace(b"\x80", b"")


def test_side_by_side(ground: Ground) -> None:
    paths = sorted(GOLDEN.glob("*.eml"))
    theirs = dovecot(ground)
    ground.place("golden", mbox(paths))
    ground.hand_over()
    ours = program("imapd", *[word for key, value in ground.options().items() for word in ("-o", f"{key}={value}")])
    mine, other = answers(ours, ground, len(paths)), answers(theirs, ground, len(paths))
    different = {
        (path.stem, item)
        for item, left, right in zip(ITEMS, mine, other, strict=True)
        for path, one, two in zip(paths, left, right, strict=True)
        if one != two
    }
    assert different == explained()
