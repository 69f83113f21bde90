"""mailcore.login.passwords: the passwd-file."""

from __future__ import annotations

import hashlib
import os
import time

import pytest
from passlib.hash import pbkdf2_sha256, sha256_crypt, sha512_crypt

from mailcore.login import accounts, passwords, scram
from mailcore.login.passwords import Unusable, verify
from tests.mailcore.login.test_shadow import crypted

CHEAP = sha512_crypt.using(rounds=1000)


@pytest.fixture
def write(tmp_path):
    def write(*lines, mode=0o600):
        path = tmp_path / "passwd"
        path.write_bytes("".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"))
        path.chmod(mode)
        return str(path)

    return write


@pytest.mark.parametrize("scheme", [CHEAP, sha256_crypt.using(rounds=1000), pbkdf2_sha256.using(rounds=1000)])
def test_right_and_wrong(write, scheme):
    path = write("# accounts", "", f"fred:{scheme.hash('secret')}:1000:1001:Fred:/home/fred")
    account = verify(path, "fred", b"secret")
    assert (account.name, account.uid, account.gid, account.home, account.location) == (
        "fred", 1000, 1001, "/home/fred", "",
    )  # fmt: skip
    assert verify(path, "fred", b"secret ") is None
    assert verify(path, "Fred", b"secret") is None
    assert verify(path, "bob", b"secret") is None


def test_bcrypt_as_current_libraries_make_it(write):
    import bcrypt

    path = write(f"fred:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}:1000:1000::/h")
    assert verify(path, "fred", b"secret").uid == 1000
    assert verify(path, "fred", b"wrong") is None


def test_a_location_may_have_colons(write):
    path = write(f"fred:{CHEAP.hash('x')}:1:1::/h:mbox:~/mail:INBOX=/spool/%u")
    assert verify(path, "fred", b"x").location == "mbox:~/mail:INBOX=/spool/%u"


def test_the_first_of_two_lines_counts(write):
    path = write(f"fred:{CHEAP.hash('one')}:1:1::/h", f"fred:{CHEAP.hash('two')}:2:2::/h")
    assert verify(path, "fred", b"one").uid == 1
    assert verify(path, "fred", b"two") is None


@pytest.mark.parametrize("hashed", ["", "!", "*", "x", "!$6$abc", "plain", "$6$", "$9$x$y", "$6$a$short"])
def test_a_hash_that_is_none_lets_nobody_in(write, hashed):
    path = write(f"fred:{hashed}:1:1::/h", f"bob:{CHEAP.hash('secret')}:1:1::/h")
    for password in (b"", b"x", b"!", b"*", b"plain", hashed.encode(), b"secret"):
        assert verify(path, "fred", password) is None


@pytest.mark.parametrize(
    "numbers", ["-1:1", "x:1", "1:x", "1:", "4294967295:1", "99999999999:1", "1.5:1", "\u0661:1", "9" * 5000 + ":1"]
)
def test_a_uid_that_is_none_lets_nobody_in(write, numbers):
    path = write(f"fred:{CHEAP.hash('x')}:{numbers}::/h")
    assert verify(path, "fred", b"x") is None


def test_without_numbers_it_is_the_system_user(write):
    path = write(f"daemon:{CHEAP.hash('x')}", f"no_such_user:{CHEAP.hash('x')}")
    assert verify(path, "daemon", b"x").uid == 1
    assert verify(path, "no_such_user", b"x") is None


@pytest.mark.parametrize("password", [b"\xff\xfe", b"x" * 5000, "pässword".encode()])
def test_any_password_bytes(write, password):
    path = write(f"fred:{CHEAP.hash('secret')}:1:1::/h")
    assert verify(path, "fred", password) is None


def test_an_unknown_user_costs_one_hash_of_the_same_kind(write, monkeypatch):
    path = write("locked:!:1:1::/h", f"fred:{CHEAP.hash('secret')}:1:1::/h")
    seen = []
    right = passwords._right
    monkeypatch.setattr(passwords, "_right", lambda word, hashed: seen.append(hashed) or right(word, hashed))
    for user in ("fred", "nobody-here", "locked"):
        verify(path, user, b"wrong")
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_even_an_empty_file_costs_a_hash(write, monkeypatch):
    seen = []
    monkeypatch.setattr(passwords, "_right", lambda word, hashed: seen.append(hashed))
    assert verify(write(""), "fred", b"x") is None
    assert seen == [passwords.NOBODYS]
    assert passwords._known(passwords.NOBODYS)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_used(write, mode):
    with pytest.raises(Unusable):
        verify(write(f"fred:{CHEAP.hash('x')}:1:1::/h", mode=mode), "fred", b"x")


def test_what_is_no_file_is_not_used(tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path, tmp_path / "none", tmp_path / "fifo"):
        with pytest.raises(Unusable):
            verify(str(path), "fred", b"x")


def test_somebody_elses_file_is_not_used(write):
    if os.geteuid():
        pytest.skip("only root can make one")
    path = write(f"fred:{CHEAP.hash('x')}:1:1::/h")
    os.chown(path, 65534, 65534)
    with pytest.raises(Unusable):
        verify(path, "fred", b"x")


# --- Dovecot's schemes, htpasswd's files ------------------------------------------------------


def dovecots_pbkdf2(password, salt="0123456789abcdef", rounds=5000):
    digest = hashlib.pbkdf2_hmac("sha1", password.encode(), salt.encode(), rounds, 20)
    return f"{{PBKDF2}}$1${salt}${rounds}${digest.hex()}"


def written():
    """Hashes of "secret", each by the library that others use for it."""
    import argon2
    import bcrypt
    from passlib.hash import apr_md5_crypt, ldap_salted_sha1, ldap_salted_sha512, md5_crypt

    blowfish = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    other = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1, type=argon2.Type.I)
    return {
        "plain": "{PLAIN}secret",
        "cleartext, small": "{cleartext}secret",
        "crypt": "{CRYPT}" + CHEAP.hash("secret"),
        "sha512": "{SHA512-CRYPT}" + CHEAP.hash("secret"),
        "sha256": "{SHA256-CRYPT}" + sha256_crypt.using(rounds=1000).hash("secret"),
        "blowfish": "{BLF-CRYPT}" + blowfish,
        "blowfish, htpasswd": blowfish.replace("$2b$", "$2y$"),
        "argon2id": "{ARGON2ID}" + hasher.hash("secret"),
        "argon2i": "{ARGON2I}" + other.hash("secret"),
        "argon2, bare": hasher.hash("secret"),
        "pbkdf2": dovecots_pbkdf2("secret"),
        "ssha": ldap_salted_sha1.hash("secret"),
        "ssha512": ldap_salted_sha512.hash("secret"),
        "md5": "{MD5-CRYPT}" + md5_crypt.hash("secret"),
        "htpasswd": apr_md5_crypt.hash("secret"),
        "scram": scram.derive("SCRAM-SHA-256", b"secret", iterations=4096).text(),
        "scram, old": scram.derive("SCRAM-SHA-1", b"secret", iterations=4096).text(),
        "yescrypt": "{CRYPT}" + crypted(b"secret", b"$y$"),
        "yescrypt, bare": crypted(b"secret", b"$y$"),
    }


@pytest.mark.parametrize("name", list(written()))
def test_every_scheme(write, name):
    path = write(f"fred:{written()[name]}:1000:1000::/h")
    assert verify(path, "fred", b"secret").uid == 1000
    for wrong in (b"Secret", b"secret\\0", written()[name].encode(), b""):
        assert verify(path, "fred", wrong) is None


@pytest.mark.parametrize(
    "hashed",
    [
        "{PLAIN}", "{}x", "{NONSENSE}secret", "{PBKDF2}$1$a$b$c", "{PBKDF2}$1$a$99999999999$c", "{PBKDF2}", "{SHA}x",
        "{SCRAM-SHA-256}1,2,3", "{BLF-CRYPT}$2y$05$short", "{ARGON2ID}$argon2id$x", "{CRYPT}!", "{CRYPT}*",
    ],
)  # fmt: skip
def test_a_scheme_without_its_hash_lets_nobody_in(write, hashed):
    path = write(f"fred:{hashed}:1:1::/h")
    for password in (b"", b"secret", b"x", hashed.encode()):
        assert verify(path, "fred", password) is None


def test_a_file_of_htpasswd_has_system_users(write, monkeypatch):
    monkeypatch.setattr(accounts, "named", lambda name: accounts.Account(name, 1234, 1, "/h"))
    path = write(f"fred:{written()['htpasswd']}")
    assert verify(path, "fred", b"secret").uid == 1234


def test_dovecots_shell_is_no_location(write):
    path = write("fred:{PLAIN}x:1:2::/h:/bin/sh", "bob:{PLAIN}x:1:2::/h::userdb_x=y", "al:{PLAIN}x:1:2::/h:mbox:~/m")
    assert [passwords.account(path, name).location for name in ("fred", "bob", "al")] == ["", "", "mbox:~/m"]


def test_a_second_line_is_no_second_password(write):
    verifier = scram.derive("SCRAM-SHA-256", b"other", iterations=4096).text()
    path = write(f"fred:{CHEAP.hash('secret')}:1:1::/h", f"fred:{verifier}")
    assert verify(path, "fred", b"secret").uid == 1
    assert verify(path, "fred", b"other") is None


# --- better hashes ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["md5", "htpasswd", "ssha", "ssha512"])
def test_a_weak_hash_is_written_anew(write, name):
    path = write("# who", "bob:x", f"fred:{written()[name]}:1000:1001::/h:mbox:~/m", "al:y")
    passwords.upgrade(path, "fred", b"secret")
    with open(path) as file:
        lines = file.read().splitlines()
    assert [lines[0], lines[1], lines[3]] == ["# who", "bob:x", "al:y"]
    name, hashed, rest = lines[2].split(":", 2)
    assert (name, rest) == ("fred", "1000:1001::/h:mbox:~/m")
    assert hashed.removeprefix("{SHA512-CRYPT}").startswith("$6$")
    assert verify(path, "fred", b"secret").uid == 1000
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["plain", "sha512", "blowfish", "argon2id", "scram", "pbkdf2"])
def test_a_good_hash_stays(write, name):
    path = write(f"fred:{written()[name]}:1000:1001::/h")
    before = os.stat(path).st_ino
    passwords.upgrade(path, "fred", b"secret")
    assert os.stat(path).st_ino == before


@pytest.mark.parametrize("written, changed, kept", [(-5, -5, True), (-5, -1, False), (-1, -5, False), (0, 0, False),
                                                    (5, -5, False), (-500_000, -3, True)])  # fmt: skip
def test_a_file_is_kept_when_its_times_are_old_enough(written, changed, kept):
    """In seconds from now; a later write has other times then."""
    stamp = ("/x", 1, 2, 3, *(time.time_ns() + seconds * 10**9 for seconds in (written, changed)))
    assert passwords._is_settled(stamp) == kept
