"""Puts the settings into mailcore.conf(5): `python man/settings.py < man/mailcore.conf.5 > page`.

`make install` does that, so that the page says what mailcore/settings.py says.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mailcore import settings  # noqa: E402

MARK = '.\\" SETTINGS\n'


def main() -> None:
    before, mark, after = sys.stdin.read().partition(MARK)
    if not mark:
        sys.exit("the page has no line for the settings")
    sys.stdout.write(before + "".join(entries()) + after)


def entries() -> list[str]:
    """A subsection for each comment in the table, an item for each setting."""
    source = inspect.getsource(settings)
    lines = source[source.index("\nTABLE") : source.index("\n}\n")].splitlines()
    found: list[str] = []
    for line in map(str.strip, lines):
        name = line.partition('"')[2].partition('"')[0] if line.startswith('"') else ""
        if line.startswith("# "):
            found.append(f"{END * bool(found)}.Ss {line[2:].capitalize()}\n{BEGIN}")
        elif name in settings.TABLE:
            default, meaning = settings.TABLE[name]
            found.append(f".It Ic {name}\n{sentence(meaning)}\n(Preset: {shown(name, default)}.)\n")
    return [*found, END]


BEGIN, END = ".Bl -tag -width Ds\n", ".El\n"


def sentence(text: str) -> str:
    """A sentence in mdoc's spelling."""
    text = text.replace("\\", "\\e").replace("~", "\\(ti").replace("^", "\\(ha")
    return text[:1].upper() + text[1:] + "."


def shown(name: str, value: bool | int | float | str) -> str:
    """A value as the file writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return sentence(f'"{value}"').rstrip(".") if value else "empty"
    return f"{value:#o}" if name.endswith("_mode") else f"{value}"


if __name__ == "__main__":
    main()
