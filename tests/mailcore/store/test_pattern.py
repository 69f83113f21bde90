"""LIST patterns: what they match, and that a thousand wildcards cost nothing (S51)."""

from __future__ import annotations

import time
from fnmatch import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.store.pattern import Pattern


@pytest.mark.parametrize(
    ("pattern", "matching", "not_matching"),
    [
        ("*", ["", "a", "a/b", "a/b/c"], []),
        ("%", ["", "a", "ab"], ["a/b", "/"]),
        ("a", ["a"], ["", "ab", "A", "a/"]),
        ("a*", ["a", "ab", "a/b"], ["ba"]),
        ("a%", ["a", "ab"], ["a/b", "ba"]),
        ("%/%", ["a/b", "/"], ["a", "a/b/c"]),
        ("a/*", ["a/", "a/b", "a/b/c"], ["a"]),
        ("*c", ["c", "abc", "a/c"], ["cb", ""]),
        ("%c", ["c", "abc"], ["a/c"]),
        ("*%", ["", "a/b"], []),
        ("%*", ["", "a/b"], []),
        ("%%%", ["abc"], ["a/b"]),
        ("a%c*e", ["ace", "abcde", "ac/d/e"], ["a/ce", "acd"]),
        ("[a]", ["[a]"], ["a"]),
        ("?", ["?"], ["a"]),
        ("", [""], ["a"]),
    ],
)
def test_pattern(pattern, matching, not_matching):
    for name in matching:
        assert Pattern(pattern).matches(name), name
    for name in not_matching:
        assert not Pattern(pattern).matches(name), name


@given(st.text("ab*", max_size=12), st.text("ab/", max_size=12))
def test_stars_are_as_in_fnmatch(pattern, name):
    assert Pattern(pattern).matches(name) == fnmatch(name, pattern)


@given(st.text("ab*%/", max_size=10), st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4))
def test_accepts_agrees_with_matches(pattern, levels):
    matcher = Pattern(pattern)
    state = matcher.start
    for level in levels[:-1]:
        state = matcher.advance(state, level + "/")
    assert bool(state and matcher.accepts(state, levels[-1])) == matcher.matches("/".join(levels))


@pytest.mark.parametrize("pattern", ["%*" * 500, "a%" * 1000, "*a" * 1000, "%" * 1000 + "b", "*" + "a%" * 1000 + "b"])
def test_a_thousand_wildcards(pattern):
    started = time.perf_counter()
    Pattern(pattern).matches("a" * 255)
    assert time.perf_counter() - started < 0.5  # some milliseconds; quadratic would be minutes
