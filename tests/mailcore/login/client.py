"""What a client computes to log in, written from the RFCs and not from our own code."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

FIRST = b"n=%b,r=nonce"


def apop(stamp: bytes, user: bytes, secret: bytes) -> bytes:
    """RFC 1939 §7: the arguments of APOP."""
    return user + b" " + hashlib.md5(stamp + secret).hexdigest().encode()


def cram_md5(challenge: bytes, user: bytes, secret: bytes) -> bytes:
    """RFC 2195 §2, base64 in and out."""
    return b64encode(user + b" " + hmac.new(secret, b64decode(challenge), hashlib.md5).hexdigest().encode())


def scram(challenge: bytes, secret: bytes) -> bytes:
    """RFC 5802 §3, base64 in and out: the second message after `n,,n=fred,r=nonce`."""
    return b64encode(proof(FIRST % b"fred", b64decode(challenge), secret))


def proof(bare: bytes, challenge: bytes, secret: bytes, header: bytes = b"n,,", name: str = "sha256") -> bytes:
    """client-final-message; `header` is the gs2-header with its channel binding data."""
    closing = b"c=" + b64encode(header) + b"," + challenge.split(b",")[0]
    return closing + b",p=" + b64encode(bound(bare, challenge, closing, secret, name))


def bound(bare: bytes, challenge: bytes, closing: bytes, secret: bytes, name: str = "sha256") -> bytes:
    """ClientProof (RFC 5802 §3) over the three messages, the last without itself."""
    _, salt, rounds = challenge.split(b",")
    salted = hashlib.pbkdf2_hmac(name, secret, b64decode(salt[2:]), int(rounds[2:]))
    key = hmac.digest(salted, b"Client Key", name)
    signature = hmac.digest(hashlib.new(name, key).digest(), b",".join((bare, challenge, closing)), name)
    return bytes(a ^ b for a, b in zip(key, signature, strict=True))


def signature(bare: bytes, challenge: bytes, closing: bytes, secret: bytes, name: str = "sha256") -> bytes:
    """server-final-message, as the client expects it."""
    _, salt, rounds = challenge.split(b",")
    salted = hashlib.pbkdf2_hmac(name, secret, b64decode(salt[2:]), int(rounds[2:]))
    key = hmac.digest(salted, b"Server Key", name)
    return b"v=" + b64encode(hmac.digest(key, b",".join((bare, challenge, closing.rpartition(b",")[0])), name))


MECHANISMS = {"apop": apop, "cram-md5": cram_md5, "scram": scram}
