"""mailcore cert: the files it makes as openssl and a TLS client see them, its questions, and what it never does."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mailcore.tools import cert

NAME = "mail.example.org"


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    path = tmp_path / "certs"
    path.mkdir()
    return path


def run(certs: Path, *options: str, said: str | None = None, status: int = 0):
    words = ["--directory", str(certs), *options]
    result = CliRunner().invoke(cert.cert, words, input=said)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output and "PRIVATE" not in result.output
    return result


def make(certs: Path, *options: str, status: int = 0):
    return run(certs, "--yes", "--common-name", NAME, *options, status=status)


def openssl(*words: str | Path) -> str:
    if not shutil.which("openssl"):
        assert not os.environ.get("CI"), "CI has openssl"
        pytest.skip("no openssl")
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done
    return done.stdout


# --- what it makes -------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "about"), [("ecdsa", "prime256v1"), ("rsa", "(3072 bit)")])
def test_what_openssl_reads(certs, kind, about):
    shown = make(certs, "--key", kind, "--country", "no", "--organisation", "Æ & Co, Ltd", "--email", "a@b.example")
    pem, link = certs / "imapd.pem", certs / "ipop3d.pem"
    assert pem.stat().st_mode & 0o7777 == 0o600 and os.readlink(link) == "imapd.pem"
    assert sorted(os.listdir(certs)) == ["imapd.pem", "ipop3d.pem"]

    text = openssl("x509", "-in", link, "-noout", "-text")
    assert about in text and "TLS Web Server Authentication" in text and "CA:FALSE" in text
    assert f"X509v3 Subject Alternative Name: \n                DNS:{NAME}\n" in text
    assert ("Key Encipherment" in text) == (kind == "rsa") and "Digital Signature" in text
    fingerprint = openssl("x509", "-in", pem, "-noout", "-fingerprint", "-sha256").split("=")[1].strip()
    assert f"SHA-256 fingerprint: {fingerprint}\n" in shown.output
    assert f"subject: C=NO, O=Æ & Co, Ltd, CN={NAME}, emailAddress=a@b.example\n" in shown.output
    ends = openssl("x509", "-in", pem, "-noout", "-enddate", "-dateopt", "iso_8601").split("=")[1].strip()
    assert f"expires: {ends[:-1]} UTC\n" in shown.output
    left = datetime.fromisoformat(ends) - datetime.now(UTC)
    assert timedelta(days=cert.DAYS - 1) < left < timedelta(days=cert.DAYS)

    strict = ("-x509_strict", "-purpose", "sslserver", "-CAfile", pem)
    openssl("verify", *strict, "-verify_hostname", NAME, pem)
    done = subprocess.run(
        ["openssl", "verify", *strict, "-verify_hostname", "other.example", pem], capture_output=True, check=False
    )
    assert done.returncode
    public = openssl("x509", "-in", pem, "-noout", "-pubkey")
    assert openssl("pkey", "-in", pem, "-pubout") == public
    assert pem.read_text().index("PRIVATE KEY") < pem.read_text().index("BEGIN CERTIFICATE")


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_trusts_it_gets_through(certs, kind, version):
    make(certs, "--key", kind, "--alt-name", "192.0.2.1", "--alt-name", "*.Example.NET")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certs / "ipop3d.pem")
    trusting = ssl.create_default_context(cafile=certs / "imapd.pem")
    trusting.maximum_version = trusting.minimum_version = version
    for name in (NAME, "192.0.2.1", "pop.example.net"):
        shake_hands(trusting, server, name)
    for name in ("example.org", "192.0.2.2", "a.b.example.net"):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(trusting, server, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(ssl.create_default_context(), server, NAME)


def shake_hands(trusting: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [trusting.wrap_bio(one, two, server_hostname=name), server.wrap_bio(two, one, server_side=True)]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert all(end.cipher() for end in ends)


def test_the_request(certs):
    shown = make(certs, "--csr", "--state", "S", "--alt-name", "imap.example.org")
    assert "written in" in shown.output and "imapd.csr" in shown.output
    text = openssl("req", "-in", certs / "imapd.csr", "-noout", "-verify", "-text")
    assert f"DNS:{NAME}, DNS:imap.example.org" in text and f"ST = S, CN = {NAME}" in text
    public = openssl("req", "-in", certs / "imapd.csr", "-noout", "-pubkey")
    assert openssl("pkey", "-in", certs / "imapd.pem", "-pubout") == public


def test_a_request_for_the_present_key_leaves_all_else_alone(certs):
    make(certs, "--unit", "Post", "--alt-name", "192.0.2.7")
    before = (certs / "imapd.pem").read_bytes()
    run(certs, "--yes", "--csr", "--keep-key")
    assert (certs / "imapd.pem").read_bytes() == before
    text = openssl("req", "-in", certs / "imapd.csr", "-noout", "-verify", "-text")
    assert f"OU = Post, CN = {NAME}" in text and f"DNS:{NAME}, IP Address:192.0.2.7" in text


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_renewal_keeps_the_key_and_the_answers(certs, kind):
    make(certs, "--key", kind, "--locality", "Oslo", "--alt-name", "imap.example.org", "--days", "1")
    pem = certs / "imapd.pem"
    public, serial = (openssl("x509", "-in", pem, "-noout", what) for what in ("-pubkey", "-serial"))
    assert "--force" in run(certs, "--yes", "--keep-key", status=1).output
    run(certs, "--yes", "--keep-key", "--force", "--email", "new@example.org")
    text = openssl("x509", "-in", pem, "-noout", "-text")
    assert f"L = Oslo, CN = {NAME}, emailAddress = new@example.org" in text and "DNS:imap.example.org" in text
    assert openssl("x509", "-in", pem, "-noout", "-pubkey") == public
    assert openssl("x509", "-in", pem, "-noout", "-serial") != serial
    openssl("x509", "-in", pem, "-noout", "-checkend", str(800 * 86400))


def test_a_key_that_openssl_made_can_be_kept(certs):
    pem = certs / "imapd.pem"
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/C=NO/O=Old/CN=old.example.org"]
    openssl("req", *options, "-keyout", certs / "key", "-out", certs / "crt")
    pem.write_bytes((certs / "crt").read_bytes() + (certs / "key").read_bytes())  # the other way round
    run(certs, "--yes", "--keep-key", "--force")
    assert openssl("x509", "-in", pem, "-noout", "-subject").strip() == "subject=C = NO, O = Old, CN = old.example.org"
    assert openssl("pkey", "-in", pem, "-pubout") == openssl("pkey", "-in", certs / "key", "-pubout")


BROKEN = b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("content", [b"", b"rubbish", BROKEN])
def test_no_key_to_keep(certs, content):
    assert "No such file" in run(certs, "--yes", "--keep-key", status=1).output
    (certs / "imapd.pem").write_bytes(content)
    assert "no key to keep" in run(certs, "--yes", "--keep-key", "--force", status=1).output
    assert (certs / "imapd.pem").read_bytes() == content


# --- what it never does --------------------------------------------------------------------


def test_nothing_is_overwritten_without_force(certs):
    make(certs)
    before = (certs / "imapd.pem").read_bytes()
    assert "imapd.pem is there already; --force" in make(certs, status=1).output
    assert (certs / "imapd.pem").read_bytes() == before
    make(certs, "--force")
    assert (certs / "imapd.pem").read_bytes() != before


@pytest.mark.parametrize("file", ["imapd.pem", "ipop3d.pem", "imapd.csr"])
def test_files_of_others_stay_unless_forced(certs, file):
    (certs / file).write_text("precious")
    (certs / file).chmod(0o644)
    told = run(certs, "--csr", said="", status=1).output  # and it says so before it asks
    assert f"{file} is there already" in told and "Country" not in told
    assert os.listdir(certs) == [file] and (certs / file).read_text() == "precious"
    make(certs, "--csr", "--force")
    assert os.readlink(certs / "ipop3d.pem") == "imapd.pem"
    assert (certs / "imapd.pem").stat().st_mode & 0o7777 == 0o600


def test_links_are_replaced_not_followed(certs, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for file in ("imapd.pem", "ipop3d.pem"):
        os.symlink(victim, certs / file)
    assert "is there already" in make(certs, status=1).output
    make(certs, "--force")
    assert victim.read_text() == "precious" and not (certs / "imapd.pem").is_symlink()


def test_a_dangling_link_of_ours_is_in_nobodys_way(certs):
    os.symlink("imapd.pem", certs / "ipop3d.pem")
    os.symlink("left by a crash", certs / ".ipop3d.pem.new")
    make(certs)
    (certs / "ipop3d.pem").unlink()
    (certs / "imapd.pem").unlink()
    make(certs)
    assert sorted(os.listdir(certs)) == ["imapd.pem", "ipop3d.pem"]


def test_somebody_else_is_quicker(certs, monkeypatch):
    """Between the look and the writing a file appears: it stays."""

    def appears(*_: object) -> None:
        (certs / "imapd.pem").write_text("precious")

    monkeypatch.setattr(cert, "_nothing_there", appears)
    assert "just been made by somebody else" in make(certs, status=1).output
    assert (certs / "imapd.pem").read_text() == "precious" and os.listdir(certs) == ["imapd.pem"]


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_an_error_leaves_nothing_behind(certs, monkeypatch, call):
    def fails(*args, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fails)
    assert "No space left on device" in make(certs, status=1).output
    monkeypatch.undo()
    assert os.listdir(certs) == []


def test_the_key_is_never_open_to_others(certs, monkeypatch):
    modes = []
    write = os.write

    def spy(fd, data):
        modes.append(os.fstat(fd).st_mode & 0o7777)
        return write(fd, data)

    monkeypatch.setattr(os, "write", spy)
    old = os.umask(0)
    try:
        make(certs)
    finally:
        os.umask(old)
    assert modes and set(modes) == {0o600}


# --- questions -----------------------------------------------------------------------------


def test_every_question_is_asked_in_order(certs):
    answers = ["NOR", "no", "", "Oslo", "Post AS", "", "büro.example.org", "mail", "a@b@", "x@y"]
    shown = run(certs, said="\n".join(answers) + "\n")
    questions = [question for _, question, *_ in cert.QUESTIONS]
    places = [shown.output.index(question) for question in questions]
    assert places == sorted(places)
    assert "country: no more than 2 characters" in shown.output
    assert "ASCII only" in shown.output and "write xn--bro-hoa.example.org" in shown.output
    assert "subject: C=NO, L=Oslo, O=Post AS, CN=mail, emailAddress=a@b@" in shown.output
    assert "mail is no full name" in shown.output


def test_given_answers_are_not_asked(certs):
    shown = run(certs, "--country", "NO", "--unit", "", said=f"\n\n\n{NAME}\n\n").output
    assert "Country" not in shown and "Unit" not in shown and "City" in shown
    assert f"subject: C=NO, CN={NAME}\n" in shown


def test_an_end_of_input_makes_nothing(certs):
    run(certs, said="NO\n", status=1)
    assert os.listdir(certs) == []


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("Mail.Example.Org.", "mail.example.org"),
        ("my_host", "localhost"),
        ("", "localhost"),
        ("h" * 65, "localhost"),
        ("localhost localhost", "localhost"),
        ("localhost mx1", "mx1"),  # Debian's 127.0.1.1 line is missing
        ("ip6-localhost! mail.example.org", "mail.example.org"),
    ],
)
def test_the_name_of_the_machine_is_the_default(certs, monkeypatch, own, expected):
    full, _, short = own.partition(" ")
    monkeypatch.setattr(cert.socket, "getfqdn", lambda: full)
    monkeypatch.setattr(cert.socket, "gethostname", lambda: short)
    assert f"subject: CN={expected}\n" in run(certs, "--batch").output


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--country", "NOR", "no more than 2"),
        ("--country", "N", "two letters"),
        ("--country", "Ø1", "two letters"),
        ("--state", "x" * 129, "no more than 128"),
        ("--organisation", "x" * 65, "no more than 64"),
        ("--unit", "a\x1b[31m", "control characters"),
        ("--unit", "a\nb", "control characters"),
        ("--email", "nobody", "name@host"),
        ("--email", "æ@example.org", "ASCII"),
        ("--common-name", "büro.example.org", "ASCII only, for clients compare it letter by letter: write xn--bro-hoa"),
        ("--common-name", "mail..example.org", "no host name"),
        ("--common-name", "-mail.example.org", "no host name"),
        ("--common-name", "mail_.example.org", "no host name"),
        ("--common-name", "mail.example.org:993", "no host name"),
        ("--common-name", "a.*.example.org", "no host name"),
        ("--common-name", " ", "no host name"),
        ("--common-name", "a" * 63 + ".b", "no more than 64"),
        ("--alt-name", "mail example", "no host name"),
        ("--alt-name", "ü" * 64 + ".org", "ASCII only"),
    ],
)
def test_answers_that_are_refused_with_the_reason(certs, option, value, reason):
    options = [option, value] if option == "--common-name" else ["--common-name", NAME, option, value]
    told = run(certs, "--yes", *options, status=2).output
    assert reason in " ".join(told.split()), told
    assert os.listdir(certs) == []


@pytest.mark.parametrize("name", ["mail.example.org", "*.example.org", "xn--bro-hoa.example.org", "a.b", "192.0.2.1"])
def test_names_that_are_taken(certs, name):
    run(certs, "--yes", "--common-name", name)
    text = openssl("x509", "-in", certs / "imapd.pem", "-noout", "-ext", "subjectAltName")
    assert f":{name}\n" in text


# --- where -----------------------------------------------------------------------------------


def test_the_first_directory_there_is(tmp_path, monkeypatch):
    places = [str(tmp_path / name) for name in ("a", "b", "c")]
    monkeypatch.setattr(cert, "DIRECTORIES", tuple(places))
    refused = CliRunner().invoke(cert.cert, ["--yes"])
    assert refused.exit_code == 1 and "--directory says where" in refused.output
    for place in places[1:]:
        os.mkdir(place)
    assert CliRunner().invoke(cert.cert, ["--yes", "--common-name", NAME]).exit_code == 0
    assert os.listdir(places[1]) and not os.listdir(places[2])


def test_a_directory_that_is_none(tmp_path):
    assert "is not a directory" in run(tmp_path / "nowhere", status=1).output


def test_questions_and_options_have_the_same_names():
    names = {parameter.name for parameter in cert.cert.params}
    assert {name for name, *_ in cert.QUESTIONS} <= names
    assert all(isinstance(parameter, click.Option) for parameter in cert.cert.params)
