"""Passwords proved by MD5 digests of a server's stamp: APOP (RFC 1939 §7) and CRAM-MD5 (RFC 2195).

What lives here: the stamp, and whether a digest is the right one.  What does not: where the
secrets are (secrets.py), and the dialogue (sasl.py, the servers).

Each function takes `secret` None for a user without one, does the same work, and says no.  MD5 is
asked for as "not for security": on a system in FIPS mode Python would not give it otherwise,
and what these two are worth is written in the manual, not hidden here.
"""

from __future__ import annotations

import _operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STAMP_OCTETS = 127  # UW's limit; some clients have no room for more
NOBODYS = b"no user has this secret"


def stamp(host: str) -> bytes:
    """A challenge that was never said before, as a msg-id: `<random.time@host>` (RFC 1939 §7, RFC 2195 §2).

    Whoever verifies the digest makes it too: a stamp taken from the process that hears the client
    could be an old one, with the answer that somebody once overheard.
    """
    import os
    from time import time

    name = "".join(letter for letter in host if letter.isascii() and (letter.isalnum() or letter in ".-"))
    start = b"<%d.%d@" % (int.from_bytes(os.urandom(8), "big"), int(time()))
    return start + (name or "localhost").encode()[: STAMP_OCTETS - len(start) - 1] + b">"


def apop(stamp: bytes, secret: bytes | None, digest: bytes) -> bool:
    """Is this MD5 of stamp and secret, in lower-case hexadecimal (RFC 1939 §7)?"""
    right = _md5(stamp + (NOBODYS if secret is None else secret)).hexdigest()
    return same(digest, right.encode()) and secret is not None


def cram_md5(stamp: bytes, secret: bytes | None, digest: bytes) -> bool:
    """Is this HMAC-MD5 of the stamp, keyed with the secret, in lower-case hexadecimal (RFC 2195 §2)?"""
    import hmac

    right = hmac.new(NOBODYS if secret is None else secret, stamp, _md5).hexdigest()
    return same(digest, right.encode()) and secret is not None


def clear(password: bytes, secret: bytes | None) -> bool:
    """Is this the secret itself, sent in clear (LOGIN, PASS and PLAIN where the secrets file is asked)?"""
    return same(password, NOBODYS if secret is None else secret) and secret is not None


def same(given: bytes, right: bytes) -> bool:
    """Are they equal?  The time tells nothing of where they differ.

    hmac.compare_digest by the name that it has in C: the module hmac would bring OpenSSL.
    """
    return bool(_operator._compare_digest(given, right))


def _md5(data: bytes = b"") -> Any:
    import hashlib

    return hashlib.md5(data, usedforsecurity=False)
