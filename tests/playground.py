"""Where tests let the servers run: a home, a spool, accounts, and the programs themselves.

The programs are started as an ordinary user even when the tests run as root, from a copy of
the packages that any user may read (a checkout may lie where only its owner can look).
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import shutil
import ssl
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAILBOXES = ROOT / "tests" / "mailboxes"
PACKAGES = ("mailcore", "imapd", "ipop3d")
MODULES = {"poppassd": "mailcore.poppassd"}  # programs that are not packages of their own
# what the doors need beside our own code
LIBRARIES = ("click", "passlib", "OpenSSL", "cryptography", "cffi", "_cffi_backend", "typing_extensions")

_tree: Path | None = None


def tree() -> Path:
    """A directory to put on sys.path, readable by everybody; made once."""
    global _tree
    if _tree is None:
        _tree = Path(tempfile.mkdtemp(prefix="mailcore-tree-"))
        atexit.register(shutil.rmtree, _tree, ignore_errors=True)
        _tree.chmod(0o755)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, _tree / package)
        for library in LIBRARIES:
            spec = importlib.util.find_spec(library)
            if spec and spec.submodule_search_locations:
                shutil.copytree(next(iter(spec.submodule_search_locations)), _tree / library)
            elif spec and spec.origin:
                shutil.copy(spec.origin, _tree)
        for path in [_tree, *_tree.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    return _tree


def interpreter() -> str:
    """A Python that any user may run: the one behind the virtual environment, or the system's."""
    behind = os.path.realpath(sys.executable)
    return behind if not behind.startswith("/root/") else "/usr/bin/python3"


def program(name: str, *arguments: str) -> list[str]:
    """The command line that starts imapd, ipop3d or poppassd as the installed launcher does."""
    path = f"import sys; sys.path[:0] = [{str(tree())!r}]; sys.argv[0] = {name!r}"
    start = f"{path}; from {MODULES.get(name, name)}.__main__ import main; main()"
    return [interpreter(), "-I", "-S", "-W", "ignore", "-c", start, *arguments]


def certificate(
    directory: Path, name: str = "mail.example.org", kind: str = "ecdsa", file: str = "imapd.pem", *also: str
) -> Path:
    """Key and certificate in one file, made by `mailcore cert`; ipop3d.pem leads there too."""
    from click.testing import CliRunner

    from mailcore.tools.cert import cert

    with tempfile.TemporaryDirectory() as place:
        arguments = ["--directory", place, "--common-name", name, "--key", kind, "--yes"]
        arguments += [word for other in also for word in ("--alt-name", other)]
        done = CliRunner().invoke(cert, arguments)
        assert done.exit_code == 0, done.output
        path = directory / file
        shutil.copy(f"{place}/imapd.pem", path)
    path.chmod(0o600)
    link = directory / file.replace("imapd", "ipop3d")
    if not link.exists():
        link.symlink_to(file)
    return path


def context(**values: object) -> ssl.SSLContext:
    """A client's TLS that believes whatever it is shown."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Ground:
    """A home with mailboxes for one user, owned by whoever will run the server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.home = path / "home"
        self.mail = self.home / "mail"
        self.spool = path / "spool"
        self.inbox = self.spool / "inbox"
        self.index = path / "index"
        for directory in (self.home, self.mail, self.spool, self.index):
            directory.mkdir(parents=True)
        self.more: dict[str, str] = {}  # settings
        self.user = pwd.getpwuid(os.getuid() or 65534)

    def file(self, name: str) -> Path:
        """The file of a mailbox."""
        return self.inbox if name.upper() == "INBOX" else self.mail / name

    def place(self, name: str, content: bytes) -> None:
        """Put a mailbox there, with nothing known of it."""
        path = self.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def accounts(self, *pairs: tuple[str, str]) -> Path:
        """A passwd-file; the hashes are cheap ones, for speed."""
        from passlib.hash import sha512_crypt

        path = self.path / "passwd"
        cheap = sha512_crypt.using(rounds=1000)
        lines = [
            f"{name}:{cheap.hash(secret)}:{self.user.pw_uid}:{self.user.pw_gid}::{self.home}" for name, secret in pairs
        ]
        path.write_text("".join(line + "\n" for line in lines))
        path.chmod(0o600)
        return path

    def secrets(self, *pairs: tuple[str, str]) -> Path:
        """A file like /etc/cram-md5.pwd."""
        path = self.path / "cram-md5.pwd"
        path.write_text("".join(f"{name}\t{secret}\n" for name, secret in pairs))
        path.chmod(0o600)
        return path

    def location(self) -> str:
        return f"mbox:{self.mail}:INBOX={self.inbox}"

    def options(self) -> dict[str, str]:
        """Settings that keep a server inside this ground."""
        return {
            "mail_location": self.location(),
            "index_directory": str(self.index),
            "login_delay_seconds": "0",
            "first_valid_uid": "1",
            "host_name": "mail.example.org",
            "cram_md5_file": str(self.path / "cram-md5.pwd"),
            "anonymous_file": "",
            "scram_key_file": str(self.path / "scram-key"),
            "run_directory": str(self.path / "run"),
            **self.more,
        }

    def hand_over(self) -> None:
        """When the tests run as root: everything belongs to the user who runs the server."""
        if os.getuid() == 0:
            os.chmod(self.path, 0o755)
            for parent in self.path.parents:
                if parent.stat().st_uid == 0 and str(parent) not in ("/", "/tmp"):
                    parent.chmod(parent.stat().st_mode | 0o055)
            for path in [self.path, *self.path.rglob("*")]:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def identity(self) -> dict[str, object]:
        """Keywords for subprocess that make the child an ordinary user."""
        if os.getuid():
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
