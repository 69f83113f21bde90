"""The calls that change mail."""

from __future__ import annotations

import errno
import os

import pytest

from mailcore.errors import DiskError, NoPermission, NoSuchMailbox, NotAMailbox, OutOfSpace
from mailcore.store import files


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, OutOfSpace), (errno.EDQUOT, OutOfSpace), (errno.EFBIG, OutOfSpace), (errno.EACCES, NoPermission),
        (errno.EROFS, NoPermission), (errno.ENOENT, NoSuchMailbox), (errno.ELOOP, NotAMailbox), (errno.EIO, DiskError),
    ],
)  # fmt: skip
def test_judge(number, kind):
    with pytest.raises(kind) as caught, files.Judge("here"):
        raise OSError(number, os.strerror(number), "/secret/path")
    assert "here" in caught.value.detail and "/secret" not in caught.value.text
    with pytest.raises(ValueError), files.Judge():
        raise ValueError


@pytest.fixture
def fd(tmp_path):
    fd = files.create(str(tmp_path / "file"))
    yield fd
    files.close(fd)


def test_short_reads_and_writes(fd, monkeypatch):
    class Short:
        def __getattr__(self, name):
            if name == "pwrite":
                return lambda fd, data, offset: os.pwrite(fd, bytes(data)[:3], offset)
            if name == "pread":
                return lambda fd, octets, offset: os.pread(fd, min(octets, 4), offset)
            return getattr(os, name)

    monkeypatch.setattr(files, "os", Short())
    files.write(fd, b"0123456789abcdef", 2)
    assert files.read(fd, 100, 0) == b"\0\0" + b"0123456789abcdef"
    assert files.read(fd, 5, 3) == b"12345"
    assert files.read(fd, 5, 100) == b""


def test_copy_finds_a_file_too_short(fd):
    files.write(fd, b"0123456789", 0)
    files.copy(fd, 2, 5, fd, 20)
    assert files.read(fd, 3, 20) == b"234"
    with pytest.raises(OSError):
        files.copy(fd, 30, 40, fd, 100)


def test_grow_or_stay(fd, monkeypatch):
    files.write(fd, b"abc", 0)
    files.grow(fd, 3, 5000)
    assert os.fstat(fd).st_size == 5000 and os.fstat(fd).st_blocks >= 8

    def refuse(number):
        class Full:
            def __getattr__(self, name):
                if name == "posix_fallocate":
                    return lambda *_: (_ for _ in ()).throw(OSError(number, "no"))
                return getattr(os, name)

        return Full()

    monkeypatch.setattr(files, "os", refuse(errno.ENOSPC))
    with pytest.raises(OSError):
        files.grow(fd, 5000, 9000)
    assert os.fstat(fd).st_size == 5000
    monkeypatch.setattr(files, "os", refuse(errno.EOPNOTSUPP))
    files.grow(fd, 5000, 9000)
    assert os.fstat(fd).st_size == 9000


def test_open_mail(tmp_path):
    path = tmp_path / "m"
    with pytest.raises(FileNotFoundError):
        files.open_mail(str(path), False)
    old = os.umask(0o777)
    try:
        fd = files.open_mail(str(path), True, 0o640)
    finally:
        os.umask(old)
    assert os.fstat(fd).st_mode & 0o7777 == 0o640 and not os.get_inheritable(fd)
    files.close(fd)
    with pytest.raises(FileExistsError):
        files.open_mail(str(path), True, 0o640)
    with pytest.raises(NotAMailbox):
        files.open_mail("/dev/null", False)
