"""`mailcore cert`: a key and a certificate for imapd and ipop3d, or the request for one.

What lives here: the questions, and the only use of `cryptography`.  What does not: serving TLS.

The file is what UW's administrators know: `imapd.pem`, key first, certificate after it, for root's
eyes only, and `ipop3d.pem` a link to it.  The certificate signs itself, so every client must be told
once to trust it; `--csr` asks an authority instead.
"""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailcore.login import secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

DIRECTORIES = ("/etc/ssl/certs", "/etc/pki/tls/certs", "/usr/share/ssl/certs", "/usr/local/certs")
FILE, LINK, REQUEST = "imapd.pem", "ipop3d.pem", "imapd.csr"
DAYS = 825  # no client refuses so long a time; some refuse a longer one
RSA_BITS = 3072
CLOCKS_APART = timedelta(hours=1)  # a client's clock may be behind ours

# what is asked, in this order: its name, the question, its place in the subject, how it is shown, most characters
QUESTIONS = (
    ("country", "Country (two letters)", NameOID.COUNTRY_NAME, "C", 2),
    ("state", "State or province", NameOID.STATE_OR_PROVINCE_NAME, "ST", 128),
    ("locality", "City", NameOID.LOCALITY_NAME, "L", 128),
    ("organisation", "Organisation", NameOID.ORGANIZATION_NAME, "O", 64),
    ("unit", "Unit of the organisation", NameOID.ORGANIZATIONAL_UNIT_NAME, "OU", 64),
    ("common_name", "Common name: the server's full name, as clients are told it", NameOID.COMMON_NAME, "CN", 64),
    ("email", "E-mail address of who looks after it", NameOID.EMAIL_ADDRESS, "emailAddress", 255),
)
SERVER_KEYS = (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)


@click.command()
@click.option("--country", metavar="XX", help="Country, two letters.")
@click.option("--state", help="State or province.")
@click.option("--locality", help="City.")
@click.option("--organisation", "--organization", help="Organisation.")
@click.option("--unit", help="Unit of the organisation.")
@click.option("--common-name", metavar="NAME", help="The server's full name; else this machine's.")
@click.option("--email", help="E-mail address of who looks after it.")
@click.option("--alt-name", "others", metavar="NAME", multiple=True, help="One more name or IP address, each.")
@click.option("--key", "kind", type=click.Choice(["ecdsa", "rsa"]), default="ecdsa", help="ECDSA P-256 or RSA-3072.")
@click.option("--days", type=click.IntRange(1, 36500), default=DAYS, show_default=True, help="How long it is valid.")
@click.option("-d", "--directory", metavar="DIR", help=f"Where; else the first there is of {', '.join(DIRECTORIES)}.")
@click.option("-y", "--yes", "--batch", is_flag=True, help="Ask nothing: what is not given is left out.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--csr", is_flag=True, help=f"Also write {REQUEST}, a request for an authority.")
@click.option("--keep-key", is_flag=True, help=f"Keep key and answers of the present {FILE}; with --csr all of it.")
def cert(
    others: tuple[str, ...],
    kind: str,
    days: int,
    directory: str | None,
    yes: bool,
    force: bool,
    csr: bool,
    keep_key: bool,
    **given: str | None,
) -> None:
    """Make the servers' key and certificate (imapd.pem, ipop3d.pem)."""
    folder = _directory(directory)
    written = [FILE, LINK] * (not (csr and keep_key)) + [REQUEST] * csr
    if not force:
        _nothing_there(folder, written)
    present, known, aliases = _present(os.path.join(folder, FILE)) if keep_key else (None, {}, [])
    answers = _answers(given, known, yes)
    names = _names(answers["common_name"], others or aliases)
    key = present or _new_key(kind)
    try:
        if FILE in written:  # before the request: an authority must not certify a key that was lost
            certificate = _certificate(key, answers, names, days)
            _write(folder, FILE, _pem(key) + certificate.public_bytes(serialization.Encoding.PEM), force)
            _link(folder)
            _show(certificate)
        if csr:
            _write(folder, REQUEST, _request(key, answers, names), force)
    except (OSError, secrets.Unusable) as error:
        raise click.ClickException(f"{folder}: {getattr(error, 'strerror', None) or error}") from None
    click.echo(f"written in {folder}: {', '.join(written)}")
    if FILE in written and folder.rstrip("/") not in DIRECTORIES:
        click.echo(f"the servers find it there with the setting tls_directory = {os.path.abspath(folder)}")


# --- before anything is written ------------------------------------------------------------


def _directory(given: str | None) -> str:
    folder = given or next(filter(os.path.isdir, DIRECTORIES), "")
    if not folder:
        raise click.ClickException(f"none of {', '.join(DIRECTORIES)} is there: --directory says where")
    if not os.path.isdir(folder):
        raise click.ClickException(f"{folder} is not a directory")
    if not os.access(folder, os.W_OK):
        raise click.ClickException(f"{folder} is not yours to write in: be root, or say --directory")
    return folder


def _nothing_there(folder: str, files: Sequence[str]) -> None:
    """Refuse before the first question, not after the last."""
    for file in files:
        path = os.path.join(folder, file)
        if os.path.lexists(path) and not (file == LINK and _linked(path)):
            raise click.ClickException(f"{path} is there already; --force writes over it")


def _linked(path: str) -> bool:
    return os.path.islink(path) and os.readlink(path) == FILE


def _present(path: str) -> tuple[Key, dict[str, str], list[str]]:
    """The key of the present file, and what its certificate says of the server."""
    try:
        with open(path, "rb") as file:
            text = file.read()
        key = serialization.load_pem_private_key(text, None)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise click.ClickException(f"{path}: no key to keep: {error}") from None
    if not isinstance(key, SERVER_KEYS):
        raise click.ClickException(f"{path}: its key is of a kind that servers do not use")
    try:
        certificate = x509.load_pem_x509_certificates(text)[0]
        return key, _said(certificate.subject), _alternatives(certificate)
    except ValueError:
        return key, {}, []  # a key alone is enough


def _said(subject: x509.Name) -> dict[str, str]:
    found = {name: subject.get_attributes_for_oid(oid) for name, _, oid, _, _ in QUESTIONS}
    return {name: str(attributes[0].value) for name, attributes in found.items() if attributes}


def _alternatives(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


# --- questions -----------------------------------------------------------------------------


def _answers(given: Mapping[str, str | None], known: Mapping[str, str], yes: bool) -> dict[str, str]:
    """What the options say; what they leave open is asked, or with `yes` taken from what is known."""
    answers = {}
    for name, question, _, _, limit in QUESTIONS:
        value = given[name]
        default = known.get(name, "") or (_machine_name() if name == "common_name" else "")
        if value is None and not yes:
            answers[name] = click.prompt(question, default=default, value_proc=_checker(name, limit))
        else:
            answers[name] = _checked(name, default if value is None else value, limit)
    if not ("." in answers["common_name"] or _address(answers["common_name"])):
        click.echo(f"note: {answers['common_name']} is no full name; clients elsewhere will not accept it", err=True)
    return answers


def _machine_name() -> str:
    """How this machine calls itself, if that is a name at all; /etc/hosts may know it as localhost."""
    for name in (socket.getfqdn(), socket.gethostname()):
        try:
            name = _checked("common_name", name.lower().rstrip("."), 64)
        except click.UsageError:
            continue
        if not name.startswith("localhost"):
            return name
    return "localhost"


def _checker(name: str, limit: int) -> Callable[[str], str]:
    return lambda text: _checked(name, text, limit)


def _checked(name: str, text: str, limit: int) -> str:
    """The answer as it is written into the subject, or UsageError with the reason (the question is put again)."""
    text = text.strip()
    label = name.replace("_", " ")
    if not text.isprintable():
        raise click.UsageError(f"{label}: control characters cannot be in a certificate")
    if len(text) > limit:
        raise click.UsageError(f"{label}: no more than {limit} characters")
    if name == "country":
        if text and not (len(text) == 2 and text.isascii() and text.isalpha()):
            raise click.UsageError("country: two letters of ISO 3166, such as NO")
        return text.upper()
    if name == "email" and text and (not text.isascii() or not all(text.partition("@"))):
        raise click.UsageError("email: name@host in ASCII; certificates have no other letters there")
    return _server_name(text, label) if name == "common_name" else text


def _server_name(text: str, label: str = "name") -> str:
    """A host name (`*.` may stand before it) or IP address as clients compare it, or UsageError."""
    if _address(text):
        return str(ip_address(text))
    if not text.isascii():
        raise click.UsageError(f"{label}: ASCII only, for clients compare it letter by letter{_in_ascii(text)}")
    parts = text.lower().rstrip(".").removeprefix("*.").split(".")
    if not all(0 < len(part) < 64 and part.replace("-", "").isalnum() and part.strip("-") == part for part in parts):
        raise click.UsageError(f"{label}: {text!r} is no host name")
    return text.lower().rstrip(".")


def _in_ascii(text: str) -> str:
    try:
        return f": write {text.encode('idna').decode()}"
    except UnicodeError:
        return ""


def _address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _names(common_name: str, others: Sequence[str]) -> x509.SubjectAlternativeName:
    """All names of the server; clients read these and not the common name (RFC 6125 §6.4.4)."""
    names = dict.fromkeys([common_name, *map(_server_name, others)])
    return x509.SubjectAlternativeName(
        [x509.IPAddress(ip_address(name)) if _address(name) else x509.DNSName(name) for name in names]
    )


# --- keys and certificates -----------------------------------------------------------------


def _new_key(kind: str) -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(65537, RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def _subject(answers: Mapping[str, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, answers[name]) for name, _, oid, _, _ in QUESTIONS if answers[name]])


def _digest(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()


def _uses(key: Key) -> list[tuple[x509.ExtensionType, bool]]:
    """What the key may be used for: a TLS server, nothing else (RFC 5280 §4.2.1.3, §4.2.1.12)."""
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=isinstance(key, rsa.RSAPrivateKey),
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    ]


def _certificate(
    key: Key, answers: Mapping[str, str], names: x509.SubjectAlternativeName, days: int
) -> x509.Certificate:
    start = datetime.now(UTC) - CLOCKS_APART
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(answers))
        .issuer_name(_subject(answers))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(names, critical=False)
    )
    name = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    itself = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(name)
    for extension, critical in [*_uses(key), (name, False), (itself, False)]:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, _digest(key))


def _request(key: Key, answers: Mapping[str, str], names: x509.SubjectAlternativeName) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(answers)).add_extension(names, False)
    for extension, critical in _uses(key):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, _digest(key)).public_bytes(serialization.Encoding.PEM)


# --- files ---------------------------------------------------------------------------------


def _pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(folder: str, file: str, content: bytes, force: bool) -> None:
    path = os.path.join(folder, file)

    def change(_: bytes) -> bytes:
        if os.path.lexists(path) and not force:
            raise click.ClickException(f"{path} has just been made by somebody else")
        return content

    secrets.replace(path, change, None)


def _link(folder: str) -> None:
    """ipop3d.pem → imapd.pem, in place of whatever was there (we may: _nothing_there, or --force)."""
    path = os.path.join(folder, LINK)
    if _linked(path):
        return
    new = os.path.join(folder, f".{LINK}.new")
    if os.path.lexists(new):
        os.unlink(new)
    os.symlink(FILE, new)
    os.rename(new, path)


def _show(certificate: x509.Certificate) -> None:
    said = _said(certificate.subject)
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    click.echo("subject: " + ", ".join(f"{shown}={said[name]}" for name, _, _, shown, _ in QUESTIONS if name in said))
    click.echo(f"expires: {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"SHA-256 fingerprint: {fingerprint}")
