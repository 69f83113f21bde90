"""TLS (RFC 8446, RFC 9325): the only door to OpenSSL.

What lives here: contexts made of the certificate files (`Keys`), and one connection as bytes in
and bytes out (`Cipher`).  What does not: descriptors, and deciding where TLS is spoken.

`Keys` are loaded by root before the process is locked in; everything after that, and every
octet of a client's, is OpenSSL's work inside a gatekeeper.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from OpenSSL import SSL, crypto

from mailcore import log
from mailcore.login import certificates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from mailcore.settings import Settings

# forward secrecy and authenticated encryption only; the suites of TLS 1.3 are all so
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_SINGLE_ECDH_USE
KEY_OCTETS = 1024 * 1024  # a file with a key and a long chain
FORBIDDEN = 0o026  # of a key file: read or written by others, written by a group
READ_OCTETS = 65536
TAKE_OCTETS = 262144
EXPORTER = b"EXPORTER-Channel-Binding"  # RFC 9266 §4.2
EXPORTER_OCTETS = 32
SHOWN = b"SSLv3/TLS write certificate"  # OpenSSL's name of that step in every version; a resumption has none
WEAK_HASHES = ("md5", "sha1")  # RFC 5929 §4.1 takes SHA-256 in their place
FIELDS = {
    "commonName": "2.5.4.3", "UID": "0.9.2342.19200300.100.1.1", "emailAddress": "1.2.840.113549.1.9.1",
    "serialNumber": "2.5.4.5", "x500UniqueIdentifier": "2.5.4.45",
}  # fmt: skip
EXTENDED_KEY_USAGE, CLIENT_AUTH, ANY_PURPOSE = "2.5.29.37", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0"  # RFC 5280 §4.2.1.12


class Unusable(Exception):
    """A certificate, key or list of authorities that cannot be used; the text names the file."""


class Refused(Exception):
    """No TLS with this client; the text is OpenSSL's reason."""


# --- before the lock ---------------------------------------------------------------------


class Keys:
    """The contexts of one server: the usual one, and those for other names and addresses."""

    def __init__(self, service: Any, settings: Settings, address: str = "") -> None:
        """Load them all; Unusable if there is not one certificate, or one of the files is wrong."""
        self._protocol: bytes = service.name.encode()
        self._settings = settings
        path = certificates.find(service.program, settings, address)
        if not path:
            looked = ", ".join(certificates.candidates(service.program, settings, address))
            raise Unusable(f"no certificate: looked for {looked}")
        beside = certificates.others(service.program, path, settings.tls_names)
        seconds = [beside.pop(kind) for kind in certificates.KINDS if kind in beside and beside[kind] != path]
        self._several = bool(seconds or beside)
        self._named = {name: self._alone(file) for name, file in beside.items()}
        self._usual = self._context([path, *seconds])
        Cipher(self._usual).rehearse()

    def _alone(self, path: str) -> SSL.Context | None:
        """A context that the server can do without: a name's file that is wrong must not close the door to all."""
        try:
            return self._context([path])
        except Unusable as error:
            log.error(str(error))
            return None

    def cipher(self, address: str = "") -> Cipher:
        """The server's side of a new connection to `address`."""
        return Cipher(self._named.get(address.lower()) or self._usual, self._several)

    def _context(self, paths: Iterable[str]) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(OPTIONS)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle client costs no buffers
        context.set_cipher_list(CIPHERS)
        context.set_session_id(b"mailcore-" + self._protocol)  # no ticket of imapd is good for ipop3d
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # tickets need none
        context.set_alpn_select_callback(self._choose_protocol)
        context.set_tlsext_servername_callback(self._choose_name)
        if self._several:
            context.set_info_callback(_note_certificate)
        for path in paths:
            _use(context, path, certificates.key_of(path, self._settings))
        if self._settings.tls_client_ca:
            _ask_for_certificate(context, self._settings.tls_client_ca)
        return context

    def _choose_protocol(self, connection: SSL.Connection, offers: list[bytes]) -> bytes:
        """ALPN (RFC 7301 §3.2): ours, or the alert no_application_protocol."""
        if self._protocol in offers:
            return self._protocol
        raise Refused("no application protocol in common")

    def _choose_name(self, connection: SSL.Connection) -> None:
        """SNI (RFC 6066 §3): a name is looked up among those that were loaded, and is nothing else."""
        name = connection.get_servername() or b""
        context = self._named.get(name.decode("ascii", "replace").lower().rstrip("."))
        if context is not None:
            connection.set_context(context)


def _note_certificate(connection: SSL.Connection, where: int, value: int) -> None:
    """Remember that the client was shown a certificate now, and not in a session that it resumes."""
    if connection.get_state_string() == SHOWN:
        connection.set_app_data(SHOWN)


def _use(context: SSL.Context, certificate: str, key: str) -> None:
    """Add a certificate chain and its key."""
    try:
        _check_key(key)
        context.use_certificate_chain_file(certificate)
        context.use_privatekey_file(key)
        context.check_privatekey()
    except OSError as error:
        raise Unusable(f"{error.filename or certificate}: {error.strerror}") from None
    except SSL.Error as error:
        raise Unusable(f"{certificate}: no certificate with its key in {key}: {_reason(error)}") from None


def _check_key(key: str) -> None:
    with open(key, "rb") as file:
        status, text = os.fstat(file.fileno()), file.read(KEY_OCTETS)
    if not S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()):
        raise Unusable(f"{key}: must be a regular file of root's")
    if status.st_mode & FORBIDDEN:
        raise Unusable(f"{key}: others may read or write it (mode {status.st_mode & 0o777:04o}); 0600 is right")
    if b"ENCRYPTED" in text:
        raise Unusable(f"{key}: is locked by a passphrase, and nobody is there to type it")


def _ask_for_certificate(context: SSL.Context, authorities: str) -> None:
    """A client may have a certificate; one that they do not vouch for ends the handshake.

    Such sessions are not resumed: a ticket would bring back the certificate but not its chain.
    """
    try:
        context.load_verify_locations(authorities)
        context.load_client_ca(authorities.encode())
    except SSL.Error as error:
        raise Unusable(f"tls_client_ca {authorities}: {_reason(error)}") from None
    context.set_verify(SSL.VERIFY_PEER, lambda connection, certificate, number, depth, right: bool(right))
    context.set_options(SSL.OP_NO_TICKET)


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words for what went wrong."""
    stack = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(dict.fromkeys(str(entry[-1]) for entry in stack)) or type(error).__name__


# --- a connection ------------------------------------------------------------------------


class Cipher:
    """The server's side of one connection, between the octets of the net and those of the protocol."""

    def __init__(self, context: SSL.Context, several: bool = False) -> None:
        """`several`: the server has more than one certificate."""
        self._connection = SSL.Connection(context)
        self._several = several
        self._connection.set_accept_state()
        self.ended = False  # the client has said that it says no more (close_notify)

    def feed(self, data: bytes) -> None:
        """Octets that came from the net."""
        self._connection.bio_write(data)

    def take(self) -> bytes:
        """Octets that must go to the net."""
        parts = []
        try:
            while True:
                parts.append(self._connection.bio_read(TAKE_OCTETS))
        except SSL.Error:  # there are no more
            return parts[0] if len(parts) == 1 else b"".join(parts)

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as what was fed lets us; True when it is done."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise Refused(_reason(error)) from None
        return True

    def read(self) -> bytes:
        """What the client said in the octets that were fed, b"" if they hold no more (or it has `ended`)."""
        try:
            return self._connection.recv(READ_OCTETS)
        except SSL.WantReadError:
            return b""
        except SSL.ZeroReturnError:
            self.ended = True
            return b""
        except SSL.Error as error:
            raise Refused(_reason(error)) from None

    def write(self, data: bytes | memoryview) -> None:
        """Say it to the client; `take` has it then."""
        try:
            self._connection.sendall(data)
        except SSL.Error as error:
            raise Refused(_reason(error)) from None

    def close(self) -> None:
        """Say that no more will be said (close_notify)."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            pass  # the connection is broken already

    # --- what is known after the handshake -----------------------------------------------

    def rehearse(self) -> None:
        """Have everything loaded that a connection will need: later there are no files."""
        own = self._connection.get_certificate()
        if own is not None:
            _end_point(own)
            crypto.dump_certificate(crypto.FILETYPE_ASN1, own)

    def bindings(self) -> dict[str, bytes]:
        """Channel bindings by their names (RFC 5929 §4, RFC 9266).

        Which of several certificates a session began with is in no ticket: resumed, it has no end point.
        """
        found = {}
        if self._connection.get_protocol_version() >= SSL.TLS1_3_VERSION:
            found["tls-exporter"] = self._connection.export_keying_material(EXPORTER, EXPORTER_OCTETS, b"")
        own = self._connection.get_certificate()
        shown = not self._several or self._connection.get_app_data() == SHOWN
        end_point = _end_point(own) if own is not None and shown else b""
        if end_point:
            found["tls-server-end-point"] = end_point
        return found

    def client_certificate(self) -> bytes:
        """The client's certificate (DER), b"" if it has shown none."""
        certificate = self._connection.get_peer_certificate()
        return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) if certificate else b""

    def described(self) -> str:
        """Version and cipher suite, for the log."""
        return f"{self._connection.get_protocol_version_name()} {self._connection.get_cipher_name()}"


def _end_point(certificate: crypto.X509) -> bytes:
    """The hash of RFC 5929 §4.1; b"" where a signature has no hash of its own (EdDSA)."""
    algorithm = certificate.to_cryptography().signature_hash_algorithm
    if algorithm is None:
        return b""
    name = "sha256" if algorithm.name in WEAK_HASHES else algorithm.name
    return bytes.fromhex(certificate.digest(name).decode().replace(":", ""))


# --- client certificates, seen by a child of the checker's --------------------------------------------


def authorities(path: str) -> crypto.X509Store:
    """Whom we believe what a client's certificate says; Refused if the file cannot be used."""
    store = crypto.X509Store()
    try:
        store.load_locations(path)
    except crypto.Error as error:
        raise Refused(f"tls_client_ca {path}: {error}") from None
    return store


def name_in(der: bytes, store: crypto.X509Store, field: str) -> str:
    """The user's name in a client's certificate, after verifying it anew; Refused says what is wrong.

    `field` is one of FIELDS; of an e-mail address the part before the @ counts.
    """
    try:
        certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
        crypto.X509StoreContext(store, certificate).verify_certificate()
    except (crypto.Error, crypto.X509StoreContextError, ValueError) as error:
        raise Refused(f"client certificate: {error}") from None
    _check_purpose(certificate)
    if field not in FIELDS:
        raise Refused(f"tls_username_field {field}: not one of {', '.join(FIELDS)}")
    subject = certificate.to_cryptography().subject
    names = [str(part.value) for part in subject if part.oid.dotted_string == FIELDS[field]]
    if len(names) != 1 or not names[0] or "\0" in names[0]:
        raise Refused(f"client certificate: not one {field} in its subject")
    return names[0].partition("@")[0] if field == "emailAddress" else names[0]


def _check_purpose(certificate: crypto.X509) -> None:
    """One that names its purposes must name this one (RFC 5280 §4.2.1.12)."""
    for extension in certificate.to_cryptography().extensions:
        if extension.oid.dotted_string == EXTENDED_KEY_USAGE:
            purposes = {purpose.dotted_string for purpose in extension.value}
            if not purposes & {CLIENT_AUTH, ANY_PURPOSE}:
                raise Refused("client certificate: is for another purpose")
