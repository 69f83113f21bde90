"""mailcore.login.tls: keys, one connection as bytes, channel bindings, client certificates.

The client is the standard library's ssl, which is linked with another OpenSSL.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess

import pytest
from OpenSSL import SSL

from mailcore.login import tls
from mailcore.login.tls import Keys, Refused, Unusable, authorities, name_in
from mailcore.settings import Settings
from tests.conftest import need
from tests.playground import certificate, context


class Imap:
    name, program = "imap", "imapd"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("certificates")
    certificate(place)
    certificate(place, "other.example.org", "ecdsa", "imapd-other.example.org.pem")
    certificate(place, "mail.example.org", "rsa", "imapd-rsa.pem")
    return place


@pytest.fixture(scope="module")
def keys(place):
    return Keys(Imap, Settings(tls_directory=str(place)))


class Both:
    """A client and a server with no net between them."""

    def __init__(self, keys, client=None, name=None, address="", session=None):
        self.server = keys.cipher(address)
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client or context()
        self.client = client.wrap_bio(self.into, self.out, server_hostname=name, session=session)
        done = False
        while not (self._step() and done):
            self.server.feed(self.out.read() or b"")
            done = done or self.server.shake_hands()
            self.into.write(self.server.take())

    def _step(self):
        try:
            self.client.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def say(self, data):
        self.client.write(data)
        self.server.feed(self.out.read())
        said = b""
        while part := self.server.read():
            said += part
        return said


def test_both_ways(keys):
    both = Both(keys)
    assert both.client.version() == "TLSv1.3" and both.client.compression() is None
    assert both.say(b"a NOOP\r\n") == b"a NOOP\r\n"
    assert both.say(b"x" * 16000 + b"y" * 16000) == b"x" * 16000 + b"y" * 16000
    both.server.write(b"z" * 100_000)
    both.into.write(both.server.take())
    heard = b""
    while len(heard) < 100_000:
        heard += both.client.read(65536)
    assert heard == b"z" * 100_000
    both.server.close()
    both.into.write(both.server.take())
    assert both.client.read(10) == b""


def test_the_client_ends(keys):
    both = Both(keys)
    with pytest.raises(ssl.SSLWantReadError):
        both.client.unwrap()
    both.server.feed(both.out.read())
    assert both.server.read() == b"" and both.server.ended


@pytest.mark.parametrize("garbage", [b"a NOOP\r\n", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\x05hello", bytes(100)])
def test_what_is_no_tls(keys, garbage):
    server = keys.cipher()
    with pytest.raises(Refused):
        server.feed(garbage)
        server.shake_hands()


def test_garbage_in_the_middle(keys):
    both = Both(keys)
    both.server.feed(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(Refused):
        both.server.read()


def digest_of(both):
    return hashlib.sha256(both.client.getpeercert(True)).digest()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bindings(keys, version):
    both = Both(keys, context(maximum_version=version))
    bindings = both.server.bindings()
    assert bindings["tls-server-end-point"] == digest_of(both)
    assert ("tls-exporter" in bindings) == (version == ssl.TLSVersion.TLSv1_3)


def openssl_client(keys, method=SSL.TLS_CLIENT_METHOD, most=None):
    """pyOpenSSL's client after the handshake, and its server; it can do what this Python's ssl cannot."""
    client_context = SSL.Context(method)
    if most:
        client_context.set_max_proto_version(most)
    client = SSL.Connection(client_context)
    client.set_connect_state()
    server = keys.cipher()
    done = False
    while not done:
        shaken = _step(client.do_handshake)
        feed(client, server)
        done = server.shake_hands() and shaken
        if answer := server.take():
            client.bio_write(answer)
    return client, server


def _step(call):
    try:
        call()
        return True
    except SSL.WantReadError:
        return False


def feed(client, server):
    try:
        server.feed(client.bio_read(65536))
    except SSL.WantReadError:
        pass


def test_the_exporter_is_the_clients(keys):
    """RFC 9266."""
    client, server = openssl_client(keys)
    assert server.bindings()["tls-exporter"] == client.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    assert len(set(server.bindings().values())) == 2


def test_no_renegotiation(keys):
    client, server = openssl_client(keys, most=SSL.TLS1_2_VERSION)
    assert client.renegotiate()
    assert not _step(client.do_handshake)
    feed(client, server)
    try:
        assert server.read() == b""
    except Refused:
        pass
    client.bio_write(server.take())
    with pytest.raises(SSL.Error, match="no renegotiation"):
        client.do_handshake()


@pytest.mark.parametrize(
    "name, address, served",
    [
        ("other.example.org", "", "other.example.org"),
        ("OTHER.EXAMPLE.ORG", "", "other.example.org"),
        ("x.example.org", "", "mail.example.org"),
        (None, "", "mail.example.org"),
        (None, "other.example.org", "other.example.org"),  # as an address would be found
    ],
)
def test_names(keys, place, name, address, served):
    both = Both(keys, name=name, address=address)
    file = "imapd-other.example.org.pem" if served.startswith("other") else "imapd.pem"
    own = ssl.DER_cert_to_PEM_cert(both.client.getpeercert(True)).split("-----")[2]
    assert "".join(own.split()) in (place / file).read_text().replace("\n", "")
    assert both.server.bindings()["tls-server-end-point"] == digest_of(both)


def test_a_client_that_wants_rsa_gets_it(keys, place):
    only_rsa = context(maximum_version=ssl.TLSVersion.TLSv1_2)
    only_rsa.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
    both = Both(keys, only_rsa)
    own = ssl.DER_cert_to_PEM_cert(both.client.getpeercert(True)).split("-----")[2]
    assert "".join(own.split()) in (place / "imapd-rsa.pem").read_text().replace("\n", "")
    assert both.server.bindings()["tls-server-end-point"] == digest_of(both)


def test_tickets(keys, place):
    client = context()
    first = Both(keys, client)
    first.server.write(b"x")
    first.into.write(first.server.take())
    assert first.client.read(1) == b"x"
    second = Both(keys, client, session=first.client.session)
    assert second.client.session_reused
    assert second.server.bindings()["tls-exporter"] != first.server.bindings()["tls-exporter"]
    others = Keys(Imap, Settings(tls_directory=str(place)))
    assert not Both(others, client, session=first.client.session).client.session_reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("names", [(None, None), ("other.example.org", None), ("other.example.org",) * 2])
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_resumed_session_is_bound_to_no_certificate_that_it_did_not_show(keys, version, names, kind):
    """OpenSSL would tell the last one that was loaded: of the two kinds and the names not always the client's."""
    client = context(maximum_version=version)
    if kind == "rsa":
        client.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
    first = Both(keys, client, name=names[0] if kind == "ecdsa" else None)
    assert first.server.bindings()["tls-server-end-point"] == digest_of(first)
    first.server.write(b"x")
    first.into.write(first.server.take())
    first.client.read(1)
    second = Both(keys, client, name=names[1], session=first.client.session)
    assert second.client.session_reused
    assert set(second.server.bindings()) == ({"tls-exporter"} if version == ssl.TLSVersion.TLSv1_3 else set())


def test_where_there_is_one_certificate_a_resumed_session_is_bound_to_it(place, tmp_path):
    shutil.copy(place / "imapd.pem", tmp_path)
    keys = Keys(Imap, Settings(tls_directory=str(tmp_path)))
    client = context()
    first = Both(keys, client)
    first.server.write(b"x")
    first.into.write(first.server.take())
    first.client.read(1)
    second = Both(keys, client, session=first.client.session)
    assert second.client.session_reused
    assert second.server.bindings()["tls-server-end-point"] == digest_of(second)


# --- files that are not right -----------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil, reason",
    [
        (lambda path: path.unlink(), "no certificate: looked for"),
        (lambda path: path.chmod(0o604), "others may read or write it (mode 0604)"),
        (lambda path: path.chmod(0o620), "others may read or write it (mode 0620)"),
        (lambda path: path.write_text("x"), "no certificate with its key"),
        (lambda path: path.write_text(path.read_text().partition("-----BEGIN CERT")[0]), "no certificate with its key"),
        (lambda path: path.write_text("-----BEGIN CERT" + path.read_text().partition("-----BEGIN CERT")[2]),
         "no certificate with its key"),
    ],
)  # fmt: skip
def test_unusable(tmp_path, place, spoil, reason):
    path = tmp_path / "imapd.pem"
    shutil.copy(place / "imapd.pem", path)
    spoil(path)
    with pytest.raises(Unusable) as caught:
        Keys(Imap, Settings(tls_directory=str(tmp_path)))
    assert reason in str(caught.value) and str(path) in str(caught.value)


def test_a_group_may_read_the_key(tmp_path, place):
    """Debian's ssl-cert."""
    path = tmp_path / "imapd.pem"
    shutil.copy(place / "imapd.pem", path)
    path.chmod(0o640)
    Keys(Imap, Settings(tls_directory=str(tmp_path)))


def test_the_key_of_another(tmp_path, place):
    (tmp_path / "private").mkdir()
    shutil.copy(place / "imapd.pem", tmp_path / "imapd.pem")
    shutil.copy(place / "imapd-other.example.org.pem", tmp_path / "private" / "imapd.pem")
    with pytest.raises(Unusable):
        Keys(Imap, Settings(tls_directory=str(tmp_path)))


def test_a_locked_key_asks_nobody(tmp_path, place):
    path = tmp_path / "imapd.pem"
    locked = subprocess.run(
        [need("openssl"), "pkey", "-in", place / "imapd.pem", "-aes256", "-passout", "pass:x"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    path.write_bytes(locked + (place / "imapd.pem").read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])
    path.chmod(0o600)
    with pytest.raises(Unusable):
        Keys(Imap, Settings(tls_directory=str(tmp_path)))


def test_a_bad_name_does_not_close_the_door_to_all(tmp_path, place):
    shutil.copy(place / "imapd.pem", tmp_path / "imapd.pem")
    (tmp_path / "imapd-bad.example.org.pem").write_text("x")
    keys = Keys(Imap, Settings(tls_directory=str(tmp_path)))
    assert Both(keys, name="bad.example.org").client.version() == "TLSv1.3"


# --- client certificates ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority and what it vouches for: (directory, its own certificate)."""
    place = tmp_path_factory.mktemp("authority")
    make_authority(place)
    return place


def openssl(*words, cwd):
    subprocess.run([need("openssl"), *words], cwd=cwd, check=True, capture_output=True)


def make_authority(place):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
            "-subj", "/CN=Our authority", cwd=place)  # fmt: skip


def vouched(place, subject, usage="clientAuth", days="30"):
    """A file with key and certificate."""
    (place / "ext").write_text(f"extendedKeyUsage={usage}\n" if usage else "basicConstraints=CA:FALSE\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "c.key", "-out", "c.csr", "-subj", subject, cwd=place)
    openssl("x509", "-req", "-in", "c.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", days,
            "-extfile", "ext", "-out", "c.pem", cwd=place)  # fmt: skip
    path = place / f"client-{os.urandom(4).hex()}.pem"
    path.write_bytes((place / "c.key").read_bytes() + (place / "c.pem").read_bytes())
    return path


def der(path):
    return ssl.PEM_cert_to_DER_cert("-----BEGIN CERT" + path.read_text().partition("-----BEGIN CERT")[2])


@pytest.mark.parametrize(
    "subject, usage, field, name",
    [
        ("/CN=fred", "clientAuth", "commonName", "fred"),
        ("/CN=fred", "", "commonName", "fred"),
        ("/CN=Fred Flintstone/UID=fred", "clientAuth", "UID", "fred"),
        ("/CN=F/emailAddress=fred@example.org", "clientAuth,serverAuth", "emailAddress", "fred"),
        ("/CN=fred", "serverAuth", "commonName", None),
        ("/CN=fred/CN=root", "clientAuth", "commonName", None),
        ("/O=fred", "clientAuth", "commonName", None),
    ],
)
def test_the_name_in_a_certificate(authority, subject, usage, field, name):
    path = vouched(authority, subject, usage)
    if name is None:
        with pytest.raises(Refused):
            name_in(der(path), authorities(str(authority / "ca.pem")), field)
    else:
        assert name_in(der(path), authorities(str(authority / "ca.pem")), field) == name


def test_a_certificate_of_somebody_elses(authority, tmp_path):
    make_authority(tmp_path)
    path = vouched(tmp_path, "/CN=fred")
    with pytest.raises(Refused):
        name_in(der(path), authorities(str(authority / "ca.pem")), "commonName")
    with pytest.raises(Refused):
        name_in(b"no certificate", authorities(str(authority / "ca.pem")), "commonName")


def test_a_certificate_that_is_old(authority):
    path = vouched(authority, "/CN=fred", days="-1") if _old_openssl_takes_negative_days(authority) else None
    if path is not None:
        with pytest.raises(Refused):
            name_in(der(path), authorities(str(authority / "ca.pem")), "commonName")


def _old_openssl_takes_negative_days(place):
    try:
        vouched(place, "/CN=fred", days="-1")
        return True
    except subprocess.CalledProcessError:
        return False


def test_a_client_shows_its_certificate(place, authority):
    keys = Keys(Imap, Settings(tls_directory=str(place), tls_client_ca=str(authority / "ca.pem")))
    path = vouched(authority, "/CN=fred")
    client = context()
    client.load_cert_chain(path)
    both = Both(keys, client)
    assert both.server.client_certificate() == der(path)
    assert Both(keys).server.client_certificate() == b""  # one that has none is as welcome
    both.server.write(b"x")
    both.into.write(both.server.take())
    both.client.read(1)
    assert both.client.session is None or not Both(keys, client, session=both.client.session).client.session_reused


def test_a_certificate_nobody_vouches_for_ends_the_handshake(place, authority, tmp_path):
    keys = Keys(Imap, Settings(tls_directory=str(place), tls_client_ca=str(authority / "ca.pem")))
    make_authority(tmp_path)
    client = context()
    client.load_cert_chain(vouched(tmp_path, "/CN=fred"))
    with pytest.raises(Refused):
        Both(keys, client)


def test_authorities_that_are_none(place, tmp_path):
    with pytest.raises(Unusable, match="tls_client_ca"):
        Keys(Imap, Settings(tls_directory=str(place), tls_client_ca=str(tmp_path / "missing")))


def test_the_reasons_are_words():
    assert tls._reason(tls.SSL.Error([("a", "b", "wrong version number")])) == "wrong version number"
    assert tls._reason(tls.SSL.SysCallError(-1, "Unexpected EOF")) == "SysCallError"
