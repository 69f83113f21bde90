"""mailcore.login.sources: what a client may be offered, by what lies on the disk now."""

from __future__ import annotations

import os

import pytest

from mailcore.login import sources
from mailcore.login.accounts import Peer
from mailcore.settings import Settings


@pytest.fixture
def place(tmp_path):
    def place(**files):
        values = {}
        for name, (text, mode) in files.items():
            path = tmp_path / name
            path.write_text(text)
            path.chmod(mode)
            values[name] = str(path)
        return Settings(**{"cram_md5_file": "", "anonymous_file": "", **values})

    return place


def look(settings, purpose="pop3"):
    peer = Peer("socket", "192.0.2.1")
    complaints = sources.survey(settings, peer, purpose)
    return sorted(peer.sources), bool(peer.stamp), complaints


SECRETS = ("fred\tx\n", 0o600)
VERIFIER = ("fred:{SCRAM-SHA-256}4096,YQ==,YQ==,YQ==:1:1::/\n", 0o600)


@pytest.mark.parametrize(
    "files, purpose, found",
    [
        ({}, "pop3", []),
        ({"cram_md5_file": SECRETS}, "pop3", ["secrets", "stamp", "verifiers"]),
        ({"cram_md5_file": SECRETS}, "imap", ["secrets", "verifiers"]),
        ({"passwd_file": ("fred:$6$x:1:1::/\n", 0o600)}, "imap", []),
        ({"passwd_file": VERIFIER}, "imap", ["verifiers"]),
        ({"passwd_file": ("fred:{PLAIN}x:1:1::/\n", 0o600)}, "pop3", ["verifiers"]),
        ({"passwd_file": (VERIFIER[0], 0o666)}, "imap", []),
        ({}, "poppassd", ["change"]),
        ({"cram_md5_file": SECRETS, "passwd_file": VERIFIER}, "poppassd", ["change", "secrets"]),
    ],
)
def test_what_is_found(place, files, purpose, found):
    assert look(place(**files), purpose) == (found, "stamp" in found, [])


def test_a_file_that_comes_or_goes_needs_no_restart(place, tmp_path):
    settings = place(cram_md5_file=SECRETS)
    assert "secrets" in look(settings)[0]
    os.unlink(settings.cram_md5_file)
    assert look(settings) == ([], False, [])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602, 0o620])
def test_a_file_others_can_read_is_refused_with_one_line(place, mode):
    found, stamp, complaints = look(place(cram_md5_file=("fred\tx\n", mode)))
    assert (found, stamp, len(complaints)) == ([], False, 1)
    assert complaints[0].endswith(": APOP and CRAM-MD5 are off")


def test_a_link_and_a_directory_are_refused(place, tmp_path):
    settings = place(cram_md5_file=SECRETS)
    link = tmp_path / "link"
    link.symlink_to(settings.cram_md5_file)
    settings.cram_md5_file = str(link)
    assert len(look(settings)[2]) == 1
    settings.cram_md5_file = str(tmp_path)
    assert len(look(settings)[2]) == 1


def test_every_stamp_is_a_new_one(place):
    settings = place(cram_md5_file=SECRETS)
    peers = [Peer("socket") for _ in range(50)]
    for peer in peers:
        sources.survey(settings, peer, "pop3")
    assert len({peer.stamp for peer in peers}) == 50


@pytest.mark.parametrize("user, there, purpose, yes", [
    ("nobody", True, "imap", True), ("", True, "imap", False), ("nobody", False, "imap", False),
    ("nobody", True, "pop3", False),
])  # fmt: skip
def test_anonymous_needs_a_file_and_a_user(place, user, there, purpose, yes):
    settings = place(**({"anonymous_file": ("", 0o644)} if there else {}))
    settings.anonymous_user = user
    assert ("anonymous" in look(settings, purpose)[0]) == yes
