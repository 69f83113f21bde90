"""mailcore.login.verifiers: real verifiers, and decoys that cannot be told from them."""

from __future__ import annotations

import os

import pytest

from mailcore.login import scram, verifiers
from mailcore.login.accounts import Peer
from mailcore.settings import Settings

BOTH = ("SCRAM-SHA-256", "SCRAM-SHA-1")


@pytest.fixture
def host(tmp_path):
    """Settings of a host, and a peer that may use SCRAM there."""

    def host(passwd="", secrets="", **values):
        values = {"cram_md5_file": "", "scram_key_file": str(tmp_path / ".scram-key"), **values}
        for name, text in (("passwd_file", passwd), ("cram_md5_file", secrets)):
            if text:
                (tmp_path / name).write_text(text)
                (tmp_path / name).chmod(0o600)
                values[name] = str(tmp_path / name)
        peer = Peer("socket")
        peer.sources = frozenset({"verifiers"} | ({"secrets"} if secrets else set()))
        return Settings(**values), peer

    return host


@pytest.mark.parametrize("mechanism", BOTH)
def test_from_a_clear_secret(host, mechanism):
    settings, peer = host(secrets="fred\tflintstone\n")
    verifier, known = verifiers.find(settings, peer, mechanism, b"fred")
    assert known
    assert verifier.matches(b"flintstone")
    assert not verifier.matches(b"wilma")
    assert verifiers.find(settings, peer, mechanism, b"fred")[0].salt == verifier.salt


def test_from_a_passwd_file(host):
    written = scram.derive("SCRAM-SHA-256", b"flintstone", iterations=4096)
    settings, peer = host(f"fred:$6$x:1:1::/\nfred:{written.text()}\nbob:{{PLAIN}}builder:1:1::/\n")
    verifier, known = verifiers.find(settings, peer, "SCRAM-SHA-256", b"fred")
    assert known
    assert verifier.text() == written.text()
    assert not verifiers.find(settings, peer, "SCRAM-SHA-1", b"fred")[1]
    verifier, known = verifiers.find(settings, peer, "SCRAM-SHA-1", b"bob")
    assert known
    assert verifier.matches(b"builder")


def test_a_damaged_verifier_is_none(host):
    settings, peer = host("fred:{SCRAM-SHA-256}4096,YQ==,YQ==,YQ==:1:1::/\n")
    assert not verifiers.find(settings, peer, "SCRAM-SHA-256", b"fred")[1]


def test_where_the_secrets_file_rules_the_passwd_file_is_not_asked(host):
    written = scram.derive("SCRAM-SHA-256", b"old").text()
    settings, peer = host(f"fred:{written}:1:1::/\n", "bob\tbuilder\n")
    assert not verifiers.find(settings, peer, "SCRAM-SHA-256", b"fred")[1]
    settings.cram_md5_only = False
    assert verifiers.find(settings, peer, "SCRAM-SHA-256", b"fred")[1]
    assert verifiers.find(settings, peer, "SCRAM-SHA-256", b"bob")[1]


@pytest.mark.parametrize("mechanism", BOTH)
def test_a_probe_cannot_tell_who_is_there(host, mechanism):
    """The same question has the same salt for ever, and nothing of it tells a decoy."""
    settings, peer = host(secrets="".join(f"user{n}\tx\n" for n in range(0, 20, 2)))
    seen = [[verifiers.find(settings, peer, mechanism, b"user%d" % n) for n in range(20)] for _ in range(2)]
    assert [v.salt for v, _ in seen[0]] == [v.salt for v, _ in seen[1]]
    assert len({v.salt for v, _ in seen[0]}) == 20
    assert len({(v.iterations, len(v.salt)) for v, _ in seen[0]}) == 1
    assert [known for _, known in seen[0]] == [n % 2 == 0 for n in range(20)]


def test_a_decoy_has_the_shape_of_the_real_ones(host):
    written = scram.derive("SCRAM-SHA-256", b"x", salt=b"s" * 24, iterations=4096)
    settings, peer = host(f"fred:{written.text()}:1:1::/\n")
    for name in (b"a", b"b", b"c"):
        verifier, known = verifiers.find(settings, peer, "SCRAM-SHA-256", name)
        assert (verifier.iterations, len(verifier.salt), known) == (4096, 24, False)


def test_the_derivation_is_paid_for_everybody(host, monkeypatch):
    settings, peer = host(secrets="fred\tx\n")
    paid = []
    derive = scram.derive
    monkeypatch.setattr(scram, "derive", lambda *a, **k: paid.append(1) or derive(*a, **k))
    for name in (b"fred", b"nobody-here", b""):
        verifiers.find(settings, peer, "SCRAM-SHA-256", name)
    assert len(paid) == 3


# --- the key -------------------------------------------------------------------------------


def test_the_key_is_made_once_and_for_us_alone(host, tmp_path):
    settings, _ = host(passwd="x:y\n", scram_key_file=str(tmp_path / "new" / "key"))
    key = verifiers.host_key(settings)
    path = verifiers._key_path(settings)
    assert len(key) == 32
    assert verifiers.host_key(settings) == key
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_key_that_others_can_read_is_not_believed(host):
    settings, _ = host(passwd="x:y\n")
    key = verifiers.host_key(settings)
    os.chmod(verifiers._key_path(settings), 0o644)
    other = verifiers.host_key(settings)
    assert other != key
    assert verifiers.host_key(settings) == other


def test_without_a_place_for_it_the_key_still_lasts(host):
    settings, _ = host(passwd="x:y\n", scram_key_file="/proc/no/such/key")
    if os.geteuid():
        settings.passwd_file = "/proc/no/such/passwd"
    assert verifiers.host_key(settings) == verifiers.host_key(settings)
    assert len(verifiers.host_key(settings)) == 32
