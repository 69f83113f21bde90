"""The base subject: what is left of a subject without `Re:`, `Fwd:`, `[list]` and `(fwd)` (RFC 5256 §2.1).

What lives here: the extraction, in one pass from each side, so that no subject is expensive.  What
does not: comparing (casemap.py); messages with one base subject are one thread to some clients.
"""

from __future__ import annotations

import re

OCTETS = 10_000  # a subject is looked at so far

_BLOB = re.compile(r"\[[^\[\]]*+\][ ]*+")  # [mailing list] and the blanks after it
_REPLY = re.compile(r"(?:re|fwd?)[ ]*+(?:\[[^\[\]]*+\][ ]*+)?:", re.I | re.A)
_TRAILER = "(FWD)"
_FORWARDED = "[FWD:"


def base(text: str) -> tuple[str, bool]:
    """The base of a decoded subject, and whether it says that the message is a reply or a forward."""
    text = " ".join(text[:OCTETS].split())
    reply = False
    while True:
        text, ended = _without_trailers(text)
        text, begun = _without_leaders(text)
        reply = reply or ended or begun
        if not (text[:5].upper() == _FORWARDED and text.endswith("]")):
            return text, reply
        text, reply = text[5:-1].strip(" "), True


def _without_trailers(text: str) -> tuple[str, bool]:
    """Without `(fwd)` at its end, as often as it is there (RFC 5256 §5 subj-trailer)."""
    end = len(text)
    while text[max(end - 5, 0) : end].upper() == _TRAILER:
        end -= 5
        while end and text[end - 1] == " ":
            end -= 1
    return text[:end], end < len(text)


def _without_leaders(text: str) -> tuple[str, bool]:
    """Without what stands before the base (subj-leader, subj-blob): replies' marks, and blobs unless they are all."""
    at, reply = 0, False
    while True:
        while text[at : at + 1] == " ":
            at += 1
        first, last = at, -1  # where the run of blobs begins, and its last one
        while found := _BLOB.match(text, at):
            last, at = at, found.end()
        if found := _REPLY.match(text, at):
            at, reply = found.end(), True
            continue
        if last >= 0 and at == len(text):
            return text[last:], reply  # something must be left
        return text[at if last >= 0 else first :], reply
