"""mailcore.login.scram: the RFCs' exchanges, a client of our own, and every way to be wrong (S19)."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcore.login import scram

# user "user", password "pencil": RFC 5802 §5, RFC 7677 §3
VECTORS = {
    "SCRAM-SHA-1": (
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SCRAM-SHA-256": (
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}
BINDINGS = {"tls-exporter": b"E" * 32, "tls-server-end-point": b"P" * 32}
QUICK = 1000  # iterations, where their number does not matter


@pytest.mark.parametrize("mechanism", VECTORS)
def test_the_rfc_example(mechanism):
    first, challenge, final, last = VECTORS[mechanism]
    opening = scram.client_first(first, False, {})
    salt = b64decode(challenge.split(b",")[1][2:])
    verifier = scram.derive(mechanism, b"pencil", salt, 4096)
    server_nonce = challenge.split(b",")[0][2:].removeprefix(opening.nonce)
    assert (opening.user, opening.acting, opening.binding) == (b"user", b"", "")
    assert scram.server_first(opening.nonce, server_nonce, verifier) == challenge
    closing = scram.client_final(final, opening, challenge, {})
    signature = scram.prove(verifier, opening.bare, challenge, closing.bare, closing.proof)
    assert signature is not None and scram.server_final(signature) == last
    assert verifier.matches(b"pencil") and not verifier.matches(b"Pencil")
    for octet in range(len(closing.proof)):
        bent = bytearray(closing.proof)
        bent[octet] ^= 1
        assert scram.prove(verifier, opening.bare, challenge, closing.bare, bytes(bent)) is None
    for proof in (b"", closing.proof[:-1], closing.proof + b"\0", bytes(64)):
        assert scram.prove(verifier, opening.bare, challenge, closing.bare, proof) is None


# --- a client, after RFC 5802 §3 and from nothing else --------------------------------------


class Client:
    def __init__(self, mechanism, user, password, header=b"n,,", binding=b"", extensions=b""):
        self.hash = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[mechanism]
        self.password, self.header, self.binding, self.extensions = password, header, binding, extensions
        self.bare = b"n=%b,r=clientnonce%b" % (user.replace(b"=", b"=3D").replace(b",", b"=2C"), extensions)

    def first(self):
        return self.header + self.bare

    def final(self, challenge):
        nonce, salt, iterations = (part[2:] for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, b64decode(salt), int(iterations))
        key = hmac.digest(salted, b"Client Key", self.hash)
        bare = b"c=%b,r=%b%b" % (b64encode(self.header + self.binding), nonce, self.extensions)
        everything = b",".join((self.bare, challenge, bare))
        signature = hmac.digest(hashlib.new(self.hash, key).digest(), everything, self.hash)
        self.wanted = hmac.digest(hmac.digest(salted, b"Server Key", self.hash), everything, self.hash)
        return bare + b",p=" + b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))


def exchange(client, verifier, plus=False, bindings=None):
    """Server and client to the end; what the server says last, b"" for a wrong proof."""
    bindings = bindings or {}
    opening = scram.client_first(client.first(), plus, bindings)
    challenge = scram.server_first(opening.nonce, scram.nonce(), verifier)
    closing = scram.client_final(client.final(challenge), opening, challenge, bindings)
    signature = scram.prove(verifier, opening.bare, challenge, closing.bare, closing.proof)
    return scram.server_final(signature) if signature else b""


@pytest.mark.parametrize("mechanism", scram.HASHES)
@pytest.mark.parametrize(
    ("header", "plus", "bindings", "data"),
    [
        (b"n,,", False, {}, b""),
        (b"y,,", False, {}, b""),
        (b"n,a=other=2Cname,", False, {}, b""),
        (b"n,,", False, BINDINGS, b""),
        (b"p=tls-exporter,,", True, BINDINGS, b"E" * 32),
        (b"p=tls-server-end-point,a=u,", True, BINDINGS, b"P" * 32),
    ],
)
def test_a_client_gets_in_and_knows_the_server(mechanism, header, plus, bindings, data):
    verifier = scram.derive(mechanism, b"pass=word,", b"", QUICK)
    client = Client(mechanism, b"us=er,", b"pass=word,", header, data, b",x=more")
    assert exchange(client, verifier, plus, bindings) == b"v=" + b64encode(client.wanted)
    client.password = b"password"
    assert exchange(client, verifier, plus, bindings) == b""
    assert exchange(client, scram.decoy(mechanism, b"us=er,", b"key"), plus, bindings) == b""


def test_names_are_unescaped():
    opening = scram.client_first(b"n,a=o=3Dx=2C,n=a=2Cb=3D=2C2C,r=n,z=z", False, {})
    assert (opening.acting, opening.user, opening.header) == (b"o=x,", b"a,b=,2C", b"n,a=o=3Dx=2C,")
    assert opening.bare == b"n=a=2Cb=3D=2C2C,r=n,z=z"


@pytest.mark.parametrize(
    ("message", "plus", "bindings", "error"),
    [
        # channel binding: what was chosen against what is said (RFC 5802 §6)
        (b"y,,n=u,r=n", False, BINDINGS, "server-does-support-channel-binding"),
        (b"n,,n=u,r=n", True, BINDINGS, "channel-bindings-dont-match"),
        (b"y,,n=u,r=n", True, BINDINGS, "channel-bindings-dont-match"),
        (b"p=tls-exporter,,n=u,r=n", False, BINDINGS, "channel-binding-not-supported"),
        (b"p=tls-exporter,,n=u,r=n", False, {}, "channel-binding-not-supported"),
        (b"p=tls-unique,,n=u,r=n", True, BINDINGS, "unsupported-channel-binding-type"),
        (b"p=,,n=u,r=n", True, BINDINGS, "unsupported-channel-binding-type"),
        (b"p=\xc3\xa9,,n=u,r=n", True, BINDINGS, "unsupported-channel-binding-type"),
        (b"N,,n=u,r=n", False, {}, "other-error"),
        (b"F,n,,n=u,r=n", False, {}, "other-error"),
        (b",,n=u,r=n", False, {}, "other-error"),
        # syntax
        (b"", False, {}, "other-error"),
        (b"n", False, {}, "other-error"),
        (b"n,,", False, {}, "other-error"),
        (b"n,,n=u", False, {}, "other-error"),
        (b"n,,r=n,n=u", False, {}, "other-error"),
        (b"n,x,n=u,r=n", False, {}, "other-error"),
        (b"n,,u=u,r=n", False, {}, "other-error"),
        (b"n,,n=u,r=", False, {}, "other-error"),
        (b"n,,n=u,r=a b", False, {}, "other-error"),
        (b"n,,n=u,r=\xc3\xa9", False, {}, "other-error"),
        (b"n,,n=u,r=n,", False, {}, "other-error"),
        (b"n,,n=u,r=n,7=x", False, {}, "other-error"),
        (b"n,,n=u,r=n,x=", False, {}, "other-error"),
        (b"n,,m=x,n=u,r=n", False, {}, "extensions-not-supported"),
        (b"n,,n=,r=n", False, {}, "invalid-username-encoding"),
        (b"n,,n=a=b,r=n", False, {}, "invalid-username-encoding"),
        (b"n,,n=a=2c,r=n", False, {}, "invalid-username-encoding"),
        (b"n,,n==,r=n", False, {}, "invalid-username-encoding"),
        (b"n,a=,n=u,r=n", False, {}, "invalid-username-encoding"),
        (b"n,,n=\xff,r=n", False, {}, "invalid-encoding"),
        (b"n,,n=u\0,r=n", False, {}, "invalid-encoding"),
        (b"n,,n=u,r=" + b"n" * scram.MESSAGE_OCTETS, False, {}, "invalid-encoding"),
    ],
)
def test_first_messages_that_are_wrong(message, plus, bindings, error):
    with pytest.raises(scram.Wrong) as raised:
        scram.client_first(message, plus, bindings)
    assert str(raised.value) == error


BOUND = b64encode(b"p=tls-exporter,," + b"E" * 32)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"c=" + b64encode(b"p=tls-exporter,," + b"e" * 32) + b",r=cs,p=AA==", "channel-bindings-dont-match"),
        (b"c=" + b64encode(b"p=tls-exporter,,") + b",r=cs,p=AA==", "channel-bindings-dont-match"),
        (b"c=" + b64encode(b"p=tls-server-end-point,," + b"P" * 32) + b",r=cs,p=AA==", "channel-bindings-dont-match"),
        (b"c=biws,r=cs,p=AA==", "channel-bindings-dont-match"),
        (b"c=" + BOUND + b",r=c,p=AA==", "other-error"),
        (b"c=" + BOUND + b",r=csx,p=AA==", "other-error"),
        (b"c=" + BOUND + b",r=,p=AA==", "other-error"),
        (b"r=cs,c=" + BOUND + b",p=AA==", "other-error"),
        (b"c=" + BOUND + b",r=cs", "other-error"),
        (b"c=" + BOUND + b",p=AA==,r=cs", "other-error"),
        (b"c=" + BOUND + b",r=cs,x,p=AA==", "other-error"),
        (b"c=" + BOUND + b",r=cs,p=AA==,x=y", "other-error"),
        (b"c=" + BOUND + b",r=cs,p=AA", "invalid-encoding"),
        (b"c=" + BOUND + b",r=cs,p=A A=", "invalid-encoding"),
        (b"c=%%%%,r=cs,p=AA==", "invalid-encoding"),
        (b"c=" + BOUND + b"\0,r=cs,p=AA==", "invalid-encoding"),
        (b"\xff", "invalid-encoding"),
        (b"", "other-error"),
        (b",,", "other-error"),
    ],
)
def test_last_messages_that_are_wrong(message, error):
    opening = scram.client_first(b"p=tls-exporter,,n=u,r=c", True, BINDINGS)
    with pytest.raises(scram.Wrong) as raised:
        scram.client_final(message, opening, b"r=cs,s=AA==,i=4096", BINDINGS)
    assert str(raised.value) == error


def test_an_overheard_exchange_is_worth_nothing():
    """The same messages of the client, against the next challenge; and with a weaker iteration count."""
    verifier = scram.derive("SCRAM-SHA-256", b"pencil", b"", QUICK)
    client = Client("SCRAM-SHA-256", b"user", b"pencil")
    opening = scram.client_first(client.first(), False, {})
    then = scram.server_first(opening.nonce, scram.nonce(), verifier)
    overheard = client.final(then)
    now = scram.server_first(opening.nonce, scram.nonce(), verifier)
    with pytest.raises(scram.Wrong):
        scram.client_final(overheard, opening, now, {})
    closing = scram.client_final(overheard, opening, then, {})
    assert scram.prove(verifier, opening.bare, then, closing.bare, closing.proof)
    assert scram.prove(verifier, opening.bare, now, closing.bare, closing.proof) is None
    weaker = then.replace(b"i=1000", b"i=1")
    closing = scram.client_final(client.final(weaker), opening, then, {})
    assert scram.prove(verifier, opening.bare, then, closing.bare, closing.proof) is None


def test_nonces_never_come_twice_and_hold_no_comma():
    nonces = {scram.nonce() for _ in range(1000)}
    assert len(nonces) == 1000
    assert all(len(nonce) == 24 and b"," not in nonce for nonce in nonces)
    for bad in (b"", b"a,s=AA==,i=1"):
        with pytest.raises(ValueError, match="nonce"):
            scram.server_first(bad, b"x", scram.decoy("SCRAM-SHA-1", b"u", b"k"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.booleans(), st.sampled_from([{}, BINDINGS]))
def test_any_bytes_are_taken_apart_or_wrong(noise, plus, bindings):
    for message in (noise, b"n,," + noise, b"n,,n=u,r=" + noise):
        try:
            opening = scram.client_first(message, plus, bindings)
        except scram.Wrong:
            continue
        assert opening.header + opening.bare == message
        for answer in (noise, b"c=biws,r=" + noise, b"c=biws,r=" + opening.nonce + b"s,p=" + noise):
            try:
                closing = scram.client_final(answer, opening, b"r=" + opening.nonce + b"s,s=AA==,i=9", bindings)
            except scram.Wrong:
                continue
            assert answer == closing.bare + b",p=" + b64encode(closing.proof)


# --- verifiers -----------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", scram.HASHES)
def test_a_verifier_is_written_and_read(mechanism):
    verifier = scram.derive(mechanism, b"pencil")
    text = verifier.text()
    again = scram.parse(text)
    assert text.startswith("{%s}%d," % (mechanism, scram.ITERATIONS)) and ":" not in text
    assert len(verifier.salt) == scram.SALT_OCTETS
    assert all(getattr(again, name) == getattr(verifier, name) for name in scram.Verifier.__slots__)
    assert scram.derive(mechanism, b"pencil").salt != verifier.salt


def test_dovecots_example_of_the_form():
    """RFC 7677's user in the form `{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey`."""
    text = (
        "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ",wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert scram.derive("SCRAM-SHA-256", b"pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096).text() == text
    assert scram.parse(text).matches(b"pencil")


KEY = b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$6$abc",
        f"SCRAM-SHA-256}}4096,AA==,{KEY},{KEY}",
        f"{{SCRAM-SHA-512}}4096,AA==,{KEY},{KEY}",
        f"{{SCRAM-SHA-1}}4096,AA==,{KEY},{KEY}",
        f"{{SCRAM-SHA-256}}4096,AA==,{KEY}",
        f"{{SCRAM-SHA-256}}4096,AA==,{KEY},{KEY},",
        f"{{SCRAM-SHA-256}}4096,,{KEY},{KEY}",
        f"{{SCRAM-SHA-256}}4096,A,{KEY},{KEY}",
        f"{{SCRAM-SHA-256}}999,AA==,{KEY},{KEY}",
        f"{{SCRAM-SHA-256}}99999999,AA==,{KEY},{KEY}",
        f"{{SCRAM-SHA-256}}{'9' * 5000},AA==,{KEY},{KEY}",
        f"{{SCRAM-SHA-256}}-4096,AA==,{KEY},{KEY}",
        f"{{SCRAM-SHA-256}}٤٠٩٦,AA==,{KEY},{KEY}",
        f"{{SCRAM-SHA-256}}4096,é,{KEY},{KEY}",
    ],
)
def test_damaged_verifiers(text):
    with pytest.raises(ValueError):
        scram.parse(text)


@pytest.mark.parametrize("mechanism", scram.HASHES)
def test_a_decoy_looks_like_a_verifier_and_stays_the_same(mechanism):
    real, one, same = scram.derive(mechanism, b"x"), *(scram.decoy(mechanism, b"eve", b"key") for _ in range(2))
    assert one.text() == same.text() and scram.parse(one.text())
    assert (one.iterations, len(one.salt), len(one.stored_key)) == (
        real.iterations, len(real.salt), len(real.stored_key),
    )  # fmt: skip
    others = [scram.decoy(mechanism, b"eva", b"key"), scram.decoy(mechanism, b"eve", b"kez")]
    assert len({one.salt, *(other.salt for other in others)}) == 3
    assert one.salt != one.stored_key[:16] != one.server_key[:16]


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),  # RFC 4013 §3
        ("user", "user"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("A\u030a", "\u00c5"),
        ("\u0627\u0031", "\u0627\u0031"),  # forbidden: taken as it is
        ("\u0627\u00a0\u0628", "\u0627 \u0628"),
        ("\u00ad", "\u00ad"),  # nothing would be left
        ("\u00e9\u0007", "\u00e9\u0007"),
        ("a\tb", "a\tb"),
    ],
)
def test_passwords_are_prepared(password, prepared):
    assert scram.prepared(password.encode()) == prepared.encode()


def test_a_password_that_is_no_utf8_is_taken_as_it_is():
    assert scram.prepared(b"\xe9t\xe9") == b"\xe9t\xe9"


@settings(max_examples=300)
@given(st.text(max_size=12))
def test_preparing_agrees_with_passlib(text):
    from passlib.utils import saslprep

    try:
        expected = saslprep(text)
    except ValueError:
        return
    assert scram.prepared(text.encode()) == (expected or text).encode()


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=40).filter(bytes.isascii), st.binary(min_size=1, max_size=20))
def test_deriving_agrees_with_passlib(password, salt):
    from passlib.crypto.digest import pbkdf2_hmac

    salted = pbkdf2_hmac("sha256", password, salt, QUICK)
    key = hmac.digest(salted, b"Client Key", "sha256")
    assert scram.derive("SCRAM-SHA-256", password, salt, QUICK).stored_key == hashlib.sha256(key).digest()
