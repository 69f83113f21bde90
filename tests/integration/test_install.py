"""`make install` under a prefix: inetd's sample lines start what it installed, and `make uninstall` takes it away."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mailcore import VERSION
from tests.integration.machine import PASSWORD, Daemon, Line, free_port, need, run
from tests.playground import ROOT

SERVICES = {"imap": "imapd", "pop3": "ipop3d", "127.0.0.1:106": "poppassd"}


def make(*words: str) -> None:
    subprocess.run([need("make"), "-C", str(ROOT), f"VENV={sys.prefix}", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """A tree that any user may read, with all that is installed."""
    prefix = tmp_path_factory.mktemp("prefix")
    for folder in (prefix, *prefix.parents):
        if folder.stat().st_uid == os.getuid() and folder.stat().st_mode & 0o055 != 0o055:
            folder.chmod(0o755)
    make("install", f"PREFIX={prefix}", f"STATE={prefix}/state")
    yield prefix
    make("uninstall", f"PREFIX={prefix}")
    assert [path for path in prefix.rglob("*") if not path.is_dir()] == []


def test_the_samples_lines_serve(prefix, tmp_path, fred):
    ports = {service: free_port() for service in SERVICES}
    lines = []
    for line in (prefix / "share/doc/mailcore/inetd.conf.sample").read_text().splitlines():
        words = line.removeprefix("#").split()
        if words and words[0] in SERVICES and words[2] == "tcp" and "tcpd" not in line:
            assert words[-2] == str(prefix / "libexec" / words[-1])
            lines.append(" ".join([f"127.0.0.1:{ports[words[0]]}", *words[1:]]) + "\n")
    names = [line.split()[-1] for line in lines]
    assert sorted(names) == sorted(SERVICES.values())
    (tmp_path / "inetd.conf").write_text("".join(lines))
    daemon = Daemon(need("inetd"), "-i", str(tmp_path / "inetd.conf"), ports=tuple(ports.values()))
    try:
        imap, pop3, poppassd = (Line(port) for port in ports.values())
        assert imap.hear().startswith("* OK ")
        imap.say(f"a LOGIN {fred.name} {PASSWORD}")
        assert imap.until("a")[-1].startswith("a OK ")
        assert pop3.hear().startswith("+OK ")
        pop3.ask(f"USER {fred.name}")
        assert pop3.ask(f"PASS {PASSWORD}").startswith("+OK ")
        assert poppassd.hear().startswith("200 ")
        assert poppassd.ask("QUIT") == "200 Bye"
        for line in (imap, pop3, poppassd):
            line.close()
    finally:
        daemon.stop()


def test_the_command_finds_its_libraries(prefix, tmp_path):
    """click, passlib and cryptography come from the installed tree alone."""
    mailcore = str(prefix / "bin/mailcore")
    assert run(mailcore, "--version").split() == ["mailcore,", "version", VERSION]
    run(mailcore, "cert", "--batch", "--common-name", "mail.example.org", "--directory", str(tmp_path))
    assert sorted(path.name for path in tmp_path.glob("*.pem")) == ["imapd.pem", "ipop3d.pem"]
    file = str(tmp_path / "passwd")
    run(mailcore, "secret", "add", "fred", "--passwd-file", file, "--stdin", text="something long\n")
    assert run(mailcore, "secret", "list", "--passwd-file", file) == "fred  sha512_crypt\n"


def test_the_pages_are_well_formed(prefix):
    """No warnings; mailcore.conf(5) has every setting (man/settings.py fills it in)."""
    from mailcore import settings

    pages = sorted(prefix.glob("share/man/man*/*"))
    assert [page.name for page in pages] == ["mailcore.1", "mailcore.conf.5", "imapd.8", "ipop3d.8", "poppassd.8"]
    for page in pages:
        assert run(need("mandoc"), "-Tlint", "-W", "warning", str(page)) == ""
    said = (prefix / "share/man/man5/mailcore.conf.5").read_text().splitlines()
    assert [line.split()[-1] for line in said if line.startswith(".It Ic ")] == list(settings.TABLE)


def test_make_cert_as_written(tmp_path):
    """As root into the directory that CERT names; `make cert` passes its words on."""
    make("cert", f"CERT=--batch --common-name mail.example.org --directory {tmp_path}")
    file = tmp_path / "imapd.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    text = run(need("openssl"), "x509", "-in", str(file), "-noout", "-text")
    for words in ("CN = mail.example.org", "DNS:mail.example.org", "TLS Web Server Authentication"):
        assert words in text
    assert run(need("openssl"), "verify", "-CAfile", str(file), str(file)).endswith(": OK\n")
    assert os.readlink(tmp_path / "ipop3d.pem") == "imapd.pem"
