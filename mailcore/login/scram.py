"""SCRAM, the server's side (RFC 5802, RFC 7677): messages read and made, proofs verified.

What lives here: functions over bytes, and `Verifier`, what a server keeps in place of a password.
What does not: I/O, files (secrets.py), finding channel bindings (tls.py), the dialogue (sasl.py).

The work is cut where the processes of a login are.  Whoever hears the client takes its
messages apart; whoever holds the verifier makes the nonce and hears no more than three byte strings:

    hears strangers                              holds the verifier
    opening = client_first(…)
                            user, nonce ──►      challenge = server_first(opening.nonce, nonce(), verifier)
    closing = client_final(…)  ◄── challenge
            opening.bare, closing.bare, proof ──►  signature = prove(verifier, bare, challenge, bare, proof)
    server_final(signature)     ◄── signature

The challenge that is proved is the one that was made there, so that an exchange which somebody
overheard cannot be played again, not even by a process that a stranger has taken over.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
ITERATIONS = 10_000  # of all verifiers we make; RFC 7677 §4 wants 4096 at least, and each client pays for them
ITERATIONS_LEAST = 1000
ITERATIONS_MOST = 10_000_000
SALT_OCTETS = 16
MESSAGE_OCTETS = 2048  # longest message that a client has a reason to send


class Wrong(Exception):
    """The client's message cannot be accepted; the text is a server-error-value of RFC 5802 §7."""


# --- what a server keeps -------------------------------------------------------------------


class Verifier:
    """One user's salt, iterations and keys: enough to verify, not enough to log in elsewhere (RFC 5802 §9)."""

    __slots__ = ("mechanism", "iterations", "salt", "stored_key", "server_key")

    def __init__(self, mechanism: str, iterations: int, salt: bytes, stored_key: bytes, server_key: bytes) -> None:
        self.mechanism = mechanism
        self.iterations = iterations
        self.salt = salt
        self.stored_key = stored_key
        self.server_key = server_key

    def text(self) -> str:
        """As Dovecot writes it into a passwd-file: {MECHANISM}iterations,salt,StoredKey,ServerKey."""
        keys = ",".join(_base64(value).decode() for value in (self.salt, self.stored_key, self.server_key))
        return f"{{{self.mechanism}}}{self.iterations},{keys}"

    def matches(self, password: bytes) -> bool:
        """Is this the password, sent in clear?  Costs what `derive` costs."""
        import hmac

        derived = derive(self.mechanism, password, self.salt, self.iterations)
        return hmac.compare_digest(derived.stored_key, self.stored_key)


def derive(mechanism: str, password: bytes, salt: bytes = b"", iterations: int = ITERATIONS) -> Verifier:
    """The verifier of a password, with a new salt if none is given (RFC 5802 §3)."""
    import hashlib
    import hmac
    import os

    name = HASHES[mechanism]
    salt = salt or os.urandom(SALT_OCTETS)
    salted = hashlib.pbkdf2_hmac(name, prepared(password), salt, iterations)
    stored_key = hashlib.new(name, hmac.digest(salted, b"Client Key", name)).digest()
    return Verifier(mechanism, iterations, salt, stored_key, hmac.digest(salted, b"Server Key", name))


def decoy(mechanism: str, user: bytes, key: bytes) -> Verifier:
    """A verifier for a user who has none: nobody can prove it, and the salt does not tell.

    `key` is the host's own and must outlive this connection, so that asking twice gives one salt
    (RFC 5802 §9 leaves it to us to hide who exists).
    """
    import hashlib
    import hmac

    octets = hashlib.new(HASHES[mechanism]).digest_size
    salt, stored_key, server_key = (
        hmac.digest(key, b"%b %b %b" % (part, mechanism.encode(), user), "sha256")
        for part in (b"salt", b"stored", b"server")
    )
    return Verifier(mechanism, ITERATIONS, salt[:SALT_OCTETS], stored_key[:octets], server_key[:octets])


def parse(text: str) -> Verifier:
    """The verifier written by `Verifier.text`; ValueError if it is none."""
    import hashlib

    mechanism, _, rest = text.removeprefix("{").partition("}")
    parts = rest.split(",")
    if mechanism not in HASHES or len(parts) != 4 or not text.startswith("{"):
        raise ValueError("not a SCRAM verifier")
    if not (parts[0].isascii() and parts[0].isdigit() and len(parts[0]) <= 8):
        raise ValueError("iterations are no number")
    iterations = int(parts[0])
    salt, stored_key, server_key = (a2b_base64(part, strict_mode=True) for part in parts[1:])
    octets = hashlib.new(HASHES[mechanism]).digest_size
    if not ITERATIONS_LEAST <= iterations <= ITERATIONS_MOST or not salt:
        raise ValueError("iterations or salt out of bounds")
    if not len(stored_key) == len(server_key) == octets:
        raise ValueError(f"a key of {mechanism} has {octets} octets")
    return Verifier(mechanism, iterations, salt, stored_key, server_key)


def prepared(password: bytes) -> bytes:
    """The password after SASLprep (RFC 4013); what SASLprep refuses is taken as it is.

    So a client that prepares and one that does not agree on every password that has a prepared form, and
    on all others too.
    """
    if password.isascii():
        return password
    try:
        return _saslprep(password.decode()).encode() or password
    except ValueError:
        return password


def _saslprep(text: str) -> str:
    import stringprep
    import unicodedata

    mapped = "".join(
        " " if stringprep.in_table_c12(letter) else letter for letter in text if not stringprep.in_table_b1(letter)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    tables = (
        stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
        stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
        stringprep.in_table_c9,
    )  # fmt: skip
    if any(table(letter) for letter in normal for table in tables):
        raise ValueError("a character that RFC 4013 §2.3 forbids")
    right_to_left = [stringprep.in_table_d1(letter) for letter in normal]
    if any(right_to_left):
        mixed = any(map(stringprep.in_table_d2, normal))
        if mixed or not (right_to_left[0] and right_to_left[-1]):
            raise ValueError("directions mixed (RFC 3454 §6)")
    return normal


# --- the client's messages -----------------------------------------------------------------


class Opening:
    """A client-first-message taken apart.

    header   the gs2-header, which the client must repeat in its second message
    binding  the channel binding's name, "" without one
    acting   the authzid, b"" without one
    bare     client-first-message-bare, as the proof covers it
    """

    __slots__ = ("header", "binding", "acting", "user", "nonce", "bare")

    def __init__(self, header: bytes, binding: str, acting: bytes, user: bytes, nonce: bytes, bare: bytes) -> None:
        self.header = header
        self.binding = binding
        self.acting = acting
        self.user = user
        self.nonce = nonce
        self.bare = bare


class Closing:
    """A client-final-message taken apart: `bare` is all but the proof."""

    __slots__ = ("bare", "proof")

    def __init__(self, bare: bytes, proof: bytes) -> None:
        self.bare = bare
        self.proof = proof


def client_first(message: bytes, plus: bool, bindings: Mapping[str, bytes]) -> Opening:
    """Take a client-first-message apart (RFC 5802 §7), or raise Wrong.

    `plus` says that the mechanism chosen is a -PLUS one; `bindings` are the channel bindings that this
    connection has, by name, and empty exactly where no -PLUS mechanism was offered.
    """
    _readable(message)
    flag, acting, bare = _parts(message, b",", 3, 3)
    binding = _binding(flag, plus, bindings)
    user, nonce, *others = _parts(bare, b",", 2)
    if user.startswith(b"m="):
        raise Wrong("extensions-not-supported")
    _well_formed(others)
    header = message[: len(message) - len(bare)]
    name = _name(_value(user, b"n="))
    return Opening(header, binding, _acting(acting), name, _nonce(_value(nonce, b"r=")), bare)


def _binding(flag: bytes, plus: bool, bindings: Mapping[str, bytes]) -> str:
    """What the gs2-cbind-flag says, against what was offered and chosen (RFC 5802 §6)."""
    if flag.startswith(b"p="):
        name = flag[2:].decode("ascii", "replace")
        if not plus:
            raise Wrong("channel-binding-not-supported")
        if name not in bindings:
            raise Wrong("unsupported-channel-binding-type")
        return name
    if flag not in (b"n", b"y"):
        raise Wrong("other-error")
    if plus:
        raise Wrong("channel-bindings-dont-match")
    if flag == b"y" and bindings:  # somebody in between took the -PLUS mechanisms from our list
        raise Wrong("server-does-support-channel-binding")
    return ""


def client_final(message: bytes, opening: Opening, challenge: bytes, bindings: Mapping[str, bytes]) -> Closing:
    """Take a client-final-message apart and see that it belongs to this exchange and this channel, or raise Wrong."""
    import hmac

    _readable(message)
    bare, comma, last = message.rpartition(b",")
    channel, nonce, *others = _parts(bare, b",", 2)
    _well_formed(others)
    data = bindings[opening.binding] if opening.binding else b""
    if not hmac.compare_digest(_octets(_value(channel, b"c=")), opening.header + data):
        raise Wrong("channel-bindings-dont-match")
    if not hmac.compare_digest(_value(nonce, b"r="), challenge[2 : challenge.index(b",")]):
        raise Wrong("other-error")
    return Closing(bare, _octets(_value(last, b"p=")))


def _readable(message: bytes) -> None:
    """UTF-8 without NUL, and not too long (RFC 5802 §5.1, §7)."""
    if len(message) > MESSAGE_OCTETS or b"\0" in message:
        raise Wrong("invalid-encoding")
    try:
        message.decode()
    except UnicodeDecodeError:
        raise Wrong("invalid-encoding") from None


def _parts(text: bytes, separator: bytes, least: int, most: int = 64) -> list[bytes]:
    parts = text.split(separator, most - 1)
    if len(parts) < least:
        raise Wrong("other-error")
    return parts


def _value(attribute: bytes, start: bytes) -> bytes:
    if not attribute.startswith(start):
        raise Wrong("other-error")
    return attribute[len(start) :]


def _well_formed(extensions: list[bytes]) -> None:
    """Optional extensions are covered by the proof and mean nothing to us."""
    for extension in extensions:
        if not extension[:1].isalpha() or extension[1:2] != b"=" or len(extension) < 3:
            raise Wrong("other-error")


def _name(saslname: bytes) -> bytes:
    """A user name without its escapes: =2C is a comma, =3D an equals sign, nothing else is."""
    start, *escaped = saslname.split(b"=")
    if not saslname or any(piece[:2] not in (b"2C", b"3D") for piece in escaped):
        raise Wrong("invalid-username-encoding")
    return start + b"".join((b"," if piece[:2] == b"2C" else b"=") + piece[2:] for piece in escaped)


def _acting(authzid: bytes) -> bytes:
    return _name(_value(authzid, b"a=")) if authzid else b""


def _nonce(nonce: bytes) -> bytes:
    if not nonce or not all(0x21 <= octet <= 0x7E for octet in nonce):
        raise Wrong("other-error")
    return nonce


def _octets(base64: bytes) -> bytes:
    try:
        return a2b_base64(base64, strict_mode=True)
    except ValueError:
        raise Wrong("invalid-encoding") from None


# --- our messages --------------------------------------------------------------------------


def nonce() -> bytes:
    """Our half of the nonce: 144 bits that were never said before."""
    import os

    return _base64(os.urandom(18))


def server_first(client_nonce: bytes, server_nonce: bytes, verifier: Verifier) -> bytes:
    """The challenge; ValueError for a client's nonce that did not come through `client_first`."""
    if not client_nonce or b"," in client_nonce:
        raise ValueError("not a nonce")
    return b"r=%b%b,s=%b,i=%d" % (client_nonce, server_nonce, _base64(verifier.salt), verifier.iterations)


def prove(verifier: Verifier, opening: bytes, challenge: bytes, closing: bytes, proof: bytes) -> bytes | None:
    """Our own signature if the client's proof is right, else None (RFC 5802 §3).

    `opening` and `closing` are the bare messages; nothing in them is read here, the proof covers them.
    """
    import hashlib
    import hmac

    name = HASHES[verifier.mechanism]
    everything = b"%b,%b,%b" % (opening, challenge, closing)
    signature = hmac.digest(verifier.stored_key, everything, name)
    if len(proof) != len(signature):
        return None
    client_key = (int.from_bytes(proof, "big") ^ int.from_bytes(signature, "big")).to_bytes(len(proof), "big")
    if not hmac.compare_digest(hashlib.new(name, client_key).digest(), verifier.stored_key):
        return None
    return hmac.digest(verifier.server_key, everything, name)


def server_final(signature: bytes) -> bytes:
    """The last word to a client whose proof was right: ours."""
    return b"v=" + _base64(signature)


def _base64(data: bytes) -> bytes:
    return b2a_base64(data, newline=False)
