"""mailcore.login.shadow: libcrypt, and the ages of /etc/shadow; a real user by the system's own programs."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
from passlib.hash import sha512_crypt

from mailcore.login import checker, pam, shadow
from mailcore.login.accounts import Peer
from mailcore.settings import Settings
from tests.conftest import need, need_root
from tests.mailcore.login.parrot import SERVICE

HASH = sha512_crypt.using(rounds=1000).hash("secret")
TODAY = 20_000


@pytest.fixture
def write(tmp_path):
    def write(*lines):
        path = tmp_path / "shadow"
        path.write_text("".join(line + "\n" for line in lines))
        path.chmod(0o640)
        return str(path)

    return write


def test_right_and_wrong(write):
    path = write("root:*:1::::::", f"fred:{HASH}:{TODAY}:0:99999:7:::")
    assert shadow.authenticate("fred", b"secret", path).code == ""
    for user, password in (("fred", b"Secret"), ("fred", b""), ("bob", b"secret"), ("root", b"*"), ("fred", b"a\0")):
        assert shadow.authenticate(user, password, path).code == shadow.WRONG


def gensalt(prefix: bytes) -> bytes:
    """libcrypt's own way to make the setting of a new hash."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt_gensalt.restype = ctypes.c_char_p
    library.crypt_gensalt.argtypes = [ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_int]
    return library.crypt_gensalt(prefix, 0, b"0123456789abcdef" * 2, 32)


def crypted(password: bytes, prefix: bytes) -> str:
    """A new hash by libcrypt."""
    return shadow._libcrypt().crypt(password, gensalt(prefix)).decode()


@pytest.mark.parametrize("prefix", [b"$y$", b"$gy$", b"$7$", b"$6$", b"$5$", b"$2b$"])
def test_every_scheme_of_libcrypt(prefix):
    hashed = crypted(b"secret", prefix).encode()
    assert hashed.startswith(prefix)
    assert shadow.matches(b"secret", hashed)
    assert not shadow.matches(b"secreT", hashed)


@pytest.mark.parametrize("hashed", ["", "!", "*", "x", "!!", "*LK*", f"!{HASH}", f"*{HASH}", "$6$", "$nonsense$x$y"])
def test_a_locked_account_lets_nobody_in(write, hashed):
    path = write(f"fred:{hashed}:{TODAY}:0:99999:7:::", f"bob:{HASH}:{TODAY}:0:99999:7:::")
    for password in (b"secret", b"", b"!", b"*", b"x", hashed.encode()):
        assert shadow.authenticate("fred", password, path).code == shadow.WRONG


@pytest.mark.parametrize(
    "fields, code, said",
    [
        ("20000:0:99999:7::", "", []),
        (":::::", "", []),
        ("20000:0:::::", "", []),
        ("20000:0:99999:7::20001", "", []),
        ("20000:0:99999:7::20000", "EXPIRED", ["Account has expired"]),
        ("20000:0:99999:7::0", "EXPIRED", ["Account has expired"]),
        ("0:0:99999:7::", "EXPIRED", ["Password must be changed"]),
        ("19990:0:9:7::", "EXPIRED", ["Password has expired"]),
        ("19990:0:10:7::", "", ["Password expires today!"]),
        ("19990:0:15:7::", "", ["Password expires in 5 day(s)"]),
        ("19990:0:18:7::", "", []),
        ("x:y:z:-1::", "", []),
    ],
)
def test_ages(fields, code, said):
    outcome = shadow.age(shadow.Entry(f"fred:{HASH}:{fields}".encode()), TODAY)
    assert (outcome.code, outcome.messages) == (code, said)


def test_expiry_is_told_only_to_who_knows_the_password(write):
    path = write(f"fred:{HASH}:0:0:99999:7:::")
    assert shadow.authenticate("fred", b"wrong", path).code == shadow.WRONG
    assert shadow.authenticate("fred", b"secret", path).code == shadow.EXPIRED
    assert shadow.permitted("fred", path).code == shadow.EXPIRED
    assert shadow.permitted("nobody-here", path).code == ""


def test_a_file_others_can_write_is_no_authority(tmp_path):
    path = tmp_path / "shadow"
    path.write_text(f"fred:{HASH}:::::::\n")
    path.chmod(0o666)
    assert shadow.authenticate("fred", b"secret", str(path)).code == shadow.UNAVAILABLE
    assert shadow.authenticate("fred", b"secret", str(tmp_path / "none")).code == shadow.UNAVAILABLE


# --- as the checker asks it, about a real user ----------------------------------------------


@pytest.fixture
def user():
    need_root()
    name = "mailcore-shadow"
    subprocess.run([need("useradd"), "-M", "-s", "/usr/sbin/nologin", name], check=True, capture_output=True)
    yield name
    subprocess.run([need("userdel"), name], check=True, capture_output=True)


@pytest.mark.parametrize("method", ["YESCRYPT", "SHA512"])
@pytest.mark.parametrize("way", ["setting", "no libpam"])
def test_a_real_user(user, method, way, monkeypatch):
    subprocess.run([need("chpasswd"), "-c", method], input=f"{user}:correct horse".encode(), check=True)
    line = next(line for line in Path("/etc/shadow").read_text().splitlines() if line.startswith(f"{user}:"))
    assert line.split(":")[1].startswith({"YESCRYPT": "$y$", "SHA512": "$6$"}[method])
    settings = Settings(password_source="shadow" if way == "setting" else "", cram_md5_file="")
    if way == "no libpam":
        monkeypatch.setattr(pam, "present", lambda: False)
    monkeypatch.setattr(pam, "authenticate", None)  # nobody asks it

    def ask(password):
        return checker.check(SERVICE, settings, Peer("socket", "192.0.2.1"), user.encode(), password)

    assert ask(b"correct horse").account.name == user
    assert not ask(b"correct horsE").right
    subprocess.run([need("chage"), "-E", "1", user], check=True)
    assert (ask(b"correct horse").right, ask(b"correct horse").code) == (False, "EXPIRED")
    assert ask(b"wrong").code == ""
    subprocess.run([need("chage"), "-E", "-1", user], check=True)
    subprocess.run([need("usermod"), "-L", user], check=True)
    assert (ask(b"correct horse").right, ask(b"correct horse").code) == (False, "")
