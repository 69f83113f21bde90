"""Patterns that are compiled when they are needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mailcore.expressions import IGNORE_CASE, Expression, compile_all


def test_as_if_it_were_compiled() -> None:
    expression = Expression(rb"a(b)", IGNORE_CASE)
    assert "search" not in vars(expression)
    found = expression.search(b"xAB")
    assert found is not None and found.group(1) == b"B"
    assert expression.match(b"xAB") is None and expression.sub(b"-", b"ab ab") == b"- -"
    assert vars(expression)["search"] == expression.search
    with pytest.raises(AttributeError):
        expression.pattern_of_nothing  # noqa: B018


def test_a_listener_has_them_all_compiled() -> None:
    waiting = Expression(rb"c")
    compile_all()
    assert "fullmatch" in vars(waiting)


def test_until_then_nothing_is_imported() -> None:
    """Opening a mailbox that did not change needs none of the patterns of mbox."""
    code = "import sys, mailcore.store.formats.mbox.box; print('re' in sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "False\n"
