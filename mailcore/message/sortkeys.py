"""What messages are sorted by: the keys of SORT and THREAD, made of a header (RFC 5256 §2, §3; RFC 5957).

What lives here: one function for each kind of key, a header in, a value out that compares as it
should.  What does not: reading headers, and the sorting.
"""

from __future__ import annotations

from mailcore.message import dates, decode, headers, subject
from mailcore.message.address import BAD_HOST, NO_HOST, NO_MAILBOX, address_fields
from mailcore.message.casemap import casemap

_NO_HOST = (None, BAD_HOST, NO_HOST)  # a group has a name alone, and some write no more of an address
FIELD_OCTETS = 10_000  # a field is looked at so far: its first address and the start of its text are there


def sent(header: bytes) -> int | None:
    """When it was sent, in Unix seconds; None where the Date field does not tell (RFC 5256 §2.2)."""
    value = headers.value(header, b"Date")
    date = dates.rfc822(value[:FIELD_OCTETS]) if value else None
    return date[0] if date else None


def base_subject(header: bytes) -> tuple[str, bool]:
    """The base subject in the form in which it is compared, and whether it is a reply's or a forward's."""
    value = headers.value(header, b"Subject")
    if not value:
        return "", False
    text, reply = subject.base(decode.words(value[:FIELD_OCTETS]))
    return casemap(text), reply


def mailbox(header: bytes, name: bytes) -> str:
    """The local part of the first address of a field, "" without one (RFC 5256 §3 CC, FROM, TO)."""
    first = _first(header, name)
    return casemap(decode.words(first[2] or b"")) if first else ""


def display(header: bytes, name: bytes) -> str:
    """The name that a client shows of the first address of a field, or the address (RFC 5957 §3)."""
    first = _first(header, name)
    if first is None:
        return ""
    shown, _, local, host = first
    if not shown:
        shown = local or b"" if host in _NO_HOST else b"%b@%b" % (local or b"", host)
    return casemap(decode.words(shown))


def _first(header: bytes, name: bytes) -> tuple[bytes | None, bytes | None, bytes | None, bytes | None] | None:
    value = headers.value(header, name)
    found = address_fields(value[:FIELD_OCTETS]) if value else []
    return found[0] if found and found[0][2] != NO_MAILBOX else None
